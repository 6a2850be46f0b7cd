/** What the test thread and the thread of the real origin say to each other. */
import type { OriginOptions, SeenRequest } from '../sim/origin.ts'

export type RealOriginOptions = Omit<OriginOptions, 'fragments' | 'port'>

export type OriginQuestion =
  | { readonly id: number; readonly ask: 'open'; readonly options: RealOriginOptions }
  | { readonly id: number; readonly ask: 'look'; readonly origin: number }
  | { readonly id: number; readonly ask: 'close'; readonly origin: number }

export interface OriginView {
  readonly origin: number
  readonly port: number
  readonly requests: readonly SeenRequest[]
  /** Ever accepted. */
  readonly connections: number
  readonly open: number
  readonly complaints: readonly string[]
}

export interface OriginAnswer extends OriginView {
  readonly id: number
}

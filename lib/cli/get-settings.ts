/** What `sockmux get` was asked to do, after its options were checked. */
import type { TransferOptions } from '../index.ts'

export interface GetSettings {
  readonly urls: readonly string[]
  readonly output: string | null
  readonly outputDirectory: string
  readonly resume: boolean
  readonly force: boolean
  readonly maxConnections: number
  readonly maxHostConnections: number
  readonly retries: number
  readonly retryDelayMs: number
  readonly json: boolean
  readonly verbose: boolean
  readonly quiet: boolean
  /** What all transfers have in common. */
  readonly transfer: Omit<TransferOptions, 'url'>
}

/** What `sockmux serve` was asked to do, after its options were checked. */
import type { ListenOptions, ServerTlsOptions } from '../index.ts'
import type { LogFormat } from './access-log.ts'

export interface ServeSettings {
  /** An absolute path without links. */
  readonly root: string
  readonly listing: boolean
  /** Names that begin with a dot as well. */
  readonly all: boolean
  /** Links that lead out of the directory as well. */
  readonly follow: boolean
  readonly listen: readonly ListenOptions[]
  readonly tls: ServerTlsOptions | null
  readonly maxConnections: number
  /** In which it is served; 1: in that of the command. */
  readonly threads: number
  /** After the first signal; 0: none. */
  readonly graceMs: number
  readonly log: LogFormat
  readonly quiet: boolean
}

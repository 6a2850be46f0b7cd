/** What all HTTP connections of a server have in common. */
import type { Connection } from '../connection/connection.ts'
import type { IdlePolicy } from '../server-control.ts'
import type { HttpSettings } from './http-options.ts'
import type { ReaderPool } from './request/request-input.ts'

export interface Departure {
  readonly idle: IdlePolicy
  readonly deadline: number
}

/** What a server keeps for all its HTTP connections. */
export interface HttpBook {
  readonly settings: HttpSettings
  readonly readers: ReaderPool
  /** While the server takes leave. */
  readonly departure: Departure | null
  /** A callback threw, or an answer could not be sent. Must not throw. */
  failed(operation: string, error: unknown, connection: Connection): void
}

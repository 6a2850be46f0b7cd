/**
 * Somewhere else than the system's resolver where names can be asked for, as a contract: whoever knows how to ask lives
 * in a layer above, and hands a source to the connector, which hands it to the name service. The service keeps the
 * answers of each source apart, and asks it once for all who want to know the same.
 */
import type { SystemError } from '../base/errors.ts'
import type { Host } from '../multi/host.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { IpFamily } from './address.ts'

export interface SourceAnswer {
  /** Port 0. Empty when there is an error. */
  readonly addresses: readonly SocketAddress[]
  /** With the code 'ENOTFOUND' it is an answer and kept for a moment; others are not. */
  readonly error: SystemError | null
  /** How long it holds. */
  readonly ttlMs: number
}

export interface NameQuestion {
  /** Nobody wants to know any more. */
  cancel(): void
}

export interface NameSource {
  /** Sources of equal keys give equal answers. */
  readonly key: string
  /** `settle` is called once, possibly before this returns, and never after `cancel`. `family` null asks for both. */
  ask(
    host: Host,
    hostname: string,
    family: IpFamily | null,
    settle: (answer: SourceAnswer, now: number) => void,
  ): NameQuestion
}

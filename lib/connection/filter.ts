/**
 * One layer of a byte stream: a socket, TLS, a CONNECT tunnel, SOCKS, a PROXY header. A layer is built on the one below
 * it and speaks to that one only. `connect` runs bottom-up: a layer calls the one below first and starts when that is
 * DONE. `close` runs top-down: a layer lets go of what it holds, then closes the one below. Results are bytes or
 * -errno of the stream's kernel; -EAGAIN says "later" and `interest` then says what to wait for.
 */
import type { InterestSet } from '../multi/machine.ts'

export const FilterStatus = { PENDING: 0, DONE: 1, FAILED: 2 } as const
export type FilterStatus = (typeof FilterStatus)[keyof typeof FilterStatus]

export interface Filter {
  /** Drives the set-up as far as it goes. DONE: bytes of the layer above may flow, and asking again costs nothing. */
  connect(now: number): FilterStatus
  /**
   * What to wait for at the descriptor, when the layer above wants `wants` (bits of Interest; 0 when it wants nothing).
   * A layer passes down what it needs instead: while it is set up, its own want; TLS that must read in order to write
   * passes READABLE for WRITABLE. Only the socket at the bottom adds to `into`, once.
   */
  interest(wants: number, into: InterestSet): void
  /** Bytes, 0 at the end of the stream, or -errno. A layer that fails by itself returns -EPROTO and sets `failure`. */
  recv(bufferId: number, offset: number, length: number): number
  /** Bytes taken, or -errno. After -EAGAIN the same bytes must be offered again (a TLS record may be half written). */
  send(bufferId: number, offset: number, length: number): number
  sendBytes(bytes: Uint8Array, offset: number, length: number): number
  /** Bytes wait here or below that no readiness will announce: whoever wants to read must not go to sleep. */
  readonly hasPending: boolean
  /** Says "no more bytes from here"; 0, -EAGAIN (call again when writable), or -errno. */
  shutdownWrite(): number
  /** Is an idle stream still usable? Not at its end, not after an error, not when stray bytes arrived. One peek. */
  checkIdle(): boolean
  /** Releases everything from here down, the descriptor last. Idempotent. */
  close(): void
  /** Why the set-up or the layer failed: a SystemError, or a TransferError when the layer knows curl's code for it. */
  readonly failure: Error | null
}

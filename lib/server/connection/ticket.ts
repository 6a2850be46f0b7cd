/**
 * A connected socket on its way from one owner to another: plain data that can be cloned, good for one use. Whoever
 * detaches a connection gets one, whoever adopts it owns the descriptor from then on.
 */
import type { SocketAddress } from '../../sys/kernel.ts'

export interface SocketTicket {
  readonly fd: number
  /** Names the descriptor while it is on its way; it is claimed once, in this thread or in another. */
  readonly generation: number
  /** null when nobody knows it any more. */
  readonly peer: SocketAddress | null
  readonly local: SocketAddress | null
  /** Bytes that were read already and belong to the next owner; null when there are none. */
  readonly head: Uint8Array | null
}

/**
 * A body that comes piece by piece. The sender asks for a piece when the last one is with the outbox; a source that has
 * none now says WAIT and wakes its owner when it has. What the program's producer throws comes out of `next`. However a
 * response ends, `close` is called once, by the sender; later answers of the producer are of no interest.
 */
import { wrongType } from '../../../base/options.ts'

export const PieceStatus = { PIECE: 0, END: 1, WAIT: 2 } as const
export type PieceStatus = (typeof PieceStatus)[keyof typeof PieceStatus]

export interface BodySource {
  /** Bytes in all; -1 when they are not known. */
  readonly length: number
  /** After PIECE, never empty; borrowed until the next call. */
  readonly piece: Uint8Array
  next(position: number, bytesMax: number): PieceStatus
  /** With an error when the body was not sent to its end. */
  close(error: Error | null): void
}

/** The machine that is woken when a source has something again. */
export interface SourceOwner {
  /** From anywhere. */
  wake(): void
}

export const NO_BYTES: Uint8Array = new Uint8Array(0)

/** Text is sent as UTF-8. */
export function bytesOf(piece: unknown): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece, 'utf8')
  if (piece instanceof Uint8Array) return piece
  throw wrongType('body', 'made of Uint8Arrays or strings', piece)
}

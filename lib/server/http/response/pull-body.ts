/** A body that a function of the program gives, when it is asked. */
import { isFunction, wrongRange, wrongType } from '../../../base/options.ts'
import { PAUSE } from '../../../base/pause.ts'
import { type BodySource, bytesOf, NO_BYTES, PieceStatus } from './body-source.ts'
import type { PullBody, PullFunction } from './response.ts'

export class PullSource implements BodySource {
  readonly length: number
  piece: Uint8Array = NO_BYTES
  readonly #pull: PullFunction
  readonly #close: PullBody['close']
  /** It said PAUSE and was not resumed. */
  #paused = false

  constructor({ pull, length, close }: PullBody) {
    isFunction('body.pull', pull)
    if (close !== undefined) isFunction('body.close', close)
    if (length !== undefined && !(Number.isSafeInteger(length) && length >= 0)) {
      throw wrongRange('body.length', 'a number of bytes', length)
    }
    this.length = length ?? -1
    this.#pull = pull
    this.#close = close
  }

  next(position: number, bytesMax: number): PieceStatus {
    if (this.#paused) return PieceStatus.WAIT
    const given = this.#pull(position, bytesMax)
    if (given === PAUSE) {
      this.#paused = true
      return PieceStatus.WAIT
    }
    if (given === null) return PieceStatus.END
    this.piece = bytesOf(given)
    if (this.piece.length > bytesMax) throw wrongRange('body', `pieces of at most ${bytesMax} bytes`, this.piece.length)
    if (this.piece.length === 0) throw wrongType('body', 'PAUSE when there is nothing now, null at the end', given)
    return PieceStatus.PIECE
  }

  resume(): void {
    this.#paused = false
  }

  close(error: Error | null): void {
    this.piece = NO_BYTES
    this.#close?.(error)
  }
}

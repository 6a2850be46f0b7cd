/**
 * A request body out of an iterable, an async iterable or a web ReadableStream, as the callback of a transfer. The
 * source is asked for a piece when the last one went out, so it is read no faster than the peer takes it, and never on
 * the engine's stack: the callback says PAUSE, and the answer resumes the transfer.
 */
import { wrongType } from '../base/options.ts'
import { type BodyFunction, PAUSE } from '../client/body-function.ts'

/** Pieces of a body: bytes, or text that is sent as UTF-8. */
export type BodyPieces = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>

export interface UploadOwner {
  /** On the engine's stack: call `advance` once that has unwound. */
  wantsPiece(): void
  /** There is something to send, or nothing more. */
  hasPiece(): void
}

const NOTHING = new Uint8Array(0)

export class UploadSource {
  readonly pull: BodyFunction = (bytesMax) => this.#pull(bytesMax)
  readonly #owner: UploadOwner
  readonly #iterator: AsyncIterator<unknown> | Iterator<unknown>
  #piece: Uint8Array = NOTHING
  #at = 0
  /** A piece is wanted and was not asked for yet. */
  #isWanted = false
  #isAsked = false
  #isDone = false
  #failure: { readonly error: unknown } | null = null

  /** Throws what the iterable throws: a stream that is locked, a TypeError. */
  constructor(owner: UploadOwner, pieces: BodyPieces) {
    this.#owner = owner
    this.#iterator =
      Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : (pieces as Iterable<unknown>)[Symbol.iterator]()
  }

  /** Asks for the next piece, if one is wanted. Not on the engine's stack: it runs the user's code. */
  advance(): void {
    if (!this.#isWanted || this.#isAsked || this.#isDone) return
    this.#isWanted = false
    this.#isAsked = true
    this.#ask()
  }

  /** Nothing more is wanted; the source hears of it, and what it answers is of no interest. */
  close(): void {
    this.#piece = NOTHING
    this.#at = 0
    if (this.#isDone) return
    this.#isDone = true
    try {
      const answer: unknown = this.#iterator.return?.()
      void Promise.resolve(answer).catch(() => {})
    } catch {}
  }

  #pull(bytesMax: number): Uint8Array | null | typeof PAUSE {
    if (this.#failure !== null) throw this.#failure.error
    if (this.#at < this.#piece.length) {
      const from = this.#at
      this.#at = Math.min(from + bytesMax, this.#piece.length)
      return this.#piece.subarray(from, this.#at)
    }
    if (this.#isDone) return null
    this.#isWanted = true
    this.#owner.wantsPiece()
    return PAUSE
  }

  #ask(): void {
    let answer: unknown
    try {
      answer = this.#iterator.next()
    } catch (error) {
      this.#fail(error)
      return
    }
    Promise.resolve(answer as IteratorResult<unknown>).then(this.#take, this.#fail)
  }

  readonly #take = (result: IteratorResult<unknown>): void => {
    // Ended meanwhile.
    if (this.#isDone) return
    if (result.done === true) {
      this.#isDone = true
      this.#answered()
      return
    }
    const { value } = result
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    if (!(bytes instanceof Uint8Array)) {
      this.close()
      this.#fail(wrongType('body', 'an iterable of Uint8Array or string', value))
    } else if (bytes.length === 0) this.#ask()
    else {
      this.#piece = bytes
      this.#at = 0
      this.#answered()
    }
  }

  readonly #fail = (error: unknown): void => {
    this.#isDone = true
    this.#failure = { error }
    this.#answered()
  }

  #answered(): void {
    this.#isAsked = false
    this.#owner.hasPiece()
  }
}

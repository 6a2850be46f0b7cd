/**
 * A body out of an iterable, asked for a piece when the last one was copied or sent, so a producer may use its memory
 * again. Promises of an async one are answered outside of the engine, which is then entered to go on.
 */
import { type BodySource, bytesOf, NO_BYTES, PieceStatus, type SourceOwner } from './body-source.ts'

export class IterableSource implements BodySource {
  readonly length: number = -1
  piece: Uint8Array = NO_BYTES
  readonly #iterable: Iterable<unknown>
  #iterator: Iterator<unknown> | null = null
  #ended = false

  constructor(iterable: Iterable<unknown>) {
    this.#iterable = iterable
  }

  next(): PieceStatus {
    this.#iterator ??= this.#iterable[Symbol.iterator]()
    for (;;) {
      const result = this.#iterator.next()
      if (result.done === true) {
        this.#ended = true
        return PieceStatus.END
      }
      this.piece = bytesOf(result.value)
      if (this.piece.length > 0) return PieceStatus.PIECE
    }
  }

  close(): void {
    this.piece = NO_BYTES
    if (this.#ended) return
    this.#ended = true
    // One that was never begun is begun for this: it may hold something since it was made.
    this.#iterator ??= this.#iterable[Symbol.iterator]()
    this.#iterator.return?.()
  }
}

export class AsyncIterableSource implements BodySource {
  readonly length: number = -1
  piece: Uint8Array = NO_BYTES
  readonly #owner: SourceOwner
  readonly #iterable: AsyncIterable<unknown>
  #iterator: AsyncIterator<unknown> | null = null
  #isAsked = false
  #ahead: Uint8Array | null = null
  #ended = false
  #failure: { readonly error: unknown } | null = null

  constructor(owner: SourceOwner, iterable: AsyncIterable<unknown>) {
    this.#owner = owner
    this.#iterable = iterable
  }

  next(): PieceStatus {
    if (this.#ahead !== null) {
      this.piece = this.#ahead
      this.#ahead = null
      return PieceStatus.PIECE
    }
    if (this.#failure !== null) throw this.#failure.error
    if (this.#ended) return PieceStatus.END
    this.#ask()
    return PieceStatus.WAIT
  }

  close(): void {
    this.piece = NO_BYTES
    this.#ahead = null
    if (this.#ended) return
    this.#ended = true
    try {
      this.#iterator ??= this.#iterable[Symbol.asyncIterator]()
      const answer: unknown = this.#iterator.return?.()
      void Promise.resolve(answer).catch(() => {})
    } catch {
      // The response has ended: nobody is there to be told.
    }
  }

  #ask(): void {
    if (this.#isAsked || this.#ended) return
    this.#isAsked = true
    let answer: unknown
    try {
      this.#iterator ??= this.#iterable[Symbol.asyncIterator]()
      answer = this.#iterator.next()
    } catch (error) {
      answer = Promise.reject(error)
    }
    Promise.resolve(answer as IteratorResult<unknown>).then(this.#take, this.#fail)
  }

  readonly #take = (result: IteratorResult<unknown>): void => {
    this.#isAsked = false
    if (this.#ended) return
    if (result.done === true) this.#ended = true
    else {
      try {
        const bytes = bytesOf(result.value)
        if (bytes.length === 0) {
          this.#ask()
          return
        }
        this.#ahead = bytes
      } catch (error) {
        this.close()
        this.#failure = { error }
      }
    }
    this.#owner.wake()
  }

  readonly #fail = (error: unknown): void => {
    this.#isAsked = false
    if (this.#ended) return
    this.#ended = true
    this.#failure = { error }
    this.#owner.wake()
  }
}

/**
 * Memory for one message that is put together: it grows with what came, never with what was announced, up to a limit.
 * Small memory is kept for the next message.
 */

const FIRST_BYTES = 4096
/** Memory above it is let go after its message. */
const KEPT_BYTES_MAX = 64 * 1024
const NOTHING = new Uint8Array(0)

export class MessageBuffer {
  length = 0
  #bytes: Uint8Array = NOTHING
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** The bytes so far; valid until the next call of a method. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  /** The caller has seen to the limit. */
  append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.length + (end - start)
    if (length > this.#bytes.length) this.#grow(length)
    this.#bytes.set(bytes.subarray(start, end), this.length)
    this.length = length
  }

  /** Memory to write behind the bytes so far, not empty; `made` says how much of it was used. Null at the limit. */
  room(): Uint8Array | null {
    if (this.length === this.#bytes.length) {
      // One byte more than the limit tells a message that reaches it from one that goes beyond.
      if (this.length > this.#bytesMax) return null
      this.#grow(this.length + 1)
    }
    return this.#bytes.subarray(this.length)
  }

  /** False when the message is too long. */
  made(count: number): boolean {
    this.length += count
    return this.length <= this.#bytesMax
  }

  clear(): void {
    this.length = 0
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = NOTHING
  }

  #grow(least: number): void {
    const wanted = Math.max(least, FIRST_BYTES, this.#bytes.length * 2)
    const larger = new Uint8Array(Math.min(wanted, Math.max(least, this.#bytesMax + 1)))
    larger.set(this.bytes)
    this.#bytes = larger
  }
}

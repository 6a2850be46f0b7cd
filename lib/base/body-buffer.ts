/**
 * Body bytes that arrived and that nobody has read yet, as copies of the library's borrowed views. Small pieces are put
 * together, so that memory follows the number of bytes. What is taken out belongs to whoever takes it.
 */
import { Ring } from './ring.ts'

/** Pieces below it are put together. */
const SMALL_BYTES = 4 * 1024
/** What they are put together into. */
const TAIL_BYTES = 16 * 1024

/** V8 keeps bytes up to this many beside their array: memory of one's own is cheapest then. */
const OWN_BYTES_MAX = 64

const NOTHING = Buffer.alloc(0)
const utf8Slice = Buffer.prototype.utf8Slice

export class BodyBuffer {
  size = 0
  /** The only piece, as long as there is but one: most bodies are. */
  #first: Uint8Array | null = null
  #more: Ring<Uint8Array> | null = null
  #tail: Buffer = NOTHING
  #tailUsed = 0

  push(borrowed: Uint8Array): void {
    const { length } = borrowed
    const wasEmpty = this.size === 0
    this.size += length
    if (length <= this.#tail.length - this.#tailUsed) {
      this.#tail.set(borrowed, this.#tailUsed)
      this.#tailUsed += length
      return
    }
    this.#seal()
    if (wasEmpty || length >= SMALL_BYTES) {
      this.#append(copyOf(borrowed))
      return
    }
    this.#tail = Buffer.allocUnsafeSlow(TAIL_BYTES)
    this.#tail.set(borrowed)
    this.#tailUsed = length
  }

  /** The next piece, in memory of its own; null when there is none. */
  take(): Uint8Array<ArrayBuffer> | null {
    const piece = this.#shift()
    if (piece === null) return null
    this.size -= piece.length
    return ownBytes(piece)
  }

  /** Everything, in memory of its own. */
  takeAll(): Uint8Array<ArrayBuffer> {
    const { size } = this
    const first = this.#shift()
    this.size = 0
    if (first === null) return new Uint8Array(0)
    if (first.length === size) return ownBytes(first)
    const bytes = new Uint8Array(size)
    let at = 0
    for (let piece: Uint8Array | null = first; piece !== null; piece = this.#shift()) {
      bytes.set(piece, at)
      at += piece.length
    }
    return bytes
  }

  /** Everything as UTF-8, which is cheaper than the bytes. */
  takeText(): string {
    const { size } = this
    const first = this.#first
    if (first === null || first.length !== size) {
      const { buffer } = this.takeAll()
      return Buffer.from(buffer).toString()
    }
    this.clear()
    return utf8Slice.call(first, 0, size)
  }

  clear(): void {
    this.size = 0
    this.#first = null
    this.#more = null
    this.#tail = NOTHING
    this.#tailUsed = 0
  }

  #append(piece: Uint8Array): void {
    if (this.#first === null) {
      this.#first = piece
      return
    }
    this.#more ??= new Ring()
    this.#more.push(piece)
  }

  #seal(): void {
    if (this.#tailUsed > 0) this.#append(this.#tail.subarray(0, this.#tailUsed))
    this.#tail = NOTHING
    this.#tailUsed = 0
  }

  #shift(): Uint8Array | null {
    if (this.#first === null) this.#seal()
    const piece = this.#first
    this.#first = this.#more?.shift() ?? null
    return piece
  }
}

/** Small ones lie in Node's pool, next to others, and the smallest by themselves. */
function copyOf(borrowed: Uint8Array): Uint8Array {
  if (borrowed.length <= OWN_BYTES_MAX) return new Uint8Array(borrowed)
  const copy = Buffer.allocUnsafe(borrowed.length)
  copy.set(borrowed)
  return copy
}

/** A view that fills its memory: nothing of anybody else's can be reached through it. */
function ownBytes(piece: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!Buffer.isBuffer(piece)) return piece as Uint8Array<ArrayBuffer>
  const { buffer, length } = piece
  return buffer.byteLength === length ? new Uint8Array(buffer as ArrayBuffer) : new Uint8Array(piece)
}

/** Bytes in order: copied in at the back, copied out at the front. */
export class ByteQueue {
  readonly #chunks: Uint8Array[] = []
  #head = 0
  length = 0

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    // A Buffer's own slice would be a view of the same memory.
    this.#chunks.push(new Uint8Array(bytes))
    this.length += bytes.length
  }

  /** Copies up to `into.length` bytes out; with `keep` they stay. */
  read(into: Uint8Array, keep = false): number {
    let copied = 0
    let index = 0
    let start = this.#head
    while (copied < into.length && index < this.#chunks.length) {
      const chunk = this.#chunks[index] as Uint8Array
      const count = Math.min(chunk.length - start, into.length - copied)
      into.set(chunk.subarray(start, start + count), copied)
      copied += count
      start += count
      if (start === chunk.length) {
        index++
        start = 0
      }
    }
    if (!keep) {
      this.#chunks.splice(0, index)
      this.#head = start
      this.length -= copied
    }
    return copied
  }

  take(limit: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(limit, this.length))
    this.read(bytes)
    return bytes
  }

  clear(): void {
    this.#chunks.length = 0
    this.#head = 0
    this.length = 0
  }
}

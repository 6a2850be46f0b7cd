/** Masking (RFC 6455 §5.3): each byte of a payload XOR the byte of a key of four, by its place in the payload. */

/** From a cryptographic generator; a simulation gives its own. */
export type RandomSource = (size: number) => Uint8Array

/** Keys drawn at once: one call of the generator serves many frames. */
const BATCH_BYTES = 4096
/** Below it a view of words costs more than it saves. */
const WORDS_WORTH_BYTES = 64

/** Mask keys, each used once. */
export class MaskSource {
  /** The key is the four bytes at what `next` returned, until `next` is called again. */
  bytes: Uint8Array
  #at: number
  readonly #random: RandomSource

  constructor(random: RandomSource) {
    this.#random = random
    this.bytes = new Uint8Array(0)
    this.#at = 0
  }

  next(): number {
    if (this.#at + 4 > this.bytes.length) {
      this.bytes = this.#random(BATCH_BYTES)
      this.#at = 0
    }
    const at = this.#at
    this.#at += 4
    return at
  }
}

const wordBytes = new Uint8Array(4)
const word = new Int32Array(wordBytes.buffer)

/**
 * In place; undoes itself. `key` holds the four bytes at `keyAt`; `phase` is how many bytes of the payload went before.
 */
export function maskBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  key: Uint8Array,
  keyAt: number,
  phase: number,
): void {
  let at = start
  let turn = phase & 3
  if (end - start >= WORDS_WORTH_BYTES) {
    while (((bytes.byteOffset + at) & 3) !== 0) {
      bytes[at] = (bytes[at] as number) ^ (key[keyAt + turn] as number)
      at++
      turn = (turn + 1) & 3
    }
    for (let i = 0; i < 4; i++) wordBytes[i] = key[keyAt + ((turn + i) & 3)] as number
    const mask = word[0] as number
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2)
    for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) ^ mask
    at += words.length << 2
  }
  for (; at < end; at++) {
    bytes[at] = (bytes[at] as number) ^ (key[keyAt + turn] as number)
    turn = (turn + 1) & 3
  }
}

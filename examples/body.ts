/** Bodies that both sides can compute: pieces of one block of pseudo-random bytes. */
export const BODY_BYTES_MAX: number = 4 * 1024 * 1024
const SEED_COUNT = 1024

const block = new Uint8Array(BODY_BYTES_MAX + SEED_COUNT)
for (let i = 0, state = 0x9e3779b9; i < block.length; i++) {
  // xorshift32
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  block[i] = state
}

/** A view, not a copy. */
export function bodyBytes(seed: number, length: number): Uint8Array {
  const offset = seed % SEED_COUNT
  return block.subarray(offset, offset + length)
}

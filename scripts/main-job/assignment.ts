/** The transfers of the main job: sizes from 0 B to 3 MB, half of them chunked, and the check of what came back. */
import { createHash, type Hash } from 'node:crypto'
import { bodyBytes } from '../../examples/body.ts'

// biome-ignore format: a table of [bytes, how many of 200]
const SHARES: readonly (readonly [number, number])[] = [
  [0, 10], [1, 10], [100, 29], [1000, 40], [4096, 40], [16_384, 40], [65_536, 20], [262_144, 8], [1_048_576, 2],
  [3_000_000, 1],
]
const SIZES: readonly number[] = SHARES.flatMap(([bytes, share]) => new Array<number>(share).fill(bytes))
/** No divisor of 200 but 1, so that 200 transfers in a row have every size of the table. */
const STEP = 37
const HASHED_EVERY = 8

export class Assignment {
  readonly path: string
  readonly #seed: number
  readonly #bytes: number
  readonly #hash: Hash | null
  #received = 0
  #isWrong = false

  constructor(index: number) {
    this.#seed = index
    this.#bytes = SIZES[(index * STEP) % SIZES.length] ?? 0
    this.#hash = index % HASHED_EVERY === 0 ? createHash('sha256') : null
    this.path = `/${index % 2 === 0 ? 'length' : 'chunked'}/${this.#bytes}/${index}`
  }

  /** One byte of every piece is compared, and all of every eighth body is hashed. */
  take(chunk: Uint8Array): void {
    this.#hash?.update(chunk)
    const expected = bodyBytes(this.#seed, this.#bytes)[this.#received]
    this.#received += chunk.length
    if (chunk.length > 0 && chunk[0] !== expected) this.#isWrong = true
  }

  /** What is wrong with the response, in words; null when nothing is. */
  problem(status: number): string | null {
    if (status !== 200) return `status ${status} for ${this.path}`
    if (this.#received !== this.#bytes) return `${this.#received} bytes instead of ${this.#bytes} for ${this.path}`
    if (this.#isWrong || !this.#isHashRight()) return `other bytes than expected for ${this.path}`
    return null
  }

  #isHashRight(): boolean {
    if (this.#hash === null) return true
    const expected = createHash('sha256').update(bodyBytes(this.#seed, this.#bytes))
    return this.#hash.digest('hex') === expected.digest('hex')
  }
}

/**
 * One word of shared memory that one thread at a time holds, for steps of a few hundred instructions. Whoever waits
 * gives up after a bounded time, because the holder may have been ended in the middle; then it can be broken.
 */

/** Looks before it sleeps: a step is shorter than falling asleep. */
const SPINS = 200
/** Naps of a millisecond. */
const NAPS_MAX = 100
const FREE = 0

export class SharedLock {
  readonly #words: Int32Array
  readonly #at: number
  readonly #me: number

  constructor(words: Int32Array, at: number, slot: number) {
    this.#words = words
    this.#at = at
    this.#me = slot + 1
  }

  /** False when somebody holds it for longer than a step can take. */
  acquire(): boolean {
    for (let attempt = 0; attempt < SPINS + NAPS_MAX; attempt++) {
      const holder = Atomics.compareExchange(this.#words, this.#at, FREE, this.#me)
      if (holder === FREE) return true
      if (attempt >= SPINS) Atomics.wait(this.#words, this.#at, holder, 1)
    }
    return false
  }

  release(): void {
    Atomics.store(this.#words, this.#at, FREE)
    Atomics.notify(this.#words, this.#at, 1)
  }

  /** Frees what a thread held that has ended. */
  breakOf(slot: number): void {
    if (Atomics.compareExchange(this.#words, this.#at, slot + 1, FREE) === slot + 1) {
      Atomics.notify(this.#words, this.#at, 1)
    }
  }
}

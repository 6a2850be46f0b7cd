/**
 * A token bucket: how many bytes may move now, and when the next may. It fills with the rate and holds a tenth of a
 * second's worth, so the average is the rate from the first second on. Held until there is a twentieth of a second's
 * worth, so that a slow rate is not paid for with many small system calls.
 */

/** Seconds of the rate. */
const CAPACITY = 1 / 10
const QUANTUM = 1 / 20
/** Sums of fractions are not exact. */
const TOLERANCE = 1e-6

export class RateLimit {
  /** While held: when `allowance` will be more than 0. Infinity otherwise. */
  heldUntil: number = Number.POSITIVE_INFINITY
  readonly #rate: number
  readonly #capacity: number
  readonly #quantum: number
  #tokens: number
  #filledAt: number

  constructor(bytesPerSecond: number, now: number) {
    this.#rate = bytesPerSecond
    this.#capacity = Math.max(1, bytesPerSecond * CAPACITY)
    this.#quantum = Math.max(1, bytesPerSecond * QUANTUM)
    this.#tokens = this.#capacity
    this.#filledAt = now
  }

  /** How many bytes may move now; 0 while held. */
  allowance(now: number): number {
    const gained = (Math.max(0, now - this.#filledAt) * this.#rate) / 1000
    this.#tokens = Math.min(this.#capacity, this.#tokens + gained)
    this.#filledAt = now
    const missing = this.#quantum - this.#tokens
    if (missing > TOLERANCE) {
      this.heldUntil = now + (missing * 1000) / this.#rate
      return 0
    }
    this.heldUntil = Number.POSITIVE_INFINITY
    return Math.floor(this.#tokens + TOLERANCE)
  }

  spend(bytes: number): void {
    this.#tokens -= bytes
  }
}

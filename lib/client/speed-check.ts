/**
 * Is a transfer too slow for too long? Looks once a second at how many bytes moved since the last look. A look at which
 * the transfer rests, or rested since, begins anew: the user's time does not count.
 */

/** Between two looks; curl's. */
const LOOK_MS = 1000

export class SpeedCheck {
  /** When to look next. */
  deadline: number
  readonly #limit: number
  readonly #timeMs: number
  readonly #intervalMs: number
  #moved = 0
  #lookedAt: number
  #slowSince: number

  /** `limit` in bytes per second. */
  constructor(limit: number, timeMs: number, now: number) {
    this.#limit = limit
    this.#timeMs = timeMs
    this.#intervalMs = Math.min(LOOK_MS, timeMs)
    this.#lookedAt = now
    this.#slowSince = now
    this.deadline = now + this.#intervalMs
  }

  /** `moved` counts all bytes so far. True when it was slower than the limit for the whole time. */
  look(now: number, moved: number, rests: boolean): boolean {
    if (now < this.deadline) return false
    const fast = (moved - this.#moved) * 1000 >= this.#limit * (now - this.#lookedAt)
    this.#moved = moved
    this.#lookedAt = now
    if (fast || rests) this.#slowSince = now
    this.deadline = Math.min(now + this.#intervalMs, this.#slowSince + this.#timeMs)
    return now - this.#slowSince >= this.#timeMs
  }

  /** curl's wording. */
  get complaint(): string {
    const seconds = this.#timeMs / 1000
    return `Operation too slow. Less than ${this.#limit} bytes/sec transferred the last ${seconds} seconds`
  }
}

/**
 * How many connections a second are taken, with a burst after a pause: a token bucket kept as one number, the moment at
 * which it would be full again, so that threads can share it one day. Needs no timer of its own.
 */
export interface Rate {
  /** Least ms between two connections, on average. */
  readonly minIntervalMs: number
  /** How many may come at once after a pause; 1: never two within the interval. */
  readonly burst: number
}

/** Sums of fractions are never exact: what is due so soon is due. */
const ROUNDING_MS = 0.001

/** Counts connections against a rate. */
export interface RateMeter {
  /** Takes one when there is one. */
  take(rate: Rate, now: number): boolean
  /** When there is one; in the past when there is one now. */
  nextAt(rate: Rate): number
  /** How many could be taken now. */
  available(rate: Rate, now: number): number
}

export class AcceptRate implements RateMeter {
  #fullAt = Number.NEGATIVE_INFINITY

  take(rate: Rate, now: number): boolean {
    if (this.nextAt(rate) > now + ROUNDING_MS) return false
    this.#fullAt = Math.max(this.#fullAt, now) + rate.minIntervalMs
    return true
  }

  nextAt(rate: Rate): number {
    return this.#fullAt - (rate.burst - 1) * rate.minIntervalMs
  }

  available(rate: Rate, now: number): number {
    const owed = Math.max(this.#fullAt - now, 0)
    return Math.max(Math.floor(rate.burst - (owed - ROUNDING_MS) / rate.minIntervalMs), 0)
  }
}

/**
 * The one timer that the outside runs for us. It hears only moves of the absolute deadline (invariant 3), with the time
 * left rounded up, so that it never fires early by our doing. When it fired (`fired`), whatever is due next is told
 * anew, also "none": the outside may still hold the instant that has passed.
 */
/** Act now: something is dirty. */
export const NOW: number = Number.NEGATIVE_INFINITY
const NEVER = Number.POSITIVE_INFINITY
/** The longest time that a 32-bit loop can wait; the timer fires early then and is told again. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1

export function timeLeft(deadline: number, now: number): number {
  if (deadline === NEVER) return -1
  if (deadline <= now) return 0
  return Math.min(Math.ceil(deadline - now), TIMEOUT_MAX_MS)
}

export class OutwardTimer {
  #told = NEVER

  /** The outside says that the time it was told has passed, or thinks so. */
  fired(): void {
    // NaN equals nothing, so that the next comparison fails.
    if (this.#told !== NEVER) this.#told = Number.NaN
  }

  /** As if nothing had ever been told: for a new timer function. */
  forget(): void {
    this.#told = NEVER
  }

  /** Milliseconds to tell, or null when the outside knows already. */
  move(deadline: number, now: number): number | null {
    // What is due already is one "now" with what is dirty: the outside has its 0.
    const at = deadline <= now ? NOW : deadline
    if (at === this.#told) return null
    this.#told = at
    return timeLeft(at, now)
  }
}

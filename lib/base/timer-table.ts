/**
 * The named timers of one machine: a fixed table of absolute deadlines, of which only the earliest is armed outside.
 * A timer is an index that its machine names; Infinity is "not armed".
 */

/** To be copied, which is one quick step; no machine has more timers. */
const NOTHING_ARMED: readonly number[] = new Array<number>(16).fill(Number.POSITIVE_INFINITY)

export class TimerTable {
  /** null: there is but one timer, and `#next` is all there is to know. */
  readonly #deadlines: number[] | null
  #next = Number.POSITIVE_INFINITY

  constructor(size: number) {
    this.#deadlines = size === 1 ? null : NOTHING_ARMED.slice(0, size)
  }

  get next(): number {
    return this.#next
  }

  at(timer: number): number {
    return this.#deadlines === null ? this.#next : (this.#deadlines[timer] ?? Number.POSITIVE_INFINITY)
  }

  set(timer: number, deadline: number): void {
    const deadlines = this.#deadlines
    if (deadlines === null) {
      this.#next = deadline
      return
    }
    const previous = deadlines[timer] as number
    deadlines[timer] = deadline
    if (deadline <= this.#next) this.#next = deadline
    else if (previous === this.#next) this.#next = earliest(deadlines)
  }

  clear(timer: number): void {
    if (this.at(timer) !== Number.POSITIVE_INFINITY) this.set(timer, Number.POSITIVE_INFINITY)
  }

  clearAll(): void {
    if (this.#next === Number.POSITIVE_INFINITY) return
    const deadlines = this.#deadlines
    if (deadlines !== null) for (let at = 0; at < deadlines.length; at++) deadlines[at] = Number.POSITIVE_INFINITY
    this.#next = Number.POSITIVE_INFINITY
  }

  /** Disarms and returns the earliest timer that is due, or -1. */
  takeExpired(now: number): number {
    if (this.#next > now) return -1
    const timer = this.#deadlines?.indexOf(this.#next) ?? 0
    this.set(timer, Number.POSITIVE_INFINITY)
    return timer
  }
}

function earliest(deadlines: readonly number[]): number {
  let next = Number.POSITIVE_INFINITY
  for (const deadline of deadlines) if (deadline < next) next = deadline
  return next
}

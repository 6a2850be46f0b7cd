/**
 * The named timers of one machine: a fixed table of absolute deadlines, of which only the earliest is armed outside.
 * A timer is an index that its machine names; Infinity is "not armed".
 */

/** To be copied, which is one quick step; no machine has more timers. */
const NOTHING_ARMED: readonly number[] = new Array<number>(16).fill(Number.POSITIVE_INFINITY)

export class TimerTable {
  readonly #deadlines: number[]
  #next = Number.POSITIVE_INFINITY

  constructor(size: number) {
    this.#deadlines = NOTHING_ARMED.slice(0, size)
  }

  get next(): number {
    return this.#next
  }

  at(timer: number): number {
    return this.#deadlines[timer] ?? Number.POSITIVE_INFINITY
  }

  set(timer: number, deadline: number): void {
    const previous = this.#deadlines[timer] as number
    this.#deadlines[timer] = deadline
    if (deadline <= this.#next) this.#next = deadline
    else if (previous === this.#next) this.#findNext()
  }

  clear(timer: number): void {
    if (this.#deadlines[timer] !== Number.POSITIVE_INFINITY) this.set(timer, Number.POSITIVE_INFINITY)
  }

  clearAll(): void {
    if (this.#next === Number.POSITIVE_INFINITY) return
    for (let timer = 0; timer < this.#deadlines.length; timer++) this.#deadlines[timer] = Number.POSITIVE_INFINITY
    this.#next = Number.POSITIVE_INFINITY
  }

  /** Disarms and returns the earliest timer that is due, or -1. */
  takeExpired(now: number): number {
    if (this.#next > now) return -1
    const timer = this.#deadlines.indexOf(this.#next)
    this.set(timer, Number.POSITIVE_INFINITY)
    return timer
  }

  #findNext(): void {
    let next = Number.POSITIVE_INFINITY
    for (const deadline of this.#deadlines) if (deadline < next) next = deadline
    this.#next = next
  }
}

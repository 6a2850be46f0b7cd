/**
 * Where promises are settled: from a microtask, and never while the engine of that Multi is on the stack (invariant 8).
 * Node runs microtasks once the outermost callback has returned, so by then every loop's call into the engine has
 * unwound. Should somebody run them earlier, inside a callback, what is due waits until the engine is left.
 */
import type { Host } from './host.ts'

export interface Settleable {
  /** Must not throw. */
  settle(): void
}

type SettlementHost = Pick<Host, 'isInside' | 'closed' | 'defer'>

const NOW = Promise.resolve()
const desks = new WeakMap<SettlementHost, SettlementDesk>()

/** The desk of that Multi. It outlives the Multi, whose end settles promises as well. */
export function settlementDesk(host: SettlementHost): SettlementDesk {
  let desk = desks.get(host)
  if (desk === undefined) {
    desk = new SettlementDesk(host)
    desks.set(host, desk)
  }
  return desk
}

export class SettlementDesk {
  readonly #host: SettlementHost
  #due: Settleable[] = []
  #spare: Settleable[] = []
  #isArmed = false
  readonly #settleDue = (): void => this.#settle()
  readonly #armAgain = (): void => void NOW.then(this.#settleDue)

  constructor(host: SettlementHost) {
    this.#host = host
  }

  /** One microtask serves all that come until it runs. */
  push(settleable: Settleable): void {
    this.#due.push(settleable)
    if (this.#isArmed) return
    this.#isArmed = true
    this.#armAgain()
  }

  #settle(): void {
    const host = this.#host
    if (host.isInside && !host.closed) {
      host.defer(this.#armAgain)
      return
    }
    this.#isArmed = false
    const due = this.#due
    this.#due = this.#spare
    for (let i = 0; i < due.length; i++) (due[i] as Settleable).settle()
    due.length = 0
    this.#spare = due
  }
}

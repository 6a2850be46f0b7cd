/**
 * Where promises are settled: from a microtask, and never while the engine of that Multi is on the stack (invariant 8).
 * Node runs microtasks once the outermost callback has returned, so by then every loop's call into the engine has
 * unwound. Should somebody run them earlier, inside a callback, what is due waits until the engine is left.
 */
import type { Engine } from '../multi/engine.ts'
import { engineOf } from '../multi/multi.ts'
import type { AnyMulti } from './request-transfer.ts'

export interface Settleable {
  /** Must not throw. */
  settle(): void
}

const NOW = Promise.resolve()
const desks = new WeakMap<Engine, SettlementDesk>()

/** The desk of that Multi. */
export function settlementDesk(multi: AnyMulti): SettlementDesk {
  const engine = engineOf(multi)
  let desk = desks.get(engine)
  if (desk === undefined) {
    desk = new SettlementDesk(engine)
    desks.set(engine, desk)
  }
  return desk
}

export class SettlementDesk {
  readonly #engine: Engine
  #due: Settleable[] = []
  #spare: Settleable[] = []
  #isArmed = false
  readonly #settleDue = (): void => this.#settle()
  readonly #armAgain = (): void => void NOW.then(this.#settleDue)

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** One microtask serves all that come until it runs. */
  push(settleable: Settleable): void {
    this.#due.push(settleable)
    if (this.#isArmed) return
    this.#isArmed = true
    this.#armAgain()
  }

  #settle(): void {
    const engine = this.#engine
    if (engine.isInside && !engine.closed) {
      engine.defer(this.#armAgain)
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

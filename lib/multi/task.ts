/**
 * What the engine keeps per machine: identity that survives reuse of numbers, whether it is dirty, the interest it told
 * last, its place on the deadline heap. Machines hold it as an opaque token for `engine.markDirty` and `engine.retire`.
 */
import type { Machine } from './machine.ts'
import { Wish } from './wish.ts'

export class Task {
  readonly machine: Machine
  /** Index in the engine's table; reused. */
  readonly id: number
  started = false
  alive = true
  dirty = false
  /** Reported readiness since the last run. */
  readiness = 0
  /** What it waited for when it was asked last. */
  readonly wish: Wish = new Wish()

  constructor(machine: Machine, id: number) {
    this.machine = machine
    this.id = id
  }
}

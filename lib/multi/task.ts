/**
 * What the engine keeps per machine: identity that survives reuse of numbers, whether it is dirty, its place on the
 * deadline heap. It is the wish that its machine had when it was asked last. Machines hold it as an opaque token for
 * `engine.markDirty` and `engine.retire`.
 */
import type { Machine } from './machine.ts'
import { Wish } from './wish.ts'

export class Task extends Wish {
  /** Set by `engine.replace` when another one goes on in its place. */
  machine: Machine
  /** Index in the engine's table; reused. */
  readonly id: number
  started = false
  alive = true
  dirty = false
  /** Reported readiness since the last run. */
  readiness = 0

  constructor(machine: Machine, id: number) {
    super()
    this.machine = machine
    this.id = id
  }
}

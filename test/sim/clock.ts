/** Virtual time as the library's clock. */
import type { Clock } from '../../lib/sys/clock.ts'
import type { World } from './world.ts'

/** What the calendar says at time 0: noon of a leap day. */
const EPOCH_MS = Date.UTC(2024, 1, 29, 12)

export class SimClock implements Clock {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  now(): number {
    return this.#world.now
  }

  wallTime(): number {
    return EPOCH_MS + this.#world.now
  }
}

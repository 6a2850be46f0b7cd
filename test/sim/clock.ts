/** Virtual time as the library's clock. */
import type { Clock } from '../../lib/sys/clock.ts'
import type { World } from './world.ts'

export class SimClock implements Clock {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  now(): number {
    return this.#world.now
  }
}

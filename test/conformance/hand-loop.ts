/**
 * The loop of the design's example on the simulated kernel, with hooks where the Multi calls out. It holds the Multi to
 * its word: no REMOVE of the unknown, no interest twice.
 */
import { Interest, Multi, type MultiOptions } from '../../lib/index.ts'
import type { Simulation } from '../sim/simulation.ts'

export interface Hooks {
  onSocket?(fd: number, interest: number, socketData: unknown): undefined | -1
  onTimer?(ms: number): undefined | -1
}

const STEPS_MAX = 2000

export class HandLoop {
  readonly multi: Multi
  readonly interests: Map<number, number> = new Map()
  /** What the Multi said, in order: 'fd interest', or 'timer ms'. */
  readonly told: string[] = []
  deadline: number = Number.POSITIVE_INFINITY
  hooks: Hooks = {}
  readonly #simulation: Simulation

  constructor(simulation: Simulation, options: MultiOptions = {}) {
    this.#simulation = simulation
    const { kernel, clock, resolver } = simulation
    this.multi = new Multi({
      kernel,
      clock,
      resolver,
      socketFunction: (fd, interest, socketData) => this.#socket(fd, interest, socketData),
      timerFunction: (ms) => this.#timer(ms),
      ...options,
    })
  }

  /** One wait, and what it brought. */
  step(): void {
    const { poller, clock } = this.#simulation
    const wait = this.deadline === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(this.deadline - clock.now()))
    const count = poller.wait(wait)
    for (let i = 0; i < count; i++) this.multi.socketAction(poller.ready[2 * i] as number, poller.ready[2 * i + 1])
    if (clock.now() >= this.deadline) this.multi.socketAction(-1)
    this.#simulation.world.runPlans()
  }

  run(until: () => boolean = () => this.multi.running === 0): void {
    for (let steps = 0; !until(); steps++) {
      if (steps >= STEPS_MAX) throw new Error(`not done after ${STEPS_MAX} steps`)
      this.step()
    }
  }

  /** Time passes with the loop going. */
  pass(ms: number): void {
    const { world } = this.#simulation
    const end = world.now + ms
    world.plan(end, () => {})
    this.run(() => world.now >= end)
  }

  #socket(fd: number, interest: number, socketData: unknown): undefined | -1 {
    const { poller } = this.#simulation
    this.told.push(`${fd} ${interest}`)
    if (interest === Interest.REMOVE) {
      if (!this.interests.delete(fd)) throw new Error(`REMOVE of ${fd}, which was not announced`)
      poller.remove(fd)
    } else {
      if (this.interests.get(fd) === interest) throw new Error(`interest ${interest} in ${fd} twice`)
      this.interests.set(fd, interest)
      poller.modify(fd, interest)
    }
    return this.hooks.onSocket?.(fd, interest, socketData)
  }

  #timer(ms: number): undefined | -1 {
    this.told.push(`timer ${ms}`)
    this.deadline = ms < 0 ? Number.POSITIVE_INFINITY : this.#simulation.clock.now() + ms
    return this.hooks.onTimer?.(ms)
  }
}

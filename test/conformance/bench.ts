/**
 * What a scenario is given: an origin, a way to make Multis, and a loop that drives them, whatever the loop is. Every
 * bench ends by closing everything and checking that nothing is left.
 */
import { expect } from 'vitest'
import { Multi, type MultiOptions } from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { attachLoop } from '../sim/loop.ts'
import type { SeenRequest } from '../sim/origin.ts'
import { Random } from '../sim/random.ts'
import { type Simulation, type SimulationOptions, simulate } from '../sim/simulation.ts'
import { drawFuzz, type FuzzedLoop } from '../support/fuzzed-loop.ts'
import type { OriginThread } from './origin-client.ts'
import type { OriginView, RealOriginOptions } from './origin-protocol.ts'

/** Longest that one `drive` may take on the real kernel. */
export const DRIVE_MAX_MS = 8_000

export interface OriginLook {
  readonly requests: readonly SeenRequest[]
  readonly connections: number
  readonly open: number
  readonly complaints: readonly string[]
}

/** A loop around one Multi. */
export interface Loop {
  /** Turns until the condition holds. */
  run(until: () => boolean): Promise<void> | void
  detach(): void
}

/** Without socket and timer function; the loop sets its own. */
export type BenchMultiOptions = Omit<MultiOptions, 'socketFunction' | 'timerFunction' | 'kernel' | 'clock' | 'resolver'>

export interface Bench {
  readonly driver: string
  /** null on the real kernel. */
  readonly simulation: Simulation | null
  /** Of the origin: 'address:port'. */
  readonly host: string
  readonly address: string
  readonly port: number
  url(path: string): string
  now(): number
  multi(options?: BenchMultiOptions): Multi
  /** Default: until nothing runs. */
  drive(multi: Multi, until?: () => boolean): Promise<void>
  /** The loop goes on for that long. */
  pass(multi: Multi, ms: number): Promise<void>
  /** What the origin has seen. */
  look(): Promise<OriginLook>
  /** From now on the origin refuses and closes what is open. */
  shutOrigin(): Promise<void>
  close(): Promise<void>
}

export type LoopFactory = (multi: Multi, random: Random) => Loop

abstract class BaseBench {
  abstract readonly host: string
  protected readonly multis = new Map<Multi, Loop>()

  url(path: string): string {
    return `http://${this.host}${path}`
  }

  protected loopOf(multi: Multi): Loop {
    const loop = this.multis.get(multi)
    if (loop === undefined) throw new Error('this Multi was not made by this bench')
    return loop
  }

  protected closeMultis(): void {
    for (const [multi, loop] of this.multis) {
      multi.close()
      loop.detach()
    }
  }
}

export class RealBench extends BaseBench implements Bench {
  readonly driver: string
  readonly simulation = null
  readonly host: string
  readonly address: string
  readonly port: number
  readonly #thread: OriginThread
  readonly #origin: number
  readonly #makeLoop: LoopFactory
  readonly #random: Random
  readonly #ownedBefore = ownedCount()

  constructor(
    driver: string,
    thread: OriginThread,
    origin: OriginView,
    address: string,
    makeLoop: LoopFactory,
    seed: number,
  ) {
    super()
    this.driver = driver
    this.#thread = thread
    this.#origin = origin.origin
    this.address = address
    this.port = origin.port
    this.host = `${address.includes(':') ? `[${address}]` : address}:${origin.port}`
    this.#makeLoop = makeLoop
    this.#random = new Random(seed)
  }

  static async open(
    driver: string,
    thread: OriginThread,
    options: RealOriginOptions,
    makeLoop: LoopFactory,
    seed: number,
  ): Promise<Bench> {
    const origin = await thread.open(options)
    return new RealBench(driver, thread, origin, options.address ?? '127.0.0.1', makeLoop, seed)
  }

  now(): number {
    return performance.now()
  }

  multi(options: BenchMultiOptions = {}): Multi {
    const multi = new Multi(options)
    this.multis.set(multi, this.#makeLoop(multi, this.#random))
    return multi
  }

  async drive(multi: Multi, until: () => boolean = () => multi.running === 0): Promise<void> {
    const giveUpAt = performance.now() + DRIVE_MAX_MS
    await this.loopOf(multi).run(() => {
      if (until()) return true
      if (performance.now() > giveUpAt) throw new Error(`${this.driver}: not done after ${DRIVE_MAX_MS} ms`)
      return false
    })
  }

  async pass(multi: Multi, ms: number): Promise<void> {
    const end = performance.now() + ms
    await this.drive(multi, () => performance.now() >= end)
  }

  look(): Promise<OriginLook> {
    return this.#thread.look(this.#origin)
  }

  async shutOrigin(): Promise<void> {
    await this.#thread.close(this.#origin)
  }

  async close(): Promise<void> {
    this.closeMultis()
    const last = await this.#thread.close(this.#origin)
    expect(last.complaints).toEqual([])
    expect(ownedCount(), 'descriptors left open').toBe(this.#ownedBefore)
  }
}

export class SimulatedBench extends BaseBench implements Bench {
  readonly driver: string
  readonly simulation: Simulation
  readonly host: string
  readonly address: string
  readonly port: number
  readonly #fuzzed: boolean

  constructor(driver: string, seed: number, options: SimulationOptions, fuzzed: boolean) {
    super()
    this.driver = driver
    this.simulation = simulate(seed, options)
    const { origin } = this.simulation
    this.host = origin.host
    this.address = origin.address
    this.port = origin.port
    this.#fuzzed = fuzzed
  }

  now(): number {
    return this.simulation.clock.now()
  }

  multi(options: BenchMultiOptions = {}): Multi {
    const { kernel, clock, resolver, files } = this.simulation
    const multi = new Multi({ ...options, kernel, clock, resolver, files })
    const random = this.simulation.world.random.fork()
    const fuzz = this.#fuzzed ? { ...drawFuzz(random), lateTimer: 0 } : undefined
    const loop: FuzzedLoop = attachLoop(this.simulation, multi, fuzz)
    this.multis.set(multi, {
      run: (until) => void loop.run({ until }),
      detach: () => {
        if (!multi.closed) loop.detach()
      },
    })
    return multi
  }

  async drive(multi: Multi, until: () => boolean = () => multi.running === 0): Promise<void> {
    await this.loopOf(multi).run(until)
  }

  async pass(multi: Multi, ms: number): Promise<void> {
    const end = this.now() + ms
    this.simulation.world.plan(end, () => {})
    await this.drive(multi, () => this.now() >= end)
  }

  async look(): Promise<OriginLook> {
    return this.simulation.origin
  }

  async shutOrigin(): Promise<void> {
    this.simulation.origin.close()
  }

  async close(): Promise<void> {
    this.closeMultis()
    this.simulation.assertQuiescent()
  }
}

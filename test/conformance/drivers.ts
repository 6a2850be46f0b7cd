/**
 * The table of drivers. Each scenario is an ordinary function of a bench and runs through all of them: Node's loop, own
 * poll loops on each backend, a loop written by hand, `perform` and `poll`, a badly behaved loop on the real kernel,
 * and the simulated kernel, calm and badly behaved.
 */
import { afterAll, describe, it } from 'vitest'
import {
  attachToNodeLoop,
  Interest,
  type Multi,
  Poller,
  type PollerBackend,
  runPollLoop,
  SOCKET_TIMEOUT,
  systemClock,
} from '../../lib/index.ts'
import { pollerBackends } from '../../lib/sys/native.ts'
import type { Random } from '../sim/random.ts'
import type { SimulationOptions } from '../sim/simulation.ts'
import { drawFuzz, FuzzedLoop } from '../support/fuzzed-loop.ts'
import { type Bench, type Loop, type LoopFactory, RealBench, SimulatedBench } from './bench.ts'
import { OriginThread } from './origin-client.ts'
import type { RealOriginOptions } from './origin-protocol.ts'

/** Longest wait of one step, so that a scenario's condition is looked at. */
const STEP_MAX_MS = 10
const SEEDS_PER_SCENARIO = 6

export type Scenario = (bench: Bench) => Promise<void>

export interface ScenarioOptions {
  readonly origin?: RealOriginOptions
  /** The simulated network is a loopback device without faults: for scenarios that count milliseconds. */
  readonly calm?: boolean
  /** Only drivers for which it says true. */
  readonly on?: 'real' | 'simulated'
}

function nodeLoop(multi: Multi): Loop {
  const attachment = attachToNodeLoop(multi)
  return {
    run: async (until) => {
      while (!until()) await new Promise((resolve) => setTimeout(resolve, 1))
    },
    detach: () => attachment.detach(),
  }
}

function pollLoop(backend: PollerBackend): LoopFactory {
  return (multi) => ({
    run: (until) => {
      while (!until()) {
        runPollLoop(multi, { backend, until, maxWaitMs: STEP_MAX_MS })
        // Returns at once when nothing is active; idle connections are then looked at by nobody.
        if (!multi.active && !until()) rest(multi)
      }
    },
    detach: () => {},
  })
}

/** Time passes with a loop that has nothing to do. */
function rest(multi: Multi): void {
  multi.poll(STEP_MAX_MS)
  multi.perform()
}

/** The loop of the design's first example. */
function loopByHand(backend: PollerBackend): LoopFactory {
  return (multi) => {
    const poller = new Poller({ backend })
    let deadline = Number.POSITIVE_INFINITY
    const waitMs = (): number =>
      deadline === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(deadline - performance.now()))
    multi.setSocketFunction((fd, interest) => {
      if (interest === Interest.REMOVE) poller.remove(fd)
      else poller.modify(fd, interest)
    })
    multi.setTimerFunction((ms) => {
      deadline = ms < 0 ? Number.POSITIVE_INFINITY : performance.now() + ms
    })
    return {
      run: (until) => {
        while (!until()) {
          const wanted = waitMs()
          const bounded = wanted < 0 ? STEP_MAX_MS : Math.min(wanted, STEP_MAX_MS)
          const count = poller.wait(bounded)
          if (count === 0) multi.socketAction(SOCKET_TIMEOUT)
          for (let i = 0; i < count; i++) {
            multi.socketAction(poller.ready[2 * i] as number, poller.ready[2 * i + 1] as number)
          }
        }
      },
      detach: () => poller.close(),
    }
  }
}

function performLoop(multi: Multi): Loop {
  return {
    run: (until) => {
      while (!until()) {
        multi.perform()
        if (until()) return
        multi.poll(STEP_MAX_MS)
      }
    },
    detach: () => {},
  }
}

function badLoop(multi: Multi, random: Random): Loop {
  const poller = new Poller()
  const fuzz = { ...drawFuzz(random), lateTimer: 0 }
  const loop = new FuzzedLoop({ multi, poller, clock: systemClock, random, fuzz, maxWaitMs: STEP_MAX_MS })
  return {
    run: (until) => void loop.run({ until, maxStuckSteps: 100_000 }),
    detach: () => {
      poller.close()
      if (loop.violations.length > 0) throw new Error(loop.violations.join('; '))
    },
  }
}

interface Driver {
  readonly name: string
  readonly kind: 'real' | 'simulated'
  /** One bench per seed. */
  readonly seeds: number
  open(options: ScenarioOptions, seed: number): Promise<Bench>
}

let thread: OriginThread | null = null

/** The origin's thread of this test file. */
export function originThread(): OriginThread {
  thread ??= new OriginThread()
  return thread
}

function real(name: string, makeLoop: LoopFactory, seeds = 1): Driver {
  return {
    name,
    kind: 'real',
    seeds,
    open: ({ origin = {} }, seed) => RealBench.open(name, originThread(), origin, makeLoop, seed),
  }
}

function simulated(name: string, fuzzed: boolean, seeds: number): Driver {
  return {
    name,
    kind: 'simulated',
    seeds,
    open: async ({ origin = {}, calm = false }, seed) => {
      const wild: SimulationOptions = seed % 2 === 0 ? { faults: 'survivable' } : { links: 'random' }
      return new SimulatedBench(name, seed, { ...(calm || !fuzzed ? {} : wild), origin }, fuzzed)
    },
  }
}

export const drivers: readonly Driver[] = [
  real("Node's loop", nodeLoop),
  ...pollerBackends.map((backend) => real(`runPollLoop on ${backend}`, pollLoop(backend))),
  ...pollerBackends.map((backend) => real(`a loop by hand on ${backend}`, loopByHand(backend))),
  real('perform and poll', performLoop),
  real('a badly behaved loop', badLoop, 2),
  simulated('the simulated kernel', false, 1),
  simulated('a badly behaved simulated loop', true, SEEDS_PER_SCENARIO),
]

/** One test per driver. */
export function scenario(name: string, run: Scenario, options: ScenarioOptions = {}): void {
  describe(name, () => {
    for (const driver of drivers) {
      if (options.on !== undefined && options.on !== driver.kind) continue
      it(`by ${driver.name}`, () => runSeeds(driver, run, options))
    }
  })
}

async function runSeeds(driver: Driver, run: Scenario, options: ScenarioOptions): Promise<void> {
  const wanted = process.env['SOCKMUX_SEED']
  const seeds = wanted ? [Number(wanted)] : Array.from({ length: driver.seeds }, (_, index) => index + 1)
  for (const seed of seeds) {
    const bench = await driver.open(options, seed)
    try {
      await run(bench)
    } catch (cause) {
      await bench.close().catch(() => {})
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`seed ${seed}: ${reason}`, { cause })
    }
    await bench.close()
  }
}

afterAll(async () => {
  await thread?.stop()
  thread = null
})

import { describe, expect, it } from 'vitest'
import { drawFuzz } from '../support/fuzzed-loop.ts'
import { attachLoop } from './loop.ts'
import { originBytes } from './origin.ts'
import { type Flaw, Probe } from './probe.ts'
import type { Random } from './random.ts'
import type { Simulation, SimulationOptions } from './simulation.ts'
import { runScenario, runSwarm, type Scenario, swarmSeeds, torture, traceTwice } from './swarm.ts'

const FILE = 'test/sim/swarm.test.ts'
const SWARM: SimulationOptions = { faults: 'swarm', links: 'random' }
const SURVIVABLE: SimulationOptions = { faults: 'survivable', links: 'random' }

/** Fetches at random times; what arrives must be a beginning of what was sent, and all of it when nothing fails. */
function fetching(flaw: Flaw | null, mustSucceed: boolean, extra: readonly string[] = []): Scenario {
  return (simulation: Simulation, random: Random) => {
    const { kernel, clock, world, origin } = simulation
    const probe = new Probe(kernel, clock, flaw)
    const loop = attachLoop(simulation, probe, drawFuzz(random))
    const count = random.between(1, 12)
    const paths: string[] = []
    for (let i = 0; i < count; i++) {
      paths.push(random.pick([`/bytes/${random.int(5000)}`, `/close/${random.int(60_000)}`, '/bytes/0', ...extra]))
    }
    for (const path of paths) world.plan(world.now + random.unit() * 300, () => probe.fetch(origin, path))
    loop.run({ until: () => probe.fetches.length === count && probe.running === 0 })
    for (const fetch of probe.fetches) {
      const text = Buffer.concat(fetch.received)
      const at = text.indexOf('\r\n\r\n')
      const body = at < 0 ? Buffer.alloc(0) : text.subarray(at + 4)
      const expected = originBytes(fetch.path, Number(fetch.path.split('/')[2]))
      expect(Buffer.compare(body, expected.subarray(0, body.length))).toBe(0)
      if (mustSucceed) expect(`${fetch.path} ${fetch.reason} ${body.length}`).toBe(`${fetch.path}  ${expected.length}`)
    }
    probe.close()
  }
}

describe('a swarm over the probe', () => {
  it('gets every byte when only survivable faults happen', () => {
    expect(runSwarm(fetching(null, true), SURVIVABLE, FILE)).toBeGreaterThan(0)
  })

  it('ends quietly whatever happens', () => {
    expect(runSwarm(fetching(null, false, ['/hang', '/reset', '/stall/100']), SWARM, FILE)).toBeGreaterThan(0)
  })

  it('leaves the same trace for the same seed, and another for another', () => {
    const scenario = fetching(null, false)
    const hashes = new Set<string>()
    for (const seed of swarmSeeds().slice(0, 10)) {
      const [first, second] = traceTwice(scenario, seed, SWARM)
      expect(second).toBe(first)
      hashes.add(first)
    }
    expect(hashes.size).toBe(swarmSeeds().slice(0, 10).length)
  })

  it('survives the failure of every single call', () => {
    expect(torture(fetching(null, false), { file: FILE })).toBeGreaterThan(10)
  })
})

/** How many seeds a canary is given to sing. */
const CANARY_SEEDS = 60

describe('canaries', () => {
  const flaws: readonly [Flaw, RegExp, SimulationOptions, readonly string[]][] = [
    ['closes before REMOVE', /while a poller watches it/, {}, []],
    ['leaks what failed', /still open/, SWARM, ['/reset']],
    ['takes EAGAIN for an error', /recv -\d+/, SURVIVABLE, []],
    ['believes readiness', /send blocked/, SURVIVABLE, []],
    ['expects whole sends', /timeout/, SURVIVABLE, []],
    ['keeps views', /expected/, SURVIVABLE, []],
    ['knows errno numbers', /connect -\d+/, {}, []],
    ['has no timeout', /waits for ever/, {}, ['/hang']],
    ['forgets to wait for writing', /timeout/, SURVIVABLE, []],
    ['announces every time', /announced twice/, SURVIVABLE, []],
    ['closes twice', /not open/, {}, []],
    ['spins', /without progress/, {}, []],
  ]
  it.each(flaws)('a probe that %s is caught', (flaw, symptom, options, extra) => {
    const mustSucceed = options !== SWARM && flaw !== 'has no timeout'
    let caught = ''
    for (let seed = 1; seed <= CANARY_SEEDS && !symptom.test(caught); seed++) {
      try {
        runScenario(fetching(flaw, mustSucceed, extra), seed, options)
      } catch (error) {
        caught = String(error)
      }
    }
    expect(caught).toMatch(symptom)
  })
})

import { describe, expect, it } from 'vitest'
import { asyncTorture, asyncTraceTwice, runAsyncSwarm } from './async-swarm.ts'
import { httpServing } from './http-serving.ts'
import type { SimulationOptions } from './simulation.ts'
import { swarmSeeds } from './swarm.ts'

const FILE = 'test/sim/http-serving.test.ts'
const SWARM: SimulationOptions = { faults: 'swarm', links: 'random' }
const SURVIVABLE: SimulationOptions = { faults: 'survivable', links: 'random' }

describe('a simulated HTTP server', () => {
  it('answers everybody, rightly, when only survivable faults happen', async () => {
    expect(await runAsyncSwarm(httpServing({ mustSucceed: true, most: 5 }), SURVIVABLE, FILE)).toBeGreaterThan(0)
  })

  it('answers rightly or shows that it does not, and ends quietly, whatever happens', async () => {
    expect(await runAsyncSwarm(httpServing(), SWARM, FILE)).toBeGreaterThan(0)
  })

  it('leaves the same trace for the same seed', async () => {
    for (const seed of swarmSeeds().slice(0, 5)) {
      const [first, second] = await asyncTraceTwice(httpServing(), seed, SWARM, FILE)
      expect(second).toBe(first)
    }
  })

  it('survives the failure of every single system call', async () => {
    let runs = 0
    for (const seed of [1, 2, 3]) runs += await asyncTorture(httpServing({ most: 3 }), { seed, file: FILE })
    expect(runs).toBeGreaterThan(60)
  })
})

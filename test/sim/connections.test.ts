import { describe, expect, it } from 'vitest'
import { visiting } from './connections.ts'
import type { SimulationOptions } from './simulation.ts'
import { runSwarm, swarmSeeds, torture, traceTwice } from './swarm.ts'

const FILE = 'test/sim/connections.test.ts'
const SWARM: SimulationOptions = { faults: 'swarm', links: 'random' }
const SURVIVABLE: SimulationOptions = { faults: 'survivable', links: 'random' }

describe('simulated connections of a server', () => {
  it('bring back every byte when only survivable faults happen', () => {
    expect(runSwarm(visiting({ mustSucceed: true }), SURVIVABLE, FILE)).toBeGreaterThan(0)
  })

  it('end, each once, whatever happens', () => {
    expect(runSwarm(visiting(), SWARM, FILE)).toBeGreaterThan(0)
  })

  it('leave the same trace for the same seed', () => {
    for (const seed of swarmSeeds().slice(0, 5)) {
      const [first, second] = traceTwice(visiting(), seed, SWARM)
      expect(second).toBe(first)
    }
  })

  it('survive the failure of every single system call', () => {
    let runs = 0
    for (const seed of [1, 2, 3, 4]) runs += torture(visiting({ most: 4 }), { seed, file: FILE })
    expect(runs).toBeGreaterThan(60)
  })
})

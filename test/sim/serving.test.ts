import { expect, it } from 'vitest'
import { serving } from './serving.ts'
import { runSwarm, swarmSeeds, torture, traceTwice } from './swarm.ts'

const FILE = 'test/sim/serving.test.ts'

it('a server ends quietly whatever its clients, its program and its kernel do', () => {
  expect(runSwarm(serving, { faults: 'swarm', links: 'random' }, FILE)).toBeGreaterThan(0)
  expect(runSwarm(serving, { faults: 'survivable', links: 'random' }, FILE)).toBeGreaterThan(0)
})

it('a server leaves the same trace for the same seed', () => {
  for (const seed of swarmSeeds().slice(0, 5)) {
    const [first, second] = traceTwice(serving, seed, { faults: 'swarm', links: 'random' })
    expect(second).toBe(first)
  }
})

it('a server survives the failure of every single call', () => {
  let runs = 0
  for (const seed of swarmSeeds().slice(0, 4)) runs += torture(serving, { seed, file: FILE })
  expect(runs).toBeGreaterThan(50)
})

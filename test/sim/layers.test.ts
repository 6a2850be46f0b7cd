import { describe, expect, it } from 'vitest'
import { wholeStack } from './layers.ts'
import type { SimulationOptions } from './simulation.ts'
import { runScenario, runSwarm, swarmSeeds, torture, traceTwice } from './swarm.ts'
import { transferring } from './transfers.ts'

const FILE = 'test/sim/layers.test.ts'
const SWARM: SimulationOptions = { faults: 'swarm', links: 'random' }
const SURVIVABLE: SimulationOptions = { faults: 'survivable', links: 'random' }
const HOSTILE = ['/hang', '/reset', '/reset/900', '/early-close', '/early-close/900', '/stall/500', '/reject/413']

describe('simulated transfers through TLS and proxies', () => {
  it('bring every byte when only survivable faults happen', () => {
    const scenario = transferring({ mustSucceed: true, uploads: true, layers: wholeStack })
    expect(runSwarm(scenario, SURVIVABLE, FILE)).toBeGreaterThan(0)
  })

  it('bring every byte though they are paused and others removed', () => {
    const scenario = transferring({ mustSucceed: true, meddles: true, uploads: true, layers: wholeStack })
    expect(runSwarm(scenario, SURVIVABLE, FILE)).toBeGreaterThan(0)
  })

  it('end, each with one message, whatever happens', () => {
    expect(runSwarm(transferring({ paths: HOSTILE, meddles: true, layers: wholeStack }), SWARM, FILE)).toBeGreaterThan(
      0,
    )
  })

  it('leave the same trace for the same seed', () => {
    for (const seed of swarmSeeds().slice(0, 5)) {
      const [first, second] = traceTwice(transferring({ meddles: true, layers: wholeStack }), seed, SWARM)
      expect(second).toBe(first)
    }
  })

  it.each([false, true])('survive the failure of every single system call (TLS within TLS: %s)', (behindTls) => {
    let runs = 0
    const layers: typeof wholeStack = (simulation, random) => wholeStack(simulation, random, behindTls)
    for (const seed of [1, 2, 3])
      runs += torture(transferring({ most: 3, uploads: true, layers }), { seed, file: FILE })
    expect(runs).toBeGreaterThan(60)
  })

  it('begin from the tickets of earlier ones', () => {
    let resumed = 0
    for (const seed of swarmSeeds()) {
      const layers: typeof wholeStack = (simulation, random) => {
        const stack = wholeStack(simulation, random)
        return {
          ...stack,
          complaints: () => [(resumed += stack.provider.resumed), ...stack.complaints()].slice(1) as [],
        }
      }
      runScenario(transferring({ layers }), seed, {})
    }
    expect(resumed).toBeGreaterThan(0)
  })
})

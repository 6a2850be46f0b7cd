import { describe, expect, it } from 'vitest'
import type { Kernel } from '../../lib/sys/kernel.ts'
import { Interest } from '../../lib/sys/readiness.ts'
import type { DrivenMulti } from '../support/fuzzed-loop.ts'
import type { SimulationOptions } from './simulation.ts'
import { runScenario, runSwarm, swarmSeeds, torture, traceTwice } from './swarm.ts'
import { type TransferScenarioOptions, transferring } from './transfers.ts'

const FILE = 'test/sim/transfers.test.ts'
const SWARM: SimulationOptions = { faults: 'swarm', links: 'random' }
const SURVIVABLE: SimulationOptions = { faults: 'survivable', links: 'random' }
const HOSTILE = ['/hang', '/reset', '/reset/900', '/early-close', '/early-close/900', '/stall/500', '/reject/413']

describe('simulated transfers', () => {
  it('bring every byte when only survivable faults happen', () => {
    expect(runSwarm(transferring({ mustSucceed: true }), SURVIVABLE, FILE)).toBeGreaterThan(0)
  })

  it('bring every byte though they are paused and others removed', () => {
    expect(runSwarm(transferring({ mustSucceed: true, meddles: true }), SURVIVABLE, FILE)).toBeGreaterThan(0)
  })

  it('end, each with one message, whatever happens', () => {
    expect(runSwarm(transferring({ paths: HOSTILE, meddles: true }), SWARM, FILE)).toBeGreaterThan(0)
  })

  it('leave the same trace for the same seed', () => {
    for (const seed of swarmSeeds().slice(0, 5)) {
      const [first, second] = traceTwice(transferring({ meddles: true }), seed, SWARM)
      expect(second).toBe(first)
    }
  })

  it('survive the failure of every single system call', () => {
    let runs = 0
    for (const seed of [1, 2, 3, 4]) runs += torture(transferring({ most: 5 }), { seed, file: FILE })
    expect(runs).toBeGreaterThan(60)
  })
})

/** The same object, but for these methods. */
function altered<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(object, name) {
      const value: unknown = Reflect.get(name in methods ? methods : object, name)
      return typeof value === 'function' ? value.bind(object) : value
    },
  })
}

/** A multi whose socket function is not told everything. */
function deafTo(multi: DrivenMulti, ignored: (interest: number) => boolean): DrivenMulti {
  return altered(multi, {
    setSocketFunction: (announce) =>
      multi.setSocketFunction((fd, interest) => (ignored(interest) ? undefined : announce?.(fd, interest))),
  })
}

function corrupting(kernel: Kernel): Kernel {
  return altered(kernel, {
    recv: (fd, bufferId, offset, length) => {
      const count = kernel.recv(fd, bufferId, offset, length)
      return count > 100 ? count - 1 : count
    },
  })
}

function leaking(kernel: Kernel): Kernel {
  return altered(kernel, { close: () => 0 })
}

describe('canaries', () => {
  const canaries: readonly [string, RegExp, TransferScenarioOptions][] = [
    ['loses a byte', /expected/, { tamperKernel: corrupting }],
    ['leaks descriptors', /still open/, { tamperKernel: leaking }],
    ['does not tell REMOVE', /poller watches it/, { tamperMulti: (m) => deafTo(m, (i) => i === Interest.REMOVE) }],
    [
      'does not wait for reading',
      /without progress/,
      { tamperMulti: (m) => deafTo(m, (i) => i === Interest.READABLE) },
    ],
    ['knows no time', /waits for ever|progress|steps/, { tamperClock: () => ({ now: () => 1 }), paths: ['/hang'] }],
  ]
  it.each(canaries)('a library that %s is caught', (_, symptom, options) => {
    let caught = ''
    for (let seed = 1; seed <= 30 && !symptom.test(caught); seed++) {
      try {
        runScenario(transferring(options), seed, {})
      } catch (error) {
        caught = String(error)
      }
    }
    expect(caught).toMatch(symptom)
  })
})

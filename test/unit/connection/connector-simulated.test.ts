/**
 * Many connectors at once on the simulated kernel, through the real engine: whatever the network and the loop do, each
 * one ends, nothing stays open, no descriptor is closed while it is watched, and what can be reached is reached.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TimerTable } from '../../../lib/base/timer-table.ts'
import { Connector } from '../../../lib/connection/connector.ts'
import { FilterStatus } from '../../../lib/connection/filter.ts'
import type { SocketFilter } from '../../../lib/connection/socket-filter.ts'
import { Engine } from '../../../lib/multi/engine.ts'
import { type InterestSet, type Machine, MachineKind } from '../../../lib/multi/machine.ts'
import type { Task } from '../../../lib/multi/task.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { Interest } from '../../../lib/sys/readiness.ts'
import { SimClock } from '../../sim/clock.ts'
import { drawFaults, type Faults, NO_FAULTS } from '../../sim/faults.ts'
import { SimFiles } from '../../sim/files.ts'
import { SimKernel } from '../../sim/kernel.ts'
import { SimPoller } from '../../sim/poller.ts'
import { SimResolver } from '../../sim/resolver.ts'
import { World } from '../../sim/world.ts'

const PORT = 80
const CONNECT_TIMEOUT_MS = 30_000
const STEPS_MAX = 20_000
const ATTEMPT = 0
const TIMEOUT = 1

class Connecting implements Machine {
  readonly kind: MachineKind = MachineKind.TRANSFER
  readonly subject = null
  readonly timers = new TimerTable(2)
  readonly dormant = false
  readonly connector: Connector
  socket: SocketFilter | null = null
  outcome: 'connected' | 'failed' | 'timed out' | 'aborted' | null = null
  readonly #engine: Engine
  readonly #task: Task

  constructor(engine: Engine, host: string) {
    this.#engine = engine
    this.#task = engine.spawn(this)
    this.connector = new Connector(engine, this.#task, { kind: 'tcp', host, port: PORT })
  }

  start(now: number): void {
    this.timers.set(TIMEOUT, now + CONNECT_TIMEOUT_MS)
    this.connector.start(now)
  }

  run(now: number): void {
    if (this.outcome !== null) return
    const status = this.connector.run(now)
    if (status === FilterStatus.DONE) {
      this.socket = this.connector.take()
      this.#end('connected')
    } else if (status === FilterStatus.FAILED) this.#end('failed')
    else this.timers.set(ATTEMPT, this.connector.deadline())
  }

  expired(timer: number): void {
    if (timer === TIMEOUT) this.#end('timed out')
  }

  interest(into: InterestSet): void {
    this.connector.interest(into)
  }

  abort(): void {
    this.#end('aborted')
  }

  #end(outcome: Connecting['outcome']): void {
    if (this.outcome !== null) return
    this.outcome = outcome
    this.connector.abort()
    this.#engine.retire(this.#task)
  }
}

class Rig {
  readonly world: World
  readonly kernel: SimKernel
  readonly resolver: SimResolver
  readonly engine: Engine
  readonly machines: Connecting[] = []
  readonly #poller: SimPoller
  #deadline = Number.POSITIVE_INFINITY

  constructor(seed: number, faults: Faults, descriptorLimit = 4096) {
    this.world = new World(seed)
    this.kernel = new SimKernel(this.world, faults, { descriptorLimit })
    this.resolver = new SimResolver(this.kernel, this.world, faults)
    this.#poller = new SimPoller(this.kernel, this.world, faults)
    const limits = { maxIdleConnections: 1, maxHostConnections: 1, maxTotalConnections: 1, watchIdleConnections: true }
    this.engine = new Engine({
      kernel: this.kernel,
      clock: new SimClock(this.world),
      files: new SimFiles(this.kernel),
      createResolver: () => this.resolver,
      openTls: () => {
        throw new Error('no TLS here')
      },
      limits,
      debug: true,
      socketFunction: (fd, interest) => {
        if (interest === Interest.REMOVE) this.#poller.remove(fd)
        else this.#poller.modify(fd, interest)
      },
      timerFunction: (timeoutMs) => {
        this.#deadline = timeoutMs < 0 ? Number.POSITIVE_INFINITY : this.world.now + timeoutMs
      },
      notifyFunction: null,
      activityFunction: null,
    })
  }

  /** A host whose addresses do, in turn, what their words say. */
  addHost(host: string, kinds: readonly string[]): void {
    const addresses = kinds.map((kind, index) => {
      const number = this.machines.length * 100 + index + 1
      const address = index % 3 === 0 ? `2001:db8::${number.toString(16)}` : `10.0.${number >> 8}.${number & 255}`
      if (kind === 'blackhole' || kind === 'unreachable') this.kernel.network.setRoute(address, kind)
      if (kind === 'listening') this.#listen(address)
      return address
    })
    this.resolver.set(host, { addresses })
    this.enter(() => this.machines.push(new Connecting(this.engine, host)))
  }

  #listen(address: string): void {
    this.kernel.network.addAddress(address)
    const family = address.includes(':') ? Family.IPV6 : Family.IPV4
    const fd = this.kernel.socket(family)
    if (fd < 0) return
    this.kernel.harness.add(fd)
    if (this.kernel.bind(fd, family, address, PORT) === 0) this.kernel.listen(fd, 1000)
  }

  enter(action: () => void): void {
    this.engine.enter('test')
    action()
    this.engine.runDirty()
    this.engine.leave()
  }

  loop(): void {
    for (let step = 0; this.machines.some(({ outcome }) => outcome === null); step++) {
      if (step > STEPS_MAX) throw new Error('the loop does not end')
      const { world } = this
      const waitMs = this.#deadline === Number.POSITIVE_INFINITY ? -1 : Math.max(0, this.#deadline - world.now)
      const count = this.#poller.wait(waitMs)
      world.runPlans()
      this.enter(() => {
        if (count === 0) this.engine.outside.timerFired()
        const { ready } = this.#poller
        for (let i = 0; i < count; i++) this.engine.markReady(ready[2 * i] as number, ready[2 * i + 1] as number)
      })
    }
  }

  /** Descriptors that are neither the harness's nor the resolver's. */
  get openDescriptors(): number {
    let count = 0
    for (let fd = 0; fd < 5000; fd++) {
      if (this.kernel.table.file(fd) !== null && !this.kernel.harness.has(fd) && fd !== this.resolver.fd) count++
    }
    return count
  }

  /** What must hold whatever happened. */
  checkEnd(): void {
    const sockets = this.machines.flatMap(({ socket }) => socket ?? [])
    expect(this.openDescriptors).toBe(sockets.length)
    for (const { outcome, connector } of this.machines) {
      if (outcome === 'failed') expect(connector.failure).not.toBeNull()
    }
    this.engine.enter('test')
    for (const socket of sockets) socket.close()
    this.engine.leave()
    expect(this.resolver.outstanding).toBe(0)
    this.engine.close()
    expect(this.openDescriptors).toBe(0)
    expect(this.kernel.buffersHeld).toBe(0)
    expect(this.kernel.violations).toEqual([])
  }
}

const kinds = fc.array(fc.constantFrom('listening', 'refusing', 'blackhole', 'unreachable'), { maxLength: 5 })
const hosts = fc.array(kinds, { minLength: 1, maxLength: 6 })
const seed = fc.integer({ min: 1, max: 1_000_000 })

describe('connectors on a simulated network', () => {
  it('reach every host that has a listening address, and tell why not for the others', () => {
    fc.assert(
      fc.property(seed, hosts, (number, list) => {
        const rig = new Rig(number, NO_FAULTS)
        list.forEach((words, index) => {
          rig.addHost(`host${index}.test`, words)
        })
        rig.loop()
        list.forEach((words, index) => {
          const expected = words.includes('listening')
            ? 'connected'
            : words.includes('blackhole')
              ? 'timed out'
              : 'failed'
          expect(rig.machines[index]?.outcome).toBe(expected)
        })
        rig.checkEnd()
      }),
      { numRuns: 100 },
    )
  })

  it('end and leave nothing open under any faults, aborts included', () => {
    fc.assert(
      fc.property(seed, hosts, fc.array(fc.nat(2000)), fc.constantFrom(8, 4096), (number, list, aborts, limit) => {
        const rig = new Rig(number, drawFaults(new World(number).random), limit)
        list.forEach((words, index) => {
          rig.addHost(`host${index}.test`, words)
        })
        aborts.forEach((at, index) => {
          const machine = rig.machines[index % rig.machines.length]
          rig.world.plan(rig.world.now + at, () => rig.enter(() => machine?.abort()))
        })
        rig.loop()
        rig.checkEnd()
      }),
      { numRuns: 200 },
    )
  })

  it('survive the failure of any one system call', () => {
    for (let n = 1; n < 60; n++) {
      const rig = new Rig(n, NO_FAULTS)
      rig.addHost('a.test', ['refusing', 'listening', 'blackhole'])
      rig.addHost('b.test', ['blackhole', 'listening'])
      rig.kernel.failNth(n)
      rig.loop()
      rig.checkEnd()
    }
  })

  it('give the same trace for the same seed', () => {
    const trace = (number: number): string => {
      const rig = new Rig(number, drawFaults(new World(number).random))
      rig.addHost('a.test', ['refusing', 'blackhole', 'listening'])
      rig.addHost('b.test', ['listening', 'listening'])
      rig.loop()
      rig.checkEnd()
      return rig.world.traceHash
    }
    for (let number = 1; number <= 20; number++) expect(trace(number)).toBe(trace(number))
  })
})

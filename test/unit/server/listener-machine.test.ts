/** The accept loop on the simulated kernel, error by error: what is reported, what is waited for, what it costs. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SystemError } from '../../../lib/base/errors.ts'
import { engineOf, Multi } from '../../../lib/multi/multi.ts'
import { listenSettings } from '../../../lib/server/listening/listen-options.ts'
import { openListenSocket } from '../../../lib/server/listening/listen-socket.ts'
import { type AcceptSink, ListenerMachine } from '../../../lib/server/listening/listener-machine.ts'
import { type ErrnoName, Family } from '../../../lib/sys/kernel.ts'
import { fail } from '../../sim/open-file.ts'
import { Peer } from '../../sim/peer.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'

interface Failure {
  readonly error: SystemError
  readonly retryInMs: number
  readonly fatal: boolean
}

class Sink implements AcceptSink {
  capacity = Number.POSITIVE_INFINITY
  onAccepted: (() => void) | null = null
  readonly fds: number[] = []
  readonly failures: Failure[] = []

  room(): number {
    return this.capacity
  }

  accepted(fd: number): void {
    this.fds.push(fd)
    this.capacity--
    this.onAccepted?.()
  }

  failed(error: SystemError, retryInMs: number, fatal: boolean): void {
    this.failures.push({ error, retryInMs, fatal })
  }
}

let simulation: Simulation
let multi: Multi<object>
let sink: Sink
let machine: ListenerMachine
const told: [number, number][] = []

beforeEach(() => {
  simulation = simulate(1)
  const { kernel, clock, resolver } = simulation
  multi = new Multi<object>({
    kernel,
    clock,
    resolver,
    socketFunction: (fd, interest) => void told.push([fd, interest]),
  })
  told.length = 0
  sink = new Sink()
  const settings = listenSettings({ host: '127.0.0.1', port: 8080, acceptBudget: 4 })
  const socket = openListenSocket(engineOf(multi), settings)
  if (!('fd' in socket)) throw socket
  machine = new ListenerMachine(engineOf(multi), socket, sink, settings)
  turn()
})

afterEach(() => {
  multi.close()
  for (const fd of sink.fds) simulation.kernel.close(fd)
  simulation.assertQuiescent()
})

/** The Multi is told what is ready, as by a loop. */
function turn(): void {
  multi.perform()
}

function connect(count: number): void {
  for (let i = 0; i < count; i++) {
    Peer.connect(
      simulation.world,
      simulation.kernel.network,
      { family: Family.IPV4, address: '127.0.0.1', port: 8080 },
      {},
    )
  }
  pass(1)
}

function pass(ms: number): void {
  const { world } = simulation
  world.advanceTo(world.now + ms)
}

/** What accept answers from now on, before it works again. */
function acceptFails(...names: readonly ErrnoName[]): void {
  const { kernel } = simulation
  const works = kernel.accept
  const left = [...names]
  kernel.accept = (fd) => {
    const name = left.shift()
    return name === undefined ? works.call(kernel, fd) : fail(name)
  }
}

function interest(): number {
  return multi.waitFds().find(({ fd }) => fd === machine.fd)?.interest ?? 0
}

/** A verb from outside, as an entry of its own. */
function outside(verb: () => void): void {
  const engine = engineOf(multi)
  engine.enter('test')
  verb()
  engine.leave()
}

it('takes a budget per run, and the rest in the next', () => {
  connect(11)
  turn()
  // Twice per entry, since what stays dirty has one more turn.
  expect(sink.fds).toHaveLength(8)
  expect(multi.timeout()).toBe(0)
  multi.socketAction(-1)
  expect(sink.fds).toHaveLength(11)
  expect(multi.timeout()).toBe(-1)
})

it('gives no more than there is room for, and waits without being watched', () => {
  sink.capacity = 3
  connect(5)
  turn()
  expect(sink.fds).toHaveLength(3)
  expect(interest()).toBe(0)
  expect(machine.enabled).toBe(true)
  outside(() => machine.wake())
  expect(interest()).toBe(0)
  sink.capacity = 1
  outside(() => machine.wake())
  expect(interest()).toBe(1)
  turn()
  expect(sink.fds).toHaveLength(4)
})

it('stops its loop at once when it is disabled or closed in the callback', () => {
  connect(3)
  sink.onAccepted = () => machine.disable()
  turn()
  expect(sink.fds).toHaveLength(1)
  sink.onAccepted = () => machine.close()
  outside(() => machine.enable())
  turn()
  expect(sink.fds).toHaveLength(2)
  expect(multi.active).toBe(false)
})

describe('without descriptors', () => {
  const full: ErrnoName[] = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']

  it.each(full)('%s is reported once, and waited for longer each time without being watched', (name) => {
    connect(1)
    acceptFails(...new Array<ErrnoName>(9).fill(name))
    turn()
    expect(sink.failures).toMatchObject([{ error: { code: name, syscall: 'accept', port: 8080 }, retryInMs: 10 }])
    expect(sink.failures[0]?.fatal).toBe(false)
    for (const restMs of [10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
      expect(interest()).toBe(0)
      expect(multi.timeout()).toBe(restMs)
      const calls = simulation.kernel.calls['accept']
      pass(restMs)
      multi.socketAction(-1)
      expect(simulation.kernel.calls['accept']).toBe(calls)
      expect(interest()).toBe(1)
      turn()
    }
    expect(sink.fds).toHaveLength(1)
    expect(sink.failures).toHaveLength(1)
    expect(multi.timeout()).toBe(-1)
  })

  it('a descriptor that was closed ends the rest', () => {
    connect(2)
    acceptFails('EMFILE')
    turn()
    expect(interest()).toBe(0)
    outside(() => machine.wake())
    expect(multi.timeout()).toBe(-1)
    turn()
    expect(sink.fds).toHaveLength(2)
  })

  it('an episode lasts until the queue was emptied', () => {
    connect(3)
    simulation.kernel.table.limit = simulation.kernel.table.openCount + 1
    turn()
    expect(sink.fds).toHaveLength(1)
    simulation.kernel.table.limit++
    pass(10)
    multi.socketAction(-1)
    turn()
    expect(sink.fds).toHaveLength(2)
    expect(sink.failures).toHaveLength(1)
    simulation.kernel.table.limit = 4096
    pass(20)
    multi.socketAction(-1)
    turn()
    expect(sink.fds).toHaveLength(3)
    connect(1)
    acceptFails('EMFILE')
    turn()
    expect(sink.failures.map(({ retryInMs }) => retryInMs)).toEqual([10, 10])
  })

  it('disabling ends the rest, and its timer', () => {
    connect(1)
    acceptFails('EMFILE')
    turn()
    outside(() => machine.disable())
    expect(multi.timeout()).toBe(-1)
    outside(() => machine.wake())
    expect(interest()).toBe(0)
  })

  it('an errno that nobody foresaw does not spin either', () => {
    connect(1)
    acceptFails('EIO')
    turn()
    expect(sink.failures).toMatchObject([{ error: { code: 'EIO' }, retryInMs: 10, fatal: false }])
    expect(interest()).toBe(0)
  })
})

it('connections that broke in the queue are passed over in silence', () => {
  connect(2)
  acceptFails('ECONNABORTED', 'EINTR', 'ECONNABORTED')
  turn()
  turn()
  expect(sink.fds).toHaveLength(2)
  expect(sink.failures).toEqual([])
})

it.each<ErrnoName>(['EPROTO', 'EPERM', 'ENETDOWN', 'EHOSTUNREACH'])(
  '%s is of one connection: reported, and on',
  (name) => {
    connect(1)
    acceptFails(name, name)
    turn()
    expect(sink.failures).toMatchObject([{ error: { code: name }, retryInMs: 0, fatal: false }])
    expect(sink.fds).toHaveLength(1)
  },
)

it.each<ErrnoName>(['EBADF', 'EINVAL', 'ENOTSOCK', 'EOPNOTSUPP'])('%s disables it, once', (name) => {
  connect(2)
  acceptFails(name)
  turn()
  turn()
  expect(sink.failures).toMatchObject([{ error: { code: name }, retryInMs: 0, fatal: true }])
  expect(machine.enabled).toBe(false)
  expect(interest()).toBe(0)
  expect(sink.fds).toEqual([])
})

it('lets go of its descriptor with REMOVE, queue and all', () => {
  connect(1)
  const { fd } = machine
  outside(() => {
    const handle = machine.release()
    expect(handle).toMatchObject({ fd, address: { address: '127.0.0.1', port: 8080 }, file: null })
    expect(told.at(-1)).toEqual([fd, 4])
    const settings = listenSettings({ fd: handle, backlog: 0 })
    const socket = openListenSocket(engineOf(multi), settings)
    if (!('fd' in socket)) throw socket
    machine = new ListenerMachine(engineOf(multi), socket, sink, settings)
  })
  turn()
  turn()
  expect(sink.fds).toHaveLength(1)
  const used = machine.release()
  simulation.kernel.close(used.fd, used.generation)
  const late = openListenSocket(engineOf(multi), listenSettings({ fd: used }))
  expect(late).toMatchObject({ code: 'ESTALE' })
})

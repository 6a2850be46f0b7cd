/**
 * An engine, a kernel and a resolver small enough to script by hand. Errno numbers are unlike any platform's, and
 * descriptors are reused at once, lowest first. What happened is kept in `kernel.log`.
 */

import type { Engine } from '../../../lib/multi/engine.ts'
import { Facilities } from '../../../lib/multi/facility.ts'
import type { Facility } from '../../../lib/multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../../../lib/multi/machine.ts'
import { Task } from '../../../lib/multi/task.ts'
import {
  ERRNO_NAMES,
  type ErrnoName,
  type ErrnoTable,
  Family,
  type Kernel,
  type SocketAddress,
  SocketOption,
} from '../../../lib/sys/kernel.ts'
import type { Resolver, ResolverAnswer } from '../../../lib/sys/resolver.ts'

export const ERRNO: ErrnoTable = Object.fromEntries(
  ERRNO_NAMES.map((name, index) => [name, 500 + index]),
) as unknown as ErrnoTable

interface Descriptor {
  readonly generation: number
  readonly family: Family
  readonly options: Map<number, number>
  state: 'fresh' | 'connecting' | 'connected' | 'failed' | 'shut'
  error: number
  peer: SocketAddress | null
  received: number[]
}

/** What `connect` answers for an address: at once, or 'pending' until `succeed` or `fail`. */
export type Script = 'pending' | 'connected' | ErrnoName

export class FakeKernel {
  readonly errno: ErrnoTable = ERRNO
  readonly log: string[] = []
  readonly scripts = new Map<string, Script>()
  readonly open = new Map<number, Descriptor>()
  descriptorsMax = 1000
  /** What `socket` answers for a family instead of a descriptor. */
  readonly refusedFamilies = new Map<number, ErrnoName>()
  bindResult: ErrnoName | null = null
  readonly takenPorts = new Set<number>()
  deviceResult: ErrnoName | null = null
  readonly devices = new Map<string, SocketAddress[]>()
  #generation = 0

  socket(family: Family): number {
    const refusal = this.refusedFamilies.get(family)
    if (refusal !== undefined) return -ERRNO[refusal]
    if (this.open.size >= this.descriptorsMax) return -ERRNO.EMFILE
    let fd = 3
    while (this.open.has(fd)) fd++
    const generation = ++this.#generation
    this.open.set(fd, { generation, family, options: new Map(), state: 'fresh', error: 0, peer: null, received: [] })
    return fd
  }

  generation(fd: number): number {
    return this.open.get(fd)?.generation ?? -ERRNO.EBADF
  }

  setOption(fd: number, option: number, value: number): number {
    this.#of(fd).options.set(option, value)
    return 0
  }

  getOption(fd: number, option: number): number {
    if (option !== SocketOption.ERROR) throw new Error(`option ${option} is not faked`)
    const descriptor = this.#of(fd)
    const { error } = descriptor
    descriptor.error = 0
    return error
  }

  bind(fd: number, _family: Family, address: string, port: number): number {
    this.log.push(`bind ${fd} ${address}:${port}`)
    if (this.takenPorts.has(port)) return -ERRNO.EADDRINUSE
    return this.bindResult === null ? 0 : -ERRNO[this.bindResult]
  }

  bindToDevice(fd: number, device: string): number {
    this.log.push(`device ${fd} ${device}`)
    return this.deviceResult === null ? 0 : -ERRNO[this.deviceResult]
  }

  deviceAddresses(device: string): SocketAddress[] {
    return this.devices.get(device) ?? []
  }

  connect(fd: number, family: Family, address: string, port: number): number {
    const descriptor = this.#of(fd)
    if (descriptor.family !== family) throw new Error('connect with another family than the socket')
    this.log.push(`connect ${fd} ${address}`)
    const script = this.scripts.get(address) ?? 'pending'
    descriptor.peer = { family, address, port }
    if (script === 'connected') {
      descriptor.state = 'connected'
      return 0
    }
    if (script === 'pending' || script === 'EINPROGRESS' || script === 'EINTR') {
      descriptor.state = 'connecting'
      return -ERRNO[script === 'pending' ? 'EINPROGRESS' : script]
    }
    return -ERRNO[script]
  }

  peerAddress(fd: number): SocketAddress | number {
    const { state, peer } = this.#of(fd)
    this.log.push(`peer ${fd}`)
    return state === 'connected' && peer !== null ? peer : -ERRNO.ENOTCONN
  }

  localAddress(fd: number): SocketAddress | number {
    this.log.push(`local ${fd}`)
    return { family: this.#of(fd).family, address: '192.0.2.100', port: 40_000 + fd }
  }

  allocate(length: number): { id: number; bytes: Uint8Array } {
    return { id: 1, bytes: new Uint8Array(length) }
  }

  release(bufferId: number): void {
    this.log.push(`release ${bufferId}`)
  }

  peek(fd: number): number {
    const { error, received, state } = this.#of(fd)
    if (error !== 0) return -error
    if (received.length > 0) return 1
    return state === 'shut' ? 0 : -ERRNO.EAGAIN
  }

  recv(fd: number): number {
    return this.open.has(fd) ? this.#of(fd).received.length : -ERRNO.EBADF
  }

  send(fd: number, _bufferId: number, _offset: number, length: number): number {
    return this.open.has(fd) ? length : -ERRNO.EBADF
  }

  sendBytes(fd: number, _bytes: Uint8Array, _offset: number, length: number): number {
    return this.open.has(fd) ? length : -ERRNO.EBADF
  }

  shutdownWrite(fd: number): number {
    return this.open.has(fd) ? 0 : -ERRNO.EBADF
  }

  close(fd: number, generation: number): void {
    if (this.#of(fd).generation !== generation) throw new Error(`descriptor ${fd} was closed for somebody else`)
    this.open.delete(fd)
    this.log.push(`close ${fd}`)
  }

  /** The descriptor that is connecting, or connected, to an address. */
  fdOf(address: string): number {
    for (const [fd, { peer }] of this.open) if (peer?.address === address) return fd
    throw new Error(`nothing is connecting to ${address}`)
  }

  succeed(address: string): void {
    this.#of(this.fdOf(address)).state = 'connected'
  }

  fail(address: string, name: ErrnoName): void {
    const descriptor = this.#of(this.fdOf(address))
    descriptor.state = 'failed'
    descriptor.error = ERRNO[name]
  }

  #of(fd: number): Descriptor {
    const descriptor = this.open.get(fd)
    if (descriptor === undefined) throw new Error(`descriptor ${fd} is not open`)
    return descriptor
  }
}

export class FakeResolver implements Resolver {
  readonly fd = 900
  readonly asked: string[] = []
  readonly cancelled: number[] = []
  refusal: ErrnoName | null = null
  readonly #waiting: [number, ResolverAnswer][] = []
  readonly #queries = new Map<number, string>()

  lookup(hostname: string, family: number | null): number {
    if (this.refusal !== null) return -ERRNO[this.refusal]
    this.asked.push(`${hostname} ${family ?? 'any'}`)
    this.#queries.set(this.asked.length, hostname)
    return this.asked.length
  }

  cancel(query: number): void {
    this.cancelled.push(query)
    this.#queries.delete(query)
  }

  collect(deliver: (query: number, answer: ResolverAnswer) => void): number {
    const answers = this.#waiting.splice(0)
    for (const [query, answer] of answers) deliver(query, answer)
    return answers.length
  }

  close(): void {}

  answer(hostname: string, addresses: readonly string[], error: string | null = null): void {
    for (const [query, asked] of this.#queries) {
      if (asked !== hostname) continue
      this.#queries.delete(query)
      this.#waiting.push([query, { addresses: addresses.map((text) => ip(text)), error }])
    }
  }
}

export class FakeEngine {
  readonly fake = new FakeKernel()
  readonly kernel: Kernel = this.fake as unknown as Kernel
  readonly resolver = new FakeResolver()
  now = 0
  readonly facilities = new Facilities()
  readonly dirty: Task[] = []
  #tasks = 0

  spawn(machine: Machine): Task {
    const task = new Task(machine, this.#tasks++)
    this.markDirty(task)
    return task
  }

  retire(task: Task): void {
    task.alive = false
  }

  markDirty(task: Task): void {
    if (!task.dirty && task.alive) this.dirty.push(task)
    task.dirty = true
  }

  closeFd(fd: number, generation: number): void {
    this.kernel.close(fd, generation)
  }

  facility<T>(facility: Facility<T>): T {
    return this.facilities.get(facility, this as unknown as Engine)
  }

  pass(): void {
    for (const task of this.dirty.splice(0)) {
      task.dirty = false
      if (task.alive) task.machine.run(this.now, 0)
    }
  }
}

/** A machine that does nothing but count how often it was run. */
export class Waiter implements Machine {
  readonly kind: MachineKind = MachineKind.TRANSFER
  readonly subject = null
  readonly timers = null
  readonly dormant = false
  runs = 0
  readonly task: Task

  constructor(engine: FakeEngine) {
    this.task = new Task(this, 1000)
    this.task.started = true
    engine.dirty.length = 0
  }

  start(): void {}

  run(): void {
    this.runs++
  }

  expired(): void {}

  interest(): void {}

  abort(): void {}
}

export class Interests implements InterestSet {
  readonly entries: [number, number][] = []

  add(fd: number, interest: number): void {
    this.entries.push([fd, interest])
  }
}

export function ip(address: string, port = 0): SocketAddress {
  return { family: address.includes(':') ? Family.IPV6 : Family.IPV4, address, port }
}

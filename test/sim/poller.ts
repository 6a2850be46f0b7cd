/**
 * A readiness backend over the simulated kernel; waiting moves virtual time. Its faults are what real backends and the
 * loops around them may do: readiness that is not there, that comes late, in any order, in small portions, for
 * descriptors that were removed a moment ago; returns before the time and after it.
 */
import { SystemError } from '../../lib/base/errors.ts'
import type { PollerAddOptions, PollerLike } from '../../lib/sys/poller.ts'
import type { Faults } from './faults.ts'
import type { SimKernel } from './kernel.ts'
import { SIM_ERRNO } from './open-file.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

interface Registration {
  readonly fd: number
  interest: number
  edgeTriggered: boolean
  oneShot: boolean
  silent: boolean
  seenActivity: number
  heldUntil: number
}

const RECENT_MOST = 8

export class SimPoller implements PollerLike {
  readonly backend = 'sim'
  readonly fd = -1
  readonly ready: Int32Array
  readonly #kernel: SimKernel
  readonly #world: World
  readonly #faults: Faults
  readonly #random: Random
  readonly #capacity: number
  readonly #registrations = new Map<number, Registration>()
  readonly #recent: number[] = []
  #woken = false
  #closed = false

  constructor(kernel: SimKernel, world: World, faults: Faults, capacity = 1024) {
    this.#kernel = kernel
    this.#world = world
    this.#faults = faults
    this.#random = world.random.fork()
    this.#capacity = capacity
    this.ready = new Int32Array(2 * capacity)
    kernel.watchers.add(this)
  }

  get size(): number {
    return this.#registrations.size
  }

  /** Also with no interest: who was told of a descriptor must hear of its end. */
  isWatching(fd: number): boolean {
    return this.#registrations.has(fd)
  }

  forget(fd: number): void {
    if (!this.#registrations.delete(fd)) return
    this.#recent.push(fd)
    if (this.#recent.length > RECENT_MOST) this.#recent.shift()
  }

  add(fd: number, interest: number, options: PollerAddOptions = {}): void {
    const file = this.#kernel.table.file(fd)
    if (file === null) throw new SystemError('EBADF', -SIM_ERRNO.EBADF, 'poller_add')
    if (file.kind === 'file') throw new SystemError('EPERM', -SIM_ERRNO.EPERM, 'poller_add')
    this.#registrations.set(fd, {
      fd,
      interest,
      edgeTriggered: options.edgeTriggered ?? false,
      oneShot: options.oneShot ?? false,
      silent: false,
      seenActivity: -1,
      heldUntil: 0,
    })
    this.#world.record(`watch ${fd} ${interest}`)
  }

  modify(fd: number, interest: number): void {
    const registration = this.#registrations.get(fd)
    if (registration !== undefined) {
      registration.interest = interest
      registration.silent = false
      registration.seenActivity = -1
      this.#world.record(`watch ${fd} ${interest}`)
    } else if (this.#kernel.table.file(fd) !== null) this.add(fd, interest)
    else this.#kernel.violations.push(`watching ${fd}, which is not open`)
  }

  remove(fd: number): void {
    this.#world.record(`unwatch ${fd}`)
    this.forget(fd)
  }

  wait(timeoutMs: number): number {
    if (this.#closed) throw new Error('wait on a closed poller')
    const faults = this.#faults
    const random = this.#random
    const world = this.#world
    if (random.chance(faults.clockJump)) world.jump(random.between(1, 200_000))
    const timeout = timeoutMs < 0 ? Number.POSITIVE_INFINITY : Math.ceil(timeoutMs)
    if (random.chance(faults.earlyReturn)) {
      world.advanceTo(Math.min(world.now + random.unit() * Math.min(timeout, 10), world.nextPlanAt))
      return this.#answer(0)
    }
    const pairs: [number, number][] = []
    this.#addSpurious(pairs)
    if (pairs.length === 0) {
      world.waitUntil(() => this.#woken || this.#hasReady(), world.now + timeout)
    } else world.runDue()
    if (random.chance(faults.lateReturn)) world.advanceTo(world.now + random.unit() * 50)
    this.#woken = false
    this.#collect(pairs)
    return this.#answer(this.#report(pairs))
  }

  wakeup(): void {
    this.#woken = true
  }

  close(): void {
    this.#closed = true
    this.#registrations.clear()
    this.#kernel.watchers.delete(this)
  }

  #answer(count: number): number {
    this.#world.record(`wait ${count}`)
    return count
  }

  #readiness(registration: Registration): number {
    if (registration.silent || registration.heldUntil > this.#world.now) return 0
    const readiness = this.#kernel.readinessOf(registration.fd, registration.interest)
    if (readiness === 0 || !registration.edgeTriggered) return readiness
    return this.#kernel.table.file(registration.fd)?.activity === registration.seenActivity ? 0 : readiness
  }

  #hasReady(): boolean {
    let any = false
    for (const registration of this.#registrations.values()) {
      if (this.#readiness(registration) === 0) continue
      if (this.#random.chance(this.#faults.delayedReadiness)) {
        registration.heldUntil = this.#world.now + this.#random.unit() * 20
        this.#world.schedule(registration.heldUntil, () => {})
      } else any = true
    }
    return any
  }

  #addSpurious(pairs: [number, number][]): void {
    if (this.#registrations.size === 0 || !this.#random.chance(this.#faults.spuriousReadiness)) return
    const registration = this.#random.pick([...this.#registrations.values()])
    pairs.push([registration.fd, this.#random.between(1, 7)])
  }

  #collect(pairs: [number, number][]): void {
    for (const registration of this.#registrations.values()) {
      const { fd } = registration
      const readiness = this.#readiness(registration)
      if (readiness === 0) continue
      const same = pairs.find((pair) => pair[0] === fd)
      if (same === undefined) pairs.push([fd, readiness])
      else same[1] |= readiness
    }
    if (this.#recent.length > 0 && this.#random.chance(this.#faults.staleReadiness)) {
      pairs.push([this.#random.pick(this.#recent), this.#random.between(1, 7)])
    }
  }

  #report(pairs: [number, number][]): number {
    const random = this.#random
    let capacity = this.#capacity
    if (random.chance(this.#faults.smallCapacity)) capacity = Math.min(capacity, random.between(1, 3))
    // What does not fit must not always be the same descriptors.
    if (pairs.length > capacity || random.chance(this.#faults.shuffledReadiness)) random.shuffle(pairs)
    const count = Math.min(pairs.length, capacity)
    for (let i = 0; i < count; i++) {
      const [fd, readiness] = pairs[i] as [number, number]
      this.ready[2 * i] = fd
      this.ready[2 * i + 1] = readiness
      const registration = this.#registrations.get(fd)
      if (registration === undefined) continue
      registration.seenActivity = this.#kernel.table.file(fd)?.activity ?? -1
      if (registration.oneShot) registration.silent = true
    }
    return count
  }
}

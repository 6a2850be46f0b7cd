/**
 * The deterministic core of a Multi: given a kernel and a clock, the same calls give the same trace. One entry from
 * outside reads the clock once, marks machines dirty, runs each dirty one at most twice, applies what callbacks asked
 * for, and on the way out tells changed interest, notifications and a moved deadline, in this order. Knows no protocol.
 */
import { Batch } from '../base/batch.ts'
import { MultiError, type TransferError } from '../base/errors.ts'
import { TimerHeap } from '../base/timer-heap.ts'
import type { Clock } from '../sys/clock.ts'
import type { Files } from '../sys/files.ts'
import type { Kernel, RegisteredBuffer } from '../sys/kernel.ts'
import type { Resolver } from '../sys/resolver.ts'
import type { TlsProvider } from '../sys/tls.ts'
import { Facilities } from './facility.ts'
import type { Facility, Host, HostCounters, HostLimits } from './host.ts'
import { InterestMap } from './interest-map.ts'
import { GUESSED, type Machine, MachineKind, REPORTED } from './machine.ts'
import { Outside, type OutsideFunctions, type SocketFunction } from './outside.ts'
import { NOW, timeLeft } from './outward-timer.ts'
import { TicketSource } from './pending-queue.ts'
import { SendBatch } from './send-batch.ts'
import type { Subject } from './subject.ts'
import { Task } from './task.ts'
import { TransferBook } from './transfer-book.ts'
import { Wish } from './wish.ts'

/** Passes over the dirty machines per entry: one, and one more for what the first made dirty (as curl). */
const PASSES_PER_ENTRY = 2
/** Rounds of telling the outside per entry: its functions may ask for something each time they are told something. */
const TELLING_ROUNDS = 8
/**
 * The receive buffer that all machines of a Multi share; eight times curl's, since it is not kept per transfer. Half of
 * it costs a long download half as much processor time again, twice of it saves nothing.
 */
const SCRATCH_BYTES = 128 * 1024

export interface EngineOptions extends OutsideFunctions {
  readonly kernel: Kernel
  readonly clock: Clock
  readonly files: Files
  readonly createResolver: () => Resolver
  readonly openTls: () => TlsProvider
  readonly limits: HostLimits
  readonly debug: boolean
}

export class Engine implements Host {
  readonly kernel: Kernel
  readonly clock: Clock
  readonly files: Files
  readonly limits: HostLimits
  readonly tickets: TicketSource = new TicketSource()
  readonly book: TransferBook = new TransferBook()
  readonly counters: HostCounters = { pending: 0, connections: 0, idleConnections: 0 }
  readonly outside: Outside
  closed = false
  now = 0

  readonly #options: EngineOptions
  readonly #interest: InterestMap
  readonly #wish = new Wish()
  readonly #deadlines = new TimerHeap()
  readonly #facilities = new Facilities()
  readonly #tasks: (Task | undefined)[] = []
  readonly #freeIds: number[] = []
  #dirty = new Batch<Task>()
  /** Of those in `#dirty`, the ones that live and wait to run. */
  #dirtyCount = 0
  #running = new Batch<Task>()
  #deferred: (() => void)[] = []
  /** Name of the public call that is on the stack. */
  #inside: string | null = null
  #resolver: Resolver | null = null
  #scratch: RegisteredBuffer | null = null
  #sends: SendBatch | null = null
  #keepingAlive = 0

  constructor(options: EngineOptions) {
    this.#options = options
    this.kernel = options.kernel
    this.clock = options.clock
    this.files = options.files
    this.limits = options.limits
    this.outside = new Outside(options)
    this.#interest = new InterestMap(this.outside)
  }

  /** A socket or timer function failed; nothing runs until every transfer was removed. */
  get dead(): boolean {
    return this.outside.dead
  }

  get isInside(): boolean {
    return this.#inside !== null
  }

  /** Machines that keep a loop going: transfers that have not ended, listeners, server connections. */
  get active(): boolean {
    return this.#keepingAlive > 0
  }

  get resolver(): Resolver {
    this.#resolver ??= this.#options.createResolver()
    return this.#resolver
  }

  openTls(): TlsProvider {
    return this.#options.openTls()
  }

  get scratch(): RegisteredBuffer {
    this.#scratch ??= this.kernel.allocate(SCRATCH_BYTES)
    return this.#scratch
  }

  get sends(): SendBatch {
    this.#sends ??= new SendBatch(this.kernel)
    return this.#sends
  }

  facility<T>(facility: Facility<T>): T {
    return this.#facilities.get(facility, this)
  }

  // What machines ask for

  spawn(machine: Machine): Task {
    const id = this.#freeIds.pop() ?? this.#tasks.length
    const task = new Task(machine, id)
    this.#tasks[id] = task
    if (machine.kind !== MachineKind.BACKGROUND) this.#keepingAlive++
    this.markDirty(task)
    return task
  }

  replace(task: Task, machine: Machine): void {
    task.machine = machine
  }

  retire(task: Task): void {
    if (!task.alive) return
    task.alive = false
    if (task.dirty) {
      task.dirty = false
      if (--this.#dirtyCount === 0) this.#dirty.clear()
    }
    this.#wish.clear()
    this.#interest.update(task, this.#wish)
    this.#deadlines.set(task.id, Number.POSITIVE_INFINITY)
    this.#tasks[task.id] = undefined
    this.#freeIds.push(task.id)
    if (task.machine.kind !== MachineKind.BACKGROUND) this.#keepingAlive--
  }

  markDirty(task: Task): void {
    if (task.dirty || !task.alive) return
    task.dirty = true
    this.#dirtyCount++
    this.#dirty.push(task)
  }

  closeFd(fd: number, generation: number): void {
    this.#interest.forget(fd)
    this.kernel.close(fd, generation)
  }

  letGoOfFd(fd: number): void {
    this.#interest.forget(fd)
  }

  complete(subject: object, error: TransferError | null): void {
    this.book.complete(this, subject as Subject, error, this.outside.notifyFunction !== null)
  }

  /** Runs when no callback is on the stack any more (invariant 6). */
  defer(operation: () => void): void {
    this.#deferred.push(operation)
  }

  // The ways in

  /**
   * Opens an entry: from here to `leave` the engine is on the stack. `name` is the public call, for the error of a
   * second one.
   */
  enter(name: string): void {
    if (this.closed) throw new MultiError('BAD_HANDLE', `${name}: this Multi is closed`)
    this.refuseInside(name)
    this.#inside = name
    this.now = this.clock.now()
    this.#sends?.begin(this.now)
  }

  refuseInside(name: string): void {
    if (this.#inside === null) return
    throw new MultiError('RECURSIVE_API_CALL', `${name} was called from inside a callback of ${this.#inside}`)
  }

  /** Closes an entry: tells the outside what changed. An error that notifyFunction throws surfaces here, last. */
  leave(): void {
    let thrown: { error: unknown } | null = null
    try {
      // Once more after each that was told something last: it may have asked for something itself.
      for (let round = 0, mayHaveAsked = true; mayHaveAsked && round < TELLING_ROUNDS; round++) {
        this.#applyDeferred()
        this.#sends?.flush()
        this.#interest.flush()
        this.#dieOfFailure()
        const caught = this.#dispatchNotifications()
        thrown ??= caught
        mayHaveAsked = this.outside.tellTimer(this.#deadline(), this.now) || this.outside.failure !== null
        mayHaveAsked ||= this.#deferred.length > 0
      }
      if (this.#options.debug) this.checkInvariants()
    } finally {
      this.#inside = null
    }
    this.outside.tellActivity(this.active)
    if (this.dead && this.book.subjects.size === 0) this.outside.revive()
    if (thrown !== null) throw thrown.error
  }

  /** Something was reported on a descriptor. An unknown one changes nothing: it may have been closed a moment ago. */
  markReady(fd: number, readiness: number): void {
    const user = this.#interest.userOf(fd)
    if (user === null) return
    this.#report(user, readiness)
    const others = this.#interest.othersOf(fd)
    if (others !== null) for (let i = 0; i < others.length; i++) this.#report(others[i] as Task, readiness)
  }

  #report(task: Task, readiness: number): void {
    task.readiness |= readiness | REPORTED
    this.markDirty(task)
  }

  /** Every machine that may have work: for callers that do not know what became ready. */
  markAll(): void {
    for (const task of this.#tasks) {
      if (task === undefined) continue
      task.readiness |= task.machine.kind === MachineKind.BACKGROUND ? GUESSED : REPORTED
      this.markDirty(task)
    }
  }

  /** Runs what is dirty or due. A machine that stays dirty after the last pass gets its turn at the next entry. */
  runDirty(): void {
    for (let pass = 0; pass < PASSES_PER_ENTRY; pass++) {
      this.#expire()
      if (this.#dirtyCount === 0) return
      this.#runPass()
      this.#sends?.flush()
      this.#applyDeferred()
      if (this.outside.failure !== null) return
    }
  }

  /** ms until the engine wants to be called: -1 never, 0 now. */
  timeout(now: number): number {
    return timeLeft(this.#deadline(), now)
  }

  assign(fd: number, socketData: unknown): boolean {
    return this.#interest.assign(fd, socketData)
  }

  forEachWatched(visit: (fd: number, interest: number) => void): void {
    this.#interest.forEach(visit)
  }

  get watchedCount(): number {
    return this.#interest.size
  }

  /** Everything is announced anew by the next flush, as if nobody outside knew anything. */
  announceAgain(): void {
    this.#interest.announceAgain()
  }

  /** The old function hears REMOVE for all that it knows, the new one everything anew. */
  setSocketFunction(socketFunction: SocketFunction | null): void {
    this.#interest.withdraw()
    this.outside.socketFunction = socketFunction
    this.#interest.announceAgain()
  }

  /** REMOVEs and closes everything; afterwards nothing is ever called again. */
  close(): void {
    this.#inside = 'close'
    this.closed = true
    const cause = new MultiError('BAD_HANDLE', 'the Multi was closed')
    this.#abortAll(cause)
    this.book.clear(this)
    this.#facilities.close()
    this.#interest.flush()
    this.outside.tellTimer(Number.POSITIVE_INFINITY, this.now)
    this.#resolver?.close()
    if (this.#scratch !== null) this.kernel.release(this.#scratch.id)
    this.#sends?.close()
    this.#deferred = []
    this.#inside = null
    this.outside.tellActivity(false)
  }

  /** Invariant 5: a live machine has an interest, a deadline, or is dirty or dormant. */
  checkInvariants(): void {
    for (const task of this.#tasks) {
      if (task === undefined || task.dirty || task.count > 0 || task.machine.dormant) continue
      if (this.#deadlines.deadlineOf(task.id) !== Number.POSITIVE_INFINITY) continue
      throw new Error(`invariant 5: machine ${task.id} (${task.machine.constructor.name}) waits for nothing`)
    }
  }

  #runPass(): void {
    const running = this.#dirty
    this.#dirty = this.#running
    this.#running = running
    for (let i = 0; i < running.length; i++) {
      const task = running.take(i)
      // One that was retired meanwhile is dirty no more.
      if (!task.dirty) continue
      task.dirty = false
      this.#dirtyCount--
      this.#runTask(task)
    }
    running.begin()
  }

  #runTask(task: Task): void {
    const { machine } = task
    const readiness = task.readiness
    task.readiness = 0
    try {
      if (!task.started) {
        task.started = true
        machine.start(this.now)
      }
      if (task.alive) machine.run(this.now, readiness)
    } catch (error) {
      // A user callback threw, or we are at fault: it ends this machine, and no other (invariant 7).
      this.#abortTask(task, error)
    }
    if (task.alive) this.settle(task)
  }

  /**
   * Asks the state what it waits for. After each run; by a machine itself only when its state changed outside of one.
   */
  settle(task: Task): void {
    const wish = this.#wish
    wish.clear()
    task.machine.interest(wish)
    this.#interest.update(task, wish)
    const { timers } = task.machine
    if (timers !== null && timers.next !== this.#deadlines.deadlineOf(task.id)) {
      this.#deadlines.set(task.id, timers.next)
    }
  }

  #expire(): void {
    while (this.#deadlines.next <= this.now) {
      const task = this.#tasks[this.#deadlines.nextId] as Task
      const { timers } = task.machine
      try {
        if (timers === null) task.machine.expired(0, this.now)
        else {
          for (let timer = timers.takeExpired(this.now); timer >= 0; timer = timers.takeExpired(this.now)) {
            task.machine.expired(timer, this.now)
            if (!task.alive) break
          }
        }
      } catch (error) {
        this.#abortTask(task, error)
      }
      if (!task.alive) continue
      this.#deadlines.set(task.id, timers?.next ?? Number.POSITIVE_INFINITY)
      this.markDirty(task)
    }
  }

  #applyDeferred(): void {
    while (this.#deferred.length > 0) {
      const operations = this.#deferred
      this.#deferred = []
      for (const operation of operations) operation()
    }
  }

  #deadline(): number {
    return this.#dirtyCount > 0 ? NOW : this.#deadlines.next
  }

  /** A socket or timer function failed: every machine ends, and the Multi is dead until it is empty. */
  #dieOfFailure(): void {
    const { failure } = this.outside
    if (failure === null) return
    this.outside.dead = true
    this.#applyDeferred()
    this.#abortAll(failure.cause)
    this.#interest.flush()
    this.outside.failure = null
  }

  #abortTask(task: Task, cause: unknown): void {
    if (task.alive) task.machine.abort(cause)
    this.retire(task)
  }

  #abortAll(cause: unknown): void {
    for (const task of this.#tasks.slice()) {
      if (task !== undefined) this.#abortTask(task, cause)
    }
    this.#dirty.clear()
    this.#dirtyCount = 0
  }

  /** What notifyFunction throws belongs to no transfer: it is kept and thrown by the call that is on the stack. */
  #dispatchNotifications(): { error: unknown } | null {
    let thrown: { error: unknown } | null = null
    for (let kind = this.book.takeNotification(); kind !== undefined; kind = this.book.takeNotification()) {
      try {
        this.outside.notifyFunction?.(kind)
      } catch (error) {
        thrown ??= { error }
      }
      this.#applyDeferred()
    }
    if (this.#deferred.length > 0) this.#applyDeferred()
    this.#interest.flush()
    return thrown
  }
}

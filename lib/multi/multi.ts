/**
 * The public face of the engine: every method of libcurl's multi interface, guarded. Inside a user callback `add` and
 * `remove` take effect once the stack unwinds, and `socketAction`, `perform`, `poll` and `close` are refused. After
 * `close` every call but `close`, `remove` and the getters is refused with BAD_HANDLE, and no callback is called again.
 */
import { MultiError } from '../base/errors.ts'
import { isFunctionOrNull, isInteger, isObject, wrongType } from '../base/options.ts'
import { POLL_STRIDE } from '../sys/kernel.ts'
import { Interest, Readiness, SOCKET_TIMEOUT } from '../sys/readiness.ts'
import { Engine } from './engine.ts'
import type { Message } from './message-queue.ts'
import { engineOptions, type MultiOptions } from './multi-options.ts'
import type { ActivityFunction, NotifyFunction, SocketFunction, TimerFunction } from './outside.ts'
import { attachment, isSubject, type Subject } from './subject.ts'
import { keepers } from './upkeep.ts'
import { type Waker, WakeupLine } from './wakeup-line.ts'

/** A descriptor to wait for: `interest` is asked (Interest), `readiness` is answered (Readiness). */
export interface PollFd {
  fd: number
  interest: number
  readiness: number
}

export interface MultiStats {
  /** Transfers ever added (CURLMINFO_XFERS_ADDED). */
  readonly added: number
  /** Transfers that are under way, without those that are pending. */
  readonly running: number
  /** Transfers that wait for a connection slot. */
  readonly pending: number
  /** Transfers that ended and were not removed yet. */
  readonly done: number
  readonly connections: number
  readonly idleConnections: number
}

const ANY_READINESS = Readiness.READABLE | Readiness.WRITABLE | Readiness.ERROR
const isFd = isInteger(SOCKET_TIMEOUT, 2 ** 30)
const isReadiness = isInteger(0, ANY_READINESS)
const isInterest = isInteger(0, Interest.READABLE_WRITABLE)

let engineWithin: <T extends object, S extends object>(multi: Multi<T, S>) => Engine

/** The engine of a Multi, for what runs on it inside this library. */
export function engineOf<T extends object, S extends object>(multi: Multi<T, S>): Engine {
  return engineWithin(multi)
}

export class Multi<TransferType extends object, SubjectType extends object = TransferType> {
  readonly #engine: Engine
  readonly #wakeup: WakeupLine
  #entries = new Int32Array(64 * POLL_STRIDE)

  static {
    engineWithin = (multi) => multi.#engine
  }

  /** Throws TypeError or RangeError for a wrong or unknown option. Opens nothing. */
  constructor(options: MultiOptions<SubjectType> = {}) {
    this.#engine = new Engine(engineOptions(options))
    this.#wakeup = new WakeupLine(this.#engine.kernel)
  }

  /**
   * Replaces the socket function: the old one hears REMOVE for all that it knows, the new one every descriptor anew.
   */
  setSocketFunction(socketFunction: MultiOptions<SubjectType>['socketFunction']): void {
    isFunctionOrNull('socketFunction', socketFunction)
    const engine = this.#engine
    const tell = (socketFunction as SocketFunction | null | undefined) ?? null
    this.#apply('setSocketFunction', () => engine.setSocketFunction(tell))
  }

  /** Replaces the timer function: the old one hears -1 if it had a timer, the new one the present deadline. */
  setTimerFunction(timerFunction: TimerFunction | null): void {
    isFunctionOrNull('timerFunction', timerFunction)
    const engine = this.#engine
    this.#apply('setTimerFunction', () => engine.outside.setTimerFunction(timerFunction, engine.now))
  }

  setNotifyFunction(notifyFunction: NotifyFunction | null): void {
    isFunctionOrNull('notifyFunction', notifyFunction)
    const engine = this.#engine
    this.#apply('setNotifyFunction', () => {
      engine.outside.notifyFunction = notifyFunction
    })
  }

  /** The new function is told at once when the Multi is active. */
  setActivityFunction(activityFunction: ActivityFunction | null): void {
    isFunctionOrNull('activityFunction', activityFunction)
    const engine = this.#engine
    this.#apply('setActivityFunction', () => engine.outside.setActivityFunction(activityFunction))
  }

  /**
   * Hands a transfer over (curl_multi_add_handle). Nothing is opened here: timerFunction hears 0, and the next
   * `socketAction`, `perform` or loop step begins the work. Throws ADDED_ALREADY when any Multi has it, and
   * ABORTED_BY_CALLBACK when a socket or timer function failed and transfers are still here.
   */
  add(transfer: TransferType): void {
    const engine = this.#engine
    const subject = checkSubject('add', transfer)
    if (subject[attachment].host !== null) {
      throw new MultiError('ADDED_ALREADY', 'add: this transfer belongs to a Multi already; remove it first')
    }
    const { leaving } = subject[attachment]
    if (leaving !== null && leaving !== engine) {
      throw new MultiError(
        'ADDED_ALREADY',
        'add: another Multi lets go of this transfer once its callback has returned',
      )
    }
    this.#refuseClosed('add')
    if (engine.dead && engine.book.subjects.size > 0) {
      throw new MultiError('ABORTED_BY_CALLBACK', 'add: a socket or timer function failed; remove every transfer first')
    }
    subject[attachment].host = engine
    if (engine.isInside) {
      this.#defer('attach', subject)
      return
    }
    engine.enter('add')
    engine.book.attach(engine, subject)
    engine.leave()
  }

  /**
   * Takes a transfer back (curl_multi_remove_handle). Unfinished: it is aborted, without a message. Its unread message
   * is dropped. One that is not here is fine; one that belongs to another Multi throws BAD_EASY_HANDLE.
   */
  remove(transfer: TransferType): void {
    const engine = this.#engine
    const subject = checkSubject('remove', transfer)
    const owner = subject[attachment].host
    if (owner === null) return
    if (owner !== engine) throw new MultiError('BAD_EASY_HANDLE', 'remove: this transfer belongs to another Multi')
    subject[attachment].host = null
    // A Multi that is closing lets go of everything by itself.
    if (engine.closed) return
    subject[attachment].leaving = engine
    if (engine.isInside) {
      this.#defer('detach', subject)
      return
    }
    engine.enter('remove')
    engine.book.detach(engine, subject)
    engine.leave()
  }

  /**
   * Says that a descriptor became ready, or with SOCKET_TIMEOUT that the timer fired (curl_multi_socket_action).
   * Readiness is a hint; an unknown descriptor changes nothing; due timers are handled in any case. Returns how many
   * transfers run. Read `infoRead` afterwards, whatever it returns.
   */
  socketAction(fd: number, readiness = 0): number {
    const engine = this.#engine
    if (!Number.isInteger(fd) || fd < SOCKET_TIMEOUT) isFd('fd', fd)
    if ((readiness & ANY_READINESS) !== readiness) isReadiness('readiness', readiness)
    engine.enter('socketAction')
    if (fd === SOCKET_TIMEOUT) engine.outside.timerFired()
    else engine.markReady(fd, readiness)
    engine.runDirty()
    engine.leave()
    return engine.book.running
  }

  /** `socketAction` for many descriptors in one entry: [fd, readiness] pairs as `Poller.ready` holds them. */
  socketActionBatch(pairs: Int32Array, count: number): number {
    const engine = this.#engine
    if (!(pairs instanceof Int32Array)) throw wrongType('pairs', 'an Int32Array of [fd, readiness]', pairs)
    isInteger(0, pairs.length >> 1)('count', count)
    engine.enter('socketActionBatch')
    for (let i = 0; i < count; i++) {
      const fd = pairs[2 * i] as number
      if (fd === SOCKET_TIMEOUT) engine.outside.timerFired()
      else engine.markReady(fd, (pairs[2 * i + 1] as number) & ANY_READINESS)
    }
    engine.runDirty()
    engine.leave()
    return engine.book.running
  }

  /** Runs every machine and announces every descriptor anew (curl_multi_socket_all): to begin with, or after doubt. */
  socketAll(): number {
    const engine = this.#engine
    engine.enter('socketAll')
    engine.outside.timerFired()
    engine.announceAgain()
    engine.markAll()
    engine.runDirty()
    engine.leave()
    return engine.book.running
  }

  /**
   * Runs every machine once (curl_multi_perform): for callers that wait by `poll` or on their own, without readiness.
   */
  perform(): number {
    const engine = this.#engine
    engine.enter('perform')
    engine.markAll()
    engine.runDirty()
    engine.leave()
    return engine.book.running
  }

  /**
   * Looks at every idle connection and closes those that are dead or too old (curl_easy_upkeep); returns how many it
   * were. Needed only where the loop does not run while they are idle, or does not watch them.
   */
  upkeep(): number {
    const engine = this.#engine
    engine.enter('upkeep')
    const before = engine.counters.idleConnections
    engine.runDirty()
    for (const keeper of engine.facility(keepers)) keeper.upkeep(engine.now)
    const closed = before - engine.counters.idleConnections
    engine.leave()
    return closed
  }

  /**
   * Waits until a descriptor of this Multi or of `extra` is ready, a deadline is due, `wakeup` was called, or timeoutMs
   * have passed (curl_multi_poll); -1 waits for ever. Fills `extra[i].readiness` and returns how many descriptors are
   * ready. Call `perform` afterwards.
   */
  poll(timeoutMs: number, extra: PollFd[] = []): number {
    isInteger(-1, 2 ** 31 - 1)('timeoutMs', timeoutMs)
    if (!Array.isArray(extra)) throw wrongType('extra', 'an array of { fd, interest, readiness }', extra)
    for (let i = 0; i < extra.length; i++) checkPollFd(`extra[${i}]`, extra[i])
    const engine = this.#engine
    engine.enter('poll')
    try {
      return this.#pollInside(timeoutMs, extra)
    } finally {
      engine.leave()
    }
  }

  /**
   * Ends the current or the next `poll`; several may collapse into one. Nothing else swallows it. From another thread:
   * `kernel.wake` with the `waker`.
   */
  wakeup(): void {
    this.#refuseClosed('wakeup')
    this.#wakeup.wake()
  }

  /** Two numbers that may be posted to another thread, which calls `kernel.wake(waker.fd, waker.generation)`. */
  get waker(): Waker {
    this.#refuseClosed('waker')
    return this.#wakeup.waker
  }

  /**
   * Takes back a wakeup that no `poll` has seen, for loops that watch `waker.fd` on their own. True when there was one.
   */
  clearWakeup(): boolean {
    return !this.#engine.closed && this.#wakeup.clear()
  }

  /** Every descriptor and what it is watched for (curl_multi_waitfds). A copy. */
  waitFds(): PollFd[] {
    const fds: PollFd[] = []
    this.#engine.forEachWatched((fd, interest) => fds.push({ fd, interest, readiness: 0 }))
    return fds
  }

  /** ms until the Multi wants to be called: -1 none, 0 now, rounded up (curl_multi_timeout). */
  timeout(): number {
    const engine = this.#engine
    return engine.closed ? -1 : engine.timeout(engine.clock.now())
  }

  /**
   * Attaches data to a watched descriptor, given to socketFunction until REMOVE (curl_multi_assign). Throws BAD_SOCKET
   * when it is not watched.
   */
  assign(fd: number, socketData: unknown): void {
    isFd('fd', fd)
    this.#refuseClosed('assign')
    if (!this.#engine.assign(fd, socketData)) {
      throw new MultiError('BAD_SOCKET', `assign: descriptor ${fd} is not watched`)
    }
  }

  /**
   * The next completion, in the order they happened (curl_multi_info_read). The transfer stays here until it is
   * removed.
   */
  infoRead(): Message<TransferType> | undefined {
    return this.#engine.book.messages.read() as unknown as Message<TransferType> | undefined
  }

  /** Transfers that have not ended, pending ones included. */
  get running(): number {
    return this.#engine.book.running
  }

  /** True while a loop is needed: transfers that run, listeners, server connections. Idle connections do not count. */
  get active(): boolean {
    return this.#engine.active
  }

  get closed(): boolean {
    return this.#engine.closed
  }

  /** The transfers that are here, ended ones included (curl_multi_get_handles). A copy. */
  get transfers(): TransferType[] {
    return this.#engine.book.subjects.all() as unknown as TransferType[]
  }

  get stats(): MultiStats {
    const { book, counters } = this.#engine
    return {
      added: book.added,
      running: book.running - counters.pending,
      pending: counters.pending,
      done: book.done,
      connections: counters.connections,
      idleConnections: counters.idleConnections,
    }
  }

  /** REMOVEs every descriptor, closes every connection, lets go of every transfer without a message. Idempotent. */
  close(): void {
    if (this.#engine.closed) return
    this.#engine.refuseInside('close')
    this.#engine.close()
    this.#wakeup.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** A closure here costs the callers nothing where there is no callback. */
  #defer(verb: 'attach' | 'detach', subject: Subject): void {
    const engine = this.#engine
    engine.defer(() => engine.book[verb](engine, subject))
  }

  /** An entry of its own; from inside a callback, once the stack unwinds (invariant 6). */
  #apply(name: string, operation: () => void): void {
    const engine = this.#engine
    this.#refuseClosed(name)
    if (engine.isInside) {
      engine.defer(operation)
      return
    }
    engine.enter(name)
    operation()
    engine.leave()
  }

  #pollInside(timeoutMs: number, extra: PollFd[]): number {
    const engine = this.#engine
    const capacity = (1 + engine.watchedCount + extra.length) * POLL_STRIDE
    if (this.#entries.length < capacity) this.#entries = new Int32Array(capacity * 2)
    const entries = this.#entries
    let count = 0
    const put = (fd: number, interest: number): void => {
      entries[count * POLL_STRIDE] = fd
      entries[count * POLL_STRIDE + 1] = interest
      entries[count * POLL_STRIDE + 2] = 0
      count++
    }
    put(this.#wakeup.waker.fd, Readiness.READABLE)
    engine.forEachWatched(put)
    const watched = count
    for (const { fd, interest } of extra) put(fd, interest)

    const own = engine.timeout(engine.now)
    const waitMs = own < 0 ? timeoutMs : timeoutMs < 0 ? own : Math.min(own, timeoutMs)
    engine.kernel.poll(entries, count, waitMs)
    // The wait is part of this entry, and what is told at its end counts from now.
    engine.now = engine.clock.now()

    if (entries[2] !== 0) this.#wakeup.clear()
    let ready = 0
    for (let i = 1; i < count; i++) {
      const readiness = entries[i * POLL_STRIDE + 2] as number
      if (readiness !== 0) ready++
      if (i >= watched) (extra[i - watched] as PollFd).readiness = readiness
      else if (readiness !== 0) engine.markReady(entries[i * POLL_STRIDE] as number, readiness)
    }
    return ready
  }

  #refuseClosed(name: string): void {
    if (this.#engine.closed) throw new MultiError('BAD_HANDLE', `${name}: this Multi is closed`)
  }
}

function checkPollFd(option: string, entry: unknown): void {
  isObject(option, entry)
  const { fd, interest } = entry as PollFd
  isFd(`${option}.fd`, fd)
  isInterest(`${option}.interest`, interest)
}

function checkSubject(name: string, value: unknown): Subject {
  if (!isSubject(value)) throw new TypeError(`${name}: expected a Transfer`)
  return value
}

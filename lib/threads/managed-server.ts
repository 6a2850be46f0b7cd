/**
 * A server in a thread of its own, and its remote control: the verbs of ServerControl as promises. The program of the
 * server is a module, all of whose code runs in that thread; the listening sockets belong to the owner, so that
 * `restart` brings new code without refusing anybody. A thread that ends by itself leaves the server 'faulted'.
 */
import { isFunction, isFunctionOrNull } from '../base/options.ts'
import type { Limits } from '../server/admission/admission.ts'
import { checkAdoption } from '../server/adoption.ts'
import type { CloseReason } from '../server/connection/close-reason.ts'
import type { ServerTlsOptions } from '../server/connection/server-tls.ts'
import type { SocketTicket } from '../server/connection/ticket.ts'
import type { ListenHandle } from '../server/listening/listen-options.ts'
import { isPriority, type Priority } from '../server/priority.ts'
import { checkDrain, checkIdOrName, checkReason, checkStop } from '../server/server-checks.ts'
import type {
  ClientInfo,
  DrainOptions,
  DrainReport,
  ServerStats,
  StopOptions,
  StopReport,
  SuspendOptions,
} from '../server/server-control.ts'
import { ServerError } from '../server/server-error.ts'
import type { LimitOptions } from '../server/server-options.ts'
import type { ServerState } from '../server/server-state.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import { packError } from './error-record.ts'
import { EventRelay } from './event-relay.ts'
import { ListenBook } from './listen-book.ts'
import {
  checkManagedExclusive,
  checkManagedRestart,
  type ManagedEvents,
  type ManagedExclusiveOptions,
  type ManagedRestartOptions,
  type ManagedServerOptions,
  type ManagedSettings,
  managedSettings,
  moduleUrl,
} from './managed-options.ts'
import { ServerThread, type ThreadOwner } from './server-thread.ts'
import type {
  PriorityReport,
  RemoteBroadcastOptions,
  ThreadPlan,
  ThreadStatus,
  ThreadVerb,
  ThreadVerbs,
} from './thread-verbs.ts'
import { closeTicket, offerSocket } from './ticket-offer.ts'

const DRAIN_MS = 30_000
const EXCLUSIVE_MS = 10_000
const HOLD_MS = 30_000
const NOBODY: DrainReport = { finished: 0, cut: 0, durationMs: 0, complete: true }

export class ManagedServer<Data = unknown> {
  readonly name: string
  #state: ServerState = 'starting'
  #fault: Error | null = null
  #settings: ManagedSettings
  #book: ListenBook
  #thread: ServerThread | null = null
  #data: unknown
  #priority: Priority
  #limits: LimitOptions = {}
  #locks = 0
  #lastToken = 0
  /** The owner has asked for the end. */
  #isLeaving = false
  /** A thread that is being started; never rejects. Stopping and restarting wait for it. */
  #beginning: Promise<void> | null = null
  /** What was begun before it is not wanted any more. */
  #terminations = 0
  readonly #relay: EventRelay

  /**
   * Resolves when it listens. Rejects with a TypeError or RangeError for wrong options, a SystemError when it cannot
   * listen, or what the module threw; then nothing is left open.
   */
  static async start<Data>(options: ManagedServerOptions<Data>): Promise<ManagedServer<Data>> {
    const server = new ManagedServer<Data>(options)
    try {
      await server.#begin()
    } catch (error) {
      server.#book.close()
      throw error
    }
    return server
  }

  private constructor(options: ManagedServerOptions<Data>) {
    this.#settings = managedSettings(options as ManagedServerOptions)
    this.#relay = new EventRelay(options)
    this.#book = new ListenBook(this.#settings.listen)
    this.#data = options.data
    this.#priority = this.#settings.priority
    this.name = options.name ?? ''
  }

  get state(): ServerState {
    return this.#state
  }

  /** Its thread runs. */
  get active(): boolean {
    return this.#thread !== null
  }

  get listening(): boolean {
    return this.#state === 'listening'
  }

  /** Somebody here is in `exclusive`. */
  get locked(): boolean {
    return this.#locks > 0
  }

  /** Where it listens, with the ports that the system chose. */
  get addresses(): readonly SocketAddress[] {
    return this.#book.addresses
  }

  /** -1 when there is none. */
  get threadId(): number {
    return this.#thread?.threadId ?? -1
  }

  get priority(): Priority {
    return this.#priority
  }

  /** What ended its thread, or kept that from answering when it was stopped; null otherwise. */
  get fault(): Error | null {
    return this.#fault
  }

  get onState(): ManagedEvents['onState'] {
    return this.#relay.onState
  }

  set onState(onState: ManagedEvents['onState']) {
    isFunctionOrNull('onState', onState ?? null)
    this.#relay.onState = onState ?? null
  }

  suspend(options: SuspendOptions = {}): Promise<void> {
    return this.#call('suspend', [options])
  }

  resume(): Promise<void> {
    return this.#call('resume', [])
  }

  /** Replaces limits and returns all as they were; `restart` keeps them. */
  async throttle(limits: LimitOptions): Promise<Limits> {
    const previous = await this.#call('throttle', [limits])
    this.#limits = { ...this.#limits, ...limits }
    return previous
  }

  /** Certificates and rules for connections to come, also after `restart`. When it rejects, all stays as it was. */
  async reloadTls(tls: ServerTlsOptions): Promise<void> {
    await this.#call('reloadTls', [tls])
    this.#settings = { ...this.#settings, server: { ...this.#settings.server, tls } }
  }

  /** Of the whole thread, as far as the system allows: the report says; and of connections to come. */
  async setPriority(priority: Priority): Promise<PriorityReport> {
    isPriority('priority', priority)
    const report = await this.#call('setPriority', [priority])
    this.#priority = priority
    return report
  }

  /** A copy of the `server.data` of the thread. */
  async getData(): Promise<Data> {
    return (await this.#call('getData', [])) as Data
  }

  /** Replaces it by a copy. */
  async setData(data: Data): Promise<void> {
    await this.#call('setData', [data])
    this.#data = data
  }

  status(): Promise<ThreadStatus> {
    return this.#call('status', [])
  }

  stats(): Promise<ServerStats> {
    return this.#call('stats', [])
  }

  clients(): Promise<ClientInfo[]> {
    return this.#call('clients', [])
  }

  async find(idOrName: number | string): Promise<ClientInfo | null> {
    checkIdOrName('find', idOrName)
    return this.#call('find', [idOrName])
  }

  /** To how many it was sent. */
  broadcast(bytes: Uint8Array | string, options: RemoteBroadcastOptions = {}): Promise<number> {
    return this.#call('broadcast', [bytes, options])
  }

  async disconnect(idOrName: number | string, reason: CloseReason = 'shutdown'): Promise<boolean> {
    checkIdOrName('disconnect', idOrName)
    checkReason(reason)
    return this.#call('disconnect', [idOrName, reason])
  }

  /** Returns the previous one; null when it is not here. */
  async setClientPriority(idOrName: number | string, priority: Priority): Promise<Priority | null> {
    checkIdOrName('setClientPriority', idOrName)
    isPriority('priority', priority)
    return this.#call('setClientPriority', [idOrName, priority])
  }

  /** The id of the connection that it became. The socket is the server's from the call on: closed if this rejects. */
  async adopt(socket: SocketTicket | number, peer?: SocketAddress): Promise<number> {
    checkAdoption(socket, peer)
    const ticket = offerSocket(socket, peer)
    try {
      return await this.#call('adopt', [ticket, peer])
    } catch (error) {
      closeTicket(ticket)
      throw error
    }
  }

  /** Takes nobody any more and hands out the listening sockets with their queues. Connections live on. */
  async quiesce(options: { readonly drainQueue?: boolean } = {}): Promise<ListenHandle[]> {
    await this.#call('quiesce', [options.drainQueue ?? false])
    return this.#book.release()
  }

  /** Takes nobody any more, lets everybody finish, cuts who has not by the deadline; then the thread ends. */
  async drain(options: DrainOptions = {}): Promise<DrainReport> {
    checkDrain(options)
    return this.#leave('drain', [options], options.deadlineMs ?? DRAIN_MS)
  }

  /** Ends everything, at once unless there is a grace, and the thread. Idempotent; always ends it. */
  async stop(options: StopOptions = {}): Promise<StopReport> {
    checkStop(options)
    return this.#leave('stop', [options], options.graceMs ?? 0)
  }

  /** At once, in the middle of whatever the thread does. Clients see their connections closed. */
  async terminate(): Promise<void> {
    this.#terminations++
    this.#isLeaving = true
    this.#book.close()
    await this.#thread?.terminate()
    await this.#beginning
    this.#ended()
  }

  /**
   * A new thread with the module loaded anew, or another one; when it listens the old one stops, with a grace of 30 s
   * unless told otherwise. When the new one cannot begin, this rejects and the old one goes on.
   */
  async restart(options: ManagedRestartOptions = {}): Promise<StopReport> {
    checkManagedRestart(options)
    const { keepListener = true, graceMs = DRAIN_MS, reset = false } = options
    const module = options.module === undefined ? null : moduleUrl(options.module)
    while (this.#beginning !== null) await this.#beginning
    if (keepListener || this.#thread === null) return this.#replace(module, { graceMs, reset })
    this.#data = await this.#call('getData', []).catch(() => this.#data)
    const report = await this.#leave('stop', [{ graceMs, reset }], graceMs)
    await this.#replace(module, {})
    return report
  }

  /**
   * Runs a section here while the thread dispatches nothing: what comes meanwhile waits. Verbs may be called from it.
   * Rejects with TIMEOUT when its turn did not come, or when it took longer than `holdMs` and the server went on.
   */
  async exclusive<T>(section: () => T | PromiseLike<T>, options: ManagedExclusiveOptions = {}): Promise<T> {
    isFunction('section', section)
    checkManagedExclusive(options)
    const { timeoutMs = EXCLUSIVE_MS, holdMs = HOLD_MS } = options
    const token = ++this.#lastToken
    await this.#call('lock', [token, timeoutMs, holdMs], timeoutMs)
    this.#locks++
    let isHeld = true
    let result: T
    try {
      result = await section()
    } finally {
      this.#locks--
      isHeld = await this.#call('unlock', [token]).catch(() => true)
    }
    if (!isHeld) throw new ServerError('TIMEOUT', `exclusive: the section took longer than ${holdMs} ms`)
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #call<Verb extends ThreadVerb>(
    verb: Verb,
    args: Parameters<ThreadVerbs[Verb]>,
    workMs = 0,
  ): Promise<ReturnType<ThreadVerbs[Verb]>> {
    if (this.#thread === null) throw new ServerError('GONE', `${verb}: the server is ${this.#state}, without a thread`)
    return this.#thread.call(verb, args, workMs)
  }

  async #begin(): Promise<void> {
    const { timing, worker } = this.#settings
    const terminations = this.#terminations
    const { thread } = await ServerThread.start(this.#plan(), this.#threadOwner(), timing, worker)
    if (terminations !== this.#terminations) {
      await thread.terminate()
      throw terminated()
    }
    this.#thread = thread
    this.#fault = null
    this.#isLeaving = false
    this.#enter('listening')
  }

  /** The new thread first; when it listens the old one takes leave. */
  async #replace(module: string | null, options: StopOptions): Promise<StopReport> {
    let done = (): void => {}
    this.#beginning = new Promise((resolve) => {
      done = resolve
    })
    const old = this.#thread
    const before = this.#settings
    const terminations = this.#terminations
    try {
      // What cannot be cloned is as it was set here last.
      if (old !== null) this.#data = await old.call('getData', []).catch(() => this.#data)
      if (terminations !== this.#terminations) throw terminated()
      if (this.#book.isClosed) this.#book = this.#book.reopened()
      if (module !== null) this.#settings = { ...before, module }
      await this.#begin()
    } catch (error) {
      this.#settings = before
      if (this.#thread === null) this.#book.close()
      throw error
    } finally {
      this.#beginning = null
      done()
    }
    return old === null ? NOBODY : this.#retire(old, options)
  }

  #plan(): ThreadPlan {
    const { module, server, forwards } = this.#settings
    const options = { ...server, limits: { ...(server['limits'] as object | undefined), ...this.#limits } }
    const kept = { priority: this.#priority, data: this.#data }
    return { module, listen: this.#book.shares, options, ...kept, counts: null, signals: null, forwards }
  }

  #threadOwner(): ThreadOwner {
    return {
      told: (thread, event, args) => {
        if (event !== 'state') this.#relay.told(event, args)
        else if (thread === this.#thread) this.#stateChanged(thread, args[0] as ServerState)
      },
      died: (thread, error) => {
        if (thread !== this.#thread) return
        this.#thread = null
        this.#fault = error
        this.#enter('faulted')
        this.#relay.fault(error)
      },
    }
  }

  /** Of the thread that counts; it may have been stopped from within. */
  #stateChanged(thread: ServerThread, state: ServerState): void {
    if (state !== 'stopped') this.#enter(state)
    else if (!this.#isLeaving) void this.#finish(thread)
  }

  async #leave(verb: 'drain' | 'stop', args: [DrainOptions & StopOptions], workMs: number): Promise<DrainReport> {
    while (this.#beginning !== null) await this.#beginning
    const thread = this.#thread
    this.#isLeaving = true
    // First, so that nobody joins a queue that nobody will serve; the thread empties its own.
    this.#book.close()
    let report = NOBODY
    try {
      if (thread !== null) report = { ...NOBODY, ...(await thread.call(verb, args, workMs)) }
    } catch (error) {
      // It does not answer, or has ended meanwhile.
      report = { ...NOBODY, complete: false }
      this.#fault = error as Error
      await thread?.terminate()
    }
    if (thread !== null) await this.#finish(thread)
    else this.#ended()
    return report
  }

  async #finish(thread: ServerThread): Promise<void> {
    this.#isLeaving = true
    this.#book.close()
    await thread.end()
    if (thread === this.#thread || this.#thread === null) this.#ended()
  }

  #ended(): void {
    this.#thread = null
    this.#enter('stopped')
  }

  /** Its queues are the new thread's: they are left as they are. */
  async #retire(old: ServerThread, options: StopOptions): Promise<StopReport> {
    try {
      await old.call('quiesce', [false])
      return await old.call('stop', [options], options.graceMs)
    } catch (error) {
      // The new thread serves; what became of the old one is told.
      const context = { operation: 'restart', connectionId: null, retryInMs: 0, fatal: false, isHandled: false }
      this.#relay.told('error', [packError(error), context])
      await old.terminate()
      return NOBODY
    } finally {
      await old.end()
    }
  }

  #enter(state: ServerState): void {
    const previous = this.#state
    if (state === previous) return
    this.#state = state
    this.#relay.state(state, previous)
  }
}

function terminated(): ServerError {
  return new ServerError('GONE', 'the server was terminated while its thread was started')
}

/**
 * A server on a Multi: listeners, admission, the connections that are here, and the verbs that steer them. What goes
 * over a connection is its strategy's: the program's callbacks, a session, or the protocol of a subclass. Every verb is
 * legal inside and outside of callbacks. What happens is told by the events of its options.
 */
import { MultiError } from '../base/errors.ts'
import { type Check, isFunction, isFunctionOrNull, show } from '../base/options.ts'
import type { Host } from '../multi/host.ts'
import { engineOf, Multi } from '../multi/multi.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { Limits } from './admission/admission.ts'
import { adoptSocket, checkAdoption } from './adoption.ts'
import { broadcast, checkBroadcastContent } from './broadcast.ts'
import type { CloseReason } from './connection/close-reason.ts'
import { bytesOf, Connection, machineOf } from './connection/connection.ts'
import type { ConnectionMachine } from './connection/connection-machine.ts'
import type { Driver } from './connection/driver.ts'
import { ServerTls, type ServerTlsOptions } from './connection/server-tls.ts'
import type { SocketTicket } from './connection/ticket.ts'
import { ControlTimer } from './control-machine.ts'
import { ExclusiveQueue } from './exclusive-queue.ts'
import { type LeaveOptions, Lifecycle } from './lifecycle.ts'
import type { ListenHandle } from './listening/listen-options.ts'
import type { ServerListener } from './listening/server-listener.ts'
import { isPriority, type Priority } from './priority.ts'
import { Reception, type ReceptionOwner } from './reception.ts'
import { enterBook, leaveBook } from './server-book.ts'
import {
  checkBroadcast,
  checkDrain,
  checkExclusive,
  checkIdOrName,
  checkQuiesce,
  checkReason,
  checkRestart,
  checkStop,
  checkSuspend,
} from './server-checks.ts'
import type {
  BroadcastOptions,
  ClientInfo,
  DrainOptions,
  DrainReport,
  ExclusiveOptions,
  IdlePolicy,
  RestartOptions,
  ServerControl,
  ServerStats,
  StopOptions,
  StopReport,
  SuspendOptions,
} from './server-control.ts'
import { EventDesk, type ServerEvents } from './server-events.ts'
import {
  changedLimits,
  type LimitOptions,
  type ServerBaseOptions,
  type ServerSettings,
  serverSettings,
} from './server-options.ts'
import type { ServerState } from './server-state.ts'
import { type CallbackStrategy, isStrategy, type Strategy } from './server-strategy.ts'
import { type SessionOwner, Sessions } from './sessions.ts'
import { withinEngine } from './within-engine.ts'

const DRAIN_MS = 30_000
const EXCLUSIVE_MS = 10_000
const NOBODY: DrainReport = { finished: 0, cut: 0, durationMs: 0, complete: true }

export interface ServerOptions<Data = unknown> extends ServerBaseOptions<Data> {
  strategy?: Strategy
}

/** What a kind of server takes besides: a check for each option. */
export interface ServerKind {
  /** For error messages: 'HttpServer options'. */
  readonly what: string
  readonly checks: Readonly<Record<string, Check>>
  /** What it speaks over TLS (ALPN). */
  readonly protocols: readonly string[]
}

const SERVER: ServerKind = { what: 'Server options', checks: { strategy: isStrategy }, protocols: [] }

export class Server<Data = unknown> implements ServerControl<Data> {
  readonly multi: Multi<object>
  readonly name: string
  data: Data
  /** @internal */
  protected readonly host: Host
  /** @internal */
  protected readonly settings: ServerSettings
  readonly #tls: ServerTls | null
  readonly #events: EventDesk
  readonly #reception: Reception
  readonly #lifecycle: Lifecycle
  readonly #exclusive: ExclusiveQueue
  readonly #callback: CallbackStrategy['callback'] | null
  readonly #sessions: Sessions | null
  readonly #beginSession = (connection: Connection): void => this.#sessions?.opened(connection)

  /** Throws TypeError or RangeError naming the option and the value; opens nothing. */
  constructor(multi: Multi<object>, options: ServerOptions<Data> = {}, kind: ServerKind = SERVER) {
    if (!(multi instanceof Multi)) throw new TypeError(`a server needs a Multi, not ${show(multi)}`)
    if (multi.closed) throw new MultiError('BAD_HANDLE', 'a server needs a Multi, and this one is closed')
    this.multi = multi
    this.host = engineOf(multi)
    this.settings = serverSettings(kind.what, options, kind.checks, this.host.kernel.descriptorLimit())
    this.name = this.settings.name
    this.data = options.data as Data
    this.#events = new EventDesk({ ...options })
    const { tls } = options
    this.#tls = tls ? new ServerTls(this.host, 'tls', tls, kind.protocols) : null
    this.#reception = new Reception(this.host, this.settings, this.#tls, this.#events, this.#receptionOwner())
    this.#lifecycle = new Lifecycle(this.host, this.settings, this.#events, this.#reception, {
      started: () => enterBook(this.host, this),
      stopped: () => leaveBook(this.host, this),
      expired: (_timer, now) => this.#exclusive.expire(now),
    })
    const { strategy } = options
    this.#callback = strategy !== undefined && 'callback' in strategy ? strategy.callback : null
    this.#sessions =
      strategy !== undefined && 'session' in strategy ? new Sessions(strategy, this.#sessionOwner()) : null
    this.#exclusive = new ExclusiveQueue(this.host, () => this.#exclusiveChanged())
  }

  /**
   * What drives a connection whose layers are set up. It only builds; code of the program's is called by `Driver.open`,
   * which follows.
   */
  protected createDriver(connection: Connection, _machine: ConnectionMachine): Driver {
    const bytes = bytesOf(connection)
    if (this.#callback !== null) bytes.onReadable ??= this.#callback
    bytes.onTimeout ??= this.#events.onTimeout
    // A session sees the end itself, and may have more to say.
    bytes.staysHalfOpen = this.#sessions !== null
    return bytes.begin(this.#sessions === null ? null : this.#beginSession)
  }

  /** While it takes leave: what becomes of idle connections, and until when. null otherwise. */
  protected get departure(): { readonly idle: IdlePolicy; readonly deadline: number } | null {
    return this.#lifecycle.departure
  }

  get state(): ServerState {
    return this.#lifecycle.state
  }

  get active(): boolean {
    return this.state !== 'idle' && this.state !== 'stopped'
  }

  get listening(): boolean {
    return this.state === 'listening'
  }

  get locked(): boolean {
    return this.#exclusive.isTaken
  }

  get listeners(): readonly ServerListener[] {
    return this.#lifecycle.listeners
  }

  get limits(): Limits {
    return this.#reception.admission.limits
  }

  get priority(): Priority {
    return this.#reception.priority
  }

  get onState(): NonNullable<ServerEvents['onState']> | null {
    return this.#events.onState ?? null
  }

  set onState(onState: ServerEvents['onState']) {
    isFunctionOrNull('onState', onState)
    this.#events.onState = onState
  }

  /** Opens every listener. Throws a SystemError, and then nothing is open; a ServerError unless idle or stopped. */
  start(): void {
    const error = withinEngine(this.host, 'start', () => this.#lifecycle.start())
    if (error !== null) throw error
  }

  suspend(options: SuspendOptions = {}): void {
    checkSuspend(options)
    withinEngine(this.host, 'suspend', () => this.#lifecycle.suspend(options))
  }

  /** Does nothing unless it is suspended. */
  resume(): void {
    withinEngine(this.host, 'resume', () => this.#lifecycle.resume())
  }

  /** Replaces limits and returns all as they were; nobody who is here has to leave. */
  throttle(limits: LimitOptions): Limits {
    const { admission } = this.#reception
    const previous = admission.limits
    const next = changedLimits(previous, limits)
    withinEngine(this.host, 'throttle', () => {
      admission.limits = next
      this.#lifecycle.wakeListeners()
    })
    return previous
  }

  /** Replaces certificates and rules for connections to come. When it throws, everything stays as it was. */
  reloadTls(options: ServerTlsOptions): void {
    if (this.#tls === null) throw new TypeError('reloadTls: this server has no TLS')
    this.#tls.reload(options)
  }

  /** Of connections that come from now on; returns the previous one. */
  setPriority(priority: Priority): Priority {
    isPriority('priority', priority)
    const previous = this.priority
    this.#reception.priority = priority
    return previous
  }

  /**
   * Takes nobody any more and hands out its listening sockets, open and with their queues. Its connections live on.
   * The second call has none to give.
   */
  quiesce(options: { readonly drainQueue?: boolean } = {}): ListenHandle[] {
    checkQuiesce(options)
    return withinEngine(this.host, 'quiesce', () => this.#lifecycle.quiesce(options.drainQueue ?? false))
  }

  /** Takes nobody any more, lets everybody finish, cuts who has not by the deadline, and stops. */
  drain(options: DrainOptions = {}): Promise<DrainReport> {
    checkDrain(options)
    const { deadlineMs = DRAIN_MS, idle = 'last-response' } = options
    return this.#leave('drain', { graceMs: deadlineMs, idle, reset: false, restarts: false, keepsListeners: false })
  }

  /** Ends everything, at once unless there is a grace. Idempotent. */
  stop(options: StopOptions = {}): Promise<StopReport> {
    checkStop(options)
    const { graceMs = 0, reset = false } = options
    return this.#leave('stop', { graceMs, idle: 'last-response', reset, restarts: false, keepsListeners: false })
  }

  /** As `stop`, and listens again. Without a change of listeners nobody who waits in the queue is reset. */
  async restart(options: RestartOptions = {}): Promise<StopReport> {
    checkRestart(options)
    const { graceMs = 0, reset = false, keepListener = true } = options
    if (!this.active) {
      this.start()
      return NOBODY
    }
    return this.#leave('restart', {
      graceMs,
      idle: 'last-response',
      reset,
      restarts: true,
      keepsListeners: keepListener,
    })
  }

  /**
   * Makes a connection of a connected socket, past the listeners but not past admission. It is the server's from the
   * call on: closed if this throws. A descriptor that cannot be taken over at all stays the caller's.
   */
  adopt(socket: SocketTicket | number, peer?: SocketAddress): Connection {
    checkAdoption(socket, peer)
    return withinEngine(this.host, 'adopt', () =>
      adoptSocket(this.host, this.#reception, this.#lifecycle.adopts, socket, peer),
    )
  }

  /** Sends to every client but the one whose callback is running; returns to how many. */
  broadcast(bytes: Uint8Array | string, options: BroadcastOptions = {}): number {
    checkBroadcast(options)
    const content = checkBroadcastContent(bytes, options.except)
    const { registry, current } = this.#reception
    return withinEngine(this.host, 'broadcast', () => broadcast(registry.all(), current, content, options))
  }

  /** Who is here, oldest first: a snapshot of each. */
  *clients(): Generator<ClientInfo> {
    for (const connection of this.#reception.registry.values()) {
      const { id, name, peer, local, createdAt, bytesRead, bytesWritten, priority } = connection
      yield { id, name, peer, local, ageMs: this.host.clock.now() - createdAt, bytesRead, bytesWritten, priority }
    }
  }

  /** By id, or by name whatever the case of its letters. */
  find(idOrName: number | string): Connection | null {
    checkIdOrName('find', idOrName)
    return this.#reception.registry.find(idOrName)
  }

  /** Ends a connection at once, which hears the reason. False when it is not here. */
  disconnect(target: number | string | Connection, reason: CloseReason = 'shutdown'): boolean {
    checkReason(reason)
    const { registry } = this.#reception
    if (!(target instanceof Connection)) checkIdOrName('disconnect', target)
    const connection = target instanceof Connection ? target : registry.find(target)
    if (connection === null || !registry.has(connection)) return false
    withinEngine(this.host, 'disconnect', () => machineOf(connection).fail(reason, null))
    return true
  }

  /**
   * Runs a section while nobody else is in one, in the order asked for; meanwhile nobody is let in. It begins once the
   * engine has been left, so never within this call.
   */
  exclusive<T>(section: () => T | PromiseLike<T>, options: ExclusiveOptions = {}): Promise<T> {
    isFunction('section', section)
    checkExclusive(options)
    const { timeoutMs = EXCLUSIVE_MS } = options
    return this.#exclusive.enter(section, this.host.clock.now() + timeoutMs)
  }

  stats(): ServerStats {
    const { registry, admitted, dropped, endings, bytesRead, bytesWritten, acceptErrors, ticketsLost } = this.#reception
    return {
      connections: registry.size,
      accepted: admitted,
      dropped: { ...dropped },
      ended: { ...endings },
      bytesRead,
      bytesWritten,
      acceptErrors,
      ticketsLost,
      startedAt: this.#lifecycle.startedAt,
    }
  }

  /** To be called when it stops, after everybody has left: the last one first, each awaited. */
  onClose(callback: () => unknown): void {
    isFunction('callback', callback)
    this.#lifecycle.closing.add(callback)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #leave(verb: string, options: LeaveOptions): Promise<DrainReport> {
    if (this.host.closed) return Promise.resolve(NOBODY)
    return withinEngine(this.host, verb, () => this.#lifecycle.leave(options)?.wait() ?? Promise.resolve(NOBODY))
  }

  #exclusiveChanged(): void {
    if (this.host.closed) return
    withinEngine(this.host, 'exclusive', () => {
      this.#lifecycle.setTimer(ControlTimer.EXCLUSIVE, this.#exclusive.deadline)
      if (!this.#exclusive.isTaken) this.#lifecycle.wakeListeners()
    })
  }

  #receptionOwner(): ReceptionOwner {
    return {
      turnsAway: () => this.#lifecycle.turnsAway,
      room: () => (this.#exclusive.isTaken ? 0 : (this.#sessions?.room ?? Number.POSITIVE_INFINITY)),
      createDriver: (connection, machine) => this.createDriver(connection, machine),
      came: (connection, machine) => {
        this.#sessions?.expect(connection)
        this.#lifecycle.came(machine)
      },
      left: (connection) => {
        this.#sessions?.ended(connection)
        this.#lifecycle.left()
      },
      restUntil: (deadline) => this.#lifecycle.setTimer(ControlTimer.RATE, deadline),
      faulted: () => this.#lifecycle.faulted(),
    }
  }

  #sessionOwner(): SessionOwner {
    return {
      sessionFailed: (connection, error) => this.#events.threw('session', error, connection),
      sessionEnded: () => withinEngine(this.host, 'session', () => this.#lifecycle.wakeListeners()),
    }
  }
}

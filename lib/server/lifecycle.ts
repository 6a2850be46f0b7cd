/**
 * The life of a server: its state, its listeners, and how it takes leave. Verbs come within an entry of the engine.
 * `#enter` is the only setter of the state. There is one way to leave: listeners first, then every connection is asked
 * to end, who has not by the deadline is cut, then the closing callbacks run, and it is over or begins anew.
 */
import type { SystemError } from '../base/errors.ts'
import type { Host } from '../multi/host.ts'
import type { Rejection } from './admission/admission.ts'
import { ClosingCallbacks } from './closing-callbacks.ts'
import { machineOf, standingOf } from './connection/connection.ts'
import type { ConnectionMachine } from './connection/connection-machine.ts'
import { ControlMachine, type ControlOwner, ControlTimer } from './control-machine.ts'
import { Departure } from './departure.ts'
import type { ListenHandle } from './listening/listen-options.ts'
import { ServerListener } from './listening/server-listener.ts'
import type { Reception } from './reception.ts'
import type { IdlePolicy, SuspendOptions } from './server-control.ts'
import { ServerError } from './server-error.ts'
import type { EventDesk } from './server-events.ts'
import { connectionsMost, type ServerSettings } from './server-options.ts'
import { checkTransition, type ServerState } from './server-state.ts'
import { withinEngine } from './within-engine.ts'

/** How a departure begins; what a running one is shortened to. */
export interface LeaveOptions {
  /** ms from now; 0 cuts at once. */
  readonly graceMs: number
  readonly idle: IdlePolicy
  readonly reset: boolean
  readonly restarts: boolean
  readonly keepsListeners: boolean
}

/** The server, as its life sees it. */
export interface LifecycleOwner {
  started(): void
  stopped(): void
  /** Of timers that have nothing to do with its life. */
  expired(timer: ControlTimer, now: number): void
}

const NEVER = Number.POSITIVE_INFINITY

export class Lifecycle implements ControlOwner {
  readonly closing: ClosingCallbacks
  state: ServerState = 'idle'
  startedAt = 0
  #listeners: ServerListener[] = []
  #control: ControlMachine | null = null
  #departure: Departure | null = null
  #pending: SuspendOptions['pending'] = 'queue'
  /** To be told once the verb has done its work, so that whoever is told meets a server in order. */
  #news: (() => void)[] = []
  #isTelling = false
  readonly #host: Host
  readonly #settings: ServerSettings
  readonly #events: EventDesk
  readonly #reception: Reception
  readonly #owner: LifecycleOwner

  constructor(host: Host, settings: ServerSettings, events: EventDesk, reception: Reception, owner: LifecycleOwner) {
    this.#host = host
    this.#settings = settings
    this.#events = events
    this.#reception = reception
    this.#owner = owner
    this.closing = new ClosingCallbacks((error) => events.threw('onClose', error))
  }

  get listeners(): readonly ServerListener[] {
    return this.#listeners
  }

  get departure(): Departure | null {
    return this.#departure
  }

  /** How peers are turned away now; null when they are not. */
  get turnsAway(): Rejection | null {
    if (this.state !== 'suspended' || this.#pending === 'queue') return null
    return this.#pending === 'reset' ? 'reset' : this.#settings.rejection
  }

  /** Takes descriptors of the program's: also while it drains without being on its way out. */
  get adopts(): boolean {
    return this.#departure === null && this.state !== 'idle' && this.state !== 'stopped' && this.state !== 'stopping'
  }

  // The verbs

  /** What could not be opened, with nothing left open; null when it listens. */
  start(): SystemError | null {
    this.#require('start', ['idle', 'stopped'])
    const before = this.state
    this.#enter('starting')
    const error = this.#open()
    if (error !== null) {
      this.#enter(before)
      this.#tellNews()
      return error
    }
    this.#control = new ControlMachine(this.#host, this)
    this.#owner.started()
    this.startedAt = this.#host.now
    this.#enter('listening')
    this.#news.push(() => this.#events.start())
    this.#warnOfDescriptors()
    this.#tellNews()
    return null
  }

  suspend({ pending = 'queue', clients = 'keep', forMs }: SuspendOptions): void {
    this.#require('suspend', ['listening', 'suspended'])
    this.#pending = pending
    if (this.state !== 'suspended') this.#enter('suspended')
    this.#holdListeners(pending === 'queue')
    this.wakeListeners()
    this.#control?.set(ControlTimer.RESUME, forMs === undefined ? NEVER : this.#host.now + forMs)
    if (clients === 'disconnect') this.#endAll(false)
    this.#tellNews()
  }

  resume(): void {
    if (this.state !== 'suspended') return
    this.#control?.set(ControlTimer.RESUME, NEVER)
    this.#enter('listening')
    this.#holdListeners(false)
    this.wakeListeners()
    this.#tellNews()
  }

  quiesce(emptiesQueue: boolean): ListenHandle[] {
    if (this.state === 'listening' || this.state === 'suspended') this.#enter('draining')
    const listeners = this.#listeners
    this.#listeners = []
    const handles = listeners.map((listener) => {
      if (emptiesQueue) listener.emptyQueue()
      return listener.release()
    })
    this.#tellNews()
    return handles
  }

  /** Begins to leave, or shortens it. null: there is nothing to leave from. */
  leave(options: LeaveOptions): Departure | null {
    if (this.state === 'idle' || this.state === 'stopped') return null
    const { now } = this.#host
    const deadline = now + options.graceMs
    const departure = this.#departure ?? this.#depart(options, deadline)
    departure.reset ||= options.reset
    departure.restarts &&= options.restarts
    if (!departure.restarts) this.#closeListeners()
    departure.deadline = Math.min(departure.deadline, deadline)
    if (departure.deadline <= now) this.#cut(departure)
    else this.#control?.set(ControlTimer.CUT, departure.deadline)
    this.#advance()
    this.#tellNews()
    return departure
  }

  setTimer(timer: ControlTimer, deadline: number): void {
    this.#control?.set(timer, deadline)
  }

  wakeListeners(): void {
    for (const listener of this.#listeners) listener.wake()
  }

  // What happens

  /** A connection was made. Those that come out of the queue at the end are to leave with the others. */
  came(machine: ConnectionMachine): void {
    if (this.#departure !== null) machine.drain()
  }

  /** A connection has ended. */
  left(): void {
    const departure = this.#departure
    if (departure?.isCutting) departure.cut++
    else if (departure !== null) departure.finished++
    if (this.#reception.registry.size === 0) {
      if (departure === null) this.#news.push(() => this.#events.idle())
      this.#advance()
      this.#tellNews()
    }
    this.wakeListeners()
  }

  faulted(): void {
    if (this.state === 'listening' || this.state === 'suspended') this.#enter('faulted')
    this.#tellNews()
  }

  expired(timer: ControlTimer, now: number): void {
    if (timer === ControlTimer.RESUME) this.resume()
    else if (timer === ControlTimer.CUT && this.#departure !== null) {
      this.#cut(this.#departure)
      this.#advance()
      this.#tellNews()
    } else if (timer === ControlTimer.RATE) this.wakeListeners()
    else this.#owner.expired(timer, now)
  }

  /** The Multi is closed, which tells nobody anything; or one of its functions failed, and everything has ended. */
  aborted(cause: unknown): void {
    this.#control = null
    this.#listeners = []
    const departure = this.#departure
    this.#departure = null
    if (this.#host.closed) {
      this.state = 'stopped'
      this.#reception.registry.clear()
    } else {
      this.#enter('faulted')
      this.#news.push(() => this.#events.threw('multi', cause))
    }
    departure?.conclude(this.#host, this.#host.now)
    this.#tellNews()
  }

  // How

  #open(): SystemError | null {
    for (const settings of this.#settings.listen) {
      const opened = ServerListener.open(this.#host, settings, this.#reception)
      if (opened instanceof ServerListener) this.#listeners.push(opened)
      else {
        this.#closeListeners()
        return opened
      }
    }
    return null
  }

  /** Accepting would fail before the limit is reached. */
  #warnOfDescriptors(): void {
    const limit = this.#host.kernel.descriptorLimit()
    const { connections } = this.#reception.admission.limits
    if (limit < 0 || connections <= connectionsMost(limit)) return
    const text = `limits.connections is ${connections}, and this process may have ${limit} descriptors open`
    this.#news.push(() => this.#events.warn('start', new ServerError('DESCRIPTORS', text)))
  }

  #depart(options: LeaveOptions, deadline: number): Departure {
    const { idle, restarts, keepsListeners } = options
    const departure = new Departure(this.#host.now, deadline, idle, restarts, keepsListeners)
    this.#control?.set(ControlTimer.RESUME, NEVER)
    this.#departure = departure
    if (this.state !== 'draining') this.#enter('draining')
    if (restarts) this.#holdListeners(true)
    else this.#closeListeners()
    for (const connection of this.#reception.registry.all()) machineOf(connection).drain()
    return departure
  }

  /** Takes what waits in their queues first, so that nobody is reset who has come already. */
  #closeListeners(): void {
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) {
      if (this.state !== 'starting') listener.emptyQueue()
      listener.close()
    }
  }

  #holdListeners(isHeld: boolean): void {
    for (const listener of this.#listeners) listener.hold(isHeld)
  }

  #cut(departure: Departure): void {
    if (this.state !== 'stopping') this.#enter('stopping')
    this.#control?.set(ControlTimer.CUT, NEVER)
    // Who only waits for the peer's last bytes has finished.
    for (const connection of this.#reception.registry.all()) standingOf(connection).endLingering()
    departure.isCutting = true
    this.#endAll(departure.reset)
  }

  #endAll(reset: boolean): void {
    for (const connection of this.#reception.registry.all()) {
      if (reset) machineOf(connection).reset('shutdown')
      else machineOf(connection).fail('shutdown', null)
    }
  }

  #advance(): void {
    const departure = this.#departure
    if (departure === null || departure.isClosing || this.#reception.registry.size > 0) return
    departure.isClosing = true
    if (this.state !== 'stopping') this.#enter('stopping')
    this.#control?.set(ControlTimer.CUT, NEVER)
    if (departure.restarts) this.#beginAnew(departure)
    else this.#news.push(() => this.closing.run(() => this.#closed(departure)))
  }

  #closed(departure: Departure): void {
    if (this.#host.closed || this.#departure !== departure) return
    withinEngine(this.#host, 'stop', () => {
      this.#conclude(departure, null)
      this.#tellNews()
    })
  }

  #beginAnew(departure: Departure): void {
    this.#enter('starting')
    let error: SystemError | null = null
    if (!departure.keepsListeners) for (const listener of this.#listeners) error ??= listener.reopen()
    if (error !== null) {
      this.#closeListeners()
      this.#conclude(departure, error)
      return
    }
    this.#departure = null
    this.#enter('listening')
    this.#holdListeners(false)
    departure.conclude(this.#host, this.#host.now)
  }

  #conclude(departure: Departure, error: SystemError | null): void {
    this.#departure = null
    this.#control?.end()
    this.#control = null
    this.#owner.stopped()
    this.#enter('stopped')
    this.#news.push(() => this.#events.stop())
    departure.conclude(this.#host, this.#host.now, error)
  }

  #require(verb: string, states: readonly ServerState[]): void {
    if (!states.includes(this.state)) {
      throw new ServerError('WRONG_STATE', `${verb}: the server is ${this.state}, not ${states.join(' or ')}`)
    }
  }

  #enter(state: ServerState): void {
    const previous = this.state
    checkTransition(previous, state)
    this.state = state
    this.#news.push(() => this.#events.state(state, previous))
  }

  /** In order, whatever those who are told do: what comes of it is told after. */
  #tellNews(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    for (let news = this.#news.shift(); news !== undefined; news = this.#news.shift()) {
      if (!this.#host.closed) news()
    }
    this.#isTelling = false
  }
}

/**
 * The accept loop as a machine: accepting → disabled, full (the sink has no room) or resting (the system has none),
 * and back. It takes at most a budget of connections per run and hands each on at once. What runs out is waited for
 * with nothing armed but a timer, and reported once per episode; an episode ends when the queue was emptied.
 */
import type { SystemError } from '../../base/errors.ts'
import { TimerTable } from '../../base/timer-table.ts'
import type { Host } from '../../multi/host.ts'
import { type InterestSet, type Machine, MachineKind, REPORTED } from '../../multi/machine.ts'
import type { Task } from '../../multi/task.ts'
import type { ErrnoName, FileIdentity, Kernel, SocketAddress } from '../../sys/kernel.ts'
import { Interest } from '../../sys/readiness.ts'
import { systemError } from '../../sys/system-error.ts'
import type { ListenHandle } from './listen-options.ts'
import { closeListenSocket, type ListenSocket } from './listen-socket.ts'

/** How long the listener rests when descriptors or memory ran out: doubled each time. */
const REST_MS_FIRST = 10
const REST_MS_MOST = 1000

const REST = 0
const TIMER_COUNT = 1

/** A connection that broke while it waited in the queue: nobody needs to hear of it. */
const SILENT: readonly ErrnoName[] = ['ECONNABORTED', 'EINTR']
/** What became of one connection, passed on by accept; the next may be fine. */
const OF_ONE: readonly ErrnoName[] = [
  'EPROTO', 'EPERM', 'ENETDOWN', 'ENETUNREACH', 'ENETRESET', 'ENOPROTOOPT', 'EHOSTDOWN', 'EHOSTUNREACH', 'ECONNRESET',
  'ETIMEDOUT',
] // biome-ignore format: a table
/** The descriptor is no listening socket, and never will be. */
const FATAL: readonly ErrnoName[] = ['EBADF', 'EINVAL', 'ENOTSOCK', 'EOPNOTSUPP', 'EFAULT']

const State = { ACCEPTING: 0, DISABLED: 1, FULL: 2, RESTING: 3, CLOSED: 4 } as const
type State = (typeof State)[keyof typeof State]

/** Where connections go. */
export interface AcceptSink {
  /** How many it can take now. 0: nothing is accepted until `wake`. */
  room(): number
  /** Takes a place for the next one before it is accepted, where others could take it meanwhile. False: as no room. */
  reserve?(): boolean
  /** Nobody was accepted for the place that `reserve` took. */
  giveBack?(): void
  accepted(fd: number, generation: number, listener: ListenerMachine): void
  /** `retryInMs` 0: goes on at once. `fatal`: it is disabled, and no connection will come any more. */
  failed(error: SystemError, retryInMs: number, fatal: boolean): void
}

export interface ListenerMachineOptions {
  readonly enabled: boolean
  readonly acceptBudget: number
}

export class ListenerMachine implements Machine {
  readonly kind: MachineKind = MachineKind.SERVER
  readonly timers: TimerTable = new TimerTable(TIMER_COUNT)
  readonly subject: object
  readonly address: SocketAddress
  readonly #sink: AcceptSink
  readonly #host: Host
  readonly #socket: ListenSocket
  readonly #budget: number
  readonly #task: Task
  #state: State
  /** The budget was used up: there may be more in the queue, whether it is reported or not. */
  #hasMore = false
  #restMs = REST_MS_FIRST
  /** The last error of this episode; 0 when there is none. */
  #reported = 0

  /** `subject` is what socketFunction is told. */
  constructor(
    host: Host,
    socket: ListenSocket,
    sink: AcceptSink,
    options: ListenerMachineOptions,
    subject: object = sink,
  ) {
    this.#host = host
    this.#socket = socket
    this.address = socket.address
    this.#sink = sink
    this.subject = subject
    this.#budget = options.acceptBudget
    this.#state = options.enabled ? State.ACCEPTING : State.DISABLED
    this.#task = host.spawn(this)
  }

  /** -1 once closed or released. */
  get fd(): number {
    return this.#state === State.CLOSED ? -1 : this.#socket.fd
  }

  /** Of a unix socket whose file goes with it. */
  get file(): FileIdentity | null {
    return this.#socket.owned ? this.#socket.file : null
  }

  /** False while disabled, after a fatal error, and once closed; true while it waits for room. */
  get enabled(): boolean {
    return this.#state !== State.DISABLED && this.#state !== State.CLOSED
  }

  get closed(): boolean {
    return this.#state === State.CLOSED
  }

  get dormant(): boolean {
    return this.#state === State.DISABLED || this.#state === State.FULL
  }

  // The verbs: inside an entry of the engine, callbacks included

  enable(): void {
    if (this.#state === State.DISABLED) this.#enter(this.#sink.room() > 0 ? State.ACCEPTING : State.FULL)
  }

  /** Ends a running accept loop at once. */
  disable(): void {
    if (this.enabled) this.#enter(State.DISABLED)
  }

  /** The sink's room has changed, or a descriptor was closed. */
  wake(): void {
    if (this.#state === State.DISABLED || this.#state === State.CLOSED) return
    const state = this.#sink.room() > 0 ? State.ACCEPTING : State.FULL
    if (state !== this.#state) this.#enter(state)
  }

  /** Resets what waits in the queue, and removes the file of a unix socket if it is still ours. */
  close(): void {
    if (this.#state === State.CLOSED) return
    this.#end()
    closeListenSocket(this.#host, this.#socket)
  }

  /** Lets go of the descriptor without closing it; its queue is kept. */
  release(): ListenHandle {
    const { fd, generation, address, file } = this.#socket
    if (this.#state !== State.CLOSED) {
      this.#end()
      this.#host.letGoOfFd(fd)
    }
    return { fd, generation, address, file }
  }

  // What the engine asks for

  start(_now: number): void {
    this.wake()
  }

  run(now: number, readiness: number): void {
    if (this.#state !== State.ACCEPTING || (!this.#hasMore && (readiness & REPORTED) === 0)) return
    this.#hasMore = false
    const { kernel } = this.#host
    const { fd } = this.#socket
    for (let count = 0; this.#state === State.ACCEPTING; count++) {
      if (this.#sink.room() <= 0) return this.#enter(State.FULL)
      if (count === this.#budget) return this.#goOnLater()
      if (this.#sink.reserve?.() === false) return this.#enter(State.FULL)
      const accepted = kernel.accept(fd)
      if (accepted < 0) this.#sink.giveBack?.()
      if (accepted >= 0) this.#sink.accepted(accepted, kernel.generation(accepted), this)
      else if (accepted === -kernel.errno.EAGAIN) return this.#emptied()
      else this.#fail(accepted, now)
    }
  }

  expired(_timer: number, _now: number): void {
    this.wake()
  }

  interest(into: InterestSet): void {
    if (this.#state === State.ACCEPTING) into.add(this.#socket.fd, Interest.READABLE)
  }

  abort(_cause: unknown): void {
    this.close()
  }

  #emptied(): void {
    this.#reported = 0
    this.#restMs = REST_MS_FIRST
  }

  #goOnLater(): void {
    this.#hasMore = true
    this.#host.markDirty(this.#task)
  }

  #fail(result: number, now: number): void {
    const { kernel } = this.#host
    if (isOneOf(kernel, result, SILENT)) return
    if (isOneOf(kernel, result, OF_ONE)) return this.#report(result, 0, false)
    if (isOneOf(kernel, result, FATAL)) {
      this.#enter(State.DISABLED)
      return this.#report(result, 0, true)
    }
    // Descriptors or memory ran out, or something that nobody foresaw; neither gets better by asking again at once.
    const restMs = this.#restMs
    this.#restMs = Math.min(restMs * 2, REST_MS_MOST)
    this.#enter(State.RESTING)
    this.timers.set(REST, now + restMs)
    this.#report(result, restMs, false)
  }

  #report(result: number, retryInMs: number, fatal: boolean): void {
    if (this.#reported === result && !fatal) return
    this.#reported = result
    this.#sink.failed(systemError(this.#host.kernel, result, 'accept', this.address), retryInMs, fatal)
  }

  #end(): void {
    this.#enter(State.CLOSED)
    this.#host.retire(this.#task)
  }

  /** The only setter of the state. What it waits for may change outside of a run, so the engine asks at once. */
  #enter(state: State): void {
    this.#state = state
    this.timers.clear(REST)
    this.#host.settle(this.#task)
  }
}

function isOneOf(kernel: Kernel, result: number, names: readonly ErrnoName[]): boolean {
  for (const name of names) if (kernel.errno[name] !== 0 && result === -kernel.errno[name]) return true
  return false
}

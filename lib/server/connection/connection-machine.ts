/**
 * One connection of a server as a machine: setting up → open → closing → ended. While it is set up, layers are put on
 * the stream (PROXY header, TLS); open, a driver moves the bytes; closing, our side has said its last word and the
 * peer's is read out, so that a reset does not destroy what it was sent. Between two requests it may be folded: another
 * machine goes on later. The only setter of the state is `#enter`. One timer is armed and looked at when it is due, so
 * that deadlines which move cost nothing. What a callback throws resets this connection, and no other.
 */
import { TimerTable } from '../../base/timer-table.ts'
import { FilterStatus } from '../../connection/filter.ts'
import type { ByteStream } from '../../connection/stream.ts'
import type { Host } from '../../multi/host.ts'
import { type InterestSet, type Machine, MachineKind, REPORTED } from '../../multi/machine.ts'
import type { Task } from '../../multi/task.ts'
import { SocketOption } from '../../sys/kernel.ts'
import { Interest } from '../../sys/readiness.ts'
import { NORMAL_LEVEL } from '../priority.ts'
import type { CloseReason } from './close-reason.ts'
import type { Driver } from './driver.ts'
import { FoldedConnection, type FoldedOwner } from './folded-connection.ts'
import { Lingering, LingerStatus } from './lingering.ts'

const WATCH = 0
const TIMER_COUNT = 1

const State = { SETTING_UP: 0, OPEN: 1, CLOSING: 2, FOLDED: 3, ENDED: 4 } as const
type State = (typeof State)[keyof typeof State]

/** Why a connection never opened, and what the peer is told. */
export interface SetupFailure {
  readonly reason: CloseReason
  readonly error: Error | null
  /** FIN once the peer's bytes are read out, so that it sees what it was sent last; or RST. */
  readonly farewell: 'linger' | 'close' | 'reset'
}

/** Puts the layers on the stream that come before the driver. */
export interface ConnectionSetup {
  /** Absolute, of the present step. */
  readonly deadline: number
  /** After FAILED, and after `expired`. */
  readonly failure: SetupFailure | null
  advance(now: number): FilterStatus
  /** The deadline has passed: there is a failure now, or another deadline. */
  expired(now: number): void
}

/** The public face of the connection, as its machine sees it. */
export interface ConnectionOwner {
  /** How long the peer's last bytes are read out. */
  readonly lingerMs: number
  /** The layers are set up, or it is unfolded. What drives it from now on: it only builds. */
  begin(machine: ConnectionMachine): Driver
  /** It is open; may end it, and its driver is not opened then. */
  opened?(): void
  /** Called once, after the descriptor was closed or went to somebody else. When `host.closed`, tell nobody. */
  ended(reason: CloseReason, error: Error | null): void
  /** A callback of the user's threw; the connection has ended already. Must not throw. */
  threw(error: unknown): void
}

export class ConnectionMachine implements Machine {
  readonly timers: TimerTable = new TimerTable(TIMER_COUNT)
  readonly subject: ConnectionOwner & object
  readonly host: Host
  readonly stream: ByteStream
  /** Plaintext, both ways. */
  bytesRead = 0
  bytesWritten = 0
  /** When bytes last came or went, by the engine's clock. */
  movedAt: number
  /** Of its priority. */
  level: number = NORMAL_LEVEL
  #state: State = State.SETTING_UP
  #setup: ConnectionSetup | null
  #driver: Driver | null = null
  readonly #task: Task
  #reason: CloseReason = 'done'
  #error: Error | null = null
  /** `drain` came before there was a driver. */
  #isDraining = false
  /** While it is closing. */
  #lingering: Lingering | null = null

  /** `task`: of the machine whose place it takes. */
  constructor(
    host: Host,
    stream: ByteStream,
    owner: ConnectionOwner & object,
    setup: ConnectionSetup | null,
    task: Task | null = null,
  ) {
    this.host = host
    this.stream = stream
    this.subject = owner
    this.#setup = setup
    this.movedAt = stream.createdAt
    this.#task = task ?? host.spawn(this)
  }

  /** Goes on where another gave up. */
  static unfold(folded: FoldedConnection, owner: ConnectionOwner & object): ConnectionMachine {
    const { host, stream, task } = folded
    const machine = new ConnectionMachine(host, stream, owner, null, task)
    machine.bytesRead = folded.bytesRead
    machine.bytesWritten = folded.bytesWritten
    machine.movedAt = folded.movedAt
    machine.level = folded.level
    machine.#driver = owner.begin(machine)
    machine.#driver.unfold?.(folded.remembered)
    machine.#enter(State.OPEN)
    host.replace(task, machine)
    return machine
  }

  // On the prototype: there are thousands of connections.
  get kind(): MachineKind {
    return MachineKind.SERVER
  }

  /** A driver moves the bytes. */
  get open(): boolean {
    return this.#state === State.OPEN
  }

  get settingUp(): boolean {
    return this.#state === State.SETTING_UP
  }

  /** Between two requests, everything sent: nothing is lost when it is closed. */
  get idle(): boolean {
    return this.#state === State.OPEN && this.#driver?.idle === true
  }

  /** Layers are being put on the stream, and bytes may have been read for them. */
  get hasSetup(): boolean {
    return this.#setup !== null
  }

  get ended(): boolean {
    return this.#state === State.ENDED
  }

  get driver(): Driver | null {
    return this.#driver
  }

  // What drivers ask for

  /** As `ByteStream.recv`, counted. */
  recv(bufferId: number, offset: number, length: number): number {
    const received = this.stream.recv(bufferId, offset, length)
    if (received > 0) {
      this.bytesRead += received
      this.movedAt = this.host.now
    }
    return received
  }

  /** Of a budget of one run, what it has by its priority. Never nothing, for budgets of 4 and more. */
  share(budget: number): number {
    return (budget << this.level) >> NORMAL_LEVEL
  }

  markDirty(): void {
    this.host.markDirty(this.#task)
  }

  /** What it waits for changed outside of a run, within an entry of the engine. */
  settle(): void {
    if (this.#isOver()) return
    this.#arm()
    this.host.settle(this.#task)
  }

  /** Leaves nothing but what another machine needs to go on, for `owner` to keep. null: not now. */
  fold(owner: FoldedOwner & object): FoldedConnection | null {
    if (this.#state !== State.OPEN || this.#isDraining || !this.stream.isPlain) return null
    // What is armed and watched from here on is of this moment; what is due has to be looked at first.
    if (this.#deadline() <= this.host.now) return null
    this.settle()
    const remembered = this.#driver?.fold?.() ?? -1
    if (remembered < 0) return null
    this.#driver = null
    this.#enter(State.FOLDED)
    const folded = new FoldedConnection(this, owner, this.#task, remembered)
    this.host.replace(this.#task, folded)
    return folded
  }

  /** Another protocol takes over, as after 101. The old driver hears nothing more. */
  hand(driver: Driver): void {
    this.#driver = driver
    driver.open(this.host.now)
    this.markDirty()
  }

  /**
   * All is written: FIN. With `linger` the peer's bytes are read out first, which matters unless it has said its last
   * word: closing a socket with unread bytes resets it, and the reset may overtake what we sent.
   */
  finish(reason: CloseReason, linger = false, error: Error | null = null): void {
    if (this.#state !== State.OPEN && this.#state !== State.SETTING_UP) return
    this.#reason = reason
    this.#error = error
    if (this.#driver?.openEnded === true) this.#cut()
    else if (linger && this.subject.lingerMs > 0) this.#close()
    else this.#end()
  }

  /** Closes at once. */
  fail(reason: CloseReason, error: Error | null): void {
    if (this.#isOver()) return
    this.#reason = reason
    this.#error = error
    if (this.#driver?.openEnded === true) this.#cut()
    else this.#end()
  }

  /** The peer's last bytes are waited for no longer. False when it does not do that. */
  endLingering(): boolean {
    if (this.#state !== State.CLOSING) return false
    this.#end()
    return true
  }

  /** Closes at once, with a reset instead of a FIN, so that nobody takes what was sent for the whole. */
  reset(reason: CloseReason, error: Error | null = null): void {
    if (this.#isOver()) return
    this.#reason = reason
    this.#error = error
    this.#cut()
  }

  /** Lets the descriptor go without closing it. What was read and not used is the driver's to pass on. */
  release(): number {
    this.host.letGoOfFd(this.stream.fd)
    const fd = this.stream.socket.release()
    this.#reason = 'handed-over'
    this.#end()
    return fd
  }

  /** The server takes leave. One that is still being set up learns it as soon as it is open. */
  drain(): void {
    this.#isDraining = true
    if (this.#state !== State.OPEN) return
    this.#tellDrain()
    this.markDirty()
  }

  /** A callback of the user's threw: it ends this connection, and no other (invariant 7). */
  abortBecause(thrown: unknown): void {
    this.reset('aborted', errorOf(thrown))
    this.subject.threw(thrown)
  }

  // What the engine asks for

  start(_now: number): void {}

  run(now: number, readiness: number): void {
    let reported = readiness
    if (this.#state === State.SETTING_UP) {
      // What came along with the last bytes of a set-up is announced by nobody.
      if (this.#setup !== null || this.stream.hasPending) reported |= REPORTED
      this.#setUp(now)
    }
    if (this.#state === State.OPEN) this.#drive(now, reported)
    if (this.#state === State.CLOSING) this.#runClosing()
    this.#arm()
  }

  expired(_timer: number, now: number): void {
    if (now < this.#deadline()) return
    switch (this.#state) {
      case State.OPEN:
        this.#tellExpired(now)
        break
      case State.SETTING_UP:
        this.#setup?.expired(now)
        if (this.#setup?.failure !== null) this.#failSetup()
        break
      default:
        this.#end()
    }
  }

  interest(into: InterestSet): void {
    switch (this.#state) {
      case State.OPEN:
        this.stream.interest((this.#driver as Driver).wants(), into)
        break
      case State.SETTING_UP:
      case State.CLOSING:
        this.stream.interest(Interest.READABLE, into)
        break
    }
  }

  get dormant(): boolean {
    return this.#state === State.OPEN && (this.#driver as Driver).dormant
  }

  /** The Multi closes, or a socket or timer function of its failed. */
  abort(cause: unknown): void {
    if (this.host.closed) this.fail('shutdown', null)
    else this.reset('aborted', errorOf(cause))
  }

  #deadline(): number {
    switch (this.#state) {
      case State.SETTING_UP:
        return this.#setup?.deadline ?? Number.POSITIVE_INFINITY
      case State.OPEN:
        return (this.#driver as Driver).deadline
      default:
        return this.#lingering?.deadline ?? Number.POSITIVE_INFINITY
    }
  }

  #arm(): void {
    if (this.#isOver()) return
    const deadline = this.#deadline()
    if (deadline < this.timers.next) this.timers.set(WATCH, deadline)
  }

  #setUp(now: number): void {
    if (this.#setup === null) {
      this.#open()
      return
    }
    try {
      const status = this.#setup.advance(now)
      if (status === FilterStatus.FAILED) this.#failSetup()
      else if (status === FilterStatus.DONE) this.#open()
    } catch (thrown) {
      this.abortBecause(thrown)
    }
  }

  #failSetup(): void {
    // It may have been closed by what the set-up asked.
    if (this.#state !== State.SETTING_UP) return
    const { reason, error, farewell } = this.#setup?.failure ?? { reason: 'error', error: null, farewell: 'close' }
    if (farewell === 'reset') this.reset(reason, error)
    else this.finish(reason, farewell === 'linger', error)
  }

  #open(): void {
    try {
      this.#driver = this.subject.begin(this)
      this.#setup = null
      this.#enter(State.OPEN)
      this.subject.opened?.()
      if (this.#state === State.OPEN) this.#driver.open(this.host.now)
    } catch (thrown) {
      this.abortBecause(thrown)
      return
    }
    if (this.#isDraining && this.#state === State.OPEN) this.#tellDrain()
  }

  #drive(now: number, readiness: number): void {
    try {
      this.#driver?.run(now, readiness)
    } catch (thrown) {
      this.abortBecause(thrown)
    }
  }

  #tellExpired(now: number): void {
    try {
      this.#driver?.expired(now)
    } catch (thrown) {
      this.abortBecause(thrown)
    }
  }

  #tellDrain(): void {
    try {
      this.#driver?.drain(this.host.now)
    } catch (thrown) {
      this.abortBecause(thrown)
    }
  }

  #close(): void {
    this.#enter(State.CLOSING)
    const lingering = new Lingering(this.host, this.stream, this.subject.lingerMs)
    this.#lingering = lingering
    if (!lingering.sendFin()) return this.#end()
    // Its last bytes may be here already, announced before and not again.
    this.markDirty()
    this.settle()
  }

  #runClosing(): void {
    const status = this.#lingering?.advance()
    if (status === LingerStatus.OVER) this.#end()
    else if (status === LingerStatus.MORE) this.markDirty()
  }

  /** Ends by a reset. */
  #cut(): void {
    const { fd, socket } = this.stream
    if (fd >= 0) this.host.kernel.setOption(fd, SocketOption.LINGER, 0)
    // From below: TLS must not say close_notify, which would look like an orderly end.
    socket.close()
    this.#end()
  }

  /** The only end. */
  #end(): void {
    if (this.#isOver()) return
    this.#enter(State.ENDED)
    this.timers.clearAll()
    this.stream.close()
    this.host.retire(this.#task)
    this.#setup = null
    const driver = this.#driver
    this.#driver = null
    try {
      driver?.closed(this.#reason, this.#error)
    } catch (thrown) {
      this.subject.threw(thrown)
    }
    this.subject.ended(this.#reason, this.#error)
  }

  /** It is nobody's business any more what it does. */
  #isOver(): boolean {
    return this.#state >= State.FOLDED
  }

  #enter(state: State): void {
    this.#state = state
  }
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown })
}

/**
 * One connection of a server as a machine: setting up → open → closing → ended. While it is set up, layers are put on
 * the stream (PROXY header, TLS); open, a driver moves the bytes; closing, our side has said its last word and the peer's
 * is read out, so that a reset does not destroy what it was sent. The only setter of the state is `#enter`. One timer is
 * armed and looked at when it is due, so that deadlines which move with every request cost nothing.
 */
import { TimerTable } from '../base/timer-table.ts'
import { FilterStatus } from '../connection/filter.ts'
import type { ByteStream } from '../connection/stream.ts'
import type { Host } from '../multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'
import { SocketOption } from '../sys/kernel.ts'
import { Interest } from '../sys/readiness.ts'
import type { CloseReason } from './close-reason.ts'
import type { Driver } from './driver.ts'

/** How long the peer's last bytes are read out, and how many of them: nginx's lingering_timeout and some more bytes. */
const LINGER_MS = 5_000
const LINGER_BYTES_MAX = 1024 * 1024
/** Reads of one run, so that a fast sender does not starve the other machines. */
const READS_PER_RUN = 10

const WATCH = 0
const TIMER_COUNT = 1

const State = { SETTING_UP: 0, OPEN: 1, CLOSING: 2, ENDED: 3 } as const
type State = (typeof State)[keyof typeof State]

/** Puts the layers on the stream that come before the driver. */
export interface ConnectionSetup {
  /** Absolute, of the present step. */
  readonly deadline: number
  /** Why it failed. */
  readonly failure: { readonly reason: CloseReason; readonly error: Error | null } | null
  advance(now: number): FilterStatus
}

/** The public face of the connection, as its machine sees it. */
export interface ConnectionOwner {
  /** The layers are set up. What drives it from now on. */
  begin(machine: ConnectionMachine): Driver
  /** Called once, after the descriptor was closed (or went to somebody else), unless the Multi was closed. */
  ended(reason: CloseReason, error: Error | null): void
}

export class ConnectionMachine implements Machine {
  readonly kind: MachineKind = MachineKind.SERVER
  readonly timers: TimerTable = new TimerTable(TIMER_COUNT)
  readonly subject: ConnectionOwner & object
  readonly host: Host
  readonly stream: ByteStream
  /** Plaintext, both ways. */
  bytesRead = 0
  bytesWritten = 0
  #state: State = State.SETTING_UP
  #setup: ConnectionSetup | null
  #driver: Driver | null = null
  #task!: Task
  #reason: CloseReason = 'done'
  #error: Error | null = null
  #lingerDeadline = Number.POSITIVE_INFINITY
  #lingerBytes = 0

  constructor(host: Host, stream: ByteStream, owner: ConnectionOwner & object, setup: ConnectionSetup | null) {
    this.host = host
    this.stream = stream
    this.subject = owner
    this.#setup = setup
    this.#task = host.spawn(this)
  }

  get open(): boolean {
    return this.#state === State.OPEN
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
    if (received > 0) this.bytesRead += received
    return received
  }

  markDirty(): void {
    this.host.markDirty(this.#task)
  }

  /** Another protocol takes over, as after 101. The old driver hears nothing more. */
  hand(driver: Driver): void {
    this.#driver = driver
    driver.open(this.host.now)
    this.markDirty()
  }

  /**
   * All is written: FIN. With `linger` the peer's bytes are read out first, which matters when it may still be sending.
   */
  finish(reason: CloseReason, linger = false): void {
    if (this.#state !== State.OPEN && this.#state !== State.SETTING_UP) return
    this.#reason = reason
    if (!linger) {
      this.#end()
      return
    }
    this.#enter(State.CLOSING)
    this.#lingerDeadline = this.host.now + LINGER_MS
    this.markDirty()
  }

  /** Closes at once. */
  fail(reason: CloseReason, error: Error | null): void {
    if (this.#state === State.ENDED) return
    this.#reason = reason
    this.#error = error
    this.#end()
  }

  /** Closes at once, with a reset instead of a FIN. */
  reset(reason: CloseReason, error: Error | null = null): void {
    const { fd } = this.stream
    if (fd >= 0) this.host.kernel.setOption(fd, SocketOption.LINGER, 0)
    this.fail(reason, error)
  }

  /** Lets the descriptor go without closing it. What was read and not used is the driver's to pass on. */
  release(): number {
    const fd = this.stream.socket.release()
    this.#reason = 'handed-over'
    this.#end()
    return fd
  }

  drain(): void {
    if (this.#state !== State.OPEN) return
    this.#driver?.drain(this.host.now)
    this.markDirty()
  }

  // What the engine asks for

  start(_now: number): void {
    if (this.#setup === null) this.#open()
  }

  run(now: number, readiness: number): void {
    if (this.#state === State.SETTING_UP) this.#setUp(now)
    if (this.#state === State.OPEN) this.#driver?.run(now, readiness)
    if (this.#state === State.CLOSING) this.#runClosing(now)
    this.#arm()
  }

  expired(_timer: number, now: number): void {
    if (now < this.#deadline) return
    if (this.#state === State.OPEN) this.#driver?.expired(now)
    else if (this.#state === State.SETTING_UP) this.fail('timeout', this.#setup?.failure?.error ?? null)
    else this.#end()
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

  abort(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    if (this.host.closed) this.fail('shutdown', null)
    else this.reset('aborted', error)
  }

  get #deadline(): number {
    switch (this.#state) {
      case State.SETTING_UP:
        return this.#setup?.deadline ?? Number.POSITIVE_INFINITY
      case State.OPEN:
        return (this.#driver as Driver).deadline
      default:
        return this.#lingerDeadline
    }
  }

  #arm(): void {
    if (this.#state === State.ENDED) return
    const deadline = this.#deadline
    if (deadline < this.timers.next) this.timers.set(WATCH, deadline)
  }

  #setUp(now: number): void {
    const setup = this.#setup as ConnectionSetup
    const status = setup.advance(now)
    if (status === FilterStatus.FAILED) this.fail(setup.failure?.reason ?? 'error', setup.failure?.error ?? null)
    else if (status === FilterStatus.DONE) this.#open()
  }

  #open(): void {
    this.#setup = null
    this.#enter(State.OPEN)
    this.#driver = this.subject.begin(this)
    this.#driver.open(this.host.now)
  }

  #runClosing(_now: number): void {
    const { host, stream } = this
    const again = -host.kernel.errno.EAGAIN
    const shut = stream.shutdownWrite()
    if (shut < 0 && shut !== again) {
      this.#end()
      return
    }
    for (let reads = 0; reads < READS_PER_RUN; reads++) {
      const received = stream.recv(host.scratch.id, 0, host.scratch.bytes.length)
      if (received === again) return
      this.#lingerBytes += Math.max(received, 0)
      if (received <= 0 || this.#lingerBytes > LINGER_BYTES_MAX) {
        this.#end()
        return
      }
    }
    this.markDirty()
  }

  /** The only end. */
  #end(): void {
    if (this.#state === State.ENDED) return
    this.#enter(State.ENDED)
    this.timers.clearAll()
    this.stream.close()
    this.host.retire(this.#task)
    if (!this.host.closed) this.#driver?.closed(this.#reason, this.#error)
    this.#driver = null
    if (!this.host.closed) this.subject.ended(this.#reason, this.#error)
  }

  #enter(state: State): void {
    this.#state = state
  }
}

/**
 * The connection as a pipe of bytes for the program: callbacks say that there is something to read or room to write.
 * It reads on demand only: a callback that does not read is not called again until somebody read. While nobody wants
 * bytes it still watches for the peer's end, with a peek, until bytes stand before it. User callbacks are called from
 * `open`, `run`, `expired`, `drain` and `closed`, never from inside a verb; each may change everything.
 */
import { MultiError } from '../../base/errors.ts'
import type { Host } from '../../multi/host.ts'
import { REPORTED } from '../../multi/machine.ts'
import { Interest, type WOULD_BLOCK } from '../../sys/readiness.ts'
import { systemError } from '../../sys/system-error.ts'
import { ByteReader } from './byte-reader.ts'
import type { CloseReason } from './close-reason.ts'
import type { ConnectionMachine } from './connection-machine.ts'
import type { Driver } from './driver.ts'
import { Outbox } from './outbox.ts'

/** Chunks told in one run, so that a fast sender does not starve the other machines. */
const CHUNKS_PER_RUN = 10
/** More than the kernel's socket buffer is of little use; Node's streams have the same mark. */
export const HIGH_WATER_MARK = 64 * 1024
/** A program that writes on, whatever `write` answers, is stopped here. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024
/** Up to this size a piece is composed with others into one send. */
const SMALL_BYTES_MAX = 16 * 1024

export interface ByteSettings {
  /** Nothing moved in either direction. 0: no limit. */
  readonly idleMs: number
  /** The peer takes nothing of what is to be sent. 0: no limit. */
  readonly writeStallMs: number
  readonly highWaterMark: number
}

/** Who awaits bytes instead of being called back. */
export interface ByteSession {
  readonly isReading: boolean
  /** Something may be there, the end included. */
  readable(): void
  drained(): void
  closed(error: Error | null): void
}

export type ByteCallback<Subject> = (connection: Subject) => void
export type DataCallback<Subject> = (connection: Subject, chunk: Uint8Array) => void
export type CloseCallback<Subject> = (connection: Subject, reason: CloseReason, error: Error | null) => void

export class ByteDriver<Subject extends object> implements Driver {
  onReadable: ByteCallback<Subject> | null = null
  onData: DataCallback<Subject> | null = null
  onWritable: ByteCallback<Subject> | null = null
  onEnd: ByteCallback<Subject> | null = null
  onTimeout: ByteCallback<Subject> | null = null
  onDrain: ByteCallback<Subject> | null = null
  onClose: CloseCallback<Subject> | null = null
  session: ByteSession | null = null
  /** The end of the peer's bytes does not close the connection, although no `onEnd` asks for that. */
  staysHalfOpen = false
  idleTimeoutMs: number
  readonly reader: ByteReader
  readonly #machine: ConnectionMachine
  readonly #subject: Subject
  readonly #settings: ByteSettings
  readonly #outbox: Outbox
  #onOpen: ByteCallback<Subject> | null = null
  #isPaused = false
  #isCorked = false
  #isRunning = false
  #isDraining = false
  /** `onReadable` was called and nobody read: it is not called again until somebody did. */
  #isUnheeded = false
  /** Bytes stand before the peer's end while nobody wants them: it cannot be seen. */
  #isBlind = false
  #isEndTold = false
  /** `write` answered "no more for now". */
  #isFull = false
  #isClosed = false
  #finWanted = false
  #finSent = false
  #closing: CloseReason | null = null
  #failure: Error | null = null
  #stalledFrom = 0
  #extendedTo = 0

  constructor(machine: ConnectionMachine, subject: Subject, settings: ByteSettings, head: Uint8Array | null = null) {
    this.#machine = machine
    this.#subject = subject
    this.#settings = settings
    this.idleTimeoutMs = settings.idleMs
    this.reader = new ByteReader(machine, head)
    this.#outbox = new Outbox(machine)
    machine.movedAt = machine.host.now
  }

  /** What the program does with a connection that is set up. */
  begin(onOpen: ByteCallback<Subject> | null): this {
    this.#onOpen = onOpen
    return this
  }

  // Verbs, within an entry of the engine. None of them calls a callback

  get host(): Host {
    return this.#machine.host
  }

  /** It takes and gives no bytes any more. */
  get isOver(): boolean {
    return !this.#machine.open && !this.#machine.settingUp
  }

  get writableLength(): number {
    return this.#outbox.pending
  }

  /** Reading or sending failed; the next run ends the connection. */
  get failure(): Error | null {
    return this.#failure ?? this.reader.failure
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** One of its callbacks may be on the stack. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  read(into: Uint8Array): number {
    return this.#afterReading(this.reader.read(into))
  }

  view(lengthMax: number): Uint8Array | 0 | typeof WOULD_BLOCK {
    return this.#afterReading(this.reader.view(lengthMax))
  }

  unread(bytes: Uint8Array): void {
    this.reader.unread(bytes)
    this.wake()
  }

  /**
   * Takes all; false when it is more than the mark now. The bytes are the caller's again. `atOnce` sends before it
   * returns; else the next run does, with whatever else is written until then.
   */
  write(bytes: Uint8Array, atOnce: boolean): boolean {
    if (this.#machine.ended || this.#failure !== null || this.#closing !== null) return false
    if (this.#finWanted) throw new MultiError('BAD_SOCKET', 'write: shutdownWrite was called before')
    const outbox = this.#outbox
    if (outbox.pending > UNSENT_BYTES_MAX) {
      throw new MultiError('BAD_SOCKET', `write: ${outbox.pending} bytes wait already; mind what write returns`)
    }
    if (outbox.pending === 0) this.#stalledFrom = this.#machine.host.now
    this.#take(bytes)
    if (atOnce || outbox.pending > this.#settings.highWaterMark) this.flush()
    if (outbox.pending > 0) this.wake()
    this.#isFull ||= outbox.pending > this.#settings.highWaterMark
    return !this.#isFull
  }

  pause(): void {
    this.#isPaused = true
    this.#settleOutside()
  }

  resume(): void {
    if (this.#isPaused) this.#machine.movedAt = this.#machine.host.now
    this.#isPaused = false
    this.heed()
  }

  cork(): void {
    this.#isCorked = true
  }

  uncork(): void {
    this.#isCorked = false
    this.wake()
  }

  shutdownWrite(): void {
    this.#finWanted = true
    this.wake()
  }

  /** Once all is sent. */
  close(reason: CloseReason): void {
    this.#isCorked = false
    this.#closing ??= reason
    if (this.#outbox.pending > 0) this.flush()
    if (this.#machine.open && this.#outbox.pending === 0) this.#finish()
    else this.wake()
  }

  extend(milliseconds: number, now: number): void {
    this.#extendedTo = Math.max(this.#extendedTo, now + milliseconds)
    this.#settleOutside()
  }

  /** Whatever was there to read is told anew. */
  heed(): void {
    this.#isUnheeded = false
    this.wake()
  }

  /** Something that decides what it waits for has changed. */
  wake(): void {
    this.#isBlind = false
    if (this.#isRunning) return
    this.#machine.markDirty()
    this.#settleOutside()
  }

  // What the machine asks for

  get dormant(): boolean {
    return this.wants() === Interest.NONE
  }

  get deadline(): number {
    const { idleTimeoutMs } = this
    const { writeStallMs } = this.#settings
    const idle = idleTimeoutMs > 0 && !this.#isPaused ? this.#machine.movedAt + idleTimeoutMs : Number.POSITIVE_INFINITY
    const waits = writeStallMs > 0 && this.#outbox.pending > 0 && !this.#isCorked
    const stall = waits ? this.#stalledFrom + writeStallMs : Number.POSITIVE_INFINITY
    return Math.max(Math.min(idle, stall), this.#extendedTo)
  }

  wants(): number {
    const watches = !this.reader.eof && (this.#wantsBytes() || !this.#isBlind)
    const sends = (this.#outbox.pending > 0 && !this.#isCorked) || (this.#finWanted && !this.#finSent)
    return (watches ? Interest.READABLE : Interest.NONE) | (sends ? Interest.WRITABLE : Interest.NONE)
  }

  open(_now: number): void {
    const onOpen = this.#onOpen
    this.#onOpen = null
    onOpen?.(this.#subject)
  }

  run(now: number, readiness: number): void {
    this.#isRunning = true
    try {
      const reported = (readiness & REPORTED) !== 0
      if (reported || this.reader.hasPending) this.#receive(reported)
      if (this.#machine.open && this.reader.eof) this.#tellEnd()
      if (this.#machine.open) this.#send(now)
      const { failure } = this
      if (failure !== null && this.#machine.open) this.#machine.fail('error', failure)
    } finally {
      this.#isRunning = false
    }
  }

  expired(now: number): void {
    this.onTimeout?.(this.#subject)
    if (!this.#machine.open || this.deadline > now) return
    const { host, stream } = this.#machine
    const isStalled = this.#outbox.pending > 0
    const syscall = isStalled ? 'send' : 'recv'
    const error = systemError(host.kernel, -host.kernel.errno.ETIMEDOUT, syscall, stream.peer ?? undefined)
    // What is not sent must not look like an orderly end.
    if (isStalled) this.#machine.reset('timeout', error)
    else this.#machine.fail('timeout', error)
  }

  drain(_now: number): void {
    this.#isDraining = true
    this.onDrain?.(this.#subject)
  }

  /** Idempotent: one that never opened hears of its end all the same. */
  closed(reason: CloseReason, error: Error | null): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#outbox.clear()
    this.session?.closed(error)
    if (!this.#machine.host.closed) this.onClose?.(this.#subject, reason, error)
  }

  #wantsBytes(): boolean {
    if (this.session?.isReading) return true
    if (this.#isPaused) return false
    return this.onData !== null || (this.onReadable !== null && !this.#isUnheeded)
  }

  #receive(reported: boolean): void {
    if (this.reader.eof && this.reader.head === null) return
    if (!this.#wantsBytes()) {
      if (reported && !this.#isBlind && !this.reader.eof) this.#isBlind = this.reader.lookForEnd()
    } else if (this.session?.isReading) this.session.readable()
    else if (this.onData !== null) this.#tellData()
    else this.#tellReadable()
  }

  #tellData(): void {
    const { host } = this.#machine
    const most = this.#machine.share(CHUNKS_PER_RUN)
    for (let chunks = 0; chunks < most; chunks++) {
      if (this.onData === null || this.#isPaused) return
      const chunk = this.reader.view(host.scratch.bytes.length)
      if (typeof chunk === 'number') return
      this.onData(this.#subject, chunk)
      if (!this.#machine.open) return
    }
    this.#machine.markDirty()
  }

  #tellReadable(): void {
    const { reads } = this.reader
    this.onReadable?.(this.#subject)
    if (this.reader.reads === reads) this.#isUnheeded = true
    else if (this.reader.hasPending && this.#machine.open) this.#machine.markDirty()
  }

  #tellEnd(): void {
    if (this.#isEndTold || this.reader.head !== null) return
    this.#isEndTold = true
    if (this.onEnd !== null) this.onEnd(this.#subject)
    else if (this.session === null && !this.staysHalfOpen) this.#closing ??= 'peer'
  }

  #send(now: number): void {
    if (this.#isCorked) return
    const before = this.#outbox.pending
    if (before > 0) this.flush()
    if (this.#outbox.pending < before) {
      this.#stalledFrom = now
      this.#machine.movedAt = now
    }
    if (this.#outbox.pending > 0 || this.#failure !== null) return
    if (this.#isFull) this.#tellWritable()
    if (!this.#machine.open || this.#outbox.pending > 0) return
    if (this.#closing !== null) this.#finish()
    else if (this.#finWanted) this.#sendFin()
  }

  #tellWritable(): void {
    this.#isFull = false
    this.session?.drained()
    this.onWritable?.(this.#subject)
    if (this.#machine.open && this.#outbox.pending > 0) this.flush()
  }

  #sendFin(): void {
    const { host, stream } = this.#machine
    if (!this.#finSent) {
      const result = stream.shutdownWrite()
      if (result === -host.kernel.errno.EAGAIN) return
      this.#finSent = true
      if (result < 0) this.#failure = stream.failure ?? systemError(host.kernel, result, 'shutdown')
    }
    if (this.reader.eof && this.reader.head === null && this.#failure === null) this.#machine.finish('done')
  }

  #finish(): void {
    this.#machine.finish(this.#closing ?? 'done', !this.reader.eof)
  }

  /** Into the outbox, copied; what is large goes out first as far as it does, without a copy. */
  #take(bytes: Uint8Array): void {
    const { machine, outbox } = { machine: this.#machine, outbox: this.#outbox }
    if (!machine.open) {
      outbox.bytes(bytes.slice())
      outbox.spill()
      return
    }
    if (bytes.length <= SMALL_BYTES_MAX) {
      const memory = outbox.compose(bytes.length)
      if (memory === null) outbox.bytes(bytes.slice())
      else {
        memory.set(bytes, outbox.composedEnd)
        outbox.composed(outbox.composedEnd + bytes.length)
      }
      return
    }
    if (!this.#isCorked) this.flush()
    let sent = 0
    if (outbox.pending === 0 && !this.#isCorked && this.#failure === null) sent = this.#sendNow(bytes)
    if (sent < bytes.length) outbox.bytes(bytes.slice(sent))
  }

  #sendNow(bytes: Uint8Array): number {
    const { host, stream } = this.#machine
    const sent = stream.sendBytes(bytes, 0, bytes.length)
    if (sent >= 0) {
      this.#machine.bytesWritten += sent
      return sent
    }
    if (sent !== -host.kernel.errno.EAGAIN) this.#failSending(sent)
    return 0
  }

  /** Sends what waits, as far as it goes. A failure shows in the next run. */
  flush(): void {
    if (!this.#machine.open || this.#isCorked) return
    const result = this.#outbox.flush()
    if (result < 0 && result !== -this.#machine.host.kernel.errno.EAGAIN) this.#failSending(result)
  }

  #failSending(result: number): void {
    const { host, stream } = this.#machine
    this.#failure ??= stream.failure ?? systemError(host.kernel, result, 'send', stream.peer ?? undefined)
    this.#outbox.clear()
    this.wake()
  }

  #afterReading<Result>(result: Result): Result {
    this.#isUnheeded = false
    if (this.#isRunning) return result
    if (this.reader.eof || this.reader.failure !== null) this.wake()
    else this.#settleOutside()
    return result
  }

  /** Inside a run the engine asks afterwards; elsewhere it must be told. */
  #settleOutside(): void {
    if (!this.#isRunning && this.#machine.open) this.#machine.settle()
  }
}

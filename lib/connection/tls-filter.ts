/**
 * TLS as a layer on any other, itself included. Plaintext is decrypted straight into the caller's memory. A send takes
 * whole records: what the layer below took in part is kept, and its plaintext counts as sent when the rest is gone, so
 * whoever was told EAGAIN waits for exactly what is needed. A stream that ends without close_notify was perhaps cut:
 * recv then answers -EPROTO and `failure` is a RECV_ERROR; after close_notify it answers 0.
 */
import type { TransferError } from '../base/errors.ts'
import type { InterestSet } from '../multi/machine.ts'
import { Interest } from '../sys/readiness.ts'
import { systemError } from '../sys/system-error.ts'
import {
  PIECE_BYTES,
  TlsAnswer,
  type TlsDescription,
  type TlsEngine,
  TlsFlag,
  type TlsMemory,
  TlsStatus,
} from '../sys/tls.ts'
import { type Filter, FilterStatus } from './filter.ts'
import { handshakeBroken, handshakeEnded, type TlsPhase, tlsFailure, truncated } from './tls-failure.ts'
import type { TlsService } from './tls-service.ts'

/** Reads of one call that bring no plaintext: what only dribbles is looked at again when more is there. */
const FRUITLESS_READS_MAX = 16
/** More than a record, so that a small read does not take ciphertext apart. */
const INPUT_BYTES_MIN = PIECE_BYTES + 512
const NOTHING = new Uint8Array(0)

const State = { HANDSHAKING: 0, ESTABLISHED: 1, FAILED: 2, CLOSED: 3 } as const
type State = (typeof State)[keyof typeof State]

export interface TlsFilterOptions {
  readonly service: TlsService
  readonly engine: TlsEngine
  /** For messages: 'example.com:443'. */
  readonly peer: string
  readonly isServer: boolean
  /** Where sessions go; null keeps none. */
  readonly sessionKey: string | null
  /** Of a server: called once with the name that the client asked for; may call `engine.useContext`. */
  readonly onServerName?: ((name: string, engine: TlsEngine) => void) | null
}

export class TlsFilter implements Filter {
  readonly #lower: Filter
  readonly #options: TlsFilterOptions
  readonly #service: TlsService
  readonly #engine: TlsEngine
  #state: State = State.HANDSHAKING
  #failure: Error | null = null
  /** The ClientHello was written: from now on the peer speaks next. */
  #begun: boolean
  /** Complete on our side, but perhaps not sent. */
  #agreed = false
  /** TlsFlag of the last call. */
  #flags = 0
  #closeSent = false
  /** Ciphertext that the layer below did not take yet. */
  #unsent: Uint8Array = NOTHING
  #unsentAt = 0
  /** Plaintext in `#unsent` that the caller still believes to be his. */
  #owed = 0
  #description: TlsDescription | null = null

  constructor(lower: Filter, options: TlsFilterOptions) {
    this.#lower = lower
    this.#options = options
    this.#service = options.service
    this.#engine = options.engine
    this.#begun = options.isServer
  }

  get failure(): Error | null {
    return this.#failure ?? this.#lower.failure
  }

  get hasPending(): boolean {
    return (this.#flags & TlsFlag.PENDING) !== 0 || this.#lower.hasPending
  }

  /** What was agreed on; null before the handshake is complete. */
  get description(): TlsDescription | null {
    return this.#description
  }

  /** OpenSSL's verdict on the peer's chain: 0 when it holds, or when nobody looked. */
  get verifyResult(): number {
    if (this.#description !== null) return this.#description.verifyResult
    return this.#state === State.FAILED ? this.#engine.failure.verifyResult : 0
  }

  /** Of a server: the name that the client asked for; '' when none, and once closed. */
  get askedName(): string {
    return this.#state === State.CLOSED ? '' : this.#engine.askedName()
  }

  /** The peer's chain in DER, its own certificate first. */
  certificates(): Uint8Array[] {
    return this.#state === State.CLOSED ? [] : this.#engine.certificates()
  }

  connect(now: number): FilterStatus {
    if (this.#state === State.ESTABLISHED) return FilterStatus.DONE
    if (this.#state !== State.HANDSHAKING) return FilterStatus.FAILED
    const below = this.#lower.connect(now)
    if (below !== FilterStatus.DONE) return below
    const memory = this.#service.borrow()
    try {
      return this.#shakeHands(memory)
    } finally {
      this.#service.giveBack()
    }
  }

  interest(wants: number, into: InterestSet): void {
    const blocked = this.#unsentAt < this.#unsent.length ? Interest.WRITABLE : Interest.NONE
    if (this.#state === State.HANDSHAKING) this.#lower.interest(Interest.READABLE | blocked, into)
    // Whoever wants nothing has nothing to lose by ciphertext that waits.
    else this.#lower.interest(wants === Interest.NONE ? Interest.NONE : wants | blocked, into)
  }

  recv(bufferId: number, offset: number, length: number): number {
    if (this.#state !== State.ESTABLISHED) return this.#notEstablished()
    if (length === 0) return 0
    // An answer to a key update may wait here while the owner only reads. When it cannot be sent, reading tells why.
    if (this.#unsentAt < this.#unsent.length) this.#flush()
    const bytes = this.#service.bytesOf(bufferId)
    const memory = this.#service.borrow()
    try {
      return this.#receive(memory, bytes, offset, length)
    } finally {
      this.#service.giveBack()
    }
  }

  send(bufferId: number, offset: number, length: number): number {
    return this.sendBytes(this.#service.bytesOf(bufferId), offset, length)
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    if (this.#state !== State.ESTABLISHED) return this.#notEstablished()
    if (this.#closeSent) return -this.#errno().EPIPE
    if (length === 0) return 0
    const flushed = this.#flush()
    if (flushed < 0) return flushed
    if (this.#owed > 0) {
      const told = Math.min(this.#owed, length)
      this.#owed -= told
      return told
    }
    const memory = this.#service.borrow()
    try {
      return this.#transmit(memory, bytes, offset, length)
    } finally {
      this.#service.giveBack()
    }
  }

  /** close_notify, then the end of what is below. */
  shutdownWrite(): number {
    if (this.#state !== State.ESTABLISHED) return this.#notEstablished()
    let result = this.#flush()
    if (result < 0) return result
    if (!this.#closeSent) {
      result = this.#sendClose()
      if (result < 0) return result
    }
    return this.#lower.shutdownWrite()
  }

  /** Tickets and key updates are no stray bytes. Data, close_notify, an end or an error make a stream unusable. */
  checkIdle(): boolean {
    if (this.#state !== State.ESTABLISHED || this.#closeSent) return false
    const memory = this.#service.borrow()
    try {
      return this.#isQuiet(memory)
    } finally {
      this.#service.giveBack()
    }
  }

  close(): void {
    if (this.#state === State.CLOSED) return
    // A courtesy, tried once: whoever wants to be sure calls shutdownWrite.
    if (this.#state === State.ESTABLISHED && !this.#closeSent && this.#flush() >= 0) this.#sendClose()
    this.#state = State.CLOSED
    this.#engine.close()
    this.#lower.close()
    this.#unsent = NOTHING
    this.#unsentAt = 0
  }

  #errno(): TlsService['host']['kernel']['errno'] {
    return this.#service.host.kernel.errno
  }

  #notEstablished(): number {
    return this.#state === State.FAILED ? -this.#errno().EPROTO : -this.#errno().ENOTCONN
  }

  #shakeHands(memory: TlsMemory): FilterStatus {
    const again = -this.#errno().EAGAIN
    const flushed = this.#flush()
    if (flushed < 0) return flushed === again ? FilterStatus.PENDING : this.#failBelow(flushed, 'send')
    if (this.#agreed) return this.#establish()
    let received = 0
    for (;;) {
      if (this.#begun) {
        received = this.#lower.recv(memory.input.id, 0, memory.input.bytes.length)
        if (received === again) return FilterStatus.PENDING
        if (received === 0) return this.#fail(handshakeEnded(this.#options.peer))
        if (received < 0) return this.#failBelow(received, 'recv')
      }
      this.#begun = true
      const answer = this.#advance(memory, received)
      const sent = this.#push(memory)
      if (answer === TlsAnswer.FAILED) return this.#failInside('SSL_CONNECT_ERROR')
      if (sent < 0 && sent !== again) return this.#failBelow(sent, 'send')
      this.#agreed = answer === TlsAnswer.DONE
      if (sent === again) return FilterStatus.PENDING
      if (this.#agreed) return this.#establish()
    }
  }

  /** One step of the handshake, and those that need nothing from the peer. */
  #advance(memory: TlsMemory, received: number): number {
    let answer = this.#engine.handshake(memory, received)
    if (answer === TlsAnswer.CHOOSE_CONTEXT) {
      this.#options.onServerName?.(this.#engine.askedName(), this.#engine)
      answer = this.#engine.handshake(memory, 0)
    }
    return answer
  }

  #establish(): FilterStatus {
    this.#state = State.ESTABLISHED
    this.#description = this.#engine.describe()
    return FilterStatus.DONE
  }

  #receive(memory: TlsMemory, bytes: Uint8Array, offset: number, length: number): number {
    const again = -this.#errno().EAGAIN
    const wanted = Math.min(memory.input.bytes.length, Math.max(length + 512, INPUT_BYTES_MIN))
    for (let reads = 0; reads < FRUITLESS_READS_MAX; reads++) {
      let received = 0
      if ((this.#flags & TlsFlag.PENDING) === 0) {
        received = this.#lower.recv(memory.input.id, 0, wanted)
        if (received === 0) return this.#endOfStream()
        if (received < 0) return received
      }
      const count = this.#engine.read(memory, received, bytes, offset, length)
      this.#push(memory)
      if (count >= 0) return count
      if (count === TlsAnswer.FAILED) return this.#failReading()
      // Less than was asked for emptied what is below.
      if (received > 0 && received < wanted && !this.#lower.hasPending) return again
    }
    return again
  }

  #transmit(memory: TlsMemory, bytes: Uint8Array, offset: number, length: number): number {
    const { status, output } = memory
    const taken = this.#engine.write(memory, bytes, offset, length)
    this.#flags = status[TlsStatus.FLAGS] as number
    if (taken === TlsAnswer.FAILED) {
      this.#failInside('SEND_ERROR')
      return -this.#errno().EPROTO
    }
    const end = status[TlsStatus.OUTPUT] as number
    const sent = end === 0 ? 0 : this.#lower.send(output.id, 0, end)
    if (sent === end) return taken >= 0 ? taken : -this.#errno().EAGAIN
    if (sent < 0 && sent !== -this.#errno().EAGAIN) return sent
    this.#keep(output.bytes, Math.max(sent, 0), end)
    if (taken < 0) return -this.#errno().EAGAIN
    let complete = 0
    const pieces = status[TlsStatus.PIECE_COUNT] as number
    while (complete < pieces && (status[TlsStatus.PIECE_ENDS + complete] as number) <= sent) complete++
    const gone = complete * PIECE_BYTES
    this.#owed = taken - gone
    return gone > 0 ? gone : -this.#errno().EAGAIN
  }

  #isQuiet(memory: TlsMemory): boolean {
    const { bytes } = this.#service.host.scratch
    for (let reads = 0; reads < FRUITLESS_READS_MAX; reads++) {
      let received = 0
      if ((this.#flags & TlsFlag.PENDING) === 0) {
        received = this.#lower.recv(memory.input.id, 0, INPUT_BYTES_MIN)
        if (received <= 0) return received === -this.#errno().EAGAIN
      }
      const count = this.#engine.read(memory, received, bytes, 0, 1)
      this.#push(memory)
      if (count !== TlsAnswer.AGAIN) return false
    }
    return false
  }

  /** Sends what a call left, or keeps it. 0, or what the layer below answered. */
  #push(memory: TlsMemory): number {
    const { status, output } = memory
    this.#flags = status[TlsStatus.FLAGS] as number
    if ((this.#flags & TlsFlag.HAS_SESSIONS) !== 0) this.#keepSessions()
    const end = status[TlsStatus.OUTPUT] as number
    if (end === 0) return 0
    // Never before what waits already.
    const flushed = this.#flush()
    const sent = flushed < 0 ? flushed : this.#lower.send(output.id, 0, end)
    if (sent === end) return (this.#flags & TlsFlag.MORE_OUTPUT) === 0 ? 0 : this.#pushMore(memory)
    if (sent < 0 && sent !== -this.#errno().EAGAIN) return sent
    this.#keep(output.bytes, Math.max(sent, 0), end)
    return -this.#errno().EAGAIN
  }

  /** A long chain of certificates does not fit into the memory at once. */
  #pushMore(memory: TlsMemory): number {
    this.#engine.handshake(memory, 0)
    return this.#push(memory)
  }

  #keep(bytes: Uint8Array, from: number, end: number): void {
    const rest = bytes.subarray(from, end)
    const waiting = this.#unsent.subarray(this.#unsentAt)
    if (waiting.length === 0) this.#unsent = new Uint8Array(rest)
    else {
      this.#unsent = new Uint8Array(waiting.length + rest.length)
      this.#unsent.set(waiting)
      this.#unsent.set(rest, waiting.length)
    }
    this.#unsentAt = 0
  }

  /** 0 when nothing waits any more, else -errno. */
  #flush(): number {
    while (this.#unsentAt < this.#unsent.length) {
      const sent = this.#lower.sendBytes(this.#unsent, this.#unsentAt, this.#unsent.length - this.#unsentAt)
      if (sent < 0) return sent
      this.#unsentAt += sent
    }
    if (this.#unsent !== NOTHING) {
      this.#unsent = NOTHING
      this.#unsentAt = 0
    }
    return 0
  }

  #sendClose(): number {
    const memory = this.#service.borrow()
    try {
      this.#engine.shutdown(memory)
      this.#closeSent = true
      return this.#push(memory)
    } finally {
      this.#service.giveBack()
    }
  }

  #keepSessions(): void {
    const { sessionKey } = this.#options
    for (let session = this.#engine.takeSession(); session !== null; session = this.#engine.takeSession()) {
      if (sessionKey === null) session.release()
      else this.#service.sessions.put(sessionKey, session)
    }
  }

  #endOfStream(): number {
    if ((this.#flags & TlsFlag.PEER_CLOSED) !== 0) return 0
    this.#fail(truncated(this.#options.peer))
    return -this.#errno().EPROTO
  }

  #failReading(): number {
    this.#failInside('RECV_ERROR')
    return -this.#errno().EPROTO
  }

  #failInside(phase: TlsPhase): FilterStatus {
    return this.#fail(tlsFailure(this.#engine.failure, phase, this.#options.peer))
  }

  #failBelow(result: number, syscall: string): FilterStatus {
    // A layer that knows better says so.
    if (this.#lower.failure !== null) return this.#fail(this.#lower.failure)
    const cause = systemError(this.#service.host.kernel, result, syscall)
    return this.#fail(handshakeBroken(this.#options.peer, cause))
  }

  #fail(failure: Error | TransferError): FilterStatus {
    const { sessionKey } = this.#options
    // What the server did not like may be the session.
    if (this.#state === State.HANDSHAKING && sessionKey !== null) this.#service.sessions.forget(sessionKey)
    this.#state = State.FAILED
    this.#failure = failure
    return FilterStatus.FAILED
  }
}

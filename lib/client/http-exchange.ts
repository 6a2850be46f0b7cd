/**
 * One request and its response on a stream that is ready. Both directions go on at once: a server may answer before it
 * has read the whole request. Ends DONE or FAILED; afterwards `reusable` says whether the stream can serve again.
 */
import type { TransferCodeName } from '../base/errors.ts'
import type { ByteStream } from '../connection/stream.ts'
import { streamError } from '../connection/stream-error.ts'
import type { Host } from '../multi/host.ts'
import { REPORTED } from '../multi/machine.ts'
import type { PutOff } from '../multi/send-batch.ts'
import { attachment } from '../multi/subject.ts'
import { Interest } from '../sys/readiness.ts'
import type { HeaderList } from '../wire/http1/header-list.ts'
import { Expectation, expectsContinue } from './expectation.ts'
import type { Flow } from './flow.ts'
import type { FollowUp } from './follow-up.ts'
import { Pace } from './pace.ts'
import type { Principal } from './principal.ts'
import type { RequestPlan } from './request-plan.ts'
import { RequestSender, SendStatus } from './request-sender.ts'
import { ReceiveStatus, ResponseReceiver } from './response-receiver.ts'
import type { TransferInfo } from './transfer-info.ts'
import type { TransferSettings } from './transfer-settings.ts'

export const ExchangeStatus = { PENDING: 0, DONE: 1, FAILED: 2, YIELDED: 3 } as const
export type ExchangeStatus = (typeof ExchangeStatus)[keyof typeof ExchangeStatus]

export interface ExchangeFailure {
  readonly code: TransferCodeName
  readonly message: string
  readonly cause?: unknown
}

export class HttpExchange implements PutOff {
  failure: ExchangeFailure | null = null
  /** After DONE: the stream can carry another exchange. */
  reusable = false
  sent = false
  readonly #host: Host
  readonly #stream: ByteStream
  readonly #flow: Flow
  readonly #settings: TransferSettings
  readonly #info: TransferInfo
  readonly #principal: Principal
  /** null: nothing about it needs a clock. */
  readonly #pace: Pace | null
  readonly #sender: RequestSender
  readonly #receiver: ResponseReceiver
  /** The body callback has nothing; `resume('send')` asks it again. */
  #starved = false
  /** For the server's 100, or for ever. */
  #bodyWaits = false
  /** Something of it was paused since the last look at its speed. */
  #rested = false
  /** -errno with which sending failed. The answer may be here all the same. */
  #sendResult = 0
  /** The response is complete; only the rest of the request is still to be sent. */
  #isDraining = false

  constructor(
    host: Host,
    stream: ByteStream,
    settings: TransferSettings,
    plan: RequestPlan,
    principal: Principal,
    followUp: FollowUp | null,
  ) {
    this.#host = host
    this.#stream = stream
    this.#flow = principal.flow
    this.#settings = settings
    this.#info = principal.info
    this.#principal = principal
    const expects = expectsContinue(plan)
    const pace = expects || settings.bodies.pace !== null ? new Pace(settings.bodies.pace, host.now) : null
    if (pace !== null && expects) pace.expectation = Expectation.WAITING
    this.#pace = pace
    this.#sender = new RequestSender(host, stream, settings, plan, principal, pace)
    this.#receiver = new ResponseReceiver(host, stream, settings, plan, principal, followUp, pace)
  }

  /** Sends what can be sent at once. Nothing is read yet: the answer is hardly here, and readiness will tell. */
  start(): ExchangeStatus {
    const status = this.#sendFurther(this.#sender.start(this))
    return this.#pace === null ? status : this.#checkPace(this.#pace, status)
  }

  /** The request was put off. If it did not go as a whole, the transfer runs again. */
  departed(result: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#sender.departed(result, bytes, start, end)) return
    this.sent = false
    this.#info.postTransferTime = 0
    this.#sendResult = this.#sender.result
    const { task } = this.#principal[attachment]
    if (task !== null) this.#host.markDirty(task)
  }

  run(readiness: number): ExchangeStatus {
    if (this.#pace === null) return this.#move(readiness)
    const due = this.#checkPace(this.#pace, ExchangeStatus.PENDING)
    if (due === ExchangeStatus.FAILED) return due
    const wasWaiting = this.#pace.expectation === Expectation.WAITING
    let status = this.#move(readiness)
    if (wasWaiting && this.#pace.expectation === Expectation.NONE && status === ExchangeStatus.PENDING) {
      status = this.#move(0)
    }
    return this.#checkPace(this.#pace, status)
  }

  #move(readiness: number): ExchangeStatus {
    let yielded = false
    if (!this.sent && this.#sendResult === 0 && !this.#flow.sendPaused) {
      const status = this.#sendFurther(this.#sender.run())
      if (status === ExchangeStatus.FAILED) return status
      yielded = status === ExchangeStatus.YIELDED
    }
    if (this.#isDraining) return this.#drain(yielded)
    // Whoever takes no more may have said why: an answer, or an alert of TLS.
    const status = this.#receiver.run(this.#sendResult === 0 ? readiness : REPORTED)
    if (status === ReceiveStatus.DONE) return this.#keepsSending() ? this.#drain(true) : this.#finish()
    if (status === ReceiveStatus.FAILED) return this.#failReceive()
    if (this.#sendResult !== 0 && !this.#flow.receivePaused) return this.#failSend()
    return yielded || status === ReceiveStatus.YIELDED ? ExchangeStatus.YIELDED : ExchangeStatus.PENDING
  }

  /** Interest, given what is paused. */
  wants(): number {
    const pace = this.#pace
    const rests = this.#isDraining || this.#flow.receivePaused || pace?.receiveHeld
    const read = rests ? Interest.NONE : Interest.READABLE
    const held = this.#bodyWaits || pace?.sendHeld
    const blocked = !this.sent && !this.#starved && !this.#flow.sendPaused && !held
    return read | (blocked ? Interest.WRITABLE : Interest.NONE)
  }

  /** Nothing can happen until the user resumes. */
  get dormant(): boolean {
    if (!this.#isDraining && !this.#flow.receivePaused) return false
    return this.sent || this.#flow.sendPaused || this.#starved || this.#bodyWaits
  }

  /** Whether `deadline` is of any interest. */
  get isPaced(): boolean {
    return this.#pace !== null
  }

  /** When it must run although nothing became ready. */
  deadline(): number {
    const { receivePaused, sendPaused } = this.#flow
    return this.#pace?.deadline(receivePaused, sendPaused || this.sent) ?? Number.POSITIVE_INFINITY
  }

  /** After DONE: the server does not take the expectation; the request is to be sent again without it. */
  get expectationRefused(): boolean {
    return this.#pace?.expectation === Expectation.REFUSED
  }

  /** Of the final head; 0 before it came. */
  get status(): number {
    const { reader } = this.#receiver
    return reader.headersSeen ? reader.status : 0
  }

  /** Of the last head. */
  get headers(): HeaderList {
    return this.#receiver.reader.headers
  }

  /** After DONE: a copy of what came behind the response, the beginning of another protocol after an upgrade. */
  takeRest(): Uint8Array {
    return this.#receiver.takeRest()
  }

  /** The peer has begun to answer: beginning again would ask it twice. */
  get answered(): boolean {
    return this.#receiver.reader.started
  }

  /** The kernel took no byte of the request. */
  get untouched(): boolean {
    return !this.#sender.touched
  }

  /** The body callback was asked: to send the body a second time, it must begin again. */
  get pulled(): boolean {
    return this.#sender.pulled
  }

  close(): void {
    this.#sender.close()
    this.#receiver.close()
  }

  /** Timeouts, after and before it moves. `status` unless one is over. */
  #checkPace(pace: Pace, status: ExchangeStatus): ExchangeStatus {
    if (status === ExchangeStatus.DONE || status === ExchangeStatus.FAILED) return status
    const { now } = this.#host
    const { receivePaused, sendPaused } = this.#flow
    const { bytesReceived, bytesSent, headBytes } = this.#info
    const awaitsHead = this.sent && !this.#receiver.reader.headersSeen
    const isPaused = receivePaused || (sendPaused && !this.sent)
    this.#rested ||= isPaused
    const complaint = pace.check(now, bytesReceived + bytesSent + headBytes, awaitsHead, receivePaused, this.#rested)
    if (pace.looked) this.#rested = isPaused
    return complaint === null ? status : this.#fail('OPERATION_TIMEDOUT', complaint)
  }

  #sendFurther(status: SendStatus): ExchangeStatus {
    this.#starved = false
    this.#bodyWaits = false
    switch (status) {
      case SendStatus.DONE:
        this.sent = true
        return ExchangeStatus.PENDING
      case SendStatus.BLOCKED:
        return ExchangeStatus.PENDING
      case SendStatus.WAITING:
        this.#pace?.waitForContinue(this.#host.now + this.#settings.bodies.expectTimeoutMs)
        this.#bodyWaits = true
        return ExchangeStatus.PENDING
      case SendStatus.YIELDED:
        return ExchangeStatus.YIELDED
      case SendStatus.PAUSED:
        this.#starved = true
        this.#flow.sendPaused = true
        return ExchangeStatus.PENDING
      case SendStatus.FAILED:
        return this.#sendFailed()
    }
  }

  #sendFailed(): ExchangeStatus {
    const { misuse, result } = this.#sender
    if (misuse !== null) return this.#fail('READ_ERROR', misuse.message, misuse)
    this.#sendResult = result
    return ExchangeStatus.YIELDED
  }

  #keepsSending(): boolean {
    const awaitsWord = this.#pace !== null && this.#pace.expectation !== Expectation.NONE
    const isPossible = !this.sent && this.#sendResult === 0 && !this.#receiver.abandoned && !awaitsWord
    return isPossible && this.#settings.bodies.keepsSending
  }

  /** What ends the sending now does not matter any more. */
  #drain(yielded: boolean): ExchangeStatus {
    this.#isDraining = true
    if (this.sent || this.#sendResult !== 0) return this.#finish()
    return yielded ? ExchangeStatus.YIELDED : ExchangeStatus.PENDING
  }

  #finish(): ExchangeStatus {
    const { reader, abandoned } = this.#receiver
    this.reusable =
      this.sent &&
      !abandoned &&
      reader.keepAlive &&
      !reader.upgrade &&
      reader.unread() === 0 &&
      !this.#stream.hasPending &&
      (!this.#isDraining || this.#isSilent())
    return ExchangeStatus.DONE
  }

  /** Nothing came while nobody read. */
  #isSilent(): boolean {
    const { scratch, kernel } = this.#host
    return this.#stream.recv(scratch.id, 0, scratch.bytes.length) === -kernel.errno.EAGAIN
  }

  #failReceive(): ExchangeStatus {
    const { result, reader, fault } = this.#receiver
    if (fault !== null) return this.#fail(fault.code, fault.message, fault.cause)
    if (result === 0) {
      const { error } = reader
      if (error === null) throw new Error('a reader that failed says why')
      return this.#sendResult !== 0 && !reader.started ? this.#failSend() : this.#fail(error.code, error.message)
    }
    if (this.#sendResult !== 0 && !reader.started) return this.#failSend()
    return this.#failStream(result, 'RECV_ERROR', 'recv')
  }

  #failSend(): ExchangeStatus {
    return this.#failStream(this.#sendResult, 'SEND_ERROR', 'send')
  }

  #failStream(result: number, code: TransferCodeName, syscall: string): ExchangeStatus {
    const cause = streamError(this.#host.kernel, this.#stream, result, code, syscall)
    return this.#fail(cause.code, cause.message, cause)
  }

  #fail(code: TransferCodeName, message: string, cause?: unknown): ExchangeStatus {
    this.failure = { code, message, cause }
    return ExchangeStatus.FAILED
  }
}

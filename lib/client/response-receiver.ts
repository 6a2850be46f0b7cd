/**
 * Receives one response: reads into the host's scratch memory, lets the codec find events, hands them to the user's
 * callbacks. A pause in the middle of what was read keeps the rest in memory of its own, until it goes on. Readers of
 * responses are kept for reuse, so that a connection at rest holds none.
 */
import type { ByteStream } from '../connection/stream.ts'
import { Facility, type Host } from '../multi/host.ts'
import { REPORTED } from '../multi/machine.ts'
import { ResponseEvent, ResponseReader } from '../wire/http1/response-reader.ts'
import type { ResponseRules } from './body-settings.ts'
import { Expectation } from './expectation.ts'
import type { Flow } from './flow.ts'
import type { FollowUp } from './follow-up.ts'
import { type Fault, HeadVerdict, judgeHead } from './head-verdict.ts'
import type { Pace } from './pace.ts'
import type { Principal, TransferCallbacks } from './principal.ts'
import { redirectUrl } from './redirect.ts'
import type { RequestPlan } from './request-plan.ts'
import { BodyStatus, ResponseBody } from './response-body.ts'
import type { TransferInfo } from './transfer-info.ts'
import type { ResponseHead } from './transfer-options.ts'
import { HEAD_BYTES_MAX, type TransferSettings } from './transfer-settings.ts'

/** Reads of one run (curl's figure), so that a fast sender does not starve the other machines. */
const READS_PER_RUN = 10
/** Readers kept for reuse; more are in use only while more transfers run at once. */
const IDLE_READERS_MAX = 256

/** A body that nobody wants is received up to here, to keep the connection; a longer one costs more than a new one. */
const IGNORED_BYTES_MAX = 64 * 1024

export const ReceiveStatus = {
  /** Nothing more is here now. */
  BLOCKED: 0,
  /** The response is complete. */
  DONE: 1,
  /** See `reader.error`, or `result`. */
  FAILED: 2,
  /** The budget is used up; run again. */
  YIELDED: 3,
} as const
export type ReceiveStatus = (typeof ReceiveStatus)[keyof typeof ReceiveStatus]

const readers: Facility<ResponseReader[]> = new Facility<ResponseReader[]>(() => [])

const NOTHING = new Uint8Array(0)

export class ResponseReceiver {
  readonly reader: ResponseReader
  /** -errno of the read that failed; 0 when the bytes themselves were at fault. */
  result = 0
  /** What the reader was lent last. */
  #lent: Uint8Array = NOTHING
  /** A pause stopped the telling; `#lent` is memory of our own from then on. */
  #stopped = false
  #endOfStream = false
  /** The last run stopped with more to read. */
  #mayHaveMore = false
  /** The body was left where it is: the stream is of no use any more. */
  abandoned = false
  /** What is wrong with the response by the rules of the transfer, though its bytes are right. */
  fault: Fault | null = null
  /** null: its bytes are told as they are. */
  #body: ResponseBody | null = null
  /** Of a response that another request follows. */
  #isIgnored = false
  #ignoredBytes = 0
  readonly #host: Host
  readonly #stream: ByteStream
  readonly #settings: TransferSettings
  readonly #plan: RequestPlan
  readonly #info: TransferInfo
  readonly #flow: Flow
  readonly #principal: Principal
  readonly #callbacks: TransferCallbacks
  readonly #followUp: FollowUp | null
  readonly #pace: Pace | null

  constructor(
    host: Host,
    stream: ByteStream,
    settings: TransferSettings,
    plan: RequestPlan,
    principal: Principal,
    followUp: FollowUp | null,
    pace: Pace | null,
  ) {
    this.#host = host
    this.#stream = stream
    this.#settings = settings
    this.#plan = plan
    this.#info = principal.info
    this.#flow = principal.flow
    this.#principal = principal
    this.#callbacks = principal.callbacks
    this.#followUp = followUp
    this.#pace = pace
    this.reader = takeReader(host, settings)
    this.reader.reset(plan.method)
  }

  run(readiness: number): ReceiveStatus {
    if (this.#flow.receivePaused) return ReceiveStatus.BLOCKED
    if (this.#stopped) {
      this.#stopped = false
      const status = this.#body === null ? this.#tellEvents() : this.#goOn(this.#body)
      if (status !== ReceiveStatus.YIELDED) return this.#unlessYielded(status)
      this.#mayHaveMore = true
    }
    if (this.#endOfStream) return this.#unlessYielded(this.#tellEndOfStream())
    if ((readiness & REPORTED) === 0 && !this.#mayHaveMore && !this.#stream.hasPending) return ReceiveStatus.BLOCKED
    return this.#unlessYielded(this.#read())
  }

  /** A copy of the bytes behind the response. */
  takeRest(): Uint8Array {
    const { consumed } = this.reader
    return this.#lent.slice(consumed, consumed + this.reader.unread())
  }

  /** Gives the reader back, to serve any connection: it takes nothing along. */
  close(): void {
    this.#body?.close()
    const idle = this.#host.facility(readers)
    if (this.#settings.maxHeadBytes !== HEAD_BYTES_MAX || idle.length >= IDLE_READERS_MAX) return
    this.reader.recycle()
    idle.push(this.reader)
  }

  #read(): ReceiveStatus {
    const { scratch, kernel } = this.#host
    const { bytes } = scratch
    this.#mayHaveMore = false
    for (let reads = 0; reads < READS_PER_RUN; reads++) {
      const most = this.#pace === null ? bytes.length : this.#allowance(this.#pace, bytes.length)
      if (most === 0) return ReceiveStatus.BLOCKED
      const received = this.#stream.recv(scratch.id, 0, most)
      if (received === -kernel.errno.EAGAIN) return ReceiveStatus.BLOCKED
      if (received < 0) return this.#fail(received)
      if (received === 0) {
        this.#endOfStream = true
        return this.#tellEndOfStream()
      }
      this.#pace?.receiving?.spend(received)
      this.#lent = bytes
      this.reader.receive(bytes, 0, received)
      const status = this.#tellEvents()
      if (status !== ReceiveStatus.YIELDED) return status
      // A read that did not fill the memory emptied the socket: another would only be told EAGAIN.
      if (received < most && !this.#stream.hasPending) return ReceiveStatus.BLOCKED
    }
    this.#mayHaveMore = true
    return ReceiveStatus.YIELDED
  }

  #tellEndOfStream(): ReceiveStatus {
    this.reader.receiveEof()
    const status = this.#tellEvents()
    return status === ReceiveStatus.YIELDED ? ReceiveStatus.BLOCKED : status
  }

  /** Hands out what the reader found. YIELDED: it wants more bytes. */
  #tellEvents(): ReceiveStatus {
    const { reader } = this
    for (;;) {
      const event = reader.nextEvent()
      switch (event) {
        case ResponseEvent.NEED_MORE:
          return ReceiveStatus.YIELDED
        case ResponseEvent.END:
          if (this.#body === null || this.#isIgnored) return ReceiveStatus.DONE
          return this.#body.finish() === BodyStatus.DONE ? ReceiveStatus.DONE : this.#failBody(this.#body)
        case ResponseEvent.ERROR:
          return this.#fail(0)
        case ResponseEvent.DATA:
          if (this.#isIgnored) this.#ignoreData()
          else if (this.#body === null) this.#tellData()
          else {
            const status = this.#acceptData(this.#body)
            if (status === BodyStatus.STOPPED) return this.#hold()
            if (status === BodyStatus.FAILED) return this.#failBody(this.#body)
          }
          break
        case ResponseEvent.TRAILERS:
          if (!this.#isIgnored) this.#callbacks.onTrailers?.(reader.trailers)
          break
        default:
          this.#tellHead(event)
      }
      if (this.abandoned) return ReceiveStatus.DONE
      if (this.fault !== null) return ReceiveStatus.FAILED
      if (this.#flow.receivePaused) return this.#hold()
    }
  }

  #tellData(): void {
    const { dataBytes, dataStart, dataEnd } = this.reader
    this.#info.bytesReceived += dataEnd - dataStart
    this.#info.bytesDelivered += dataEnd - dataStart
    const callbacks = this.#callbacks
    if (callbacks.onData === null && callbacks.onDebug === null) return
    const chunk = dataBytes.subarray(dataStart, dataEnd)
    callbacks.onDebug?.('dataIn', chunk, this.#info)
    callbacks.onData?.(chunk)
  }

  #acceptData(body: ResponseBody): BodyStatus {
    const { dataBytes, dataStart, dataEnd } = this.reader
    this.#info.bytesReceived += dataEnd - dataStart
    this.#callbacks.onDebug?.('dataIn', dataBytes.subarray(dataStart, dataEnd), this.#info)
    return body.accept(dataBytes, dataStart, dataEnd)
  }

  /** With what was kept when the telling stopped. */
  #goOn(body: ResponseBody): ReceiveStatus {
    const status = body.goOn()
    if (status === BodyStatus.DONE) return this.#tellEvents()
    if (status === BodyStatus.FAILED) return this.#failBody(body)
    this.#stopped = true
    return ReceiveStatus.BLOCKED
  }

  /** A body that used up its budget stands still as if it were blocked, but must run again. */
  #unlessYielded(status: ReceiveStatus): ReceiveStatus {
    return status === ReceiveStatus.BLOCKED && this.#body?.yielded ? ReceiveStatus.YIELDED : status
  }

  #failBody(body: ResponseBody): ReceiveStatus {
    this.fault = body.fault
    return ReceiveStatus.FAILED
  }

  /** How much the rate lets be read. Held, the socket is looked at again when there is something to spend. */
  #allowance({ receiving }: Pace, most: number): number {
    if (receiving === null) return most
    const allowed = Math.min(most, receiving.allowance(this.#host.now))
    this.#mayHaveMore = allowed === 0
    return allowed
  }

  #tellHead(event: ResponseEvent): void {
    const { reader } = this
    const info = this.#info
    const callbacks = this.#callbacks
    info.status = reader.status
    info.httpVersion = reader.httpVersion
    info.headBytes += reader.headText.length
    callbacks.onDebug?.('headIn', reader.headText, info)
    if (this.#pace !== null && !this.#meetsExpectation(this.#pace)) return
    if (event === ResponseEvent.INFORMATIONAL) {
      callbacks.onInformational?.(headOf(reader))
      return
    }
    info.contentLength = reader.contentLength
    info.contentType = reader.headers.first('content-type') ?? null
    if (this.#followUp !== null) this.#judge(this.#followUp)
    else if (info.status >= 300 && info.status < 400) {
      info.redirectUrl = redirectUrl(info.status, reader.headers, this.#plan.url)
    }
    callbacks.onHead?.(headOf(reader))
    if (this.#settings.bodies.response !== null && !this.#isIgnored) this.#applyRules(this.#settings.bodies.response)
  }

  /** False: the head is told to nobody, since the request is sent again. */
  #meetsExpectation(pace: Pace): boolean {
    const { status } = this.reader
    if (pace.expectation !== Expectation.WAITING || (status < 200 && status !== 100)) return true
    const isRefused = status === 417
    pace.endExpectation(status === 100 ? Expectation.NONE : isRefused ? Expectation.REFUSED : Expectation.ANSWERED)
    this.abandoned = isRefused
    return !isRefused
  }

  #applyRules(rules: ResponseRules): void {
    const { headers } = this.reader
    const verdict = judgeHead(rules, headers, this.#info)
    if (typeof verdict === 'object') this.fault = verdict
    else if (verdict === HeadVerdict.ENOUGH) this.abandoned = true
    else if (verdict === HeadVerdict.PASS_OVER) this.#isIgnored = true
    else this.#body = new ResponseBody(this.#host, rules, headers, this.#principal)
  }

  /** What is wrong with a body that nobody wants does not matter. */
  #fail(result: number): ReceiveStatus {
    this.result = result
    this.abandoned = this.#isIgnored
    return this.#isIgnored ? ReceiveStatus.DONE : ReceiveStatus.FAILED
  }

  /** Whether the body counts. One that is too long, or ends with the connection, is not waited for. */
  #judge(followUp: FollowUp): void {
    const { reader } = this
    this.#isIgnored = followUp.judge(reader.status, reader.headers)
    if (!this.#isIgnored) return
    const length = this.#plan.method === 'HEAD' ? 0 : reader.contentLength
    this.abandoned = followUp.failure !== null || !reader.keepAlive || length > IGNORED_BYTES_MAX
  }

  #ignoreData(): void {
    const { dataStart, dataEnd } = this.reader
    this.#ignoredBytes += dataEnd - dataStart
    this.abandoned = this.#ignoredBytes > IGNORED_BYTES_MAX
  }

  /**
   * Paused inside a callback: what the reader has not used yet lies in memory that the next machine will write over.
   */
  #hold(): ReceiveStatus {
    const { reader } = this
    const from = reader.consumed
    this.#lent = this.#lent.slice(from, from + reader.unread())
    reader.receive(this.#lent, 0, this.#lent.length)
    this.#stopped = true
    return ReceiveStatus.BLOCKED
  }
}

function headOf(reader: ResponseReader): ResponseHead {
  return { status: reader.status, reason: reader.reason, httpVersion: reader.httpVersion, headers: reader.headers }
}

function takeReader(host: Host, settings: TransferSettings): ResponseReader {
  if (settings.maxHeadBytes !== HEAD_BYTES_MAX) return new ResponseReader({ headBytesMax: settings.maxHeadBytes })
  return host.facility(readers).pop() ?? new ResponseReader()
}

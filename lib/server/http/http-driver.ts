/**
 * HTTP/1.1 over one connection of a server: reads requests one at a time, in order, and says what is waited for. The
 * answers of everything that one read brought leave in one send when the run ends. While an answer is awaited the
 * connection goes on listening for the peer's end, and keeps what comes within a limit. How a request is answered is
 * the exchange's.
 */
import { REPORTED } from '../../multi/machine.ts'
import { Interest } from '../../sys/readiness.ts'
import { systemError } from '../../sys/system-error.ts'
import { RequestEvent, type RequestFault, type RequestReader } from '../../wire/http1/request-reader.ts'
import type { CloseReason } from '../close-reason.ts'
import type { Connection } from '../connection.ts'
import type { ConnectionMachine } from '../connection-machine.ts'
import type { Driver } from '../driver.ts'
import { EndReports, requestEndOf } from './end-reports.ts'
import { Answer, Exchange, type HttpBook } from './exchange.ts'
import { RequestAbortedError, type RequestEnd } from './http-error.ts'
import type { HttpSettings } from './http-options.ts'
import { idleDeadline } from './request-clock.ts'
import { RequestInput } from './request-input.ts'
import type { Upgrade } from './upgrade.ts'

/** Of one run, so that a peer with much to ask or to send does not starve the other machines. */
const READS_PER_RUN = 10
const REQUESTS_PER_RUN = 256
/** A peer that pipelines and does not read: no request is begun while so much waits to be sent. */
const PENDING_BYTES_MAX = 32 * 1024
const ALL = Number.MAX_SAFE_INTEGER

/** How far the request is received. */
const Phase = { IDLE: 0, HEAD: 1, BODY: 2, WHOLE: 3 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

export class HttpDriver implements Driver {
  isDraining = false
  readonly #machine: ConnectionMachine
  readonly #book: HttpBook
  readonly #settings: HttpSettings
  readonly #input: RequestInput
  readonly #connection: Connection
  /** While nothing of a request is here, one that many share. */
  #exchange: Exchange
  readonly #reports: EndReports | null
  #phase: Phase = Phase.IDLE
  /** The connection was opened, or its last request ended. */
  #idleSince = 0
  #requests = 0
  /** Bytes of a body that nobody wants. */
  #discarded = 0
  /** No further request is read; the connection ends when all is sent. */
  #isClosing = false
  #lingers = false
  #reason: CloseReason = 'done'
  #isRunning = false
  /** The last run stopped with more to read. */
  #mayHaveMore = false
  #written = 0

  constructor(machine: ConnectionMachine, connection: Connection, book: HttpBook) {
    this.#machine = machine
    this.#book = book
    this.#settings = book.settings
    this.#input = new RequestInput(machine, book.readers)
    this.#connection = connection
    this.#exchange = book.exchanges.resting(() => new Exchange(machine, connection, book, this))
    this.#reports = book.settings.onRequestEnd === null ? null : new EndReports(book, connection)
  }

  /** An answer is awaited, and nothing of the peer is of interest. */
  get dormant(): boolean {
    return this.#exchange.isWaiting
  }

  /** Between two requests, and everything is sent. */
  get idle(): boolean {
    return this.#isOurs && this.#phase === Phase.IDLE && this.#exchange.outbox.pending === 0
  }

  get openEnded(): boolean {
    return this.#exchange.isOpenEnded
  }

  get deadline(): number {
    const { clock } = this.#exchange
    const isStalled = this.#exchange.outbox.pending > 0 || this.#exchange.isBlocked
    const stall = isStalled ? clock.stallDeadline(this.#settings) : Number.POSITIVE_INFINITY
    switch (this.#phase) {
      case Phase.IDLE:
        return isStalled ? stall : idleDeadline(this.#settings, this.#idleSince, this.#requests, this.isDraining)
      case Phase.HEAD:
        return Math.min(stall, clock.headDeadline(this.#settings))
      case Phase.BODY:
        return Math.min(stall, clock.bodyDeadline(this.#settings, this.#input.bodyReceived))
      default:
        return stall
    }
  }

  open(now: number): void {
    this.#idleSince = now
    // The peer spoke first, most likely.
    this.#mayHaveMore = true
  }

  run(now: number, readiness: number): void {
    this.#isRunning = true
    const isReported = (readiness & REPORTED) !== 0
    const before = this.#exchange
    if (before.outbox.pending > 0) this.#flush(now)
    if (this.#isOurs) {
      if (!before.isBlocked || isReported) before.run()
      this.#advance(now)
      if (isReported || this.#mayHaveMore || this.#machine.stream.hasPending) this.#receive(now)
    }
    this.#isRunning = false
    if (!this.#isOurs) return
    this.#input.keep()
    const exchange = this.#exchange
    const isHeldBack = exchange.outbox.pending > PENDING_BYTES_MAX && this.#input.unread > 0
    this.#flush(now)
    // All went at once, so nothing will announce that the next request may be read.
    if (isHeldBack && this.#isOurs && exchange.outbox.pending <= PENDING_BYTES_MAX) this.#machine.markDirty()
    if (this.#phase === Phase.IDLE && this.#isOurs) this.#exchange = this.#book.exchanges.rest(exchange)
  }

  wants(): number {
    const exchange = this.#exchange
    const wantsWrite = exchange.outbox.pending > 0 || exchange.isBlocked
    return (this.#room > 0 ? Interest.READABLE : 0) | (wantsWrite ? Interest.WRITABLE : 0)
  }

  expired(now: number): void {
    const exchange = this.#exchange
    const isStalled = exchange.outbox.pending > 0 || exchange.isBlocked
    if (isStalled && now >= exchange.clock.stallDeadline(this.#settings)) {
      this.#machine.reset('timeout')
      return
    }
    switch (this.#phase) {
      case Phase.IDLE:
        this.#machine.finish(this.isDraining ? 'shutdown' : 'timeout', this.isDraining)
        return
      case Phase.HEAD:
      case Phase.BODY:
        this.#refuse(408, 'timeout', 'timeout')
    }
  }

  drain(now: number): void {
    this.isDraining = true
    if (this.#phase !== Phase.IDLE || this.#isClosing) return
    const idle = this.#book.departure?.idle ?? 'close'
    if (idle === 'last-response' && this.#settings.drainIdleMs > 0) this.#idleSince = now
    else this.#closeAfter('shutdown', idle !== 'close')
  }

  closed(reason: CloseReason, error: Error | null): void {
    const exchange = this.#exchange
    this.#reports?.flush('client-abort', this.#machine.host.now)
    const { request } = exchange
    if (request !== null) {
      const code = requestEndOf(reason, this.#phase === Phase.WHOLE)
      exchange.abort(code, error)
      this.#reports?.tell(request, code, this.#exchange.clock, this.#machine.host.now)
    }
    exchange.close(error)
    this.#input.rest()
    this.#book.exchanges.closed(exchange)
  }

  /** Something changed: goes on at once when nothing of the engine is on the stack. */
  touch(): void {
    const machine = this.#machine
    if (this.#isRunning || !this.#isOurs) return
    const { host } = machine
    if (host.isInside) {
      machine.markDirty()
      return
    }
    host.enter('respond')
    try {
      this.run(host.now, 0)
      machine.settle()
    } finally {
      host.leave()
    }
  }

  get #isOurs(): boolean {
    return this.#machine.open && this.#machine.driver === this
  }

  // Reading

  /** How many bytes may be received now. */
  get #room(): number {
    const input = this.#input
    if (input.eof) return 0
    switch (this.#phase) {
      case Phase.IDLE:
      case Phase.HEAD:
        return this.#isClosing || this.#exchange.outbox.pending > PENDING_BYTES_MAX ? 0 : ALL
      case Phase.BODY:
        return this.#wantsBody ? ALL : Math.max(0, this.#settings.limits.pipelineBytes - input.unread)
      default:
        return Math.max(0, this.#settings.limits.pipelineBytes - input.unread)
    }
  }

  get #wantsBody(): boolean {
    const { body, answer } = this.#exchange
    return answer === Answer.SENT || body?.wanted === true
  }

  #receive(now: number): void {
    this.#mayHaveMore = false
    const { host, stream } = this.#machine
    for (let reads = 0; this.#machine.open; reads++) {
      const room = this.#room
      if (room === 0) return
      if (reads === READS_PER_RUN) {
        this.#mayHaveMore = true
        this.#machine.markDirty()
        return
      }
      const received = this.#input.receive(room)
      if (received <= 0) {
        if (received === 0) this.#endOfStream(now)
        else if (received !== -host.kernel.errno.EAGAIN) this.#broken(received, 'recv')
        return
      }
      this.#exchange.clock.bodyMovedAt = now
      this.#advance(now)
      if (received < host.scratch.bytes.length && !stream.hasPending) return
    }
  }

  /** As far as what is here goes. */
  #advance(now: number): void {
    for (let requests = 0; this.#machine.open; ) {
      switch (this.#phase) {
        case Phase.IDLE:
        case Phase.HEAD:
          if (this.#isClosing || this.#input.unread === 0) return
          if (this.#exchange.outbox.pending > PENDING_BYTES_MAX) return
          if (requests++ === REQUESTS_PER_RUN) {
            this.#machine.markDirty()
            return
          }
          if (!this.#readHead(now)) return
          break
        case Phase.BODY:
          if (!this.#readBody(now)) return
          break
        default:
          if (this.#exchange.answer !== Answer.SENT || this.#exchange.upgrade !== null) return
          this.#endRequest(now)
      }
    }
  }

  /** False: it is not here yet. */
  #readHead(now: number): boolean {
    const reader = this.#input.reader as RequestReader
    if (this.#phase === Phase.IDLE) {
      this.#phase = Phase.HEAD
      const { exchanges } = this.#book
      if (exchanges.isResting(this.#exchange)) {
        this.#exchange = exchanges.made(new Exchange(this.#machine, this.#connection, this.#book, this))
      }
      this.#exchange.clock.begin(now)
    }
    switch (reader.nextEvent()) {
      case RequestEvent.HEAD:
        this.#begin(reader, now)
        return true
      case RequestEvent.ERROR:
        this.#fault(reader.error as RequestFault)
        return false
      default:
        return false
    }
  }

  #begin(reader: RequestReader, now: number): void {
    const { limits, requestLine, onDrainRequest } = this.#settings
    const exchange = this.#exchange
    this.#exchange.clock.headAt = now
    this.#exchange.clock.bodyMovedAt = now
    this.#discarded = 0
    this.#requests++
    if (reader.target.length > limits.targetBytes) return this.#refuse(414, 'error', 'error', reader.method)
    if (requestLine !== null) exchange.tellLine(requestLine, reader.target)
    if (reader.unknownExpectation) return this.#refuse(417, 'error', 'error', reader.method)
    if (this.isDraining && onDrainRequest === 503) return this.#refuse(503, 'shutdown', 'shutdown', reader.method)
    this.#phase = reader.contentLength === 0 ? Phase.WHOLE : Phase.BODY
    const stays = reader.keepAlive && !this.isDraining && this.#requests < limits.requestsPerConnection
    exchange.begin(reader, stays && reader.method !== 'CONNECT')
  }

  /** False: nothing to go on with. */
  #readBody(now: number): boolean {
    const exchange = this.#exchange
    if (!this.#wantsBody) {
      this.#exchange.clock.hold(now)
      return false
    }
    this.#exchange.clock.goOn(now)
    const reader = this.#input.reader as RequestReader
    if (exchange.answer === Answer.SENT && !exchange.keepAlive) return this.#giveUpBody()
    if (exchange.expectsContinue) {
      if (reader.unread() === 0 && !this.#input.eof) exchange.sendContinue()
      exchange.expectsContinue = false
    }
    switch (reader.nextEvent()) {
      case RequestEvent.DATA:
        return this.#takeData(reader)
      case RequestEvent.TRAILERS:
        return true
      case RequestEvent.END:
        this.#phase = Phase.WHOLE
        exchange.finish(reader.trailers)
        return true
      case RequestEvent.ERROR:
        this.#fault(reader.error as RequestFault)
        return false
      default:
        return false
    }
  }

  #takeData(reader: RequestReader): boolean {
    const exchange = this.#exchange
    const { body } = exchange
    if (exchange.answer !== Answer.SENT && body !== null && !body.discarded) {
      exchange.push(reader.dataBytes.subarray(reader.dataStart, reader.dataEnd))
      return true
    }
    this.#discarded += reader.dataEnd - reader.dataStart
    if (this.#discarded <= this.#settings.limits.discardBytes) return true
    if (exchange.answer === Answer.SENT) return this.#giveUpBody()
    // An answer is still to come: it says that the connection will be closed.
    exchange.keepAlive = false
    return true
  }

  /** It was answered, and its body is too long to read on. */
  #giveUpBody(): false {
    const exchange = this.#exchange
    if (exchange.request !== null) this.#reports?.add(exchange.request, this.#exchange.clock)
    exchange.body?.fail(new RequestAbortedError('completed'))
    exchange.clear()
    this.#phase = Phase.IDLE
    return this.#closeAfter('done', true)
  }

  #endRequest(now: number): void {
    const exchange = this.#exchange
    const { request } = exchange
    const input = this.#input
    if (request !== null) this.#reports?.add(request, this.#exchange.clock)
    const { keepAlive } = exchange
    exchange.clear()
    this.#phase = Phase.IDLE
    this.#idleSince = now
    const isPeersWish = input.reader?.keepAlive === false
    if (!keepAlive) this.#closeAfter(this.isDraining ? 'shutdown' : 'done', !isPeersWish || input.unread > 0)
    else if (input.unread > 0) input.reader?.reset()
    else if (input.eof) this.#closeAfter('peer', false)
    else input.rest()
  }

  // Ends

  /** When all that is to be sent is sent. */
  #closeAfter(reason: CloseReason, lingers: boolean): false {
    this.#isClosing = true
    this.#lingers = lingers
    this.#reason = reason
    return false
  }

  #fault(fault: RequestFault): void {
    if (fault.cutOff) this.#machine.fail('peer', new Error(fault.message))
    else this.#refuse(fault.status, 'error', 'read-error')
  }

  /** The server answers for itself, unless an answer was begun, and closes. */
  #refuse(status: number, reason: CloseReason, code: RequestEnd, method = ''): void {
    const exchange = this.#exchange
    const { request, answer } = exchange
    if (answer === Answer.SENDING) {
      this.#machine.reset(reason)
      return
    }
    const { now } = this.#machine.host
    if (answer === Answer.SENT) {
      if (request !== null) this.#reports?.add(request, this.#exchange.clock)
      exchange.clear()
    } else {
      exchange.refuse(status, request?.method ?? method)
      exchange.abort(code, null)
      if (request !== null) this.#reports?.tell(request, code, this.#exchange.clock, now)
    }
    this.#phase = Phase.IDLE
    this.#closeAfter(reason, true)
  }

  #endOfStream(now: number): void {
    this.#advance(now)
    if (!this.#machine.open) return
    const exchange = this.#exchange
    if (this.#phase === Phase.IDLE) this.#closeAfter('peer', false)
    else if (this.#phase === Phase.HEAD) this.#machine.fail('peer', null)
    else if (exchange.request !== null && this.#settings.halfClose === 'abort') this.#machine.fail('peer', null)
  }

  #broken(result: number, syscall: string): void {
    const { host, stream } = this.#machine
    this.#machine.fail('error', stream.failure ?? systemError(host.kernel, result, syscall))
  }

  #flush(now: number): void {
    const exchange = this.#exchange
    const { outbox } = exchange
    if (outbox.pending > 0) {
      const result = outbox.flush()
      const { bytesWritten } = this.#machine
      if (bytesWritten !== this.#written) {
        this.#written = bytesWritten
        this.#exchange.clock.sentAt = now
      }
      if (result < 0) {
        if (result !== -this.#machine.host.kernel.errno.EAGAIN) this.#broken(result, 'send')
        return
      }
    }
    this.#reports?.flush('completed', now)
    if (exchange.upgrade !== null && exchange.answer === Answer.SENT) this.#handOver(exchange.upgrade, now)
    else if (this.#isClosing && exchange.answer !== Answer.SENDING) this.#machine.finish(this.#reason, this.#lingers)
  }

  /** The last word of HTTP is with the system. */
  #handOver(upgrade: Upgrade, now: number): void {
    const exchange = this.#exchange
    const { request } = exchange
    const head = this.#input.takeRest()
    this.#input.rest()
    exchange.clear()
    this.#book.exchanges.closed(exchange)
    if (request !== null) this.#reports?.tell(request, 'upgraded', exchange.clock, now)
    this.#machine.hand(upgrade.takeOver(this.#machine, exchange.connection, head))
  }
}

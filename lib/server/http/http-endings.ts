/**
 * How the requests of an HTTP connection end, and the connection itself: by an answer, by a deadline, because the
 * server refuses or takes leave, because the peer is gone, or because another protocol takes over. What is received and
 * when a request begins is the HttpDriver's.
 */
import { systemError } from '../../sys/system-error.ts'
import type { RequestFault } from '../../wire/http1/request-reader.ts'
import type { CloseReason } from '../connection/close-reason.ts'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionMachine } from '../connection/connection-machine.ts'
import { Answer } from './answer.ts'
import { EndReports, requestEndOf } from './end-reports.ts'
import { Exchange, type ExchangeDriver } from './exchange.ts'
import type { HttpBook } from './http-book.ts'
import { RequestAbortedError, type RequestEnd } from './http-error.ts'
import type { HttpSettings } from './http-options.ts'
import { type IdleConnection, type IdleConnections, WARM_MS } from './idle-connections.ts'
import { idleDeadline } from './request/request-clock.ts'
import type { RequestInput } from './request/request-input.ts'
import type { Upgrade } from './upgrade/upgrade.ts'

/** How far the request is received. */
export const Phase = { IDLE: 0, HEAD: 1, BODY: 2, WHOLE: 3 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

export interface DriverBook extends HttpBook {
  readonly idleConnections: IdleConnections
  /** The one that all share of whose request nothing is here: it is never begun. */
  resting(make: () => Exchange): Exchange
}

export abstract class HttpEndings implements ExchangeDriver, IdleConnection {
  isDraining = false
  isListed = false
  protected readonly machine: ConnectionMachine
  protected readonly book: DriverBook
  protected readonly settings: HttpSettings
  protected readonly connection: Connection
  /** Until something of a request is here, one that many share. */
  protected exchange: Exchange
  protected phase: Phase = Phase.IDLE
  /** The connection was opened, or its last request ended. */
  protected idleSince = 0
  protected requests = 0
  /** The last request came soon after the one before. */
  protected isWarm = false
  /** No further request is read; the connection ends when all is sent. */
  protected isClosing = false
  readonly #reports: EndReports | null
  #lingers = false
  #reason: CloseReason = 'done'
  #written = 0

  constructor(machine: ConnectionMachine, connection: Connection, book: DriverBook) {
    this.machine = machine
    this.book = book
    this.settings = book.settings
    this.connection = connection
    this.exchange = book.resting(() => new Exchange(machine, connection, book, this))
    this.#reports = book.settings.onRequestEnd === null ? null : new EndReports(book, connection)
    book.idleConnections.came()
  }

  protected get input(): RequestInput {
    return this.exchange.input
  }

  /** Between two requests. */
  get isBetween(): boolean {
    return this.phase === Phase.IDLE && this.isOurs
  }

  /** Between two requests, and everything is sent. */
  get idle(): boolean {
    return this.isBetween && this.exchange.reply.outbox.isEmpty
  }

  get isOver(): boolean {
    return !this.isOurs
  }

  mayFold(now: number): boolean {
    const isColdAtOnce = this.requests > 0 && !this.isWarm
    return this.idle && (isColdAtOnce || now - this.idleSince >= WARM_MS)
  }

  foldConnection(): boolean {
    return this.connection.fold()
  }

  /** What it remembers is the number of requests; when the last one ended, its machine knows. */
  fold(): number {
    if (!this.idle || this.isClosing || this.isDraining || this.input.unread > 0) return -1
    this.input.rest()
    this.book.idleConnections.left()
    return this.requests
  }

  unfold(requests: number): void {
    this.requests = requests
    this.idleSince = this.machine.movedAt
  }

  get openEnded(): boolean {
    return this.exchange.reply.sender.isOpenEnded
  }

  get deadline(): number {
    const { clock, reply } = this.exchange
    const isStalled = reply.outbox.pending > 0 || reply.isBlocked
    const stall = isStalled ? clock.stallDeadline(this.settings) : Number.POSITIVE_INFINITY
    switch (this.phase) {
      case Phase.IDLE:
        return isStalled ? stall : idleDeadline(this.settings, this.idleSince, this.requests, this.isDraining)
      case Phase.HEAD:
        return Math.min(stall, clock.headDeadline(this.settings))
      case Phase.BODY:
        return Math.min(stall, this.#handlerDeadline(), clock.bodyDeadline(this.settings, this.input.bodyReceived))
      default:
        return Math.min(stall, this.#handlerDeadline())
    }
  }

  expired(now: number): void {
    const exchange = this.exchange
    const isStalled = exchange.reply.outbox.pending > 0 || exchange.reply.isBlocked
    if (isStalled && now >= exchange.clock.stallDeadline(this.settings)) {
      this.machine.reset('timeout')
      return
    }
    if (now >= this.#handlerDeadline()) return this.refuse(503, 'timeout', 'timeout')
    switch (this.phase) {
      case Phase.IDLE:
        this.machine.finish(this.isDraining ? 'shutdown' : 'timeout', this.isDraining)
        return
      case Phase.HEAD:
      case Phase.BODY:
        this.refuse(408, 'timeout', 'timeout')
    }
  }

  drain(now: number): void {
    this.isDraining = true
    if (this.phase !== Phase.IDLE || this.isClosing) return
    const idle = this.book.departure?.idle ?? 'close'
    if (idle === 'last-response' && this.settings.drainIdleMs > 0) this.idleSince = now
    else this.closeAfter('shutdown', idle !== 'close')
  }

  /** Answers that wait to be sent still are; the request under way is not answered. */
  close(reason: CloseReason): void {
    const { exchange } = this
    const { request, reply } = exchange
    reply.outbox.settle()
    if (reply.state === Answer.SENDING || reply.outbox.pending === 0) {
      this.machine.finish(reason, true)
      return
    }
    if (reply.state === Answer.SENT && request !== null) this.#reports?.add(request, exchange.clock)
    else if (request !== null) {
      exchange.abort('error', null)
      this.#reports?.tell(request, 'error', exchange.clock, this.machine.host.now)
    }
    exchange.clear()
    this.phase = Phase.IDLE
    this.closeAfter(reason, true)
    this.touch()
  }

  closed(reason: CloseReason, error: Error | null): void {
    const exchange = this.exchange
    this.#reports?.flush('client-abort', this.machine.host.now)
    const { request } = exchange
    if (request !== null) {
      const code = requestEndOf(reason, this.phase === Phase.WHOLE)
      exchange.abort(code, error)
      this.#reports?.tell(request, code, this.exchange.clock, this.machine.host.now)
    }
    exchange.close(error)
    this.input.rest()
    this.book.idleConnections.left()
  }

  #handlerDeadline(): number {
    const { clock, reply } = this.exchange
    return reply.state === Answer.AWAITED ? clock.handlerDeadline(this.settings) : Number.POSITIVE_INFINITY
  }

  /** It drives the connection, which is open. */
  protected abstract get isOurs(): boolean

  /** It was answered, and its body is too long to read on. */
  protected giveUpBody(): false {
    const exchange = this.exchange
    if (exchange.request !== null) this.#reports?.add(exchange.request, this.exchange.clock)
    exchange.body?.fail(new RequestAbortedError('completed'))
    exchange.clear()
    this.phase = Phase.IDLE
    return this.closeAfter('done', true)
  }

  protected endRequest(now: number): void {
    const exchange = this.exchange
    const { request } = exchange
    const input = this.input
    if (request !== null) this.#reports?.add(request, this.exchange.clock)
    const { keepAlive } = exchange.reply
    exchange.clear()
    this.phase = Phase.IDLE
    this.idleSince = now
    const isPeersWish = input.reader?.keepAlive === false
    if (!keepAlive) this.closeAfter(this.isDraining ? 'shutdown' : 'done', !isPeersWish || input.unread > 0)
    else if (input.unread > 0) input.reader?.reset()
    else if (input.eof) this.closeAfter('peer', false)
    else input.rest()
  }

  // Ends

  /** When all that is to be sent is sent. */
  protected closeAfter(reason: CloseReason, lingers: boolean): false {
    this.isClosing = true
    this.#lingers = lingers
    this.#reason = reason
    return false
  }

  protected fault(fault: RequestFault): void {
    if (fault.cutOff) this.machine.fail('peer', new Error(fault.message))
    else this.refuse(fault.status, 'error', 'read-error')
  }

  /** The server answers for itself, unless an answer was begun, and closes. */
  protected refuse(status: number, reason: CloseReason, code: RequestEnd, method = ''): void {
    const exchange = this.exchange
    const { request, reply } = exchange
    if (reply.state === Answer.SENDING) {
      this.machine.reset(reason)
      return
    }
    const { now } = this.machine.host
    if (reply.state === Answer.SENT) {
      if (request !== null) this.#reports?.add(request, this.exchange.clock)
      exchange.clear()
    } else {
      exchange.refuse(status, request?.method ?? method)
      exchange.abort(code, null)
      if (request !== null) this.#reports?.tell(request, code, this.exchange.clock, now)
    }
    this.phase = Phase.IDLE
    this.closeAfter(reason, true)
  }

  protected endOfStream(now: number): void {
    this.advance(now)
    if (!this.machine.open) return
    const exchange = this.exchange
    if (this.phase === Phase.IDLE) this.closeAfter('peer', false)
    else if (this.phase === Phase.HEAD) this.machine.fail('peer', null)
    else if (exchange.request !== null && this.settings.halfClose === 'abort') this.machine.fail('peer', null)
  }

  protected broken(result: number, syscall: string): void {
    const { host, stream } = this.machine
    this.machine.fail('error', stream.failure ?? systemError(host.kernel, result, syscall))
  }

  protected flush(now: number): void {
    const exchange = this.exchange
    const { reply } = exchange
    if (reply.outbox.pending > 0) {
      const result = reply.outbox.flush(this.#mayPutOff(reply))
      const { bytesWritten } = this.machine
      if (bytesWritten !== this.#written) {
        this.#written = bytesWritten
        this.exchange.clock.sentAt = now
        this.machine.movedAt = now
      }
      if (result < 0) {
        if (result !== -this.machine.host.kernel.errno.EAGAIN) this.broken(result, 'send')
        return
      }
    }
    this.#reports?.flush('completed', now)
    if (reply.upgrade !== null && reply.state === Answer.SENT) this.#handOver(reply.upgrade, now)
    else if (this.isClosing && reply.state !== Answer.SENDING) this.machine.finish(this.#reason, this.#lingers)
  }

  /** The answers are whole, and nothing is to happen once they are gone. */
  #mayPutOff(reply: Exchange['reply']): boolean {
    return !this.isClosing && reply.state === Answer.NONE && this.#reports === null
  }

  /** The last word of HTTP is with the system. */
  #handOver(upgrade: Upgrade, now: number): void {
    const exchange = this.exchange
    const { request } = exchange
    const head = this.input.takeRest()
    this.input.rest()
    exchange.clear()
    this.book.idleConnections.left()
    if (request !== null) this.#reports?.tell(request, 'upgraded', exchange.clock, now)
    this.machine.hand(upgrade.takeOver(this.machine, exchange.connection, head))
  }

  abstract touch(): void

  /** As far as what is here goes. */
  protected abstract advance(now: number): void
}

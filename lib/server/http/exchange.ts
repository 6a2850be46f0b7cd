/**
 * One request and its answer, reused for all requests of a connection: calls the handler, has the body for whoever
 * wants it, gives the answer to the sender. Every callback may throw, and may end the connection: what a handler throws
 * is answered once, and told to the server. Knows nothing of reading; see HttpDriver.
 */
import { show } from '../../base/options.ts'
import { type SettlementDesk, settlementDesk } from '../../multi/settlement.ts'
import { HeaderList } from '../../wire/http1/header-list.ts'
import type { RequestReader } from '../../wire/http1/request-reader.ts'
import type { Connection } from '../connection.ts'
import type { ConnectionMachine } from '../connection-machine.ts'
import { Outbox } from '../outbox.ts'
import type { IdlePolicy } from '../server-control.ts'
import type { ExchangePool } from './exchange-pool.ts'
import { HttpError, RequestAbortedError, type RequestEnd } from './http-error.ts'
import type { HttpSettings } from './http-options.ts'
import { abortRequest, HttpRequest, type RequestOwner } from './http-request.ts'
import { type BodySink, type BodySource, RequestBody } from './request-body.ts'
import { RequestClock } from './request-clock.ts'
import type { ReaderPool } from './request-input.ts'
import type { HttpResponse, HttpResponseHeaders } from './response.ts'
import { isResponse, isSuccess, notAResponse, toError } from './response-checks.ts'
import { ResponseSender, SendStatus } from './response-sender.ts'
import type { Upgrade } from './upgrade.ts'

export interface Departure {
  readonly idle: IdlePolicy
  readonly deadline: number
}

/** What a server keeps for all its HTTP connections. */
export interface HttpBook {
  readonly settings: HttpSettings
  readonly readers: ReaderPool
  readonly exchanges: ExchangePool
  /** While the server takes leave. */
  readonly departure: Departure | null
  /** A callback threw, or an answer could not be sent. Must not throw. */
  failed(operation: string, error: unknown, connection: Connection): void
}

/** Who reads for it. */
export interface ExchangeDriver {
  /** The server takes leave: this answer is the last. */
  readonly isDraining: boolean
  /** Something changed, inside of a run or outside: an answer, a body that is wanted. */
  touch(): void
}

const SWITCHING_PROTOCOLS = 101
const NOT_IMPLEMENTED = 501
const ERROR_HEADERS = { 'content-type': 'text/plain' }

export const Answer = { NONE: 0, AWAITED: 1, SENDING: 2, SENT: 3 } as const
export type Answer = (typeof Answer)[keyof typeof Answer]

export class Exchange implements RequestOwner, BodySource, BodySink {
  readonly connection: Connection
  readonly outbox: Outbox
  readonly clock: RequestClock = new RequestClock()
  request: HttpRequest | null = null
  body: RequestBody | null = null
  answer: Answer = Answer.NONE
  /** The connection may serve another request after this one. */
  keepAlive = false
  /** The peer waits for 100 before it sends the body. */
  expectsContinue = false
  /** All of the request was received. */
  whole = false
  /** Has the connection once the answer is with the system. */
  upgrade: Upgrade | null = null
  #mayUpgrade = false
  readonly #machine: ConnectionMachine
  readonly #book: HttpBook
  readonly #driver: ExchangeDriver
  readonly #sender: ResponseSender
  readonly #context = { method: '', httpVersion: '1.1', keepAlive: false, requestHeaders: HeaderList.EMPTY }
  #sendStatus: SendStatus = SendStatus.DONE
  /** Given outside of a run. */
  #given: HttpResponse | null = null
  #thrown: { readonly error: unknown } | null = null
  #isResumed = false
  #isInCallback = false

  constructor(machine: ConnectionMachine, connection: Connection, book: HttpBook, driver: ExchangeDriver) {
    this.connection = connection
    this.#machine = machine
    this.#book = book
    this.#driver = driver
    this.outbox = new Outbox(machine)
    this.#sender = new ResponseSender(machine, this.outbox, book.settings.response)
  }

  get bodyBytesMax(): number {
    return this.#book.settings.limits.bodyBytes
  }

  get desk(): SettlementDesk {
    return settlementDesk(this.#machine.host)
  }

  get contentLength(): number {
    return this.request?.contentLength ?? 0
  }

  /** The socket must take something before the answer goes on. */
  get isBlocked(): boolean {
    return this.answer === Answer.SENDING && this.#sendStatus === SendStatus.BLOCKED
  }

  get isOpenEnded(): boolean {
    return this.#sender.isOpenEnded
  }

  /** The program must do something before the answer goes on. */
  get isWaiting(): boolean {
    return (
      (this.answer === Answer.AWAITED && this.#given === null) ||
      (this.answer === Answer.SENDING && this.#sendStatus === SendStatus.WAITING)
    )
  }

  // What the driver of the connection asks for

  /** The head is complete: the program is called. */
  begin(reader: RequestReader, keepAlive: boolean): void {
    const { method, httpVersion, headers, contentLength } = reader
    const request = new HttpRequest(this, method, reader.target, httpVersion, headers, contentLength)
    this.request = request
    this.body = null
    this.answer = Answer.AWAITED
    this.keepAlive = keepAlive
    this.expectsContinue = reader.expectContinue
    this.whole = contentLength === 0
    this.#mayUpgrade = reader.upgrade
    const { handler } = this.#book.settings
    if (handler === null) this.#beginPhases(request)
    else this.#callHandler(request)
  }

  tellLine(requestLine: (target: string) => void, target: string): void {
    this.#guard('requestLine', () => requestLine(target))
  }

  /** Answers in the name of the server, unless an answer was begun: then there is nothing left but to close. */
  refuse(status: number, method: string): boolean {
    if (this.answer >= Answer.SENDING) return false
    this.keepAlive = false
    // Whoever reads the body hears why it ends from `abort`, which follows.
    const { body } = this
    this.body = null
    this.#startError(status, method)
    this.body = body
    return this.answer >= Answer.SENDING
  }

  /** Goes on with what was given or begun. */
  run(): void {
    if (this.#isResumed) {
      this.#isResumed = false
      this.#guard('onBody', () => this.body?.resume())
    }
    if (this.answer === Answer.SENDING) {
      this.#sent(this.#sender.run())
      return
    }
    const given = this.#given
    const thrown = this.#thrown
    this.#given = null
    this.#thrown = null
    if (this.request === null) return
    if (thrown !== null) this.#failed('handler', this.request, thrown.error)
    else if (given !== null) this.#start(given)
  }

  /** The bytes are borrowed. */
  push(bytes: Uint8Array): void {
    const { request, body } = this
    this.#isInCallback = true
    try {
      body?.push(bytes)
    } catch (error) {
      if (request !== null) this.#failed('onBody', request, error)
    }
    this.#isInCallback = false
  }

  finish(trailers: HeaderList): void {
    this.whole = true
    this.#guard('onEnd', () => this.body?.finish(trailers))
  }

  sendContinue(): void {
    this.expectsContinue = false
    this.#sender.informational(100)
  }

  /** All of it is over. */
  clear(): void {
    this.request = null
    this.body = null
    this.answer = Answer.NONE
    this.upgrade = null
    this.#given = null
    this.#thrown = null
    this.#isResumed = false
  }

  /** The request ends before its answer was whole. */
  abort(code: RequestEnd, cause: Error | null): void {
    const { request, body, answer } = this
    this.clear()
    // The server's own answer goes on.
    this.answer = answer
    if (request === null) return
    const error = new RequestAbortedError(code, cause ?? undefined)
    this.#guard('signal', () => abortRequest(request, error))
    this.#guard('body', () => body?.fail(error))
  }

  close(error: Error | null): void {
    this.#sender.close(error)
    this.outbox.clear()
  }

  // What the request asks for

  bodyOf(request: HttpRequest): RequestBody {
    const body = new RequestBody(this)
    if (request !== this.request) body.fail(new RequestAbortedError('completed'))
    else {
      this.body = body
      if (this.whole) body.finish(HeaderList.EMPTY)
    }
    return body
  }

  bodyWanted(): void {
    this.#driver.touch()
  }

  respond(request: HttpRequest, response: HttpResponse): void {
    if (!isResponse(response)) throw new TypeError(`respond: a response must be an object, not ${show(response)}`)
    if (request !== this.request) {
      this.#sender.discard(response)
      return
    }
    if (this.#isAnswered) {
      throw new TypeError('respond: this request was answered already')
    }
    if (this.#isInCallback) this.#start(response)
    else {
      this.#given = response
      this.#driver.touch()
    }
  }

  inform(request: HttpRequest, status: number, headers: HttpResponseHeaders | null): void {
    if (request !== this.request) return
    if (this.answer !== Answer.AWAITED) throw new TypeError('inform: this request was answered already')
    this.#sender.informational(status, headers ?? undefined)
    this.#driver.touch()
  }

  resume(request: HttpRequest): void {
    if (request !== this.request) return
    this.#isResumed = true
    this.#sender.resume()
    this.#driver.touch()
  }

  // The sink of the three phases

  write(bytes: Uint8Array): number {
    const request = this.request as HttpRequest
    return this.#book.settings.driver?.onBody?.(request, bytes) ?? bytes.length
  }

  end(): void {
    if (this.request !== null) this.#book.settings.driver?.onEnd?.(this.request)
  }

  fail(): void {}

  #beginPhases(request: HttpRequest): void {
    const driver = this.#book.settings.driver
    this.#guard('onHeaders', () => driver?.onHeaders?.(request))
    if (this.request !== request || this.answer !== Answer.AWAITED) return
    this.#guard('onEnd', () => request.sinkInto(this))
  }

  #callHandler(request: HttpRequest): void {
    const handler = this.#book.settings.handler as NonNullable<HttpSettings['handler']>
    let answer: HttpResponse | PromiseLike<HttpResponse>
    this.#isInCallback = true
    try {
      answer = handler(request)
    } catch (error) {
      this.#isInCallback = false
      this.#failed('handler', request, error)
      return
    }
    this.#isInCallback = false
    if (answer !== undefined && answer !== null && typeof (answer as { then?: unknown }).then === 'function') {
      this.#await(request, answer as PromiseLike<HttpResponse>)
    } else this.#answered(request, answer as HttpResponse)
  }

  #await(request: HttpRequest, answer: PromiseLike<HttpResponse>): void {
    answer.then(
      (response) => this.#settled(request, response),
      (error) => this.#rejected(request, error),
    )
  }

  /** Code of the user's is on no stack here, and the engine may be: the next run goes on. */
  #settled(request: HttpRequest, response: HttpResponse): void {
    if (request !== this.request) {
      if (isResponse(response)) this.#sender.discard(response)
      return
    }
    if (!isResponse(response) || this.#isAnswered) {
      if (response !== undefined || !this.#isAnswered) this.#rejected(request, notAResponse(response))
      return
    }
    this.#given = response
    this.#driver.touch()
  }

  #rejected(request: HttpRequest, error: unknown): void {
    if (request !== this.request) return
    this.#thrown = { error }
    this.#driver.touch()
  }

  get #isAnswered(): boolean {
    return this.answer !== Answer.AWAITED || this.#given !== null
  }

  #answered(request: HttpRequest, response: HttpResponse): void {
    if (request !== this.request) {
      if (isResponse(response)) this.#sender.discard(response)
    } else if (isResponse(response) && !this.#isAnswered) this.#start(response)
    else if (response !== undefined || !this.#isAnswered) this.#failed('handler', request, notAResponse(response))
  }

  /** A callback of the request threw: answered once, if nothing was. */
  #failed(operation: string, request: HttpRequest, error: unknown): void {
    const status = error instanceof HttpError ? error.status : 500
    if (status >= 500 && !(error instanceof RequestAbortedError)) this.#book.failed(operation, error, this.connection)
    if (request !== this.request) return
    this.#given = null
    if (this.answer === Answer.AWAITED) this.#startError(status, request.method)
    else if (this.answer === Answer.SENDING) this.#machine.reset('aborted', toError(error))
  }

  #guard(operation: string, callback: () => void): void {
    const { request } = this
    const wasInCallback = this.#isInCallback
    this.#isInCallback = true
    try {
      callback()
    } catch (error) {
      if (request === null) this.#book.failed(operation, error, this.connection)
      else this.#failed(operation, request, error)
    }
    this.#isInCallback = wasInCallback
  }

  #start(response: HttpResponse): void {
    const request = this.request as HttpRequest
    this.#setContext(request.method)
    try {
      if (response.upgrade !== undefined) this.#startUpgrade(response, response.upgrade)
      else if (request.method === 'CONNECT' && isSuccess(response.status)) this.#startError(NOT_IMPLEMENTED, 'CONNECT')
      else this.#begun(this.#sender.start(response, this.#context))
    } catch (error) {
      this.#book.failed('response', error, this.connection)
      if (this.request === request) this.#startError(500, request.method)
    }
  }

  #startUpgrade(response: HttpResponse, upgrade: Upgrade): void {
    const { method } = this.#context
    const { status = 200 } = response
    const isSwitch = status === SWITCHING_PROTOCOLS && method !== 'CONNECT'
    const isTunnel = method === 'CONNECT' && isSuccess(status)
    if (!(isSwitch || isTunnel) || !this.#mayUpgrade) {
      throw new TypeError(`response.upgrade: this request did not ask for it, or status ${status} does not say so`)
    }
    if (!this.whole) throw new TypeError('response.upgrade: the body of the request must be consumed first')
    this.upgrade = upgrade
    this.#context.keepAlive = true
    if (isTunnel) this.#begun(this.#sender.start(response, this.#context))
    else {
      this.#sender.informational(status, response.headers)
      this.#begun(SendStatus.DONE)
    }
  }

  #startError(status: number, method: string): void {
    this.#setContext(method)
    const { request } = this
    let body: HttpResponse['body'] = null
    try {
      body = this.#book.settings.errorBody(status, request)
      this.#begun(this.#sender.start({ status, headers: ERROR_HEADERS, body }, this.#context))
    } catch (error) {
      this.#book.failed('errorBody', error, this.connection)
      if (this.request === request) this.#begun(this.#sender.start({ status }, this.#context))
    }
  }

  #setContext(method: string): void {
    const context = this.#context
    const { request, body } = this
    context.method = method
    context.httpVersion = this.#book.settings.http10 === null ? (request?.httpVersion ?? '1.1') : '1.0'
    context.requestHeaders = request?.headers ?? HeaderList.EMPTY
    // Whether a peer that waits for 100 sends its body now is its own choice: nobody knows what follows.
    let keepAlive = this.keepAlive && !this.expectsContinue && !this.#driver.isDraining
    if (keepAlive && !this.whole && (body === null || body.discarded)) {
      keepAlive = this.contentLength <= this.#book.settings.limits.discardBytes
    }
    context.keepAlive = keepAlive
  }

  #begun(status: SendStatus): void {
    const { clock } = this
    clock.answeredAt = this.#machine.host.now
    clock.sentAt = clock.answeredAt
    this.answer = Answer.SENDING
    this.#sent(status)
  }

  #sent(status: SendStatus): void {
    if (this.answer !== Answer.SENDING) return
    this.#sendStatus = status
    if (status === SendStatus.DONE) {
      this.answer = Answer.SENT
      this.keepAlive = this.#sender.keepAlive
      // Nobody is told of the rest.
      if (!this.whole) this.body?.discard()
    } else if (status === SendStatus.FAILED) this.#machine.reset(this.#sender.failureReason, this.#sender.failure)
  }
}

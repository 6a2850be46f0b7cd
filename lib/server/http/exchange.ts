/**
 * One request and its answer, reused for all requests of a connection: calls the handler, has the body for whoever
 * wants it, gives the answer to the reply. Every callback may throw, and may end the connection: what a handler throws
 * is answered once, and told to the server. Knows nothing of reading; see HttpDriver.
 */
import { show } from '../../base/options.ts'
import { type SettlementDesk, settlementDesk } from '../../multi/settlement.ts'
import { HeaderList } from '../../wire/http1/header-list.ts'
import type { RequestReader } from '../../wire/http1/request-reader.ts'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionMachine } from '../connection/connection-machine.ts'
import { Answer } from './answer.ts'
import type { HttpBook } from './http-book.ts'
import { HttpError, RequestAbortedError, type RequestEnd } from './http-error.ts'
import type { HttpSettings } from './http-options.ts'
import { type Asked, Reply } from './reply.ts'
import { abortRequest, HttpRequest, type RequestOwner } from './request/http-request.ts'
import { type BodySink, type BodySource, RequestBody } from './request/request-body.ts'
import { RequestClock } from './request/request-clock.ts'
import { RequestInput } from './request/request-input.ts'
import type { HttpResponse, HttpResponseHeaders } from './response/response.ts'
import { isResponse, notAResponse, toError } from './response/response-checks.ts'

/** Who reads for it. */
export interface ExchangeDriver {
  /** The server takes leave: this answer is the last. */
  readonly isDraining: boolean
  /** Something changed, inside of a run or outside: an answer, a body that is wanted. */
  touch(): void
}

export class Exchange implements RequestOwner, BodySource, BodySink, Asked {
  readonly connection: Connection
  readonly reply: Reply
  readonly input: RequestInput
  readonly clock: RequestClock = new RequestClock()
  request: HttpRequest | null = null
  body: RequestBody | null = null
  /** The peer waits for 100 before it sends the body. */
  expectsContinue = false
  /** All of the request was received. */
  whole = false
  readonly #machine: ConnectionMachine
  readonly #book: HttpBook
  readonly #driver: ExchangeDriver
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
    this.reply = new Reply(machine, book, this)
    this.input = new RequestInput(machine, book.readers)
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

  get isLast(): boolean {
    return this.#driver.isDraining
  }

  /** The program must do something before the answer goes on. */
  get isWaiting(): boolean {
    const { reply } = this
    return reply.isWaiting || (reply.state === Answer.AWAITED && this.#given === null)
  }

  // What the driver of the connection asks for

  /** The head is complete: the program is called. */
  begin(reader: RequestReader, keepAlive: boolean): void {
    const { method, httpVersion, headers, contentLength } = reader
    const request = new HttpRequest(this, method, reader.target, httpVersion, headers, contentLength)
    this.request = request
    this.body = null
    this.reply.state = Answer.AWAITED
    this.reply.keepAlive = keepAlive
    this.expectsContinue = reader.expectContinue
    this.whole = contentLength === 0
    this.reply.mayUpgrade = reader.upgrade
    const { handler } = this.#book.settings
    if (handler === null) this.#beginPhases(request)
    else this.#callHandler(request)
  }

  tellLine(requestLine: (target: string) => void, target: string): void {
    this.#guard('requestLine', () => requestLine(target))
  }

  /** Answers in the name of the server, unless an answer was begun: then there is nothing left but to close. */
  refuse(status: number, method: string): boolean {
    if (this.reply.state >= Answer.SENDING) return false
    this.reply.keepAlive = false
    // Whoever reads the body hears why it ends from `abort`, which follows.
    const { body } = this
    this.body = null
    this.reply.startError(status, method)
    this.body = body
    return this.reply.state >= Answer.SENDING
  }

  /** Goes on with what was given or begun. */
  run(): void {
    if (this.#isResumed) {
      this.#isResumed = false
      this.#guard('onBody', () => this.body?.resume())
    }
    if (this.reply.state === Answer.SENDING) {
      this.reply.run()
      return
    }
    const given = this.#given
    const thrown = this.#thrown
    this.#given = null
    this.#thrown = null
    if (this.request === null) return
    if (thrown !== null) this.#failed('handler', this.request, thrown.error)
    else if (given !== null) this.reply.start(this.request, given)
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
    this.reply.sender.informational(100)
  }

  /** All of it is over. */
  clear(): void {
    this.request = null
    this.body = null
    this.reply.state = Answer.NONE
    this.reply.upgrade = null
    this.#given = null
    this.#thrown = null
    this.#isResumed = false
  }

  /** The request ends before its answer was whole. */
  abort(code: RequestEnd, cause: Error | null): void {
    const { request, body, reply } = this
    const { state } = reply
    this.clear()
    // The server's own answer goes on.
    reply.state = state
    if (request === null) return
    const error = new RequestAbortedError(code, cause ?? undefined)
    this.#guard('signal', () => abortRequest(request, error))
    this.#guard('body', () => body?.fail(error))
  }

  close(error: Error | null): void {
    this.reply.sender.close(error)
    this.reply.outbox.clear()
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
      this.reply.sender.discard(response)
      return
    }
    if (this.#isAnswered()) {
      throw new TypeError('respond: this request was answered already')
    }
    if (this.#isInCallback) this.reply.start(request, response)
    else {
      this.#given = response
      this.#driver.touch()
    }
  }

  inform(request: HttpRequest, status: number, headers: HttpResponseHeaders | null): void {
    if (request !== this.request) return
    if (this.reply.state !== Answer.AWAITED) throw new TypeError('inform: this request was answered already')
    this.reply.sender.informational(status, headers ?? undefined)
    this.#driver.touch()
  }

  resume(request: HttpRequest): void {
    if (request !== this.request) return
    this.#isResumed = true
    this.reply.sender.resume()
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
    if (this.request !== request || this.reply.state !== Answer.AWAITED) return
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
      if (isResponse(response)) this.reply.sender.discard(response)
      return
    }
    if (!isResponse(response) || this.#isAnswered()) {
      if (response !== undefined || !this.#isAnswered()) this.#rejected(request, notAResponse(response))
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

  #isAnswered(): boolean {
    return this.reply.state !== Answer.AWAITED || this.#given !== null
  }

  #answered(request: HttpRequest, response: HttpResponse): void {
    if (request !== this.request) {
      if (isResponse(response)) this.reply.sender.discard(response)
    } else if (isResponse(response) && !this.#isAnswered()) this.reply.start(request, response)
    else if (response !== undefined || !this.#isAnswered()) this.#failed('handler', request, notAResponse(response))
  }

  /** A callback of the request threw: answered once, if nothing was. */
  #failed(operation: string, request: HttpRequest, error: unknown): void {
    const status = error instanceof HttpError ? error.status : 500
    if (status >= 500 && !(error instanceof RequestAbortedError)) this.#book.failed(operation, error, this.connection)
    if (request !== this.request) return
    this.#given = null
    if (this.reply.state === Answer.AWAITED) this.reply.startError(status, request.method)
    else if (this.reply.state === Answer.SENDING) this.#machine.reset('aborted', toError(error))
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
}

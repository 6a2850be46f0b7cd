/**
 * The answer to one request, reused for all requests of a connection: what is said of the connection, how far the
 * answer is sent, and what is answered when it cannot be. Knows the request as `Asked`, and calls nothing of the
 * program's but `errorBody`.
 */
import { HeaderList } from '../../wire/http1/header-list.ts'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionMachine } from '../connection/connection-machine.ts'
import { Outbox } from '../connection/outbox.ts'
import { Answer } from './answer.ts'
import type { HttpBook } from './http-book.ts'
import type { HttpRequest } from './request/http-request.ts'
import type { RequestBody } from './request/request-body.ts'
import type { RequestClock } from './request/request-clock.ts'
import type { HttpResponse } from './response/response.ts'
import { isSuccess } from './response/response-checks.ts'
import { ResponseSender, SendStatus } from './response/response-sender.ts'
import type { Upgrade } from './upgrade/upgrade.ts'

const SWITCHING_PROTOCOLS = 101
const NOT_IMPLEMENTED = 501
const ERROR_HEADERS = { 'content-type': 'text/plain' }

/** What is answered. */
export interface Asked {
  readonly connection: Connection
  readonly clock: RequestClock
  readonly request: HttpRequest | null
  readonly body: RequestBody | null
  /** All of the request was received. */
  readonly whole: boolean
  /** The peer waits for 100 before it sends the body. */
  readonly expectsContinue: boolean
  readonly contentLength: number
  /** The server takes leave: this answer is the last. */
  readonly isLast: boolean
}

export class Reply {
  readonly outbox: Outbox
  readonly sender: ResponseSender
  state: Answer = Answer.NONE
  /** The connection may serve another request after this one. */
  keepAlive = false
  /** The request asks for another protocol. */
  mayUpgrade = false
  /** Has the connection once the answer is with the system. */
  upgrade: Upgrade | null = null
  readonly #machine: ConnectionMachine
  readonly #book: HttpBook
  readonly #asked: Asked
  readonly #context = { method: '', httpVersion: '1.1', keepAlive: false, requestHeaders: HeaderList.EMPTY }
  #sendStatus: SendStatus = SendStatus.DONE

  constructor(machine: ConnectionMachine, book: HttpBook, asked: Asked) {
    this.#machine = machine
    this.#book = book
    this.#asked = asked
    this.outbox = new Outbox(machine)
    this.sender = new ResponseSender(machine, this.outbox, book.settings.response)
  }

  /** The socket must take something before it goes on. */
  get isBlocked(): boolean {
    return this.state === Answer.SENDING && this.#sendStatus === SendStatus.BLOCKED
  }

  /** The program must do something before it goes on. */
  get isWaiting(): boolean {
    return this.state === Answer.SENDING && this.#sendStatus === SendStatus.WAITING
  }

  start(request: HttpRequest, response: HttpResponse): void {
    this.#setContext(request.method)
    try {
      if (response.upgrade !== undefined) this.#startUpgrade(response, response.upgrade)
      else if (request.method === 'CONNECT' && isSuccess(response.status)) this.startError(NOT_IMPLEMENTED, 'CONNECT')
      else this.#begun(this.sender.start(response, this.#context))
    } catch (error) {
      this.#book.failed('response', error, this.#asked.connection)
      if (this.#asked.request === request) this.startError(500, request.method)
    }
  }

  startError(status: number, method: string): void {
    this.#setContext(method)
    const { request, connection } = this.#asked
    let body: HttpResponse['body'] = null
    try {
      body = this.#book.settings.errorBody(status, request)
      this.#begun(this.sender.start({ status, headers: ERROR_HEADERS, body }, this.#context))
    } catch (error) {
      this.#book.failed('errorBody', error, connection)
      if (this.#asked.request === request) this.#begun(this.sender.start({ status }, this.#context))
    }
  }

  /** Goes on with what was begun. */
  run(): void {
    this.#sent(this.sender.run())
  }

  #startUpgrade(response: HttpResponse, upgrade: Upgrade): void {
    const { method } = this.#context
    const { status = 200 } = response
    const isSwitch = status === SWITCHING_PROTOCOLS && method !== 'CONNECT'
    const isTunnel = method === 'CONNECT' && isSuccess(status)
    if (!(isSwitch || isTunnel) || !this.mayUpgrade) {
      throw new TypeError(`response.upgrade: this request did not ask for it, or status ${status} does not say so`)
    }
    if (!this.#asked.whole) throw new TypeError('response.upgrade: the body of the request must be consumed first')
    this.upgrade = upgrade
    this.#context.keepAlive = true
    if (isTunnel) this.#begun(this.sender.start(response, this.#context))
    else {
      this.sender.informational(status, response.headers)
      this.#begun(SendStatus.DONE)
    }
  }

  #setContext(method: string): void {
    const context = this.#context
    const asked = this.#asked
    const { request, body } = asked
    context.method = method
    context.httpVersion = this.#book.settings.http10 === null ? (request?.httpVersion ?? '1.1') : '1.0'
    context.requestHeaders = request?.headers ?? HeaderList.EMPTY
    // Whether a peer that waits for 100 sends its body now is its own choice: nobody knows what follows.
    let keepAlive = this.keepAlive && !asked.expectsContinue && !asked.isLast
    if (keepAlive && !asked.whole && (body === null || body.discarded)) {
      keepAlive = asked.contentLength <= this.#book.settings.limits.discardBytes
    }
    context.keepAlive = keepAlive
  }

  #begun(status: SendStatus): void {
    const { clock } = this.#asked
    clock.answeredAt = this.#machine.host.now
    clock.sentAt = clock.answeredAt
    this.state = Answer.SENDING
    this.#sent(status)
  }

  #sent(status: SendStatus): void {
    if (this.state !== Answer.SENDING) return
    this.#sendStatus = status
    if (status === SendStatus.DONE) {
      this.state = Answer.SENT
      this.keepAlive = this.sender.keepAlive
      // Nobody is told of the rest.
      if (!this.#asked.whole) this.#asked.body?.discard()
    } else if (status === SendStatus.FAILED) this.#machine.reset(this.sender.failureReason, this.sender.failure)
  }
}

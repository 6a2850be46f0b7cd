/**
 * One request, as a handler sees it. The head is text and stays valid for ever; the body is received only when it is
 * asked for, once: `bytes`, `text`, `json`, an iteration, or `sinkInto` for borrowed bytes. What is left of it when the
 * answer was given is discarded. After the end of the request its verbs do nothing.
 */
import type { SocketAddress } from '../../../sys/kernel.ts'
import type { HeaderList } from '../../../wire/http1/header-list.ts'
import type { Connection } from '../../connection/connection.ts'
import { HttpError } from '../http-error.ts'
import type { HttpResponse, HttpResponseHeaders } from '../response/response.ts'
import { collectForm, type FormLimits, type FormPart, formParts, type ReceivedForm } from './form.ts'
import type { BodySink, RequestBody } from './request-body.ts'

/** What has the request: the driver of its connection. */
export interface RequestOwner {
  readonly connection: Connection
  /** Default limit of a body that is collected. */
  readonly bodyBytesMax: number
  bodyOf(request: HttpRequest): RequestBody
  respond(request: HttpRequest, response: HttpResponse): void
  inform(request: HttpRequest, status: number, headers: HttpResponseHeaders | null): void
  /** What rests goes on: a sink, or a body function that had nothing. */
  resume(request: HttpRequest): void
}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({})

let abortWithin: (request: HttpRequest, reason: Error) => void

/** It ended before its answer was whole. Listeners of its signal are called. */
export function abortRequest(request: HttpRequest, reason: Error): void {
  abortWithin(request, reason)
}

export class HttpRequest {
  readonly method: string
  /** The target as it was sent: a path with its query, an absolute URL, host:port (CONNECT) or '*'. */
  readonly url: string
  readonly httpVersion: '1.0' | '1.1'
  readonly headers: HeaderList
  /** Bytes of the body as announced: 0 for none, -1 when it is chunked. */
  readonly contentLength: number
  /** What a router found in the target. */
  params: Readonly<Record<string, string>> = NO_PARAMS
  /** Anything of yours. */
  data: unknown = undefined
  readonly #owner: RequestOwner
  #body: RequestBody | null = null
  #abort: AbortController | null = null
  #aborted: Error | null = null

  static {
    abortWithin = (request, reason) => {
      request.#aborted = reason
      request.#abort?.abort(reason)
    }
  }

  /** @internal */
  constructor(
    owner: RequestOwner,
    method: string,
    url: string,
    httpVersion: '1.0' | '1.1',
    headers: HeaderList,
    contentLength: number,
  ) {
    this.#owner = owner
    this.method = method
    this.url = url
    this.httpVersion = httpVersion
    this.headers = headers
    this.contentLength = contentLength
  }

  get connection(): Connection {
    return this.#owner.connection
  }

  get peer(): SocketAddress | null {
    return this.#owner.connection.peer
  }

  get local(): SocketAddress | null {
    return this.#owner.connection.local
  }

  /** Aborts with a RequestAbortedError when the request ends before its answer was whole. */
  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController()
      if (this.#aborted !== null) this.#abort.abort(this.#aborted)
    }
    return this.#abort.signal
  }

  /** Behind a chunked body, once it ended. */
  get trailers(): HeaderList {
    return this.#ownBody().trailers
  }

  /**
   * Answers, now or later; a handler that returns its answer need not. Throws a TypeError when it was answered before;
   * does nothing when the request has ended.
   */
  respond(response: HttpResponse): void {
    this.#owner.respond(this, response)
  }

  /** Before the answer: 102 Processing, 103 Early Hints. */
  inform(status: number, headers: HttpResponseHeaders | null = null): void {
    this.#owner.inform(this, status, headers)
  }

  /**
   * All of the body. Rejects with an HttpError 413 above the limit, with a RequestAbortedError when it does not become
   * whole, with a TypeError when the body was consumed already.
   */
  async bytes(limit: number = this.#owner.bodyBytesMax): Promise<Uint8Array<ArrayBuffer>> {
    if (!(limit >= 0)) throw new RangeError(`bytes: limit must be zero or more bytes, not ${String(limit)}`)
    return this.#ownBody().collect(limit)
  }

  /** As `bytes`, read as UTF-8. */
  async text(limit?: number): Promise<string> {
    return Buffer.from((await this.bytes(limit)).buffer).toString()
  }

  /** As `bytes`, parsed. Rejects with an HttpError 400 when it is not JSON. */
  async json(limit?: number): Promise<unknown> {
    const text = await this.text(limit)
    try {
      return JSON.parse(text)
    } catch {
      throw new HttpError(400, 'the body is not JSON')
    }
  }

  /**
   * The form in the body, urlencoded or multipart, collected. Rejects with an HttpError: 415 when it is none, 400 when
   * it is broken, 413 above the limits.
   */
  async form(limits?: FormLimits): Promise<ReceivedForm> {
    return collectForm(this, limits)
  }

  /** As `form`, part by part as it arrives: for files that are too large to collect. */
  formParts(limits?: FormLimits): AsyncIterable<FormPart> {
    return formParts(this, limits)
  }

  /** Pieces in memory of their own; the peer is held back while nobody asks. `break` discards the rest. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>, undefined> {
    return this.#ownBody().iterate()
  }

  /** Without promises: borrowed bytes, as they come. */
  sinkInto(sink: BodySink): void {
    this.#ownBody().sinkInto(sink)
  }

  /** Lets the body go. */
  discard(): void {
    this.#ownBody().discard()
  }

  /** A sink that had enough takes bytes again; a body function that answered PAUSE is asked again. */
  resume(): void {
    this.#owner.resume(this)
  }

  #ownBody(): RequestBody {
    this.#body ??= this.#owner.bodyOf(this)
    return this.#body
  }
}

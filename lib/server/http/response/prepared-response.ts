/**
 * A response that was checked and encoded once, for any number of requests and connections. The answer to a plain
 * request is then one copy of bytes, in which only the date is written anew, once a second; requests that need another
 * head (HEAD, HTTP/1.0, the last one of a connection) get it encoded as any other.
 */
import { wrongRange, wrongType } from '../../../base/options.ts'
import { bytesOf, NO_BYTES } from './body-source.ts'
import { FieldReader } from './field-reader.ts'
import type { HttpResponse, HttpResponseBody, HttpResponseHeaders } from './response.ts'
import { checkStatus, type HeadTools, hasContent, type ResponseSettings, statusLine } from './response-head.ts'

/** Head and body are one piece up to this size. */
const JOINED_BYTES_MAX = 8 * 1024
const DATE_NAME = 'Date: '

const latin1Write = Buffer.prototype.latin1Write

export class PreparedResponse implements HttpResponse {
  readonly status: number
  readonly reason?: string
  readonly headers: HttpResponseHeaders
  readonly body: Uint8Array
  /** False: its Connection or its framing depends on the request. */
  readonly #isPlain: boolean
  #settings: ResponseSettings | null = null
  #bytes: Uint8Array = NO_BYTES
  /** Where the date stands in the bytes; -1 when it is not ours. */
  #dateAt = -1
  #date = ''

  constructor(response: HttpResponse) {
    const { status = 200, headers = {}, reason } = response
    if (response.trailers !== undefined)
      throw wrongType('trailers', 'left out of a prepared response', response.trailers)
    checkStatus(status)
    statusLine(status, reason)
    this.status = status
    if (reason !== undefined) this.reason = reason
    this.headers = headers
    this.body = wholeBytes(response.body)
    const fields = new FieldReader()
    fields.read('headers', headers)
    const { contentLength } = fields
    if (contentLength >= 0 && contentLength !== this.body.length && hasContent(status)) {
      throw wrongRange("headers['content-length']", `${this.body.length}, as the body has`, contentLength)
    }
    this.#isPlain =
      hasContent(status) && contentLength < 0 && !fields.chunked && !fields.close && fields.connection === ''
  }

  /** The body is part of `encoded`. */
  get isJoined(): boolean {
    return this.body.length <= JOINED_BYTES_MAX
  }

  /** The answer to a plain request, borrowed; null when there is none that suits all. */
  encoded(settings: ResponseSettings, tools: HeadTools): Uint8Array | null {
    if (!this.#isPlain) return null
    if (this.#settings !== settings) this.#encode(settings, tools)
    const { date } = tools
    if (this.#dateAt >= 0 && this.#date !== date) {
      this.#date = date
      latin1Write.call(this.#bytes, date, this.#dateAt, date.length)
    }
    return this.#bytes
  }

  #encode(settings: ResponseSettings, tools: HeadTools): void {
    const { fields } = tools
    fields.read('headers', this.headers)
    const line = statusLine(this.status, this.reason)
    const hasDate = settings.date && !fields.hasDate
    const date = hasDate ? tools.dateLine : ''
    const server = settings.server !== null && !fields.hasServer ? `Server: ${settings.server}\r\n` : ''
    const head = `${line}${date}${server}${fields.lines}Content-Length: ${this.body.length}\r\n\r\n`
    const bytes = Buffer.from(head, 'latin1')
    this.#dateAt = hasDate ? line.length + DATE_NAME.length : -1
    this.#date = hasDate ? tools.date : ''
    this.#bytes = this.isJoined ? Buffer.concat([bytes, this.body]) : bytes
    this.#settings = settings
  }
}

/** Checks and encodes a response with a whole body, once. Throws what sending it would. */
export function prepareResponse(response: HttpResponse): PreparedResponse {
  return new PreparedResponse(response)
}

function wholeBytes(body: HttpResponseBody | null | undefined): Uint8Array {
  if (body === undefined || body === null) return NO_BYTES
  if (Array.isArray(body)) return Buffer.concat(body.map(bytesOf))
  return typeof body === 'string' ? Buffer.from(body, 'utf8') : bytesOf(body)
}

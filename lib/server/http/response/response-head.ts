/**
 * The heads of responses: the status line, the date, and what the server says of the framing and of the connection,
 * which it decides here. One set of tools serves all connections of a Multi, so what it found is valid until the next
 * head. Throws, with nothing composed, for what cannot be sent.
 */
import { wrongRange, wrongType } from '../../../base/options.ts'
import { Facility, type Host } from '../../../multi/host.ts'
import { systemClock } from '../../../sys/clock.ts'
import { isFieldValue } from '../../../wire/http1/syntax.ts'
import { FieldReader } from './field-reader.ts'
import type { HttpResponse, HttpResponseHeaders } from './response.ts'

/** Of the request that is answered. */
export interface ResponseContext {
  readonly method: string
  readonly httpVersion: string
  /** The client and the server's policy let the connection stay. */
  readonly keepAlive: boolean
}

/** Of a server. */
export interface ResponseSettings {
  /** Value of Server; null leaves it out. */
  readonly server: string | null
  /** Send Date. */
  readonly date: boolean
  /** Say `Connection: keep-alive` to HTTP/1.1 as well. */
  readonly keepAliveHeader?: boolean
  /** Call this server one of HTTP/1.0. */
  readonly isOld?: boolean
}

/** How the end of a body is told. */
export const Framing = { LENGTH: 0, CHUNKED: 1, UNTIL_CLOSE: 2, NONE: 3 } as const
export type Framing = (typeof Framing)[keyof typeof Framing]

const SWITCHING_PROTOCOLS = 101
const NO_CONTENT = 204
const RESET_CONTENT = 205
const NOT_MODIFIED = 304
const INFORMATIONAL_LEAST = 100
const STATUS_LEAST = 200
const STATUS_MOST = 999
const SECOND_MS = 1000

export class HeadTools {
  readonly fields: FieldReader = new FieldReader()
  /** Of the last head. NONE: no body follows. */
  framing: Framing = Framing.NONE
  /** Of its body; -1 when it is not known. */
  length = 0
  keepAlive = false
  /** What stands before the text of `compose`, when that was encoded before; borrowed. */
  prefix: Uint8Array | null = null
  #prefixBytes: Uint8Array = new Uint8Array(0)
  #line = ''
  #dateUsed = ''
  #server = ''
  #lines = ''
  readonly #host: Host
  #date = ''
  #dateLine = ''
  /** By the engine's clock; the calendar is not asked before. */
  #staleAt = Number.NEGATIVE_INFINITY

  constructor(host: Host) {
    this.#host = host
  }

  /** As 'Thu, 29 Feb 2024 12:00:00 GMT'. */
  get date(): string {
    if (this.#host.now >= this.#staleAt) this.#renew()
    return this.#date
  }

  get dateLine(): string {
    if (this.#host.now >= this.#staleAt) this.#renew()
    return this.#dateLine
  }

  /** `size` is that of the body, -1 when it is not known. The head is `prefix`, if there is one, and this text. */
  compose(response: HttpResponse, context: ResponseContext, settings: ResponseSettings, size: number): string {
    const { fields } = this
    const { status = 200 } = response
    checkStatus(status)
    fields.read('headers', response.headers)
    const newLine = statusLine(status, response.reason)
    const line = settings.isOld === true ? `HTTP/1.0${newLine.slice('HTTP/1.0'.length)}` : newLine
    const date = settings.date && !fields.hasDate ? this.dateLine : ''
    const server = settings.server !== null && !fields.hasServer ? `Server: ${settings.server}\r\n` : ''
    const framing = this.#frame(status, response, context, size)
    this.keepAlive = context.keepAlive && !fields.close && this.framing !== Framing.UNTIL_CLOSE
    const connection = connectionLine(
      fields.connection,
      this.keepAlive,
      context.httpVersion === '1.0' || settings.keepAliveHeader === true,
    )
    this.prefix = fields.isRepeated ? this.#encoded(line, date, server, fields.lines) : null
    if (this.prefix !== null) return `${framing}${connection}\r\n`
    return `${line}${date}${server}${fields.lines}${framing}${connection}\r\n`
  }

  /** Encoded once for all responses that begin alike. */
  #encoded(line: string, date: string, server: string, lines: string): Uint8Array {
    if (line !== this.#line || date !== this.#dateUsed || server !== this.#server || lines !== this.#lines) {
      this.#line = line
      this.#dateUsed = date
      this.#server = server
      this.#lines = lines
      this.#prefixBytes = Buffer.from(`${line}${date}${server}${lines}`, 'latin1')
    }
    return this.#prefixBytes
  }

  /** 100 to 199. */
  informational(status: number, headers: HttpResponseHeaders | undefined): string {
    const { fields } = this
    if (!(Number.isInteger(status) && status >= INFORMATIONAL_LEAST && status < STATUS_LEAST)) {
      throw wrongRange('status', 'a whole number from 100 to 199', status)
    }
    fields.read('headers', headers)
    const options = fields.connection === '' && status === SWITCHING_PROTOCOLS ? 'Upgrade' : fields.connection
    const connection = options === '' ? '' : `Connection: ${options}\r\n`
    return `${statusLine(status, undefined)}${fields.lines}${connection}\r\n`
  }

  /** Decides on the framing of the body, and says it in field lines. */
  #frame(status: number, response: HttpResponse, context: ResponseContext, size: number): string {
    const { fields } = this
    const { method } = context
    const isOld = context.httpVersion === '1.0'
    const isConnected = method === 'CONNECT' && status < 300
    if (isConnected || (!hasContent(status) && status !== NOT_MODIFIED)) {
      this.framing = Framing.NONE
      return status === RESET_CONTENT ? 'Content-Length: 0\r\n' : ''
    }
    const hasBody = response.body !== undefined && response.body !== null
    const isBodiless = method === 'HEAD' || status === NOT_MODIFIED
    if (fields.contentLength >= 0 && size >= 0 && size !== fields.contentLength && (hasBody || !isBodiless)) {
      throw new RangeError(
        `option headers['content-length'] is ${fields.contentLength}, but the body has ${size} bytes`,
      )
    }
    this.length = fields.contentLength >= 0 ? fields.contentLength : size
    this.framing = Framing.LENGTH
    if (this.length < 0) this.framing = isOld ? Framing.UNTIL_CLOSE : Framing.CHUNKED
    else if (!isOld && (fields.chunked || response.trailers !== undefined)) this.framing = Framing.CHUNKED
    const lines = this.#framingLines()
    if (!isBodiless) return lines
    this.framing = Framing.NONE
    return status === NOT_MODIFIED && !hasBody && fields.contentLength < 0 ? '' : lines
  }

  #framingLines(): string {
    if (this.framing === Framing.LENGTH) return `Content-Length: ${this.length}\r\n`
    return this.framing === Framing.CHUNKED ? 'Transfer-Encoding: chunked\r\n' : ''
  }

  #renew(): void {
    const { clock, now } = this.#host
    const wallTime = clock.wallTime === undefined ? systemClock.wallTime() : clock.wallTime()
    this.#staleAt = now + SECOND_MS - (wallTime % SECOND_MS)
    const date = new Date(wallTime).toUTCString()
    if (date === this.#date) return
    this.#date = date
    this.#dateLine = `Date: ${date}\r\n`
  }
}

export const headTools: Facility<HeadTools> = new Facility((host) => new HeadTools(host))

const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue', 101: 'Switching Protocols', 102: 'Processing', 103: 'Early Hints',
  200: 'OK', 201: 'Created', 202: 'Accepted', 203: 'Non-Authoritative Information', 204: 'No Content',
  205: 'Reset Content', 206: 'Partial Content', 207: 'Multi-Status', 208: 'Already Reported', 226: 'IM Used',
  300: 'Multiple Choices', 301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 304: 'Not Modified',
  305: 'Use Proxy', 307: 'Temporary Redirect', 308: 'Permanent Redirect',
  400: 'Bad Request', 401: 'Unauthorized', 402: 'Payment Required', 403: 'Forbidden', 404: 'Not Found',
  405: 'Method Not Allowed', 406: 'Not Acceptable', 407: 'Proxy Authentication Required', 408: 'Request Timeout',
  409: 'Conflict', 410: 'Gone', 411: 'Length Required', 412: 'Precondition Failed', 413: 'Content Too Large',
  414: 'URI Too Long', 415: 'Unsupported Media Type', 416: 'Range Not Satisfiable', 417: 'Expectation Failed',
  418: "I'm a Teapot", 421: 'Misdirected Request', 422: 'Unprocessable Content', 423: 'Locked',
  424: 'Failed Dependency', 425: 'Too Early', 426: 'Upgrade Required', 428: 'Precondition Required',
  429: 'Too Many Requests', 431: 'Request Header Fields Too Large', 451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable',
  504: 'Gateway Timeout', 505: 'HTTP Version Not Supported', 506: 'Variant Also Negotiates',
  507: 'Insufficient Storage', 508: 'Loop Detected', 510: 'Not Extended', 511: 'Network Authentication Required',
} // biome-ignore format: a table

/** The usual phrase; '' for a status that has none. */
export function reasonOf(status: number): string {
  return REASONS[status] ?? ''
}

const STATUS_LINES: (string | undefined)[] = []
for (let status = 100; status < 600; status++) STATUS_LINES.push(`HTTP/1.1 ${status} ${reasonOf(status)}\r\n`)

export function statusLine(status: number, reason: string | undefined): string {
  if (reason === undefined) return STATUS_LINES[status - 100] ?? `HTTP/1.1 ${status} \r\n`
  if (typeof reason !== 'string' || !isFieldValue(reason)) {
    throw wrongType('reason', 'Latin-1 text without CR, LF and NUL', reason)
  }
  return `HTTP/1.1 ${status} ${reason}\r\n`
}

/** Whether an answer to GET with that status has a body. */
export function hasContent(status: number): boolean {
  return status !== NO_CONTENT && status !== RESET_CONTENT && status !== NOT_MODIFIED
}

export function checkStatus(status: number): void {
  if (typeof status !== 'number') throw wrongType('status', 'a number', status)
  if (!Number.isInteger(status) || status < STATUS_LEAST || status > STATUS_MOST) {
    throw wrongRange('status', `a whole number from ${STATUS_LEAST} to ${STATUS_MOST}`, status)
  }
}

function connectionLine(options: string, keepAlive: boolean, saysKeepAlive: boolean): string {
  const own = keepAlive ? (saysKeepAlive ? 'keep-alive' : '') : 'close'
  if (options === '') return own === '' ? '' : `Connection: ${own}\r\n`
  return own === '' ? `Connection: ${options}\r\n` : `Connection: ${options}, ${own}\r\n`
}

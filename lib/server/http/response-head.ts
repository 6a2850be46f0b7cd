/**
 * The fields of a response as text: those of the program, checked, and what the server decides itself taken out of them
 * (Content-Length, Transfer-Encoding, Connection). One reader serves all connections of a Multi: what it found is valid
 * until it reads the next. Throws TypeErrors that name the field, for what would break the framing or inject fields.
 */
import { wrongRange, wrongType } from '../../base/options.ts'
import type { Facility, Host } from '../../multi/host.ts'
import { systemClock } from '../../sys/clock.ts'
import { HeaderList, matchesName } from '../../wire/http1/header-list.ts'
import { isFieldValue, isToken } from '../../wire/http1/syntax.ts'
import type { HttpResponseHeaders } from './response.ts'

/** Of a server. */
export interface ResponseSettings {
  /** Value of Server; null leaves it out. */
  readonly server: string | null
  /** Send Date. */
  readonly date: boolean
}

const NO_CONTENT = 204
export const RESET_CONTENT = 205
export const NOT_MODIFIED = 304
const STATUS_LEAST = 200
const STATUS_MOST = 999
const SECOND_MS = 1000

/** What the server has a say in, by the length of the name. */
const LONGEST_SPECIAL_NAME = 'transfer-encoding'.length

export class FieldReader {
  /** Field lines, each with its CRLF. */
  lines = ''
  /** Of the program's Content-Length; -1 when there is none. */
  contentLength = -1
  /** The program asks for chunks. */
  chunked = false
  /** The program ends the connection. */
  close = false
  /** Other options of its Connection, as 'Upgrade'. */
  connection = ''
  hasDate = false
  hasServer = false

  read(option: string, headers: HttpResponseHeaders | undefined): void {
    this.lines = ''
    this.contentLength = -1
    this.chunked = false
    this.close = false
    this.connection = ''
    this.hasDate = false
    this.hasServer = false
    if (headers === undefined) return
    if (typeof headers !== 'object' || headers === null)
      throw wrongType(option, 'a record or [name, value] pairs', headers)
    if (headers instanceof HeaderList) this.#readList(option, headers)
    else if (Symbol.iterator in headers) this.#readPairs(option, headers as Iterable<unknown>)
    else this.#readRecord(option, headers as Readonly<Record<string, unknown>>)
  }

  /** For what stands behind a body, where fields of the framing have no place. */
  readTrailers(headers: HttpResponseHeaders): string {
    this.read('trailers', headers)
    if (this.contentLength >= 0 || this.chunked || this.close || this.connection !== '') {
      throw new TypeError('option trailers must not hold Content-Length, Transfer-Encoding or Connection')
    }
    return this.lines
  }

  #readRecord(option: string, headers: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(headers)) {
      const value = headers[name]
      if (typeof value === 'string') this.#add(option, name, value)
      else if (value !== undefined) this.#addOther(option, name, value)
    }
  }

  #readPairs(option: string, headers: Iterable<unknown>): void {
    for (const pair of headers) {
      if (!Array.isArray(pair) || pair.length !== 2) throw wrongType(option, 'a record or [name, value] pairs', pair)
      this.#addOther(option, pair[0], pair[1])
    }
  }

  #readList(option: string, headers: HeaderList): void {
    for (let index = 0; index < headers.size; index++) this.#add(option, headers.nameAt(index), headers.valueAt(index))
  }

  #addOther(option: string, name: string, value: unknown): void {
    if (typeof value === 'string') this.#add(option, name, value)
    else if (typeof value === 'number') this.#add(option, name, String(value))
    else if (Array.isArray(value)) for (const one of value) this.#addOther(option, name, one)
    else throw wrongType(`${option}['${name}']`, 'a string, a number or an array of them', value)
  }

  #add(option: string, name: string, value: string): void {
    if (typeof name !== 'string' || !isToken(name)) throw wrongType(option, 'fields with a token for a name', name)
    if (!isFieldValue(value)) {
      throw wrongType(`${option}['${name}']`, 'Latin-1 text without CR, LF and NUL', value)
    }
    if (name.length <= LONGEST_SPECIAL_NAME && this.#isSpecial(option, name, value)) return
    this.lines += `${name}: ${value}\r\n`
  }

  /** True when the field is not sent as it stands. */
  #isSpecial(option: string, name: string, value: string): boolean {
    switch (name.length) {
      case 4:
        this.hasDate ||= isNamed(name, 'date')
        return false
      case 6:
        this.hasServer ||= isNamed(name, 'server')
        return false
      case 10:
        return isNamed(name, 'connection') && this.#readConnection(value)
      case 14:
        return isNamed(name, 'content-length') && this.#readContentLength(option, value)
      case 17:
        return isNamed(name, 'transfer-encoding') && this.#readTransferEncoding(option, value)
      default:
        return false
    }
  }

  #readConnection(value: string): true {
    for (const part of value.split(',')) {
      const token = part.trim()
      const lower = token.toLowerCase()
      if (lower === 'close') this.close = true
      else if (token !== '' && lower !== 'keep-alive') {
        this.connection += this.connection === '' ? token : `, ${token}`
      }
    }
    return true
  }

  #readContentLength(option: string, value: string): true {
    const length = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
    if (!Number.isSafeInteger(length)) throw wrongRange(`${option}['content-length']`, 'a number of bytes', value)
    if (this.contentLength >= 0 && this.contentLength !== length) {
      throw wrongRange(`${option}['content-length']`, `the same as before, ${this.contentLength}`, value)
    }
    this.contentLength = length
    return true
  }

  #readTransferEncoding(option: string, value: string): true {
    if (value.toLowerCase() !== 'chunked') throw wrongRange(`${option}['transfer-encoding']`, "'chunked'", value)
    this.chunked = true
    return true
  }
}

function isNamed(name: string, lowerCaseName: string): boolean {
  return matchesName(name, 0, name.length, lowerCaseName)
}

/** What the connections of a Multi share: a reader, and the date, which is made once a second. */
export class HeadTools {
  readonly fields: FieldReader = new FieldReader()
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

export const headTools: Facility<HeadTools> = { create: (host) => new HeadTools(host) }

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

/**
 * The access log on stdout, one line for each request, in the formats that programs read: Apache's common and combined,
 * or a JSON object. What a client sent cannot break out of its field. Lines of one turn of the loop leave in one write.
 */
import type { HttpRequest, RequestEnd } from '../index.ts'

export const LOG_FORMATS = ['combined', 'common', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

export interface LogEntry {
  readonly request: HttpRequest
  readonly end: RequestEnd
  /** 0: not answered. */
  readonly status: number
  /** Of the body that was answered, headers not counted. */
  readonly bytes: number
  readonly startedAt: Date
  readonly durationMs: number
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MINUTES_PER_HOUR = 60
/** Of the field of such a line: its quotes, the escape itself, and what is not printable ASCII. */
const SPECIAL = /["\\]|[^\x20-\x7e]/g

export class AccessLog {
  readonly #format: (entry: LogEntry) => string
  #lines = ''

  constructor(format: LogFormat) {
    this.#format = { combined, common, json }[format]
  }

  add(entry: LogEntry): void {
    if (this.#lines === '') setImmediate(() => this.flush())
    this.#lines += `${this.#format(entry)}\n`
  }

  flush(): void {
    const lines = this.#lines
    this.#lines = ''
    if (lines !== '') process.stdout.write(lines)
  }
}

function common(entry: LogEntry): string {
  const { request, status, startedAt } = entry
  const target = quoted(`${request.method} ${request.url} HTTP/${request.httpVersion}`)
  return `${hostOf(request)} - - [${localTime(startedAt)}] ${target} ${status || '-'} ${bytesOf(entry) ?? '-'}`
}

function combined(entry: LogEntry): string {
  const { headers } = entry.request
  return `${common(entry)} ${quoted(headers.get('referer') ?? '-')} ${quoted(headers.get('user-agent') ?? '-')}`
}

function json(entry: LogEntry): string {
  const { request, end, status, startedAt, durationMs } = entry
  return JSON.stringify({
    time: startedAt.toISOString(),
    client: hostOf(request),
    method: request.method,
    target: request.url,
    httpVersion: request.httpVersion,
    status: status || null,
    bytes: bytesOf(entry),
    durationMs: Math.round(durationMs * 1000) / 1000,
    end,
    referer: request.headers.get('referer') ?? null,
    userAgent: request.headers.get('user-agent') ?? null,
  })
}

/** Nobody knows how much of a body arrived that was cut. */
function bytesOf({ end, bytes }: LogEntry): number | null {
  return end === 'completed' ? bytes : null
}

/** Those of a unix socket have no address. */
function hostOf({ peer }: HttpRequest): string {
  return peer === null || peer.address === '' ? '-' : quoted(peer.address).slice(1, -1)
}

function quoted(text: string): string {
  const escaped = text.replace(SPECIAL, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`
    return [...Buffer.from(character, 'latin1')].map((byte) => `\\x${hex(byte)}`).join('')
  })
  return `"${escaped}"`
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

/** As in 10/Oct/2000:13:55:36 -0700. */
function localTime(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const offset = -time.getTimezoneOffset()
  const ahead = Math.abs(offset)
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(ahead / MINUTES_PER_HOUR))}${two(ahead % MINUTES_PER_HOUR)}`
  const day = `${two(time.getDate())}/${MONTHS[time.getMonth()]}/${time.getFullYear()}`
  return `${day}:${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())} ${zone}`
}

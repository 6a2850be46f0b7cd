/**
 * What an HttpServer can be told about requests, checked once and completed by defaults. Limits are never infinite
 * unless somebody says so; what each answers is told beside it.
 */
import {
  type Check,
  checkOptions,
  isBoolean,
  isFunction,
  isInteger,
  isObject,
  isText,
  wrongRange,
} from '../../base/options.ts'
import { isLimits, type ServerLimitOptions } from '../server-options.ts'
import type { Timeouts } from '../timeouts.ts'
import type { RequestEnd } from './http-error.ts'
import type { HttpRequest } from './request/http-request.ts'
import type { HttpResponse, HttpResponseBody } from './response/response.ts'
import type { ResponseSettings } from './response/response-sender.ts'

/** The answer, or a promise of it. What it throws answers 500, or the status of an HttpError. */
export type HttpHandler = (request: HttpRequest) => HttpResponse | PromiseLike<HttpResponse>

/**
 * The three phases of a request, for programs without promises. The answer is given by `request.respond`, in any of
 * them or later; given before the end, it makes the rest of the body be discarded.
 */
export interface RequestDriver {
  /** The head is complete. */
  onHeaders?(request: HttpRequest): void
  /**
   * A piece of the body, borrowed until this returns. Answers how many bytes were taken: with fewer the peer is held
   * back, and the rest is told after `request.resume`. undefined: all.
   */
  onBody?(request: HttpRequest, bytes: Uint8Array): number | undefined
  /** The whole request was received. */
  onEnd?(request: HttpRequest): void
}

/** ms by the clock of the Multi; 0 for what never came. */
export interface RequestTimings {
  /** Its first byte was received. */
  readonly startedAt: number
  readonly headAt: number
  /** The answer was begun. */
  readonly answeredAt: number
  readonly endedAt: number
}

export interface HttpLimits {
  /** Request line and fields, 431 above. */
  readonly headBytes: number
  /** Target of the request line, 414 above. */
  readonly targetBytes: number
  /** A body that is collected (`bytes`, `text`, `json`), 413 above. One that is streamed is the handler's to bound. */
  readonly bodyBytes: number
  /** Trailer section, 431 above. */
  readonly trailerBytes: number
  /** A body that nobody wants is received up to here to keep the connection, which is closed above. */
  readonly discardBytes: number
  /** Received ahead while an answer is awaited. */
  readonly pipelineBytes: number
  /** The last of so many is answered with Connection: close. */
  readonly requestsPerConnection: number
  /** So many keep between two requests what serves them; of others it is made anew, so that they take little memory. */
  readonly keptConnections: number
  /** Bytes per second that a body must average, 408 below; 0: none. */
  readonly bodyMinRate: number
  /** From when on it is looked at. */
  readonly bodyMinRateAfterMs: number
}

const HTTP_LIMITS: HttpLimits = {
  headBytes: 16 * 1024,
  targetBytes: 8 * 1024,
  bodyBytes: 1024 * 1024,
  trailerBytes: 8 * 1024,
  discardBytes: 256 * 1024,
  pipelineBytes: 64 * 1024,
  requestsPerConnection: 1_000_000,
  keptConnections: 1024,
  bodyMinRate: 100,
  bodyMinRateAfterMs: 10_000,
}

export interface HttpOptions {
  readonly limits?: ServerLimitOptions & Partial<HttpLimits>
  /** One of `handler` and `driver`. */
  readonly handler?: HttpHandler
  readonly driver?: RequestDriver
  /**
   * How strictly the grammar of requests is read: 1 by default, -3 to 3 as libmicrohttpd's; docs/http-server.md has the
   * table. Contradictory lengths are refused at every level.
   */
  readonly discipline?: number
  /** The body of an answer that the server gives itself; null: none. */
  readonly errorBody?: (status: number, request: HttpRequest | null) => HttpResponseBody | null
  /** Value of the Server field; default none. */
  readonly serverName?: string
  /** Send Date; default true. */
  readonly date?: boolean
  /** Say `Connection: keep-alive` to clients of HTTP/1.1 as well; default false. */
  readonly keepAliveHeader?: boolean
  /**
   * Answers as to HTTP/1.0 whatever the client speaks ('strict': no chunks), or calls itself a server of HTTP/1.0 as
   * well ('server'): for clients that claim more than they know. null: default.
   */
  readonly http10?: 'strict' | 'server' | null
  /** Called with each target as it was sent, before anything is made of it. */
  readonly requestLine?: (target: string) => void
  /** Called once for every request that a handler or driver saw. */
  readonly onRequestEnd?: (request: HttpRequest, end: RequestEnd, timings: RequestTimings) => void
  /**
   * A peer that closes its sending half while it waits for an answer has gone ('abort', the default), or gets the
   * answer all the same ('answer').
   */
  readonly halfClose?: 'abort' | 'answer'
  /** How long a connection between two requests is given for one more when the server drains. Default 1000. */
  readonly drainIdleMs?: number
  /** Requests that come while the server drains: answered as ever ('serve', the default), or 503. */
  readonly onDrainRequest?: 'serve' | 503
}

export interface HttpSettings {
  readonly handler: HttpHandler | null
  readonly driver: RequestDriver | null
  readonly discipline: number
  readonly errorBody: (status: number, request: HttpRequest | null) => HttpResponseBody | null
  readonly response: ResponseSettings
  readonly requestLine: ((target: string) => void) | null
  readonly onRequestEnd: ((request: HttpRequest, end: RequestEnd, timings: RequestTimings) => void) | null
  readonly halfClose: 'abort' | 'answer'
  readonly drainIdleMs: number
  readonly onDrainRequest: 'serve' | 503
  readonly http10: 'strict' | 'server' | null
  readonly limits: HttpLimits
  readonly timeouts: Timeouts
}

const DISCIPLINE_DEFAULT = 1
const DRAIN_IDLE_MS = 1_000

const isBytes: Check = (option, value) => {
  if (value !== Number.POSITIVE_INFINITY) isInteger(0, Number.MAX_SAFE_INTEGER)(option, value)
}

const LIMIT_CHECKS = Object.fromEntries(Object.keys(HTTP_LIMITS).map((name) => [name, isBytes]))

function isOneOf(values: readonly unknown[]): Check {
  return (option, value) => {
    if (!values.includes(value)) throw wrongRange(option, `one of ${values.join(', ')}`, value)
  }
}

const isDriver: Check = (option, value) => {
  const isCallback: Check = (name, callback) => isFunction(`${option}.${name}`, callback)
  if (typeof value !== 'object' || value === null)
    throw new TypeError(`option ${option} must be an object of callbacks`)
  for (const name of ['onHeaders', 'onBody', 'onEnd'] as const) {
    const callback = (value as RequestDriver)[name]
    if (callback !== undefined) isCallback(name, callback)
  }
}

/** Those of the server beneath and those of requests, in one object. */
const isAnyLimits: Check = (option, value) => {
  isObject(option, value)
  const http: Record<string, unknown> = {}
  const server: Record<string, unknown> = {}
  for (const [name, limit] of Object.entries(value as object)) (name in LIMIT_CHECKS ? http : server)[name] = limit
  checkOptions(`option ${option}`, http, LIMIT_CHECKS)
  isLimits(option, server)
}

/** The options of this file, by name; those of the server beneath have a table of their own. */
export const HTTP_CHECKS: Readonly<Record<keyof HttpOptions, Check>> = {
  limits: isAnyLimits,
  handler: isFunction,
  driver: isDriver,
  discipline: isInteger(-3, 3),
  errorBody: isFunction,
  serverName: isText,
  date: isBoolean,
  keepAliveHeader: isBoolean,
  http10: isOneOf(['strict', 'server', null]),
  requestLine: isFunction,
  onRequestEnd: isFunction,
  halfClose: isOneOf(['abort', 'answer']),
  drainIdleMs: isInteger(0, 2 ** 31 - 1),
  onDrainRequest: isOneOf(['serve', 503]),
}

/** The options were checked one by one. Throws a TypeError when there is no handler, or two. */
export function httpSettings(options: HttpOptions, timeouts: Timeouts): HttpSettings {
  if ((options.handler === undefined) === (options.driver === undefined)) {
    throw new TypeError('HttpServer options: exactly one of handler and driver must be given')
  }
  return {
    handler: options.handler ?? null,
    driver: options.driver ?? null,
    discipline: options.discipline ?? DISCIPLINE_DEFAULT,
    errorBody: options.errorBody ?? plainErrorBody,
    response: {
      server: options.serverName ?? null,
      date: options.date ?? true,
      keepAliveHeader: options.keepAliveHeader ?? false,
      isOld: options.http10 === 'server',
    },
    http10: options.http10 ?? null,
    requestLine: options.requestLine ?? null,
    onRequestEnd: options.onRequestEnd ?? null,
    halfClose: options.halfClose ?? 'abort',
    drainIdleMs: options.drainIdleMs ?? DRAIN_IDLE_MS,
    onDrainRequest: options.onDrainRequest ?? 'serve',
    limits: limitsOf(options.limits ?? {}),
    timeouts,
  }
}

function limitsOf(given: Partial<HttpLimits>): HttpLimits {
  const limits: Record<string, number> = { ...HTTP_LIMITS }
  for (const name of Object.keys(HTTP_LIMITS) as (keyof HttpLimits)[]) limits[name] = given[name] ?? HTTP_LIMITS[name]
  return limits as unknown as HttpLimits
}

function plainErrorBody(status: number): string {
  return `${status}\n`
}

/**
 * Options checked and made ready: everything that can be wrong is refused here, before anything is opened, with an
 * error that names the option and the value. Settings are immutable, so a transfer can run many times from them.
 */
import {
  type Check,
  checkOptions,
  isBoolean,
  isDuration,
  isFunction,
  isInteger,
  isText,
  show,
  wrongRange,
  wrongType,
} from '../base/options.ts'
import type { NameSource } from '../connection/name-source.ts'
import { parseResolveEntry, type ResolveEntry } from '../connection/resolve-entry.ts'
import type { Facility } from '../multi/host.ts'
import { isToken } from '../wire/http1/syntax.ts'
import type { ParsedUrl } from '../wire/url.ts'
import type { BodyFunction } from './body-function.ts'
import { BODY_CHECKS, type BodySettings, bodySettings, withBodyFields } from './body-settings.ts'
import { type ConnectionPool, connectionPool } from './connection-pool.ts'
import { CONNECTION_CHECKS, type ConnectionSettings, connectionSettings, findConnectTo } from './connection-settings.ts'
import { firstHead, needsFollowUp } from './follow-up.ts'
import { headerPairs } from './header-pairs.ts'
import { HTTP_CHECKS, type HttpSettings, httpSettings } from './http-settings.ts'
import type { RequestHeadParts } from './request-head.ts'
import type { RequestPlan } from './request-plan.ts'
import { requestUrl } from './request-url.ts'
import { type Forwarding, forwardingOf, ROUTE_CHECKS, type Route, Router, routeKey } from './route.ts'
import type { TransferOptions } from './transfer-options.ts'
import { uploadPart } from './upload-part.ts'
import { WEBSOCKET_CHECKS, type WebSocketSettings, webSocketSettings, withUpgradeFields } from './websocket-settings.ts'

/** curl's default of CONNECTTIMEOUT. */
const CONNECT_TIMEOUT_MS = 300_000
/** curl's default of HAPPY_EYEBALLS_TIMEOUT_MS. */
const HAPPY_EYEBALLS_DELAY_MS = 200
/** curl's limit for one head. */
export const HEAD_BYTES_MAX: number = 300 * 1024
const HEAD_BYTES_LIMIT = 16 * 1024 * 1024
const PROGRESS_INTERVAL_MS = 1000
/** sun_path of Linux, without its closing NUL. The kernel refuses what is too long for it with ENAMETOOLONG. */
const UNIX_PATH_BYTES_MAX = 107
const SCHEMES: ReadonlySet<string> = new Set(['http', 'https', 'ws', 'wss', 'tcp'])

type Callback<Name extends keyof TransferOptions> = NonNullable<TransferOptions[Name]> | null

export interface TransferSettings {
  /** The first request. */
  readonly plan: RequestPlan
  readonly bodies: BodySettings
  readonly connection: ConnectionSettings
  readonly pool: Facility<ConnectionPool>
  /** Asking twice does no harm, whatever the method is. */
  readonly isRepeatable: boolean
  /** null: the system's resolver. */
  readonly nameSource: NameSource | null
  readonly http: HttpSettings
  /** null: HTTP, or a raw transfer. */
  readonly webSocket: WebSocketSettings | null
  /** What the plan's head was made of. */
  readonly parts: RequestHeadParts
  readonly router: Router
  readonly poolKeyOf: (url: ParsedUrl, route: Route) => string
  /** More requests than the first may be needed, or one that is not known before it begins. */
  readonly needsFollowUp: boolean
  readonly rewindBody: (() => boolean | void) | null
  readonly requestTrailers: Callback<'requestTrailers'>
  readonly connectOnly: boolean
  readonly unixSocketPath: string | null
  readonly resolve: readonly ResolveEntry[]
  readonly ipVersion: 4 | 6 | null
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly happyEyeballsDelayMs: number
  readonly freshConnect: boolean
  readonly forbidReuse: boolean
  readonly maxHeadBytes: number
  readonly progressIntervalMs: number
}

const isMethod: Check = (option, value) => {
  isText(option, value)
  if (!isToken(value as string)) throw wrongType(option, 'an HTTP method (a token of RFC 9110)', value)
}

const isBody: Check = (option, value) => {
  if (value === null || typeof value === 'string' || typeof value === 'function') return
  if (!(value instanceof Uint8Array)) throw wrongType(option, 'a Uint8Array, a string, a function or null', value)
}

const isUnixPath: Check = (option, value) => {
  isText(option, value)
  const path = value as string
  const bytes = Buffer.byteLength(path)
  if (bytes === 0 || bytes > UNIX_PATH_BYTES_MAX) {
    throw wrongRange(option, `a path of 1 to ${UNIX_PATH_BYTES_MAX} bytes`, value)
  }
  if (path.indexOf('\0', 1) >= 0) throw wrongType(option, 'a path without NUL', value)
}

const isResolve: Check = (option, value) => {
  if (!Array.isArray(value)) throw wrongType(option, 'an array of strings', value)
}

const isIpVersion: Check = (option, value) => {
  if (value !== 4 && value !== 6 && value !== null) throw wrongRange(option, '4, 6 or null', value)
}

const isHeaders: Check = (option, value) => {
  if (typeof value !== 'object' || value === null) throw wrongType(option, 'an object or an iterable of pairs', value)
}

const CHECKS: Readonly<Record<keyof TransferOptions, Check>> = {
  url: isText,
  method: isMethod,
  headers: isHeaders,
  body: isBody,
  bodyLength: isInteger(0, Number.MAX_SAFE_INTEGER),
  requestTrailers: isFunction,
  connectOnly: isBoolean,
  unixSocketPath: isUnixPath,
  resolve: isResolve,
  ipVersion: isIpVersion,
  timeoutMs: isDuration,
  connectTimeoutMs: isDuration,
  idleTimeoutMs: isDuration,
  happyEyeballsDelayMs: isDuration,
  freshConnect: isBoolean,
  forbidReuse: isBoolean,
  maxHeadBytes: isInteger(1, HEAD_BYTES_LIMIT),
  progressIntervalMs: isDuration,
  data: () => {},
  onHead: isFunction,
  onInformational: isFunction,
  onData: isFunction,
  onTrailers: isFunction,
  onProgress: isFunction,
  onDebug: isFunction,
  ...BODY_CHECKS,
  ...CONNECTION_CHECKS,
  ...HTTP_CHECKS,
  ...WEBSOCKET_CHECKS,
  ...ROUTE_CHECKS,
}

/** Throws TypeError or RangeError. */
export function transferSettings(options: TransferOptions): TransferSettings {
  checkOptions('Transfer options', options, CHECKS)
  if (options.url === undefined) throw new TypeError('Transfer options: option url is missing')
  const url = checkUrl(options)
  const connectOnly = options.connectOnly ?? false
  if (url.scheme === 'tcp' && !connectOnly) {
    throw new TypeError(`option url: ${show(options.url)} is a raw transfer and needs connectOnly: true`)
  }
  const bodies = bodySettings(options)
  const { form } = bodies
  const whole = bodyOf(options, bodies)
  const method = options.method ?? (whole === null ? 'GET' : 'POST')
  const given = headerPairs('headers', options.headers ?? [])
  refuseFraming(given)
  const upload = uploadPart(whole, bodies.form?.length ?? bodyLengthOf(options, whole), options.resumeFrom ?? 0)
  const { body, bodyLength } = upload
  const http = httpSettings(options, url)
  const webSocket = webSocketSettings(options, url, http.randomBytes)
  const fields = webSocket === null ? given : withUpgradeFields(given, webSocket)
  const headers = withBodyFields(fields, options, bodies.form, upload)
  const connection = connectionSettings(options)
  const router = new Router(options, (host, port) => findConnectTo(connection.connectTo, host, port))
  const route = router.routeTo(url)
  const poolKeyOf = (target: ParsedUrl, way: Route): string =>
    routeKey(way, target) + poolKey(options) + connection.poolKey
  const parts = headParts(options, url, method, headers, body !== null, bodyLength, forwardingOf(route, url))
  const plan: RequestPlan = {
    url,
    method,
    ...firstHead(http, parts),
    body,
    bodyLength,
    route,
    poolKey: poolKeyOf(url, route),
  }
  return {
    plan,
    bodies,
    connection,
    pool: connectionPool,
    isRepeatable: false,
    nameSource: null,
    http,
    parts,
    router,
    poolKeyOf,
    webSocket,
    needsFollowUp: (!connectOnly || webSocket !== null || http.hsts !== null) && needsFollowUp({ http, parts }, route),
    rewindBody: options.rewindBody ?? (form === null ? null : () => form.isRewindable),
    requestTrailers: options.requestTrailers ?? null,
    connectOnly,
    unixSocketPath: options.unixSocketPath ?? null,
    resolve: (options.resolve ?? []).map(parseResolveEntry),
    ipVersion: options.ipVersion ?? null,
    timeoutMs: options.timeoutMs ?? 0,
    connectTimeoutMs: options.connectTimeoutMs || CONNECT_TIMEOUT_MS,
    idleTimeoutMs: options.idleTimeoutMs ?? 0,
    happyEyeballsDelayMs: options.happyEyeballsDelayMs ?? HAPPY_EYEBALLS_DELAY_MS,
    freshConnect: options.freshConnect ?? false,
    forbidReuse: options.forbidReuse ?? false,
    maxHeadBytes: options.maxHeadBytes ?? HEAD_BYTES_MAX,
    progressIntervalMs: options.progressIntervalMs ?? PROGRESS_INTERVAL_MS,
  }
}

/** How a body is framed follows from `body` and `bodyLength`; two sources for one fact is how requests are smuggled. */
function refuseFraming(headers: readonly (readonly [string, string | null])[]): void {
  for (const [name, value] of headers) {
    if (!/^(content-length|transfer-encoding)$/i.test(name)) continue
    throw wrongType(`headers['${name}']`, 'left out; body and bodyLength say it', value)
  }
}

function headParts(
  options: TransferOptions,
  url: ParsedUrl,
  method: string,
  headers: RequestHeadParts['headers'],
  hasBody: boolean,
  bodyLength: number,
  forwarding: Forwarding | null,
): RequestHeadParts {
  return {
    url,
    method,
    headers,
    hasBody,
    bodyLength,
    target: options.requestTarget ?? null,
    authorization: null,
    userAgent: options.userAgent ?? null,
    referer: options.referer ?? null,
    cookie: options.cookie ?? null,
    forwarding,
  }
}

/** Whatever decides which peer is reached is part of it. */
function poolKey({ unixSocketPath, ipVersion, resolve }: TransferOptions): string {
  let key = ''
  if (unixSocketPath !== undefined) key += ` unix ${unixSocketPath}`
  if (ipVersion) key += ` ipv${ipVersion}`
  if (resolve !== undefined && resolve.length > 0) key += ` resolve ${JSON.stringify(resolve)}`
  return key
}

function checkUrl(options: TransferOptions): ParsedUrl {
  const { url: text } = options
  let url: ParsedUrl
  try {
    url = requestUrl(text, options)
  } catch (error) {
    throw new TypeError(`option url: ${show(text)}: ${(error as Error).message}`)
  }
  if (!SCHEMES.has(url.scheme)) {
    throw new TypeError(
      `option url: ${show(text)}: scheme ${show(url.scheme)} is not supported; use http, https, ws, wss or tcp`,
    )
  }
  return url
}

function bodyOf({ body, bodyLength }: TransferOptions, bodies: BodySettings): Uint8Array | BodyFunction | null {
  const { form: formBody } = bodies
  if (formBody === null) return typeof body === 'string' ? Buffer.from(body) : (body ?? null)
  if (body !== undefined && body !== null) throw wrongType('body', 'left out when there is a form', body)
  if (bodyLength !== undefined) throw wrongType('bodyLength', 'left out when there is a form', bodyLength)
  return (bytesMax) => formBody.pull(bytesMax)
}

function bodyLengthOf(options: TransferOptions, body: Uint8Array | BodyFunction | null): number {
  if (body === null) {
    if (options.bodyLength !== undefined)
      throw wrongRange('bodyLength', 'left out when there is no body', options.bodyLength)
    return 0
  }
  if (typeof body === 'function') return options.bodyLength ?? -1
  if (options.bodyLength !== undefined && options.bodyLength !== body.length) {
    throw wrongRange('bodyLength', `the length of the body, ${body.length}, or left out`, options.bodyLength)
  }
  return body.length
}

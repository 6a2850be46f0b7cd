/** The options of connections, checked and made ready. */
import {
  type Check,
  checkOptions,
  isBoolean,
  isDuration,
  isInteger,
  isText,
  wrongRange,
  wrongType,
} from '../base/options.ts'
import { parseIpLiteral, stripBrackets } from '../connection/address.ts'
import type { KeepAliveOptions, SocketOptions } from '../connection/connect-attempt.ts'
import type { LocalEnd } from '../connection/local-end.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { ConnectionOptions, KeepAliveSettings } from './connection-options.ts'
import { DOH_CHECKS, type DohSettings, dohSettings } from './doh-settings.ts'

/** curl's default of MAXAGE_CONN. */
const AGE_MAX_MS = 118_000
/** curl's default of MAXLIFETIME_CONN. */
const LIFETIME_MAX_MS = 24 * 3600 * 1000
/** curl's defaults of TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT. */
const KEEP_ALIVE: Required<KeepAliveSettings> = { idleSeconds: 60, intervalSeconds: 60, count: 9 }
const PORT_MAX = 65_535
/** What Linux takes for the times of probes, in seconds, and for their number. */
const KEEP_ALIVE_SECONDS_MAX = 32_767
const KEEP_ALIVE_COUNT_MAX = 127

/** How long connections are used again. */
export interface ReuseRules {
  readonly maxAgeMs: number
  readonly maxLifetimeMs: number
}

export interface ConnectToEntry {
  /** In lower case without brackets; '' stands for every host. */
  readonly host: string
  /** -1: every port. */
  readonly port: number
  /** '': the request's own. */
  readonly toHost: string
  /** -1: the request's own. */
  readonly toPort: number
}

interface Interface {
  readonly device: string | null
  readonly address: SocketAddress | null
}

const NO_INTERFACE: Interface = { device: null, address: null }
/** IFNAMSIZ with its closing NUL; what the systems take in names of devices. */
const DEVICE_NAME = /^[!-.0-~]{1,15}$/

export interface ConnectionSettings {
  readonly reuse: ReuseRules
  readonly socket: SocketOptions
  readonly connectTo: readonly ConnectToEntry[]
  /** undefined: the name service's default. */
  readonly dnsCacheTimeoutMs: number | undefined
  /** null: the system is asked for names. */
  readonly doh: DohSettings | null
  readonly certificateInfo: boolean
  /** What of it decides which peer is reached, and from where. */
  readonly poolKey: string
}

const KEEP_ALIVE_CHECKS: Readonly<Record<keyof KeepAliveSettings, Check>> = {
  idleSeconds: isInteger(1, KEEP_ALIVE_SECONDS_MAX),
  intervalSeconds: isInteger(1, KEEP_ALIVE_SECONDS_MAX),
  count: isInteger(1, KEEP_ALIVE_COUNT_MAX),
}

const isKeepAlive: Check = (option, value) => {
  if (typeof value === 'boolean') return
  if (typeof value !== 'object') throw wrongType(option, 'true, false or an object', value)
  checkOptions(`option ${option}`, value, KEEP_ALIVE_CHECKS)
}

const isLocalAddress: Check = (option, value) => {
  isText(option, value)
  if (parseIpLiteral(value as string) === null) throw wrongRange(option, 'an IP address', value)
}

const isInterface: Check = (option, value) => {
  isText(option, value)
  parseInterface(option, value as string)
}

const isConnectTo: Check = (option, value) => {
  if (!Array.isArray(value)) throw wrongType(option, 'an array of strings', value)
  for (const entry of value) parseConnectTo(option, entry)
}

const isAge: Check = (option, value) => {
  if (value !== Number.POSITIVE_INFINITY) isDuration(option, value)
}

export const CONNECTION_CHECKS: Readonly<Record<keyof ConnectionOptions, Check>> = {
  maxConnectionAgeMs: isDuration,
  maxConnectionLifetimeMs: isDuration,
  noDelay: isBoolean,
  keepAlive: isKeepAlive,
  localAddress: isLocalAddress,
  interface: isInterface,
  localPort: isInteger(0, PORT_MAX),
  localPortRange: isInteger(1, PORT_MAX),
  connectTo: isConnectTo,
  dnsCacheTimeoutMs: isAge,
  ...DOH_CHECKS,
  certificateInfo: isBoolean,
}

export const DEFAULT_REUSE: ReuseRules = { maxAgeMs: AGE_MAX_MS, maxLifetimeMs: LIFETIME_MAX_MS }
const DEFAULTS: ConnectionSettings = {
  reuse: DEFAULT_REUSE,
  socket: {},
  connectTo: [],
  dnsCacheTimeoutMs: undefined,
  doh: null,
  certificateInfo: false,
  poolKey: '',
}

/** The options have passed CONNECTION_CHECKS. */
export function connectionSettings(options: ConnectionOptions): ConnectionSettings {
  if (Object.keys(CONNECTION_CHECKS).every((name) => options[name as keyof ConnectionOptions] === undefined)) {
    return DEFAULTS
  }
  const { noDelay = true, dnsCacheTimeoutMs } = options
  const local = localEnd(options)
  const doh = dohSettings(options)
  const connectTo = (options.connectTo ?? []).map((entry) => parseConnectTo('connectTo', entry))
  return {
    reuse: {
      maxAgeMs: options.maxConnectionAgeMs ?? AGE_MAX_MS,
      maxLifetimeMs: (options.maxConnectionLifetimeMs ?? LIFETIME_MAX_MS) || Number.POSITIVE_INFINITY,
    },
    socket: { noDelay, keepAlive: keepAliveOf(options.keepAlive), local },
    connectTo,
    dnsCacheTimeoutMs,
    certificateInfo: options.certificateInfo ?? false,
    doh,
    poolKey: keyOf(local, options.connectTo ?? []) + (doh === null ? '' : ` names ${doh.key}`),
  }
}

/** Where a request for that host and port is sent; null: there. */
export function findConnectTo(
  entries: readonly ConnectToEntry[],
  host: string,
  port: number,
): { readonly host: string; readonly port: number } | null {
  const name = stripBrackets(host).toLowerCase()
  for (const entry of entries) {
    if ((entry.host !== '' && entry.host !== name) || (entry.port >= 0 && entry.port !== port)) continue
    return { host: entry.toHost || host, port: entry.toPort < 0 ? port : entry.toPort }
  }
  return null
}

function localEnd(options: ConnectionOptions): LocalEnd | null {
  const { localAddress, localPort = 0, localPortRange = 1 } = options
  const { device, address } =
    options.interface === undefined ? NO_INTERFACE : parseInterface('interface', options.interface)
  if (address !== null && localAddress !== undefined) {
    throw wrongRange('localAddress', 'left out when interface is an address', localAddress)
  }
  if (localPortRange > 1 && (localPort === 0 || localPort + localPortRange - 1 > PORT_MAX)) {
    throw wrongRange('localPortRange', `1, or as many ports as there are from localPort to ${PORT_MAX}`, localPortRange)
  }
  const own = localAddress === undefined ? address : parseIpLiteral(localAddress)
  if (device === null && own === null && localPort === 0) return null
  return { device, address: own, port: localPort, portCount: localPortRange }
}

/** 'if!device', 'host!address', 'ifhost!device!address', or a plain address or device. */
function parseInterface(option: string, text: string): Interface {
  const [kind, first = '', second = '', ...rest] = text.split('!')
  const isPlain = !text.includes('!')
  const isDevice = kind === 'if' && second === ''
  const isBoth = kind === 'ifhost' && second !== '' && rest.length === 0
  const plain = isPlain ? parseIpLiteral(text) : null
  if (plain !== null) return { device: null, address: plain }
  const device = isPlain ? text : isDevice || isBoth ? first : null
  const named = isBoth ? second : kind === 'host' && second === '' ? first : null
  const address = named === null ? null : parseIpLiteral(named)
  const isKnown = device === null ? address !== null : named === null || address !== null
  if (!isKnown || (device !== null && !DEVICE_NAME.test(device))) {
    throw wrongRange(option, "a device, an IP address, 'if!device', 'host!address' or 'ifhost!device!address'", text)
  }
  return { device, address }
}

function keepAliveOf(value: ConnectionOptions['keepAlive']): KeepAliveOptions | null {
  if (value === undefined || value === false) return null
  return value === true ? KEEP_ALIVE : { ...KEEP_ALIVE, ...value }
}

function keyOf(local: LocalEnd | null, connectTo: readonly string[]): string {
  let key = ''
  if (local !== null) {
    const { device, address, port, portCount } = local
    key += ` from ${device ?? ''} ${address?.address ?? ''} ${port} ${portCount}`
  }
  if (connectTo.length > 0) key += ` to ${JSON.stringify(connectTo)}`
  return key
}

const CONNECT_TO_SHAPE = /^(\[[^\]]+\]|[^:[\]]*):(\d{0,5}):(\[[^\]]+\]|[^:[\]]*):(\d{0,5})$/

function parseConnectTo(option: string, entry: unknown): ConnectToEntry {
  const match = typeof entry === 'string' ? CONNECT_TO_SHAPE.exec(entry) : null
  if (match === null) throw wrongType(option, "entries 'host:port:connectToHost:connectToPort'", entry)
  const [, host = '', port = '', toHost = '', toPort = ''] = match
  if (Number(port) > PORT_MAX || Number(toPort) > PORT_MAX || Number(toPort || 1) === 0) {
    throw wrongRange(option, `entries with ports up to ${PORT_MAX}`, entry)
  }
  return {
    host: stripBrackets(host).toLowerCase(),
    port: port === '' ? -1 : Number(port),
    toHost: stripBrackets(toHost),
    toPort: toPort === '' ? -1 : Number(toPort),
  }
}

/**
 * The options of a server, their checks and their defaults. Everything is checked when the server is made; nothing is
 * opened here. What a kind of server adds has checks of its own, which come with it.
 */
import {
  type Check,
  checkOptions,
  isBoolean,
  isFunctionOrNull,
  isInteger,
  isObject,
  isText,
  wrongRange,
  wrongType,
} from '../base/options.ts'
import type { Rate } from './admission/accept-rate.ts'
import type { PrefixLengths } from './admission/address-prefix.ts'
import type { Limits, Policy, Rejection } from './admission/admission.ts'
import type { AdmissionCounts } from './admission/admission-counts.ts'
import { type ProxyAcceptance, type ProxyProtocolOptions, proxyAcceptance } from './admission/proxy-acceptance.ts'
import type { ServerTlsOptions } from './connection/server-tls.ts'
import { type ListenOptions, type ListenSettings, listenSettings } from './listening/listen-options.ts'
import { isPriority, type Priority } from './priority.ts'
import { EVENT_CHECKS, type ServerEvents } from './server-events.ts'
import { type Timeouts, timeoutSettings } from './timeouts.ts'

/** Spelled as a number per second, or as the least ms between two. */
export type RateOptions =
  | { readonly perSecond: number; readonly burst?: number }
  | { readonly minIntervalMs: number; readonly burst?: number }

/** Infinity: no limit. What is left out stays as it is, or has its default. */
export interface LimitOptions {
  /** Default: what the process may open less 64, at most 16,384. */
  readonly connections?: number
  /** Of one address, or one prefix of addresses. Default 256, and no limit for peers on this machine. */
  readonly perPrefix?: number | 'default'
  /** How fast connections are taken. null, the default: as fast as they come. */
  readonly rate?: RateOptions | null
}

export interface ServerLimitOptions extends LimitOptions {
  /** How many leading bits of an address count together. Default 32 of IPv4 and 64 of IPv6. */
  readonly prefixLengths?: Partial<PrefixLengths>
}

/** What every kind of server takes. */
export interface ServerBaseOptions<Data = unknown> extends ServerEvents {
  /** Default none: a server that is given its connections by `adopt`. */
  listen?: ListenOptions | readonly ListenOptions[]
  limits?: ServerLimitOptions
  /** Where places are counted. Servers that are given the same one share their limits. Default: each has its own. */
  counts?: AdmissionCounts
  /**
   * What `limits.connections` and `limits.rate` do when they are reached: 'pause' (default) leaves peers in the queue
   * of the kernel, 'reject' turns them away. `perPrefix` and `policy` always turn away.
   */
  overload?: 'pause' | 'reject'
  /** Asked before anything is read. False, or how to reject: the peer is turned away. */
  policy?: Policy | null
  /** How peers are turned away: 'close' (default), 'reset', or bytes that are sent first. */
  rejection?: Rejection
  /** At the limit of connections, an idle one (the oldest) makes room for the next. Default false. */
  evictIdle?: boolean
  timeouts?: Partial<Timeouts>
  /** Certificates and rules: every connection begins with TLS. */
  tls?: ServerTlsOptions | null
  /** Proxies whose PROXY header says who the client is. */
  proxyProtocol?: ProxyProtocolOptions | null
  priority?: Priority
  name?: string
  /** Anything of yours; `server.data`. */
  data?: Data
}

export interface ServerSettings {
  readonly listen: readonly ListenSettings[]
  readonly limits: Limits
  readonly counts: AdmissionCounts | null
  readonly prefixLengths: PrefixLengths
  readonly overload: 'pause' | 'reject'
  readonly policy: Policy | null
  readonly rejection: Rejection
  readonly evictIdle: boolean
  readonly timeouts: Timeouts
  readonly proxy: ProxyAcceptance | null
  readonly priority: Priority
  readonly name: string
}

/** As libmicrohttpd's idea of a limit, without select's. */
const CONNECTIONS_DEFAULT_MOST = 16_384
/** What a process has open besides: its loops, its files, its own connections. */
const RESERVED_DESCRIPTORS = 64
const LIMIT_MOST = 2 ** 31 - 1
const BURST_MOST = 1_000_000
const MINIMUM_RATE = 1e-6
const REJECTION_BYTES_MAX = 16 * 1024
const MS_PER_SECOND = 1000

const isLimit: Check = (option, value) => {
  if (value !== Number.POSITIVE_INFINITY) isInteger(0, LIMIT_MOST)(option, value)
}

const isPrefixLimit: Check = (option, value) => {
  if (value !== 'default') isLimit(option, value)
}

const isPositive: Check = (option, value) => {
  if (typeof value !== 'number') throw wrongType(option, 'a number', value)
  if (!(value >= MINIMUM_RATE) || value === Number.POSITIVE_INFINITY) throw wrongRange(option, 'more than zero', value)
}

const isRate: Check = (option, value) => {
  if (value === null) return
  checkOptions(`option ${option}`, value, {
    perSecond: isPositive,
    minIntervalMs: isPositive,
    burst: isInteger(1, BURST_MOST),
  })
  const { perSecond, minIntervalMs } = value as { perSecond?: number; minIntervalMs?: number }
  if ((perSecond === undefined) === (minIntervalMs === undefined)) {
    throw new TypeError(`option ${option}: exactly one of perSecond and minIntervalMs is needed`)
  }
}

const LIMIT_CHECKS = { connections: isLimit, perPrefix: isPrefixLimit, rate: isRate }

export const isLimits: Check = (option, value) =>
  checkOptions(`option ${option}`, value, { ...LIMIT_CHECKS, prefixLengths: isPrefixLengths })

const isPrefixLengths: Check = (option, value) =>
  checkOptions(`option ${option}`, value, { ipv4: isInteger(1, 32), ipv6: isInteger(1, 128) })

const isRejection: Check = (option, value) => {
  if (value === 'close' || value === 'reset') return
  if (!(value instanceof Uint8Array)) throw wrongType(option, "'close', 'reset' or bytes", value)
  if (value.length > REJECTION_BYTES_MAX) throw wrongRange(option, `at most ${REJECTION_BYTES_MAX} bytes`, value)
}

const isOverload: Check = (option, value) => {
  if (value !== 'pause' && value !== 'reject') throw wrongType(option, "'pause' or 'reject'", value)
}

const anything: Check = () => {}

const SERVER_CHECKS: Readonly<Record<keyof ServerBaseOptions, Check>> = {
  ...EVENT_CHECKS,
  listen: anything,
  limits: isLimits,
  counts: isObject,
  overload: isOverload,
  policy: isFunctionOrNull,
  rejection: isRejection,
  evictIdle: isBoolean,
  timeouts: anything,
  tls: anything,
  proxyProtocol: anything,
  priority: isPriority,
  name: isText,
  data: anything,
}

/** `own` are the checks of what this kind of server takes besides. */
export function serverSettings(
  what: string,
  options: ServerBaseOptions,
  own: Readonly<Record<string, Check>>,
  descriptorLimit: number,
): ServerSettings {
  checkOptions(what, options, { ...SERVER_CHECKS, ...own })
  const { listen = [], limits = {} } = options
  const connections = Math.min(connectionsMost(descriptorLimit), CONNECTIONS_DEFAULT_MOST)
  const all = Array.isArray(listen) ? (listen as readonly ListenOptions[]) : [listen as ListenOptions]
  return {
    listen: all.map((one) => listenSettings(one)),
    limits: mergeLimits({ connections, perPrefix: 'default', rate: null }, limits),
    counts: options.counts ?? null,
    prefixLengths: { ipv4: limits.prefixLengths?.ipv4 ?? 32, ipv6: limits.prefixLengths?.ipv6 ?? 64 },
    overload: options.overload ?? 'pause',
    policy: options.policy ?? null,
    rejection: options.rejection ?? 'close',
    evictIdle: options.evictIdle ?? false,
    timeouts: timeoutSettings('timeouts', options.timeouts),
    proxy: options.proxyProtocol ? proxyAcceptance('proxyProtocol', options.proxyProtocol) : null,
    priority: options.priority ?? 'normal',
    name: options.name ?? '',
  }
}

/** How many connections a process with that limit has descriptors for. */
export function connectionsMost(descriptorLimit: number): number {
  return Math.max(descriptorLimit - RESERVED_DESCRIPTORS, 1)
}

/** The limits with some of them replaced. Throws TypeError or RangeError. */
export function changedLimits(previous: Limits, change: LimitOptions): Limits {
  checkOptions('throttle', change, LIMIT_CHECKS)
  return mergeLimits(previous, change)
}

function mergeLimits(previous: Limits, change: LimitOptions): Limits {
  return {
    connections: change.connections ?? previous.connections,
    perPrefix: change.perPrefix ?? previous.perPrefix,
    rate: change.rate === undefined ? previous.rate : rateOf(change.rate),
  }
}

function rateOf(rate: RateOptions | null): Rate | null {
  if (rate === null) return null
  const minIntervalMs = 'perSecond' in rate ? MS_PER_SECOND / rate.perSecond : rate.minIntervalMs
  return { minIntervalMs, burst: rate.burst ?? 1 }
}

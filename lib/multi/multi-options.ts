/** The options of a Multi, their checks and their defaults. No limit is silently infinite (invariant 15). */
import {
  type Check,
  checkOptions,
  isBoolean,
  isFunction,
  isFunctionOrNull,
  isInteger,
  isObject,
} from '../base/options.ts'
import type { Clock } from '../sys/clock.ts'
import { defaults } from '../sys/defaults.ts'
import type { Files } from '../sys/files.ts'
import type { Kernel } from '../sys/kernel.ts'
import type { Resolver } from '../sys/resolver.ts'
import type { TlsProvider } from '../sys/tls.ts'
import type { EngineOptions } from './engine.ts'
import type { SocketFunction } from './outside.ts'

/**
 * Idle connections kept for reuse. curl keeps four per transfer added; a fixed number does not evict warm ones in a
 * lull.
 */
const MAX_IDLE_CONNECTIONS = 256
/**
 * Connections to one origin at a time; more transfers wait. Browsers use 6, undici's default is unlimited; both hurt.
 */
const MAX_HOST_CONNECTIONS = 256
const MAX_TOTAL_CONNECTIONS = 4096
const CONNECTIONS_LIMIT = 1_000_000

export interface MultiOptions<SubjectType extends object> {
  /**
   * Told which descriptor to watch and for what (CURLMOPT_SOCKETFUNCTION): an `Interest`, only when it changes, REMOVE
   * before the descriptor is closed. `socketData` is what `assign` attached. Returning -1 or throwing fails every
   * transfer.
   */
  socketFunction?:
    | ((fd: number, interest: number, socketData: unknown, subject: SubjectType | null) => void | -1)
    | null
  /**
   * Told how long to wait before `socketAction(SOCKET_TIMEOUT)` (CURLMOPT_TIMERFUNCTION): -1 no timer, 0 as soon as
   * possible but never from inside this call. Replaces the last one. Returning -1 or throwing fails every transfer.
   */
  timerFunction?: ((timeoutMs: number) => void | -1) | null
  /**
   * 'message' when the queue of `infoRead` turns non-empty, 'done' for each transfer that ended
   * (CURLMOPT_NOTIFYFUNCTION). What it throws comes out of the call that is on the stack.
   */
  notifyFunction?: ((kind: 'message' | 'done') => void) | null
  /**
   * Told when the Multi begins to need its loop (true) and when nothing is left to wait for (false), from outside the
   * engine.
   */
  activityFunction?: ((active: boolean) => void) | null
  /** Idle connections kept for reuse; the oldest goes first (CURLMOPT_MAXCONNECTS). Default 256. */
  maxIdleConnections?: number
  /** Connections to one origin; transfers beyond wait in turn (CURLMOPT_MAX_HOST_CONNECTIONS). Default 256. */
  maxHostConnections?: number
  /** Connections in all (CURLMOPT_MAX_TOTAL_CONNECTIONS). Default 4096. */
  maxTotalConnections?: number
  /**
   * Idle connections stay watched, so that the peer's close is seen at once. false: REMOVE while idle, as curl does.
   * Default true.
   */
  watchIdleConnections?: boolean
  kernel?: Kernel
  clock?: Clock
  /** What responses that are files are read through. Default: node:fs. */
  files?: Files
  /** For this Multi alone, which closes it. */
  resolver?: Resolver
  /** What `https:` stands on. Default: the OpenSSL inside Node. */
  tlsProvider?: TlsProvider
  /** Check the invariants after every call. Default: the environment variable SOCKMUX_DEBUG. */
  debug?: boolean
}

const CHECKS: Readonly<Record<keyof MultiOptions<object>, Check>> = {
  socketFunction: isFunctionOrNull,
  timerFunction: isFunctionOrNull,
  notifyFunction: isFunctionOrNull,
  activityFunction: isFunctionOrNull,
  maxIdleConnections: isInteger(0, CONNECTIONS_LIMIT),
  maxHostConnections: isInteger(1, CONNECTIONS_LIMIT),
  maxTotalConnections: isInteger(1, CONNECTIONS_LIMIT),
  watchIdleConnections: isBoolean,
  kernel: isObject,
  clock: (option, value) => {
    isObject(option, value)
    isFunction(`${option}.now`, (value as Clock).now)
  },
  files: isObject,
  resolver: isObject,
  tlsProvider: isObject,
  debug: isBoolean,
}

export function engineOptions(options: MultiOptions<never>): EngineOptions {
  checkOptions('Multi options', options, CHECKS)
  const { resolver, tlsProvider } = options
  return {
    socketFunction: (options.socketFunction as SocketFunction | null | undefined) ?? null,
    timerFunction: options.timerFunction ?? null,
    notifyFunction: options.notifyFunction ?? null,
    activityFunction: options.activityFunction ?? null,
    kernel: options.kernel ?? defaults.kernel,
    clock: options.clock ?? defaults.clock,
    files: options.files ?? defaults.files,
    createResolver: resolver === undefined ? defaults.createResolver : () => resolver,
    openTls: tlsProvider === undefined ? defaults.openTls : () => tlsProvider,
    limits: {
      maxIdleConnections: options.maxIdleConnections ?? MAX_IDLE_CONNECTIONS,
      maxHostConnections: options.maxHostConnections ?? MAX_HOST_CONNECTIONS,
      maxTotalConnections: options.maxTotalConnections ?? MAX_TOTAL_CONNECTIONS,
      watchIdleConnections: options.watchIdleConnections ?? true,
    },
    debug: options.debug ?? defaults.debug,
  }
}

/**
 * The options of a ManagedServer: what is for the owner, and what goes to the thread. Checked here as far as it can be
 * without the module; what the server itself takes is checked where it is made, and its error comes back.
 */
import {
  type Check,
  checkOptions,
  isBoolean,
  isDuration,
  isFunctionOrNull,
  isObject,
  isText,
  wrongRange,
  wrongType,
} from '../base/options.ts'
import type { CloseReason } from '../server/connection/close-reason.ts'
import type { HttpOptions } from '../server/http/http-options.ts'
import { type ListenOptions, type ListenSettings, listenSettings } from '../server/listening/listen-options.ts'
import { isPriority, type Priority } from '../server/priority.ts'
import type { ClientInfo, ExclusiveOptions, StopOptions } from '../server/server-control.ts'
import type { Drop } from '../server/server-events.ts'
import { isLimits, type ServerBaseOptions } from '../server/server-options.ts'
import type { ServerState } from '../server/server-state.ts'
import type { ThreadTiming, ThreadWorkerOptions } from './server-thread.ts'
import type { ForwardedEvent, RemoteErrorContext } from './thread-verbs.ts'

/** What the owner hears of. */
export interface ManagedEvents {
  onState?: ((state: ServerState, previous: ServerState) => void) | null
  /** The thread has ended by itself: what it met, with its stack. The queues are kept; `restart` begins anew. */
  onFault?: ((fault: Error) => void) | null
  /** Something in the thread threw, and disturbed nobody else; accept failed. */
  onError?: ((error: Error, context: RemoteErrorContext) => void) | null
  /** The last connection has left. */
  onIdle?: (() => void) | null
  /** These three cost a message per connection, and only if they are set. */
  onConnect?: ((client: ClientInfo) => void) | null
  onDisconnect?: ((client: ClientInfo, reason: CloseReason, error: Error | null) => void) | null
  onDrop?: ((drop: Drop) => void) | null
}

/** Functions among these cannot be cloned: the module exports them, in `options`. */
type ServerSide<Data> = Pick<
  ServerBaseOptions<Data>,
  'overload' | 'rejection' | 'evictIdle' | 'timeouts' | 'tls' | 'proxyProtocol' | 'name' | 'data'
> &
  Pick<HttpOptions, 'limits' | 'discipline' | 'serverName' | 'date' | 'halfClose' | 'drainIdleMs' | 'onDrainRequest'>

export interface ManagedServerOptions<Data = unknown> extends ManagedEvents, ServerSide<Data> {
  /** URL or absolute path of the module; see ServerModule. */
  module: string | URL
  /** Default none: a server that is given its connections by `adopt`. */
  listen?: ListenOptions | readonly ListenOptions[]
  /** Of the thread; as far as the system allows. Default 'normal': as the process was started. */
  priority?: Priority
  /** Until the module is loaded and listens. Default 30,000. */
  startMs?: number
  /** Until a call is answered, besides the time that its options give. Default 10,000. */
  callMs?: number
  /** For the thread: memory limits, arguments, environment. */
  worker?: ThreadWorkerOptions
}

/** What `restart` takes. */
export interface ManagedRestartOptions extends StopOptions {
  /** New code. Default: the module that runs now, loaded anew. */
  readonly module?: string | URL
  /** The new thread listens before the old one is asked to end: nobody is refused. Default true. */
  readonly keepListener?: boolean
}

export interface ManagedExclusiveOptions extends ExclusiveOptions {
  /** The section may take so long; then the server goes on without waiting for it. Default 30,000. */
  readonly holdMs?: number
}

const START_MS = 30_000
const CALL_MS = 10_000

const anything: Check = () => {}

const isModule: Check = (option, value) => {
  if (value instanceof URL) return
  isText(option, value)
  if (!/^(?:file:|data:|node:|\/)/.test(value as string)) throw wrongRange(option, 'a URL or an absolute path', value)
}

const EVENT_NAMES = ['onState', 'onFault', 'onError', 'onIdle', 'onConnect', 'onDisconnect', 'onDrop'] as const

/** Go to the thread as they are, and are checked there. */
const SERVER_NAMES = [
  'overload', 'rejection', 'evictIdle', 'timeouts', 'tls', 'proxyProtocol', 'name', 'limits', 'discipline',
  'serverName', 'date', 'halfClose', 'drainIdleMs', 'onDrainRequest',
] as const // biome-ignore format: a table

const CHECKS: Readonly<Record<string, Check>> = {
  ...Object.fromEntries(EVENT_NAMES.map((name) => [name, isFunctionOrNull])),
  ...Object.fromEntries(SERVER_NAMES.map((name) => [name, anything])),
  evictIdle: isBoolean,
  name: isText,
  module: isModule,
  listen: anything,
  priority: isPriority,
  data: anything,
  startMs: isDuration,
  callMs: isDuration,
  worker: isObject,
}

export interface ManagedSettings {
  readonly module: string
  readonly listen: readonly ListenSettings[]
  readonly server: Readonly<Record<string, unknown>>
  readonly priority: Priority
  readonly timing: ThreadTiming
  readonly worker: ThreadWorkerOptions
  readonly forwards: readonly ForwardedEvent[]
}

/** Throws TypeError or RangeError naming the option and the value. */
export function managedSettings(options: ManagedServerOptions, what = 'ManagedServer options'): ManagedSettings {
  checkOptions(what, options, CHECKS)
  const { listen = [], priority = 'normal', startMs = START_MS, callMs = CALL_MS, worker = {} } = options
  const all = Array.isArray(listen) ? (listen as readonly ListenOptions[]) : [listen as ListenOptions]
  const forwards: ForwardedEvent[] = []
  if (options.onConnect) forwards.push('connect')
  if (options.onDisconnect) forwards.push('disconnect')
  if (options.onDrop) forwards.push('drop')
  return {
    module: moduleUrl(options.module),
    listen: all.map((one) => listenSettings(one)),
    server: serverSide(options),
    priority,
    timing: { startMs, callMs },
    worker,
    forwards,
  }
}

/** Of `restart`, too. Throws TypeError or RangeError. */
export function moduleUrl(module: string | URL): string {
  if (module === undefined) throw wrongType('module', 'a URL or an absolute path', module)
  isModule('module', module)
  if (module instanceof URL) return module.href
  return module.startsWith('/') ? new URL(`file://${encodeURI(module)}`).href : module
}

function serverSide(options: ManagedServerOptions): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const name of SERVER_NAMES) if (options[name] !== undefined) given[name] = options[name]
  if (given['limits'] !== undefined) checkLimits(given['limits'])
  return given
}

/** Those of HTTP are the server's to check. */
function checkLimits(limits: unknown): void {
  isObject('limits', limits)
  const { connections, perPrefix, rate, prefixLengths } = limits as Record<string, unknown>
  isLimits('limits', { connections, perPrefix, rate, prefixLengths })
}

const RESTART = { graceMs: isDuration, reset: isBoolean, keepListener: isBoolean, module: isModule }
const EXCLUSIVE = { timeoutMs: isDuration, holdMs: isDuration }

/** Throws TypeError or RangeError naming the verb, the option and the value. */
export const checkManagedRestart = (options: unknown): void => checkOptions('restart', options, RESTART)
export const checkManagedExclusive = (options: unknown): void => checkOptions('exclusive', options, EXCLUSIVE)

/**
 * The options of a ServerGroup: how many threads, how they share what they listen on, who gets a connection that is
 * handed to one of them, and when a thread counts as stuck. The rest is that of a ManagedServer.
 */
import { availableParallelism } from 'node:os'
import { type Check, checkOptions, isDuration, isFunctionOrNull, isInteger, show, wrongType } from '../base/options.ts'
import { Multi } from '../multi/multi.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import { type ManagedServerOptions, type ManagedSettings, managedSettings } from './managed-options.ts'

/**
 * How the threads share one address. 'reuseport': each has a queue of its own, which the system fills by a hash.
 * 'handoff': one thread accepts and hands each connection to another. 'exclusive': all take from one queue, and the
 * system wakes one of them. 'single': one thread.
 */
export type ShareMode = 'reuseport' | 'handoff' | 'exclusive' | 'single'

/**
 * Who gets a connection: the index of a worker, null for whoever is next, undefined when more bytes are needed to say.
 * The bytes are those that have come, up to 16 KiB; they stay in the socket, and are borrowed until this returns.
 */
export type PickFunction = (peer: SocketAddress, bytes: Uint8Array) => number | null | undefined

/** What became of a thread. */
export interface WorkerChange {
  /** Which one, from 0; a replacement has the same. */
  readonly worker: number
  readonly threadId: number
  /**
   * 'started': it serves. 'retired': it has ended as it was told. 'crashed': it ended by itself, and is replaced after
   * `retryInMs`. 'failed': a replacement could not start. 'stuck': its loop has not turned for `stuckMs`; others take
   * its connections meanwhile. 'recovered': it turns again.
   */
  readonly kind: 'started' | 'retired' | 'crashed' | 'failed' | 'stuck' | 'recovered'
  /** Of 'crashed' and 'failed'. */
  readonly error: Error | null
  readonly retryInMs: number
}

export interface WorkerRange {
  readonly min: number
  readonly max: number
  /** A thread above `min` that nobody needed for so long ends. Default 10,000. */
  readonly idleMs?: number
}

export interface ServerGroupOptions<Data = unknown> extends Omit<ManagedServerOptions<Data>, 'onFault'> {
  /** How many threads; from min to max, as they are needed, with 'handoff'. Default: one per processor. */
  workers?: number | WorkerRange
  /** Default 'reuseport' on Linux, elsewhere 'handoff'; 'single' for one worker. */
  share?: ShareMode
  /** Of 'handoff': who gets a connection, by its first bytes. Default: without looking, by `balance`. */
  pick?: PickFunction | null
  /** How long `pick` may wait for bytes; then it is whoever is next. Default 5000. */
  pickMs?: number
  /** Of 'handoff': in turn (default), or to the one with the fewest connections. */
  balance?: 'round-robin' | 'least-connections'
  /** Of 'handoff': no thread has more at once; when all have so many, peers wait. 1: a thread for each connection. */
  connectionsPerWorker?: number
  /**
   * A thread whose loop has not turned for so long is stuck. 0: it may take its time. Default 5000, and 0 for
   * `connectionsPerWorker` 1.
   */
  stuckMs?: number
  /** The Multi on which this thread accepts, for 'handoff', and listens for handovers. Default: one on Node's loop. */
  multi?: Multi<object> | null
  onWorker?: ((change: WorkerChange) => void) | null
}

export interface GroupSettings {
  readonly managed: ManagedSettings
  readonly share: ShareMode
  readonly min: number
  readonly max: number
  readonly idleMs: number
  readonly pick: PickFunction | null
  readonly pickMs: number
  readonly isLeastConnections: boolean
  readonly perWorker: number
  readonly stuckMs: number
  readonly onWorker: ((change: WorkerChange) => void) | null
}

const WORKERS_MOST = 500
const IDLE_MS = 10_000
const PICK_MS = 5000
const STUCK_MS = 5000
const PER_WORKER_MOST = 2 ** 31 - 1
const SHARES: readonly unknown[] = ['reuseport', 'handoff', 'exclusive', 'single']

const isShare: Check = (option, value) => {
  if (!SHARES.includes(value)) throw wrongType(option, `one of ${SHARES.join(', ')}`, value)
}

const isBalance: Check = (option, value) => {
  if (value !== 'round-robin' && value !== 'least-connections') {
    throw wrongType(option, "'round-robin' or 'least-connections'", value)
  }
}

const isWorkers: Check = (option, value) => {
  if (typeof value === 'number') return isInteger(1, WORKERS_MOST)(option, value)
  const isCount = isInteger(1, WORKERS_MOST)
  checkOptions(`option ${option}`, value, { min: isCount, max: isCount, idleMs: isDuration })
  const { min, max } = value as WorkerRange
  if (!(min <= max))
    throw new RangeError(`option ${option}: min must be at most max, not ${show(min)} and ${show(max)}`)
}

const isMulti: Check = (option, value) => {
  if (value !== null && !(value instanceof Multi)) throw wrongType(option, 'a Multi', value)
}

const CHECKS: Readonly<Record<string, Check>> = {
  workers: isWorkers,
  share: isShare,
  pick: isFunctionOrNull,
  pickMs: isDuration,
  balance: isBalance,
  connectionsPerWorker: isInteger(1, PER_WORKER_MOST),
  stuckMs: isDuration,
  multi: isMulti,
  onWorker: isFunctionOrNull,
}
/** They mean nothing where the system chooses. */
const OF_HANDOFF = ['pick', 'pickMs', 'balance', 'connectionsPerWorker'] as const

/** Throws TypeError or RangeError naming the option and the value. */
export function groupSettings(options: ServerGroupOptions): GroupSettings {
  const own: Record<string, unknown> = {}
  const rest: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) (name in CHECKS ? own : rest)[name] = value
  checkOptions('ServerGroup options', own, CHECKS)
  const managed = managedSettings(rest as unknown as ManagedServerOptions, 'ServerGroup options')
  const { workers = options.share === 'single' ? 1 : availableParallelism() } = options
  const range: WorkerRange = typeof workers === 'number' ? { min: workers, max: workers } : workers
  const share = options.share ?? defaultShare(workers)
  if (share !== 'handoff') {
    const foreign = OF_HANDOFF.find((name) => options[name] !== undefined && options[name] !== null)
    if (foreign !== undefined) throw new TypeError(`option ${foreign} goes with share 'handoff', not with '${share}'`)
    if (range.min !== range.max) throw new TypeError(`workers from min to max go with share 'handoff', not '${share}'`)
  }
  if (share === 'single' && range.max !== 1) throw new RangeError(`share 'single' has one worker, not ${range.max}`)
  return {
    managed: withDisconnects(managed, options),
    share,
    min: range.min,
    max: range.max,
    idleMs: range.idleMs ?? IDLE_MS,
    pick: options.pick ?? null,
    pickMs: options.pickMs ?? PICK_MS,
    isLeastConnections: options.balance === 'least-connections',
    perWorker: options.connectionsPerWorker ?? Number.POSITIVE_INFINITY,
    // A thread that has one connection may wait in it.
    stuckMs: options.stuckMs ?? (options.connectionsPerWorker === 1 ? 0 : STUCK_MS),
    onWorker: options.onWorker ?? null,
  }
}

function defaultShare(workers: number | WorkerRange): ShareMode {
  if (typeof workers !== 'number') return 'handoff'
  if (workers === 1) return 'single'
  return process.platform === 'linux' ? 'reuseport' : 'handoff'
}

/** Where connections are counted out to the workers, the owner has to know when they end. */
function withDisconnects(managed: ManagedSettings, options: ServerGroupOptions): ManagedSettings {
  const counts = options.connectionsPerWorker !== undefined || options.balance === 'least-connections'
  if (!counts || managed.forwards.includes('disconnect')) return managed
  return { ...managed, forwards: [...managed.forwards, 'disconnect'] }
}

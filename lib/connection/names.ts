/**
 * Names to addresses for all machines of one Multi: a cache, one query in flight per (host, family, source) whoever
 * asks, IP literals without a query. It is a background machine itself: while the resolver is asked it waits at its
 * descriptor, then collects the answers and marks those who wait dirty; another source tells its answers itself.
 * Nothing here waits for getaddrinfo: when the last waiter lets go, the query is cancelled.
 */
import { SystemError } from '../base/errors.ts'
import { Facility, type Host } from '../multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import { Interest } from '../sys/readiness.ts'
import type { ResolverAnswer } from '../sys/resolver.ts'
import { errnoName } from '../sys/system-error.ts'
import { type IpFamily, parseIpLiteral } from './address.ts'
import type { NameQuestion, NameSource, SourceAnswer } from './name-source.ts'

/** curl's default of DNS_CACHE_TIMEOUT. */
export const NAME_TTL_MS = 60_000
/** "No such host" is believed for a moment only: long enough for a burst, short enough for a name just created. */
export const NAME_NEGATIVE_TTL_MS = 5_000
/** However long a source says that its answer holds. */
const NAME_TTL_MAX_MS = 24 * 3600 * 1000
/** Answers kept; the one unused for longest goes first. */
export const NAME_CACHE_MAX = 1024
/** RFC 1035 allows 253 characters; what is longer is not asked. */
const NAME_LENGTH_MAX = 255

/** Names that never leave the machine (RFC 6761 §6.3). */
const LOCAL_NAME = /^(?:.*\.)?localhost\.?$/i

/** getaddrinfo's errors as libuv and Node number them, so `errno` says the same everywhere. */
const NAME_ERRNO: Readonly<Record<string, number>> = {
  ENOTFOUND: -3008,
  EAI_ADDRFAMILY: -3000,
  EAI_AGAIN: -3001,
  EAI_BADFLAGS: -3002,
  EAI_CANCELED: -3003,
  EAI_FAIL: -3004,
  EAI_FAMILY: -3005,
  EAI_MEMORY: -3006,
  EAI_NODATA: -3007,
  EAI_NONAME: -3008,
  EAI_OVERFLOW: -3009,
  EAI_SERVICE: -3010,
  EAI_SOCKTYPE: -3011,
}

export type LookupState = 'pending' | 'done' | 'failed'

/** What is known, or being asked, about one name; shared by all who asked. */
class NameEntry {
  readonly key: string
  readonly hostname: string
  state: LookupState = 'pending'
  addresses: readonly SocketAddress[] = []
  error: SystemError | null = null
  settledAt = 0
  /** How long it holds by its source; null: nobody said. */
  ttlMs: number | null = null
  /** Of the resolver; 0 when none is out. */
  query = 0
  /** Of another source; null when none is out. */
  question: NameQuestion | null = null
  readonly lookups = new Set<Lookup>()

  constructor(key: string, hostname: string) {
    this.key = key
    this.hostname = hostname
  }

  settle(addresses: readonly SocketAddress[], error: SystemError | null, now: number): void {
    this.state = error === null ? 'done' : 'failed'
    this.addresses = addresses
    this.error = error
    this.settledAt = now
    this.query = 0
    this.question = null
  }

  /** By whoever lets it be `maxAgeMs` old; undefined: as long as it holds by itself. */
  isFresh(now: number, maxAgeMs: number | undefined): boolean {
    let holdsMs = maxAgeMs ?? this.ttlMs ?? NAME_TTL_MS
    if (this.error !== null) holdsMs = Math.min(holdsMs, NAME_NEGATIVE_TTL_MS)
    else if (this.ttlMs !== null && holdsMs !== Number.POSITIVE_INFINITY) holdsMs = Math.min(holdsMs, this.ttlMs)
    return now - this.settledAt < holdsMs
  }
}

/** One question of one machine. Its task is marked dirty when `state` changes. */
export class Lookup {
  readonly waiter: Task
  /** @internal */
  readonly entry: NameEntry

  constructor(waiter: Task, entry: NameEntry) {
    this.waiter = waiter
    this.entry = entry
  }

  get state(): LookupState {
    return this.entry.state
  }

  /** In the system's order; port 0. */
  get addresses(): readonly SocketAddress[] {
    return this.entry.addresses
  }

  /** Syscall 'getaddrinfo', `address` is the host name. */
  get error(): SystemError | null {
    return this.entry.error
  }
}

export class NameService implements Machine {
  readonly kind: MachineKind = MachineKind.BACKGROUND
  readonly subject = null
  readonly timers = null
  readonly #engine: Host
  #task: Task | null = null
  /** Settled answers, the most recently used last. */
  readonly #cache = new Map<string, NameEntry>()
  /** Queries that a new lookup may join. */
  readonly #joinable = new Map<string, NameEntry>()
  /** Every query that is out, by the resolver's id. */
  readonly #queries = new Map<number, NameEntry>()
  /** Those that other sources are asked for. */
  readonly #questions = new Set<NameEntry>()
  #now = 0
  readonly #deliver: (query: number, answer: ResolverAnswer) => void

  constructor(engine: Host) {
    this.#engine = engine
    this.#deliver = (query, answer) => this.#settleQuery(query, answer)
  }

  /** Queries that are out; for tests and statistics. */
  get outstanding(): number {
    return this.#queries.size + this.#questions.size
  }

  get cached(): number {
    return this.#cache.size
  }

  /**
   * `maxAgeMs` is how old a cached answer may be: 0 asks anew, Infinity takes any, undefined what holds by itself.
   * `source` null is the system's resolver, which alone is asked for this machine's own names. An answer may be there
   * at once.
   */
  lookup(
    hostname: string,
    family: IpFamily | null,
    waiter: Task,
    now: number,
    maxAgeMs?: number,
    source: NameSource | null = null,
  ): Lookup {
    const literal = parseIpLiteral(hostname)
    if (literal !== null) {
      const entry = new NameEntry('', hostname)
      const fits = family === null || family === literal.family
      entry.settle(fits ? [literal] : [], fits ? null : nameError('ENOTFOUND', hostname), now)
      return new Lookup(waiter, entry)
    }
    const asked = source === null || LOCAL_NAME.test(hostname) ? null : source
    const key = `${family ?? 0}|${hostname.toLowerCase()}${asked === null ? '' : `|${asked.key}`}`
    const entry =
      this.#findFresh(key, now, maxAgeMs) ?? this.#joinable.get(key) ?? this.#ask(key, hostname, family, now, asked)
    const lookup = new Lookup(waiter, entry)
    if (entry.state === 'pending') entry.lookups.add(lookup)
    return lookup
  }

  /** The asker is gone or has its answer. The last one to let go of a query cancels it. Idempotent. */
  release(lookup: Lookup): void {
    const entry = lookup.entry
    if (!entry.lookups.delete(lookup) || entry.lookups.size > 0) return
    if (entry.question !== null) {
      this.#endQuestion(entry)?.cancel()
      return
    }
    if (entry.query === 0) return
    const query = entry.query
    entry.query = 0
    this.#forgetQuery(query, entry)
    this.#engine.resolver.cancel(query)
    this.#interestChanged()
  }

  /** A waiter was run without an answer: looks for answers in the next pass, reported or not. */
  poke(): void {
    if (this.#task !== null) this.#engine.markDirty(this.#task)
  }

  /** Forgets all answers. Queries that are out still answer those who wait, but are neither joined nor kept. */
  clear(): void {
    this.#cache.clear()
    this.#joinable.clear()
  }

  /** Cancels all queries, whose waiters hear EAI_CANCELED, and leaves the engine. A later lookup starts afresh. */
  close(): void {
    for (const [query, entry] of this.#queries) {
      this.#engine.resolver.cancel(query)
      entry.settle([], nameError('EAI_CANCELED', entry.hostname), this.#now)
      this.#wake(entry)
    }
    this.#queries.clear()
    for (const entry of [...this.#questions]) {
      this.#endQuestion(entry)?.cancel()
      entry.settle([], nameError('EAI_CANCELED', entry.hostname), this.#now)
      this.#wake(entry)
    }
    this.clear()
    const task = this.#task
    this.#task = null
    if (task !== null) this.#engine.retire(task)
  }

  start(_now: number): void {}

  run(now: number, _readiness: number): void {
    if (this.#queries.size === 0) return
    this.#now = now
    this.#engine.resolver.collect(this.#deliver)
  }

  expired(_timer: number, _now: number): void {}

  interest(into: InterestSet): void {
    if (this.#queries.size > 0) into.add(this.#engine.resolver.fd, Interest.READABLE)
  }

  get dormant(): boolean {
    return this.#queries.size === 0
  }

  abort(_cause: unknown): void {
    this.close()
  }

  #findFresh(key: string, now: number, maxAgeMs: number | undefined): NameEntry | undefined {
    const entry = this.#cache.get(key)
    if (entry === undefined || !entry.isFresh(now, maxAgeMs)) return undefined
    this.#cache.delete(key)
    this.#cache.set(key, entry)
    return entry
  }

  #ask(key: string, hostname: string, family: IpFamily | null, now: number, source: NameSource | null): NameEntry {
    const entry = new NameEntry(key, hostname)
    if (hostname.length === 0 || hostname.length > NAME_LENGTH_MAX || hostname.includes('\0')) {
      entry.settle([], nameError('ENOTFOUND', hostname), now)
      return entry
    }
    if (source !== null) {
      this.#joinable.set(key, entry)
      const question = source.ask(this.#engine, hostname, family, (answer, at) =>
        this.#settleQuestion(entry, answer, at),
      )
      if (entry.state !== 'pending') return entry
      entry.question = question
      this.#questions.add(entry)
      return entry
    }
    const query = this.#engine.resolver.lookup(hostname, family)
    if (query < 0) {
      const error = new SystemError(errnoName(this.#engine.kernel, query), query, 'getaddrinfo', hostname)
      entry.settle([], error, now)
      return entry
    }
    entry.query = query
    this.#queries.set(query, entry)
    this.#joinable.set(key, entry)
    this.#interestChanged()
    return entry
  }

  #settleQuery(query: number, answer: ResolverAnswer): void {
    const entry = this.#queries.get(query)
    if (entry === undefined) return
    const kept = this.#forgetQuery(query, entry)
    const code = answer.error ?? (answer.addresses.length === 0 ? 'ENOTFOUND' : null)
    if (code === null) entry.settle(answer.addresses, null, this.#now)
    else entry.settle([], nameError(code, entry.hostname), this.#now)
    // Only "no such host" is an answer; a resolver that could not ask (EAI_AGAIN) is asked again by the next one.
    if (kept && (code === null || code === 'ENOTFOUND')) this.#keep(entry)
    this.#wake(entry)
  }

  #settleQuestion(entry: NameEntry, { addresses, error, ttlMs }: SourceAnswer, now: number): void {
    this.#questions.delete(entry)
    const kept = this.#stopJoining(entry)
    entry.settle(addresses, error, now)
    entry.ttlMs = Math.min(ttlMs, NAME_TTL_MAX_MS)
    if (kept && (error === null || error.code === 'ENOTFOUND')) this.#keep(entry)
    this.#wake(entry)
  }

  #endQuestion(entry: NameEntry): NameQuestion | null {
    const { question } = entry
    entry.question = null
    this.#questions.delete(entry)
    this.#stopJoining(entry)
    return question
  }

  #wake(entry: NameEntry): void {
    for (const lookup of entry.lookups) if (lookup.waiter.alive) this.#engine.markDirty(lookup.waiter)
    entry.lookups.clear()
  }

  /** Returns whether the answer may be kept: not when the cache was cleared meanwhile. */
  #forgetQuery(query: number, entry: NameEntry): boolean {
    this.#queries.delete(query)
    return this.#stopJoining(entry)
  }

  #stopJoining(entry: NameEntry): boolean {
    if (this.#joinable.get(entry.key) !== entry) return false
    this.#joinable.delete(entry.key)
    return true
  }

  #keep(entry: NameEntry): void {
    this.#cache.delete(entry.key)
    this.#cache.set(entry.key, entry)
    if (this.#cache.size <= NAME_CACHE_MAX) return
    for (const oldest of this.#cache.keys()) {
      this.#cache.delete(oldest)
      break
    }
  }

  /** The engine asks for our interest after a run. */
  #interestChanged(): void {
    if (this.#task === null) this.#task = this.#engine.spawn(this)
    else this.#engine.markDirty(this.#task)
  }
}

/** The key under which an engine keeps its name service. */
export const nameService: Facility<NameService> = new Facility(
  (engine) => new NameService(engine),
  (service) => service.close(),
)

/** `cause`: why a source could not answer. */
export function nameError(code: string, hostname: string, syscall = 'getaddrinfo', cause?: unknown): SystemError {
  const error = new SystemError(code, NAME_ERRNO[code] ?? -3004, syscall, hostname)
  if (cause !== undefined) error.cause = cause
  return error
}

/**
 * From a host and port, or a path, to a connected socket: name lookup, then attempts as RFC 8305 (happy eyeballs)
 * staggers them; the first to connect wins and the others are closed. A part of a machine, not a machine: the owner
 * calls `start` once, then `run` whenever it runs, passes `interest` on and arms `deadline`. While `phase` is
 * 'resolving' it waits for the name service, which marks the owner's task dirty: it has no interest and no deadline of
 * its own then, so an owner without a time-out is dormant.
 */
import { SystemError, type TransferCodeName } from '../base/errors.ts'
import type { Host } from '../multi/host.ts'
import type { InterestSet } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'
import { Family, type SocketAddress } from '../sys/kernel.ts'
import { Interest } from '../sys/readiness.ts'
import { systemError } from '../sys/system-error.ts'
import { type IpFamily, interleaveFamilies } from './address.ts'
import { ConnectAttempt, type SocketOptions } from './connect-attempt.ts'
import { FilterStatus } from './filter.ts'
import type { NameSource } from './name-source.ts'
import { type Lookup, type NameService, nameService } from './names.ts'
import type { SocketFilter } from './socket-filter.ts'

/** Addresses of one name that are tried. A name with more is a pool whose first sixteen speak for the rest. */
export const CONNECT_ADDRESSES_MAX = 16
/** curl's default of HAPPY_EYEBALLS_TIMEOUT_MS. */
export const HAPPY_EYEBALLS_DELAY_MS = 200
/** RFC 8305 §5: never less, so that a burst of attempts is not a scan. */
const HAPPY_EYEBALLS_DELAY_MIN_MS = 10
/** How soon a unix socket whose listener had a full queue is tried again. */
export const UNIX_RETRY_DELAY_MS = 20

export interface TcpTarget extends SocketOptions {
  readonly kind: 'tcp'
  readonly host: string
  readonly port: number
  /** null or left out: both. */
  readonly family?: IpFamily | null
  /** Instead of asking for `host`; each is tried at `port`. */
  readonly addresses?: readonly SocketAddress[] | null
  /** Default HAPPY_EYEBALLS_DELAY_MS. */
  readonly happyEyeballsDelayMs?: number
  /** How old a cached name may be; default as the name service's. */
  readonly nameMaxAgeMs?: number
  /** Asked for the name; default the system's resolver. */
  readonly nameSource?: NameSource | null
}

export interface UnixTarget {
  readonly kind: 'unix'
  /** '\0name' for an abstract one. */
  readonly path: string
}

export type ConnectTarget = TcpTarget | UnixTarget
export type ConnectPhase = 'resolving' | 'connecting'

export interface ConnectFailure {
  readonly error: Extract<TransferCodeName, 'COULDNT_RESOLVE_HOST' | 'COULDNT_CONNECT'>
  /**
   * Of the attempt that failed last, among those that got past their local end if any did. When several failed, its
   * `cause` is an AggregateError of all, as they failed.
   */
  readonly cause: SystemError
}

export type ConnectorEngine = Pick<Host, 'kernel' | 'closeFd' | 'facility'>

const NO_OPTIONS: SocketOptions = {}

export class Connector {
  phase: ConnectPhase = 'resolving'
  failure: ConnectFailure | null = null
  /** By the engine's clock; -1 until it happened. */
  nameResolvedAt = -1
  connectedAt = -1
  readonly #engine: ConnectorEngine
  readonly #task: Task
  readonly #target: ConnectTarget
  readonly #options: SocketOptions
  readonly #delayMs: number
  #status: FilterStatus = FilterStatus.PENDING
  #lookup: Lookup | null = null
  #addresses: readonly SocketAddress[] = []
  /** Index of the next address to try, and when, unless an attempt fails before. */
  #nextAddress = 0
  #nextAttemptAt = 0
  #retryAt = Number.POSITIVE_INFINITY
  readonly #attempts: ConnectAttempt[] = []
  readonly #failures: SystemError[] = []
  #winner: ConnectAttempt | null = null

  /** `task` is the owner's: it is marked dirty when the name is known. */
  constructor(engine: ConnectorEngine, task: Task, target: ConnectTarget) {
    this.#engine = engine
    this.#task = task
    this.#target = target
    this.#options = target.kind === 'tcp' ? target : NO_OPTIONS
    const delayMs = target.kind === 'tcp' ? (target.happyEyeballsDelayMs ?? HAPPY_EYEBALLS_DELAY_MS) : 0
    this.#delayMs = Math.max(delayMs, HAPPY_EYEBALLS_DELAY_MIN_MS)
  }

  get status(): FilterStatus {
    return this.#status
  }

  /** Begins the lookup; `run` does the rest, in the same pass if the owner likes. */
  start(now: number): void {
    const target = this.#target
    if (target.kind === 'unix') this.#useAddresses([{ family: Family.UNIX, address: target.path, port: 0 }], now)
    else if (target.addresses) this.#useAddresses(this.#chooseAddresses(target, target.addresses), now)
    else {
      const { host, family = null, nameMaxAgeMs, nameSource } = target
      this.#lookup = this.#names().lookup(host, family, this.#task, now, nameMaxAgeMs, nameSource)
    }
  }

  /** Moves as far as it can. DONE: `take` the socket. FAILED: see `failure`; null after `abort`. */
  run(now: number): FilterStatus {
    if (this.#status === FilterStatus.PENDING && this.phase === 'resolving') this.#finishLookup(now)
    if (this.#status === FilterStatus.PENDING && this.phase === 'connecting') {
      this.#checkAttempts(now)
      if (this.#winner === null) this.#openAttempts(now)
    }
    return this.#status
  }

  /** Write readiness of every attempt under way. */
  interest(into: InterestSet): void {
    for (const attempt of this.#attempts) if (!attempt.needsRetry) into.add(attempt.fd, Interest.WRITABLE)
  }

  /** When `run` must be called although nothing became ready; Infinity when never. */
  deadline(): number {
    if (this.#status !== FilterStatus.PENDING) return Number.POSITIVE_INFINITY
    if (this.#nextAddress >= this.#addresses.length) return this.#retryAt
    return Math.min(this.#nextAttemptAt, this.#retryAt)
  }

  /** The connected socket, once, when DONE. It is the caller's to close. */
  take(): SocketFilter {
    if (this.#winner === null) throw new Error('Connector.take: nothing is connected, or it was taken already')
    const socket = this.#winner.take()
    this.#winner = null
    return socket
  }

  /** Lets everything go: the lookup, all attempts, a connected socket that was not taken. Idempotent. */
  abort(): void {
    if (this.#status === FilterStatus.PENDING) this.#status = FilterStatus.FAILED
    this.#releaseLookup()
    this.#closeAttempts()
    this.#winner?.close()
    this.#winner = null
  }

  #names(): NameService {
    return this.#engine.facility(nameService)
  }

  #releaseLookup(): void {
    if (this.#lookup !== null) this.#names().release(this.#lookup)
    this.#lookup = null
  }

  #finishLookup(now: number): void {
    const lookup = this.#lookup
    const target = this.#target
    if (lookup === null || target.kind !== 'tcp') return
    // Run without an answer: the caller may not know what is ready (perform), so the answer may be there all the same.
    if (lookup.state === 'pending') {
      this.#names().poke()
      return
    }
    this.#releaseLookup()
    if (lookup.error !== null) this.#fail('COULDNT_RESOLVE_HOST', lookup.error)
    else this.#useAddresses(this.#chooseAddresses(target, lookup.addresses), now)
  }

  #chooseAddresses(target: TcpTarget, found: readonly SocketAddress[]): SocketAddress[] {
    // The resolver asks for both families and answers once, so RFC 8305's wait for the second answer is not needed.
    const wanted = target.family ?? null
    const bound = target.local?.address?.family ?? null
    const usable = found.filter(
      ({ family }) => (wanted === null || family === wanted) && (bound === null || family === bound),
    )
    const order = interleaveFamilies(usable, CONNECT_ADDRESSES_MAX)
    return order.map(({ family, address }) => ({ family, address, port: target.port }))
  }

  #useAddresses(addresses: readonly SocketAddress[], now: number): void {
    this.phase = 'connecting'
    this.nameResolvedAt = now
    this.#addresses = addresses
    this.#nextAttemptAt = now
  }

  #checkAttempts(now: number): void {
    const attempts = this.#attempts
    let kept = 0
    for (const attempt of attempts) {
      const status = attempt.check()
      // Attempts before this one were found pending or have closed themselves; #win closes what is open.
      if (status === FilterStatus.DONE) {
        this.#win(attempt, now)
        return
      }
      if (status === FilterStatus.PENDING) attempts[kept++] = attempt
      else {
        this.#failures.push(attempt.failure as SystemError)
        this.#nextAttemptAt = now
      }
    }
    attempts.length = kept
    this.#armRetry(now)
  }

  #openAttempts(now: number): void {
    const attempts = this.#attempts
    while (this.#nextAddress < this.#addresses.length && (attempts.length === 0 || now >= this.#nextAttemptAt)) {
      const address = this.#addresses[this.#nextAddress] as SocketAddress
      const attempt = new ConnectAttempt(this.#engine, address, this.#options)
      const status = attempt.open()
      if (status === FilterStatus.DONE) {
        this.#win(attempt, now)
        return
      }
      if (status === FilterStatus.PENDING) {
        attempts.push(attempt)
        this.#nextAddress++
        this.#nextAttemptAt = now + this.#delayMs
        this.#armRetry(now)
      } else if (attempt.isExhausted && attempts.length > 0) {
        // An attempt under way may still win, or fail and free its descriptor; else this address is tried again later.
        this.#nextAttemptAt = now + this.#delayMs
        return
      } else {
        this.#failures.push(attempt.failure as SystemError)
        // Without descriptors the other addresses would fail alike.
        this.#nextAddress = attempt.isExhausted ? this.#addresses.length : this.#nextAddress + 1
        this.#nextAttemptAt = now
      }
    }
    if (attempts.length === 0) this.#failConnect()
  }

  #armRetry(now: number): void {
    const needsRetry = this.#attempts.some((attempt) => attempt.needsRetry)
    this.#retryAt = needsRetry ? now + UNIX_RETRY_DELAY_MS : Number.POSITIVE_INFINITY
  }

  #win(winner: ConnectAttempt, now: number): void {
    this.#status = FilterStatus.DONE
    this.connectedAt = now
    this.#winner = winner
    this.#closeAttempts()
  }

  /** Closes all but the winner. */
  #closeAttempts(): void {
    for (const attempt of this.#attempts) if (attempt !== this.#winner) attempt.close()
    this.#attempts.length = 0
  }

  #failConnect(): void {
    const failures = this.#failures
    // That this machine has no such local end for one family says nothing about the peer.
    const last = failures.findLast(({ syscall }) => syscall !== 'bind') ?? failures.at(-1) ?? this.#noAddressError()
    if (failures.length <= 1) {
      this.#fail('COULDNT_CONNECT', last)
      return
    }
    // A copy, so that the aggregate does not contain what it is the cause of.
    const cause = new SystemError(last.code, last.errno, last.syscall, last.address, last.port)
    cause.cause = new AggregateError(failures, `all ${failures.length} attempts to connect failed`)
    this.#fail('COULDNT_CONNECT', cause)
  }

  /** The name has addresses, but none of the family that was asked for or that the local address has. */
  #noAddressError(): SystemError {
    const target = this.#target
    const host = target.kind === 'tcp' ? target.host : target.path
    const port = target.kind === 'tcp' ? target.port : 0
    const { kernel } = this.#engine
    return systemError(kernel, -kernel.errno.EAFNOSUPPORT, 'connect', { family: Family.IPV4, address: host, port })
  }

  #fail(error: ConnectFailure['error'], cause: SystemError): void {
    this.#status = FilterStatus.FAILED
    this.failure = { error, cause }
    this.#closeAttempts()
  }
}

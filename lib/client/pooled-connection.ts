/**
 * One connection of the pool for all its life. While a transfer has it, the transfer speaks for its descriptor; while
 * it is idle, this machine does, so that the peer's FIN, an error or stray bytes close it (invariant 9). It never keeps
 * a loop going.
 */
import { TimerTable } from '../base/timer-table.ts'
import type { ByteStream } from '../connection/stream.ts'
import type { Host } from '../multi/host.ts'
import { GUESSED, type InterestSet, type Machine, MachineKind, REPORTED } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'
import { Interest } from '../sys/readiness.ts'
import type { Origin } from './origin.ts'

/**
 * An idle connection that was seen alive this recently is used without another look. Long enough that requests one
 * after the other cost no extra call, short enough that what came behind the last answer is found (curl: a second).
 */
const CHECK_AGE_MS = 10
/** How often an idle connection is looked at when the caller does not know what is ready: curl's figure. */
const GUESS_AGE_MS = 1000
const IDLE_TIMER = 0

/** Where it is kept. */
export interface Pool {
  /** An idle connection is of no use any more: forget it, then close it. */
  discard(connection: PooledConnection): void
}

export class PooledConnection implements Machine {
  readonly kind: MachineKind = MachineKind.BACKGROUND
  readonly subject = null
  readonly timers: TimerTable = new TimerTable(1)
  readonly origin: Origin<PooledConnection>
  readonly stream: ByteStream
  readonly #host: Host
  readonly #pool: Pool
  readonly #task: Task
  /** Neighbours on the pool's list of idle connections, oldest first. */
  older: PooledConnection | null = null
  newer: PooledConnection | null = null
  idle = false
  idleSince = 0
  #idleMaxMs = 0
  #checkedAt = 0
  /** Requests that it has answered. */
  uses = 0

  constructor(host: Host, pool: Pool, origin: Origin<PooledConnection>, stream: ByteStream) {
    this.#host = host
    this.#pool = pool
    this.origin = origin
    this.stream = stream
    this.#task = host.spawn(this)
  }

  /** `maxAgeMs` is the longest time that it stays so. */
  becomeIdle(now: number, maxAgeMs: number): void {
    this.idle = true
    this.idleSince = now
    this.#checkedAt = now
    // Left armed while in use: on a warm connection the deadline then stands still, and no timer is told anything.
    this.#idleMaxMs = maxAgeMs
    if (this.timers.at(IDLE_TIMER) > now + maxAgeMs) this.timers.set(IDLE_TIMER, now + maxAgeMs)
    this.#host.settle(this.#task)
  }

  /** Takes it out of idleness for a transfer. False when it turned out to be dead; it is closed then. */
  becomeBusy(now: number): boolean {
    // Of one that nobody watches, nothing was reported, whatever came.
    const isWatched = this.#host.limits.watchIdleConnections
    const isDoubtful = !isWatched || this.#task.readiness !== 0 || now - this.#checkedAt >= CHECK_AGE_MS
    if (isDoubtful && !this.stream.checkIdle()) return false
    this.idle = false
    this.#task.readiness = 0
    this.uses++
    this.#host.settle(this.#task)
    return true
  }

  /** Closes the stream; the pool has forgotten it already. */
  close(): void {
    this.stream.close()
    this.#host.retire(this.#task)
  }

  start(): void {}

  run(now: number, readiness: number): void {
    if (!this.idle) return
    const isGuess = (readiness & GUESSED) !== 0 && now - this.#checkedAt >= GUESS_AGE_MS
    if ((readiness & REPORTED) !== 0 || isGuess) this.look(now)
  }

  /** Of an idle one: a dead one is discarded. */
  look(now: number): void {
    this.#checkedAt = now
    if (!this.stream.checkIdle()) this.#pool.discard(this)
  }

  expired(_timer: number, now: number): void {
    if (!this.idle) return
    if (now - this.idleSince >= this.#idleMaxMs) this.#pool.discard(this)
    else this.timers.set(IDLE_TIMER, this.idleSince + this.#idleMaxMs)
  }

  interest(into: InterestSet): void {
    if (this.idle && this.#host.limits.watchIdleConnections) this.stream.interest(Interest.READABLE, into)
  }

  get dormant(): boolean {
    return true
  }

  abort(): void {
    this.#pool.discard(this)
  }
}

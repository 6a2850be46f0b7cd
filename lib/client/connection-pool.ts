/**
 * The connections of a Multi, by origin, within its limits. Transfers over a limit wait in turn: one slot that falls
 * free goes to the one that has waited longest and can use it. Who waits for its origin's limit stands in that origin's
 * queue, who waits for the total in one queue for all. An origin in whose queue somebody waits has no idle connection.
 */
import type { ByteStream } from '../connection/stream.ts'
import { Facility, type Host, type HostCounters, type HostLimits } from '../multi/host.ts'
import { PendingQueue } from '../multi/pending-queue.ts'
import type { Task } from '../multi/task.ts'
import { type Keeper, keepers } from '../multi/upkeep.ts'
import { DEFAULT_REUSE, type ReuseRules } from './connection-settings.ts'
import { Lease, LeaseState } from './lease.ts'
import { Origin } from './origin.ts'
import { PooledConnection } from './pooled-connection.ts'

type PoolLimits = Omit<HostLimits, 'watchIdleConnections'>

/** What browsers open to one server; a name costs two requests. */
const ERRAND_LIMITS: PoolLimits = { maxIdleConnections: 6, maxHostConnections: 6, maxTotalConnections: 24 }

export class ConnectionPool implements Keeper {
  readonly #host: Host
  readonly #limits: PoolLimits
  readonly #counters: HostCounters
  readonly #origins = new Map<string, Origin<PooledConnection>>()
  readonly #leases = new Map<Task, Lease>()
  readonly #waitingForTotal: PendingQueue
  #connections = 0
  /** Ends of the list of idle connections. */
  #oldest: PooledConnection | null = null
  #newest: PooledConnection | null = null
  #idleCount = 0

  constructor(host: Host, limits: PoolLimits, counters: HostCounters) {
    this.#host = host
    this.#limits = limits
    this.#counters = counters
    this.#waitingForTotal = new PendingQueue(host.tickets)
    host.facility(keepers).add(this)
  }

  /** Dead ones: what is too old goes by its timer. */
  upkeep(now: number): void {
    for (let connection = this.#oldest; connection !== null; ) {
      const { newer } = connection
      connection.look(now)
      connection = newer
    }
  }

  /** Asks for a connection to the origin of that key. `fresh` never takes an idle one. */
  request(task: Task, key: string, fresh: boolean, now: number, reuse: ReuseRules = DEFAULT_REUSE): Lease {
    const origin = this.#origins.get(key) ?? new Origin<PooledConnection>(key, this.#host.tickets)
    const lease = new Lease(task, origin, fresh, reuse)
    if (!fresh && this.#grantIdle(lease, now)) return lease
    const { maxHostConnections, maxTotalConnections } = this.#limits
    if (origin.connections >= maxHostConnections && fresh) this.#evict(origin.idle[0])
    if (origin.connections >= maxHostConnections) return this.#wait(lease, origin.waiting)
    if (this.#connections >= maxTotalConnections) this.#evict(this.#oldest ?? undefined)
    if (this.#connections >= maxTotalConnections) return this.#wait(lease, this.#waitingForTotal)
    this.#grantPermit(lease)
    return lease
  }

  /** A permit was used: this stream is the connection from now on. */
  opened(lease: Lease, stream: ByteStream): PooledConnection {
    const connection = new PooledConnection(this.#host, this, lease.origin, stream)
    lease.connection = connection
    lease.state = LeaseState.CONNECTION
    return connection
  }

  /** The connection of a lease turned out to be of no use; its place is kept for another one. */
  replace(lease: Lease): void {
    lease.connection?.close()
    lease.connection = null
    lease.state = LeaseState.PERMIT
  }

  /** The exchange is over; a connection that cannot be used again is closed. */
  giveBack(lease: Lease, reusable: boolean, now: number): void {
    const { connection, origin } = lease
    lease.connection = null
    lease.state = LeaseState.NONE
    if (connection === null) return
    if (!reusable) {
      connection.close()
      this.#slotFreed(origin)
      return
    }
    const next = this.#nextWaiter(origin)
    if (next !== null && next.origin === origin && !next.fresh && isYoung(connection, next.reuse, now)) {
      connection.uses++
      this.#grant(next, connection)
      return
    }
    if (next !== null) {
      // Whoever has waited longest needs the room and not this connection: it is of another origin, or wants a fresh
      // one.
      connection.close()
      this.#discount(origin)
      this.#grantPermit(next)
      this.#host.markDirty(next.task)
      return
    }
    this.#shelve(connection, idleTimeOf(connection, lease.reuse, now), now)
  }

  /** The transfer ended before it had a stream, or wants none any more. Idempotent. */
  cancel(lease: Lease, now: number): void {
    const state = lease.state
    lease.state = LeaseState.NONE
    if (state === LeaseState.WAITING) this.#stopWaiting(lease)
    else if (state === LeaseState.PERMIT) this.#slotFreed(lease.origin)
    else if (state === LeaseState.CONNECTION) this.giveBack(lease, false, now)
  }

  /** Closes an idle connection: its peer did, or it grew too old. One that is in use is left to its transfer. */
  discard(connection: PooledConnection): void {
    if (!connection.idle) return
    this.#unshelve(connection)
    connection.close()
    this.#slotFreed(connection.origin)
  }

  #grantIdle(lease: Lease, now: number): boolean {
    const { idle } = lease.origin
    for (let connection = idle.at(-1); connection !== undefined; connection = idle.at(-1)) {
      this.#unshelve(connection)
      if (isFit(connection, lease.reuse, now) && connection.becomeBusy(now)) {
        lease.connection = connection
        lease.state = LeaseState.CONNECTION
        return true
      }
      connection.close()
      this.#discount(lease.origin)
    }
    return false
  }

  #grantPermit(lease: Lease): void {
    lease.origin.connections++
    this.#origins.set(lease.origin.key, lease.origin)
    this.#connections++
    this.#counters.connections = this.#connections
    lease.state = LeaseState.PERMIT
  }

  #grant(lease: Lease, connection: PooledConnection): void {
    lease.connection = connection
    lease.state = LeaseState.CONNECTION
    this.#host.markDirty(lease.task)
  }

  #wait(lease: Lease, queue: PendingQueue): Lease {
    lease.state = LeaseState.WAITING
    queue.push(lease.task)
    lease.origin.waiters++
    this.#origins.set(lease.origin.key, lease.origin)
    this.#leases.set(lease.task, lease)
    this.#counters.pending++
    return lease
  }

  #stopWaiting(lease: Lease): void {
    if (!lease.origin.waiting.remove(lease.task)) this.#waitingForTotal.remove(lease.task)
    this.#forgetWaiter(lease)
    if (lease.origin.isEmpty) this.#origins.delete(lease.origin.key)
  }

  #forgetWaiter(lease: Lease): void {
    this.#leases.delete(lease.task)
    lease.origin.waiters--
    this.#counters.pending--
  }

  /** A connection of that origin is gone: whoever has waited longest and can use the slot may open one. */
  #slotFreed(origin: Origin<PooledConnection>): void {
    this.#discount(origin)
    const next = this.#nextWaiter(origin)
    if (next === null) return
    this.#grantPermit(next)
    this.#host.markDirty(next.task)
  }

  /** Takes the next one off its queue; null when nobody can use a slot that fell free at that origin. */
  #nextWaiter(origin: Origin<PooledConnection>): Lease | null {
    for (;;) {
      const ofTotal = this.#waitingForTotal.firstTicket
      const ofOrigin = origin.waiting.firstTicket
      if (ofTotal === Number.POSITIVE_INFINITY && ofOrigin === Number.POSITIVE_INFINITY) return null
      const task = (ofOrigin < ofTotal ? origin.waiting.shift() : this.#waitingForTotal.shift()) as Task
      const lease = this.#leases.get(task) as Lease
      if (lease.origin !== origin && lease.origin.connections >= this.#limits.maxHostConnections) {
        // Its origin filled up meanwhile: it waits there now.
        lease.origin.waiting.push(task)
        continue
      }
      this.#forgetWaiter(lease)
      return lease
    }
  }

  #discount(origin: Origin<PooledConnection>): void {
    origin.connections--
    this.#connections--
    this.#counters.connections = this.#connections
    if (origin.isEmpty) this.#origins.delete(origin.key)
  }

  #evict(connection: PooledConnection | undefined): void {
    if (connection === undefined) return
    this.#unshelve(connection)
    connection.close()
    this.#discount(connection.origin)
  }

  #shelve(connection: PooledConnection, maxAgeMs: number, now: number): void {
    const { maxIdleConnections } = this.#limits
    if (maxIdleConnections === 0) {
      connection.close()
      this.#discount(connection.origin)
      return
    }
    if (this.#idleCount >= maxIdleConnections) this.#evict(this.#oldest ?? undefined)
    connection.older = this.#newest
    if (this.#newest !== null) this.#newest.newer = connection
    else this.#oldest = connection
    this.#newest = connection
    this.#counters.idleConnections = ++this.#idleCount
    connection.origin.idle.push(connection)
    connection.becomeIdle(now, maxAgeMs)
  }

  #unshelve(connection: PooledConnection): void {
    const { older, newer } = connection
    if (older !== null) older.newer = newer
    else this.#oldest = newer
    if (newer !== null) newer.older = older
    else this.#newest = older
    connection.older = null
    connection.newer = null
    this.#counters.idleConnections = --this.#idleCount
    const { idle } = connection.origin
    if (idle.at(-1) === connection) idle.pop()
    else idle.splice(idle.indexOf(connection), 1)
  }
}

function isYoung({ stream }: PooledConnection, { maxLifetimeMs }: ReuseRules, now: number): boolean {
  return now - stream.createdAt <= maxLifetimeMs
}

/** How long it may stay idle before it is too old in one way or the other. */
function idleTimeOf({ stream }: PooledConnection, { maxAgeMs, maxLifetimeMs }: ReuseRules, now: number): number {
  return Math.max(0, Math.min(maxAgeMs, stream.createdAt + maxLifetimeMs - now))
}

/** Of an idle one. */
function isFit(connection: PooledConnection, reuse: ReuseRules, now: number): boolean {
  return now - connection.idleSince <= reuse.maxAgeMs && isYoung(connection, reuse, now)
}

/** Of the transfers that the user sees. */
export const connectionPool: Facility<ConnectionPool> = new Facility(
  (host) => new ConnectionPool(host, host.limits, host.counters),
)

/** Of errands, beside the user's limits and counters. Nobody in it waits for another pool. */
export const errandPool: Facility<ConnectionPool> = new Facility(
  (host) => new ConnectionPool(host, ERRAND_LIMITS, { pending: 0, connections: 0, idleConnections: 0 }),
)

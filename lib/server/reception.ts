/**
 * Where connections come in and leave: accepted or adopted descriptors pass admission and become connections, or are
 * turned away and reported once they are closed. It is the book of the server's connections, as these see it.
 */
import type { SystemError } from '../base/errors.ts'
import { SocketFilter } from '../connection/socket-filter.ts'
import { ByteStream } from '../connection/stream.ts'
import type { Host } from '../multi/host.ts'
import { Family, type SocketAddress, SocketOption } from '../sys/kernel.ts'
import type { PrefixKey } from './admission/address-prefix.ts'
import { Admission, DROP_REASONS, type DropReason, type Policy, type Rejection } from './admission/admission.ts'
import { LocalCounts } from './admission/admission-counts.ts'
import { rejectWithBytes } from './admission/rejected-peer.ts'
import { type ByteSettings, HIGH_WATER_MARK } from './connection/byte-driver.ts'
import { CLOSE_REASONS, type CloseReason } from './connection/close-reason.ts'
import { Connection, type ConnectionBook, machineOf, standingOf } from './connection/connection.ts'
import type { ConnectionMachine, SetupFailure } from './connection/connection-machine.ts'
import { type SetupPlan, StreamSetup } from './connection/connection-setup.ts'
import type { Driver } from './connection/driver.ts'
import type { ServerTls } from './connection/server-tls.ts'
import { ConnectionRegistry } from './connection-registry.ts'
import type { ListenerOwner } from './listening/server-listener.ts'
import { levelOf, type Priority } from './priority.ts'
import type { EventDesk } from './server-events.ts'
import type { ServerSettings } from './server-options.ts'

/** The server, as its reception sees it. */
export interface ReceptionOwner {
  /** How peers are turned away while the server takes nobody; null when it does. */
  turnsAway(): Rejection | null
  /** How many the strategy has room for; 0 while somebody is in `exclusive`. */
  room(): number
  createDriver(connection: Connection, machine: ConnectionMachine): Driver
  /** A connection was made. */
  came(connection: Connection, machine: ConnectionMachine): void
  /** A connection has left. */
  left(connection: Connection): void
  /** The rate lets nobody in before. */
  restUntil(deadline: number): void
  faulted(): void
}

/** Connections looked at for one that could make room. */
const EVICTION_LOOKS_MAX = 256
/** While a peer waits and all are busy, it is looked again for one that is not: nobody says that a request ended. */
const EVICTION_RETRY_MS = 10

export class Reception implements ListenerOwner, ConnectionBook {
  readonly admission: Admission
  readonly registry: ConnectionRegistry = new ConnectionRegistry()
  readonly dropped: Record<DropReason, number> = zeroes(DROP_REASONS)
  readonly endings: Record<CloseReason, number> = zeroes(CLOSE_REASONS)
  admitted = 0
  bytesRead = 0
  bytesWritten = 0
  acceptErrors = 0
  ticketsLost = 0
  /** Of connections to come. */
  priority: Priority
  /** The connection that the program is told of at this moment. */
  current: Connection | null = null
  readonly lingerMs: number
  readonly bytes: ByteSettings
  readonly #host: Host
  readonly #settings: ServerSettings
  readonly #events: EventDesk
  readonly #owner: ReceptionOwner
  readonly #plan: SetupPlan | null
  /** Of connections over unix sockets that are counted; the rest have theirs in the address. */
  readonly #unixKeys = new Map<Connection, PrefixKey>()
  /** Clients of a proxy, until they are gone. */
  readonly #turnedAway = new Map<Connection, { readonly reason: DropReason; readonly peer: SocketAddress }>()

  constructor(host: Host, settings: ServerSettings, tls: ServerTls | null, events: EventDesk, owner: ReceptionOwner) {
    this.#host = host
    this.#settings = settings
    this.#events = events
    this.#owner = owner
    this.priority = settings.priority
    this.admission = new Admission(
      { ...settings, policy: this.#guarded(settings.policy) },
      settings.counts ?? new LocalCounts(),
    )
    const { lingerMs, idleMs, writeStallMs, proxyHeaderMs, handshakeMs } = settings.timeouts
    const readmit: SetupPlan['readmit'] = (connection, _proxy, peer) => this.#readmit(connection as Connection, peer)
    const { proxy } = settings
    this.#plan = proxy === null && tls === null ? null : { proxy, tls, proxyHeaderMs, handshakeMs, readmit }
    this.lingerMs = lingerMs
    this.bytes = { idleMs, writeStallMs, highWaterMark: HIGH_WATER_MARK }
  }

  // What listeners ask for

  room(): number {
    const { now } = this.#host
    const { admission } = this
    // Turning somebody away takes no place.
    if (this.#owner.turnsAway() !== null) return Number.POSITIVE_INFINITY
    const ownerRoom = this.#owner.room()
    if (ownerRoom <= 0) return 0
    const room = Math.min(admission.room(now), ownerRoom)
    if (room > 0) return room
    if (this.#settings.evictIdle && admission.isFull) {
      if (this.#idlest() !== null) return 1
      this.#owner.restUntil(now + EVICTION_RETRY_MS)
      return 0
    }
    const restUntil = admission.roomAt(now)
    if (restUntil !== Number.POSITIVE_INFINITY) this.#owner.restUntil(restUntil)
    return 0
  }

  reserve(): boolean {
    const { admission } = this
    if (this.#owner.turnsAway() !== null || !admission.isShared) return true
    if (this.#settings.evictIdle && admission.isFull) this.#evict()
    if (admission.reserve()) return true
    this.#owner.restUntil(admission.roomAt(this.#host.now))
    return false
  }

  giveBack(): void {
    this.admission.giveBack()
  }

  accepted(fd: number, generation: number): void {
    const peer = this.#host.kernel.peerAddress(fd)
    if (typeof peer === 'number') {
      this.giveBack()
      this.#host.closeFd(fd, generation)
      this.#drop('gone', null)
      return
    }
    const key = this.#keyOf(fd, peer)
    const refused = this.#refusalOf(peer, key)
    if (refused === null) this.#welcome(fd, generation, peer, key, null)
    else {
      this.giveBack()
      this.#turnAway(fd, generation, peer, refused)
    }
  }

  failed(error: SystemError, retryInMs: number, fatal: boolean): void {
    this.acceptErrors++
    if (fatal) this.#owner.faulted()
    this.#events.acceptFailed(error, retryInMs, fatal)
  }

  /** An adopted descriptor: in, or closed with the reason. */
  adopt(fd: number, generation: number, peer: SocketAddress, head: Uint8Array | null): Connection | DropReason {
    const key = this.#keyOf(fd, peer)
    const refused = this.#refusalOf(peer, key)
    if (refused === null) return this.#welcome(fd, generation, peer, key, head)
    this.#turnAway(fd, generation, peer, refused)
    return refused
  }

  // What connections ask for

  beginDriver(connection: Connection, machine: ConnectionMachine): Driver {
    return this.#owner.createDriver(connection, machine)
  }

  opened(connection: Connection): void {
    this.current = connection
    if (!this.#events.connect(connection)) machineOf(connection).reset('aborted')
    this.current = null
  }

  ended(connection: Connection, reason: CloseReason, error: Error | null): void {
    if (!this.registry.remove(connection)) return
    this.admission.release(this.#keyOfCounted(connection))
    this.#unixKeys.delete(connection)
    this.endings[reason]++
    this.bytesRead += connection.bytesRead
    this.bytesWritten += connection.bytesWritten
    const turnedAway = this.#turnedAway.get(connection)
    if (turnedAway !== undefined) {
      this.#turnedAway.delete(connection)
      this.#drop(turnedAway.reason, turnedAway.peer)
    }
    this.#events.disconnect(connection, reason, error)
    this.#owner.left(connection)
  }

  threw(connection: Connection, error: unknown): void {
    this.#events.threw('callback', error, connection)
  }

  ticketLost(): void {
    this.ticketsLost++
  }

  rename(connection: Connection, name: string): void {
    this.registry.rename(connection, name)
  }

  /** The cheap steps first; a place is taken when it is null. */
  #refusalOf(peer: SocketAddress, key: PrefixKey | null): DropReason | null {
    const { admission } = this
    if (this.#owner.turnsAway() !== null) return 'suspended'
    if (this.#settings.evictIdle && admission.isFull) this.#evict()
    return admission.admit(peer, key, this.#host.now)
  }

  /** `head` are bytes of it that were read before. */
  #welcome(
    fd: number,
    generation: number,
    peer: SocketAddress,
    key: PrefixKey | null,
    head: Uint8Array | null,
  ): Connection {
    const host = this.#host
    const stream = new ByteStream(host, new SocketFilter(host, fd, generation, peer), host.now)
    const plan = this.#plan !== null && StreamSetup.isNeeded(this.#plan, peer) ? this.#plan : null
    const connection = new Connection(host, stream, this, plan, head)
    machineOf(connection).level = levelOf(this.priority)
    if (peer.family === Family.UNIX && key !== null) this.#unixKeys.set(connection, key)
    this.admitted++
    this.registry.add(connection)
    const before = this.current
    this.current = connection
    if (!this.#events.accept(connection)) machineOf(connection).reset('aborted')
    this.current = before
    this.#owner.came(connection, machineOf(connection))
    return connection
  }

  #turnAway(fd: number, generation: number, peer: SocketAddress, reason: DropReason): void {
    const host = this.#host
    const rejection = this.#rejectionFor(reason)
    if (typeof rejection !== 'string') rejectWithBytes(host, fd, generation, rejection)
    else {
      if (rejection === 'reset') host.kernel.setOption(fd, SocketOption.LINGER, 0)
      host.closeFd(fd, generation)
    }
    this.#drop(reason, peer)
  }

  /** Of a unix socket: by the user at the other end, where a limit asks for it. */
  #keyOf(fd: number, peer: SocketAddress): PrefixKey | null {
    if (peer.family !== Family.UNIX) return this.admission.keyOf(peer)
    if (this.admission.limits.perPrefix === 'default') return null
    const credentials = this.#host.kernel.peerCredentials(fd)
    return typeof credentials === 'number' ? null : `uid ${credentials.uid}`
  }

  /** Under which it is counted. */
  #keyOfCounted(connection: Connection): PrefixKey | null {
    const { peer } = connection
    return this.#unixKeys.get(connection) ?? (peer === null ? null : this.admission.keyOf(peer))
  }

  /** The proxy has said who the client is. */
  #readmit(connection: Connection, peer: SocketAddress): SetupFailure | null {
    const reason = this.admission.readmit(this.#keyOfCounted(connection), peer, this.#host.now)
    if (reason === null) {
      this.#unixKeys.delete(connection)
      return null
    }
    this.#turnedAway.set(connection, { reason, peer })
    const rejection = this.#rejectionFor(reason)
    if (typeof rejection === 'string') return { reason: 'policy', error: null, farewell: rejection }
    // A fresh socket has room for the little that it is.
    machineOf(connection).stream.sendBytes(rejection, 0, rejection.length)
    return { reason: 'policy', error: null, farewell: 'linger' }
  }

  /** A policy that throws lets nobody in. */
  #guarded(policy: Policy | null): Policy | null {
    if (policy === null) return null
    return (peer) => {
      try {
        return policy(peer)
      } catch (thrown) {
        this.#events.threw('policy', thrown)
        return false
      }
    }
  }

  #rejectionFor(reason: DropReason): Rejection {
    const { rejection } = this.#settings
    if (reason === 'suspended') return this.#owner.turnsAway() ?? rejection
    return (reason === 'policy' ? this.admission.policyRejection : null) ?? rejection
  }

  #drop(reason: DropReason, peer: SocketAddress | null): void {
    this.dropped[reason]++
    this.#events.drop(reason, peer)
  }

  #evict(): void {
    const idlest = this.#idlest()
    if (idlest !== null) machineOf(idlest).fail('policy', null)
  }

  /** The oldest connection on which nothing is under way. */
  #idlest(): Connection | null {
    let looks = 0
    for (const connection of this.registry.values()) {
      if (standingOf(connection).idle) return connection
      if (++looks === EVICTION_LOOKS_MAX) break
    }
    return null
  }
}

function zeroes<Key extends string>(keys: readonly Key[]): Record<Key, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>
}

/**
 * From a wish to a stream that is ready: a lease from the pool; when that is a permit, a new connection, established
 * layer by layer. A part of a transfer's machine, which runs it, passes its interest on and arms its deadline. What
 * happened and when is written into the transfer's info. Ends DONE with a connection on the lease, or FAILED with a
 * failure.
 */
import type { TransferCodeName, TransferError } from '../base/errors.ts'
import { Connector, type ConnectTarget } from '../connection/connector.ts'
import { FilterStatus } from '../connection/filter.ts'
import { PeerCertificate } from '../connection/peer-certificate.ts'
import { proxyTarget } from '../connection/proxy-route.ts'
import { findResolveEntry } from '../connection/resolve-entry.ts'
import { ByteStream } from '../connection/stream.ts'
import { TlsFilter } from '../connection/tls-filter.ts'
import type { Host } from '../multi/host.ts'
import type { InterestSet } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'
import { findConnectTo } from './connection-settings.ts'
import { Establishment } from './establishment.ts'
import { type Lease, LeaseState } from './lease.ts'
import type { Principal } from './principal.ts'
import type { RequestPlan } from './request-plan.ts'
import type { TransferInfo } from './transfer-info.ts'
import type { TransferSettings } from './transfer-settings.ts'

export interface AcquisitionFailure {
  readonly code: TransferCodeName
  readonly message: string
  readonly cause?: unknown
}

export class Acquisition {
  failure: AcquisitionFailure | null = null
  /** After DONE: the connection came from the pool. */
  reused = false
  readonly #host: Host
  readonly #task: Task
  readonly #settings: TransferSettings
  readonly #plan: RequestPlan
  readonly #info: TransferInfo
  readonly #principal: Principal
  #lease: Lease | null
  #connector: Connector | null = null
  #establishment: Establishment | null = null

  /** It ends the claim that the lease is. */
  constructor(
    host: Host,
    task: Task,
    settings: TransferSettings,
    plan: RequestPlan,
    principal: Principal,
    lease: Lease,
  ) {
    this.#host = host
    this.#task = task
    this.#settings = settings
    this.#plan = plan
    this.#info = principal.info
    this.#principal = principal
    this.#lease = lease
  }

  run(now: number): FilterStatus {
    // Before the establishment, which waits for a second connection when both are there.
    if (this.#connector !== null) return this.#runConnector(this.#connector, now)
    if (this.#establishment !== null) return this.#runEstablishment(this.#establishment, now)
    const lease = this.#lease as Lease
    if (lease.state === LeaseState.WAITING) return FilterStatus.PENDING
    this.#info.queueTime = this.#info.since(now)
    if (lease.state === LeaseState.CONNECTION) {
      this.reused = true
      this.#describeTls()
      return FilterStatus.DONE
    }
    return this.#connect(now)
  }

  /** The lease with its connection, once, after DONE: whoever takes it must give it back to the pool. */
  take(): Lease {
    if (this.#lease?.connection == null) throw new Error('Acquisition.take: there is no connection')
    const lease = this.#lease
    this.#lease = null
    return lease
  }

  interest(into: InterestSet): void {
    this.#connector?.interest(into)
    this.#establishment?.interest(into)
  }

  deadline(): number {
    return this.#connector?.deadline() ?? Number.POSITIVE_INFINITY
  }

  /** Waiting for a slot or a name: the pool or the name service will mark the task dirty. */
  get dormant(): boolean {
    if (this.#connector !== null) return this.#connector.phase === 'resolving'
    return this.#establishment?.dormant ?? this.#lease?.state === LeaseState.WAITING
  }

  /** What it is at, in the words of curl's timeouts; `elapsed` goes in between. */
  describe(elapsed: string): string {
    if (this.#connector !== null) {
      return `${this.#connector.phase === 'resolving' ? 'Resolving' : 'Connection'} timed out ${elapsed}`
    }
    if (this.#establishment !== null) return `${this.#establishment.phase} timed out ${elapsed}`
    return `Connection timed out ${elapsed} while waiting for a free connection`
  }

  /** Idempotent; a lease that was taken is not touched. */
  abort(): void {
    this.#connector?.abort()
    this.#connector = null
    this.#establishment = null
    if (this.#lease !== null) this.#host.facility(this.#settings.pool).cancel(this.#lease, this.#host.now)
    this.#lease = null
  }

  #connect(now: number): FilterStatus {
    this.#connector = new Connector(this.#host, this.#task, this.#target())
    this.#connector.start(now)
    return this.#runConnector(this.#connector, now)
  }

  #runConnector(connector: Connector, now: number): FilterStatus {
    const status = connector.run(now)
    if (connector.nameResolvedAt >= 0) this.#info.nameLookupTime = this.#info.since(connector.nameResolvedAt)
    if (status === FilterStatus.PENDING) return status
    this.#connector = null
    if (status === FilterStatus.FAILED) return this.#fail(connector)
    this.#info.connects++
    this.#info.connectTime = this.#info.since(now)
    const stream = new ByteStream(this.#host, connector.take(), now)
    this.#host.facility(this.#settings.pool).opened(this.#lease as Lease, stream)
    const { route } = this.#plan
    if (route.tls === null && route.proxy === null && route.proxyHeaderVersion === null) return FilterStatus.DONE
    if (this.#establishment === null) {
      this.#establishment = new Establishment(
        this.#host,
        this.#task,
        stream,
        this.#plan,
        this.#settings,
        this.#principal,
      )
    } else this.#establishment.restart(stream)
    return this.#runEstablishment(this.#establishment, now)
  }

  #runEstablishment(establishment: Establishment, now: number): FilterStatus {
    const status = establishment.run(now)
    if (status !== FilterStatus.PENDING) this.#describeTls()
    if (status === FilterStatus.DONE) {
      if (this.#plan.route.tls !== null) this.#info.appConnectTime = this.#info.since(now)
      this.#establishment = null
    } else if (status === FilterStatus.FAILED) {
      if (establishment.needsConnection) {
        this.#host.facility(this.#settings.pool).replace(this.#lease as Lease)
        return this.#connect(now)
      }
      const { code, message } = establishment.failure as TransferError
      this.failure = { code, message, cause: establishment.failure }
    }
    return status
  }

  #describeTls(): void {
    const top = this.#lease?.connection?.stream.top
    if (this.#plan.route.tls === null || !(top instanceof TlsFilter)) return
    this.#info.tls = top.description
    this.#info.verifyResult = top.verifyResult
    if (!this.#settings.connection.certificateInfo) return
    this.#info.certificates = top.certificates().map((der) => new PeerCertificate(der))
  }

  #fail(connector: Connector): FilterStatus {
    const { failure } = connector
    const { url, route } = this.#plan
    const proxyHost = route.proxy?.host
    if (failure?.error === 'COULDNT_RESOLVE_HOST') {
      const message = `could not resolve ${proxyHost === undefined ? 'host' : 'proxy'} ${proxyHost ?? url.host}`
      const code = proxyHost === undefined ? 'COULDNT_RESOLVE_HOST' : 'COULDNT_RESOLVE_PROXY'
      this.failure = { code, message: `${message}: ${failure.cause.code}`, cause: failure.cause }
    } else {
      const message = `could not connect to ${proxyHost ?? url.authority}: ${failure?.cause.message}`
      const code = failure?.cause.syscall === 'bind' ? 'INTERFACE_FAILED' : 'COULDNT_CONNECT'
      this.failure = { code, message, cause: failure?.cause }
    }
    return FilterStatus.FAILED
  }

  #target(): ConnectTarget {
    const { unixSocketPath, ipVersion, resolve, happyEyeballsDelayMs, connection, nameSource } = this.#settings
    if (unixSocketPath !== null) return { kind: 'unix', path: unixSocketPath }
    const { url, route } = this.#plan
    const { proxy } = route
    const { host, port } = proxy ?? findConnectTo(connection.connectTo, url.host, url.port) ?? url
    const addresses = resolve.length === 0 ? null : findResolveEntry(resolve, host, port)
    const { socket, dnsCacheTimeoutMs } = connection
    const maxAge = dnsCacheTimeoutMs === undefined ? {} : { nameMaxAgeMs: dnsCacheTimeoutMs }
    const options = { family: ipVersion, addresses, happyEyeballsDelayMs, nameSource, ...socket, ...maxAge }
    return proxy === null ? { ...options, kind: 'tcp', host, port } : proxyTarget(proxy, options)
  }
}

/**
 * From a connected socket to a stream that carries the origin's bytes: the layers of the route, one after the other,
 * each set up before the next is put on it. A part of an acquisition, which runs it and passes its interest on.
 */
import { TransferError } from '../base/errors.ts'
import { formatHostPort } from '../connection/address.ts'
import { type Filter, FilterStatus } from '../connection/filter.ts'
import { TunnelError } from '../connection/proxy-error.ts'
import { ProxyHeaderFilter, proxyHeaderBetween } from '../connection/proxy-header-filter.ts'
import { pushProxy } from '../connection/proxy-route.ts'
import { basicProxyAuthorization, type ProxySettings } from '../connection/proxy-settings.ts'
import { findResolveEntry } from '../connection/resolve-entry.ts'
import { SocksFilter } from '../connection/socks-filter.ts'
import type { ByteStream } from '../connection/stream.ts'
import { tlsService } from '../connection/tls-service.ts'
import type { TlsSettings } from '../connection/tls-settings.ts'
import { upgradeToTls } from '../connection/tls-upgrade.ts'
import { type HeadListener, TunnelFilter } from '../connection/tunnel-filter.ts'
import type { Host } from '../multi/host.ts'
import type { InterestSet } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'
import { Interest } from '../sys/readiness.ts'
import { parseAuthChallenges } from '../wire/auth-challenge.ts'
import type { ParsedUrl } from '../wire/url.ts'
import { AUTH_SCHEMES, Authentication } from './authentication.ts'
import { findConnectTo } from './connection-settings.ts'
import type { Principal } from './principal.ts'
import type { RequestPlan } from './request-plan.ts'
import type { Route } from './route.ts'
import type { TransferSettings } from './transfer-settings.ts'

/** What is offered within TLS. */
const PROTOCOLS: readonly string[] = ['http/1.1']

const Stage = { SOCKET: 0, PROXY_HEADER: 1, PROXY: 2, TLS: 3 } as const
type Stage = (typeof Stage)[keyof typeof Stage]

export class Establishment {
  failure: TransferError | null = null
  /** FAILED, but the proxy would take another answer on a new connection: `restart` with one. */
  needsConnection = false
  readonly #host: Host
  readonly #task: Task
  #stream: ByteStream
  readonly #route: Route
  readonly #url: ParsedUrl
  readonly #settings: TransferSettings
  readonly #principal: Principal
  /** Whom the proxy is asked for. */
  readonly #destination: { readonly host: string; readonly port: number }
  readonly #proxyAuthentication: Authentication | null
  #layer: TunnelFilter | SocksFilter | null = null
  #stage: Stage = Stage.SOCKET
  /** What the tunnel is asked for with. */
  #authorization: string | null

  constructor(
    host: Host,
    task: Task,
    stream: ByteStream,
    { route, url }: Pick<RequestPlan, 'route' | 'url'>,
    settings: TransferSettings,
    principal: Principal,
  ) {
    this.#host = host
    this.#task = task
    this.#stream = stream
    this.#route = route
    this.#url = url
    this.#settings = settings
    this.#principal = principal
    const { connection, http } = settings
    this.#destination = findConnectTo(connection.connectTo, url.host, url.port) ?? url
    const { proxy } = route
    this.#proxyAuthentication =
      proxy === null || proxy.username === '' ? null : new Authentication(AUTH_SCHEMES, proxy, null, http.randomBytes)
    this.#authorization = proxy === null ? null : basicProxyAuthorization(proxy)
  }

  /** Once more from the socket on, with what was learned. */
  restart(stream: ByteStream): void {
    this.#stream = stream
    this.#stage = Stage.SOCKET
    this.#layer = null
    this.failure = null
    this.needsConnection = false
  }

  run(now: number): FilterStatus {
    for (;;) {
      const status = this.#stream.connect(now)
      if (status === FilterStatus.PENDING) {
        if (this.#stream.hasPending) this.#host.markDirty(this.#task)
        return status
      }
      if (status === FilterStatus.FAILED) {
        if (this.#answerChallenge()) continue
        return this.#fail(this.#stream.failure)
      }
      const problem = this.#build()
      if (problem === null) continue
      if (problem !== 'complete') return this.#fail(problem)
      // The peer's first bytes may have come with its last of the handshake: no readiness will tell of them.
      if (this.#stream.hasPending) this.#host.markDirty(this.#task)
      return FilterStatus.DONE
    }
  }

  interest(into: InterestSet): void {
    this.#stream.interest(Interest.NONE, into)
  }

  /** A name is looked up for SOCKS. */
  get dormant(): boolean {
    return this.#layer instanceof SocksFilter && this.#layer.isResolving
  }

  get phase(): string {
    return this.#stage === Stage.TLS ? 'TLS handshake' : 'Proxy handshake'
  }

  /** Puts the next layer on; what comes is null for "go on", 'complete', or why it cannot be. */
  #build(): TransferError | 'complete' | null {
    const { proxy, proxyHeaderVersion, tls } = this.#route
    if (this.#stage < Stage.PROXY_HEADER) {
      this.#stage = Stage.PROXY_HEADER
      if (proxyHeaderVersion !== null) {
        const header = proxyHeaderBetween(this.#stream.local, this.#stream.peer, proxyHeaderVersion)
        this.#stream.push(new ProxyHeaderFilter(this.#host, this.#stream.top, header))
        return null
      }
    }
    if (this.#stage < Stage.PROXY) {
      this.#stage = Stage.PROXY
      if (proxy !== null) return this.#buildProxy(proxy)
    }
    if (this.#stage < Stage.TLS) {
      this.#stage = Stage.TLS
      if (tls !== null) return this.#secure(this.#stream, tls, this.#url)
    }
    return 'complete'
  }

  #buildProxy(proxy: ProxySettings): TransferError | null {
    let problem: TransferError | null = null
    const { tunnel, proxyHeaders, proxyTls } = this.#route
    const { host, port } = this.#destination
    const { resolve, ipVersion, connection, nameSource } = this.#settings
    const maxAge = connection.dnsCacheTimeoutMs
    const route = {
      proxy,
      host,
      port,
      tunnel,
      headers: proxyHeaders,
      authorization: this.#authorization,
      onHead: this.#onHead(),
      family: ipVersion,
      addresses: findResolveEntry(resolve, host, port),
      nameSource,
      ...(maxAge === undefined ? {} : { nameMaxAgeMs: maxAge }),
    }
    const tlsToProxy = (below: Filter): Filter => {
      const stack = { top: below, push: (filter: Filter) => void (stack.top = filter) }
      problem = this.#secure(stack, proxyTls, proxy)
      return stack.top
    }
    this.#layer = pushProxy(this.#host, this.#task, this.#stream, route, tlsToProxy)
    return problem
  }

  #secure(
    stack: { top: Filter; push(filter: Filter): void },
    settings: TlsSettings,
    { host, port }: { readonly host: string; readonly port: number },
  ): TransferError | null {
    const service = this.#host.facility(tlsService)
    const result = upgradeToTls(service, stack, settings, { host, port, protocols: PROTOCOLS })
    return result instanceof TransferError ? result : null
  }

  /** A 407 on a tunnel: asked again with an answer to its challenge; true when on the same connection. */
  #answerChallenge(): boolean {
    const failure = this.#stream.failure
    const layer = this.#layer
    if (!(failure instanceof TunnelError && layer instanceof TunnelFilter) || failure.status !== 407) return false
    // The connection broke before the answer was out.
    this.needsConnection = layer.hasUnsentRetry
    if (layer.hasUnsentRetry || !this.#authorize(failure)) return false
    this.needsConnection = !failure.reusable
    if (failure.reusable) layer.retry(this.#authorization as string)
    return failure.reusable
  }

  #authorize(failure: TunnelError): boolean {
    const authentication = this.#proxyAuthentication
    if (authentication === null || !authentication.answer(parseAuthChallenges(failure.challenges))) return false
    const { host, port } = this.#destination
    const refused = this.#authorization
    this.#authorization = authentication.authorization('CONNECT', formatHostPort(host, port))
    return this.#authorization !== null && this.#authorization !== refused
  }

  #onHead(): HeadListener | null {
    const { callbacks, info } = this.#principal
    return callbacks.onDebug === null ? null : (kind, head) => callbacks.onDebug?.(kind, head, info)
  }

  #fail(failure: Error | null): FilterStatus {
    this.failure =
      failure instanceof TransferError
        ? failure
        : new TransferError('COULDNT_CONNECT', failure?.message ?? 'the connection broke', failure ?? undefined)
    return FilterStatus.FAILED
  }
}

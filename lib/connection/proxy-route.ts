/**
 * The way from a transfer to its origin when a proxy is between: whom the connector connects to, which layers the
 * stream gets, how a request names its target. An HTTP proxy forwards plain requests and tunnels everything else; a
 * SOCKS proxy carries bytes. TLS to an 'https' proxy is a layer that the caller brings along.
 */
import type { Task } from '../multi/task.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { HeaderPairs } from '../wire/http1/header-list.ts'
import type { ParsedUrl } from '../wire/url.ts'
import { formatHostPort, type IpFamily } from './address.ts'
import type { ConnectTarget, TcpTarget } from './connector.ts'
import type { Filter } from './filter.ts'
import type { NameSource } from './name-source.ts'
import { isSocks, type ProxySettings } from './proxy-settings.ts'
import { type SocksEngine, SocksFilter } from './socks-filter.ts'
import type { ByteStream } from './stream.ts'
import { type HeadListener, TunnelFilter } from './tunnel-filter.ts'

export interface ProxyRoute {
  readonly proxy: ProxySettings
  /** The origin's. */
  readonly host: string
  readonly port: number
  /** CONNECT; false: requests are forwarded. Means nothing to SOCKS. */
  readonly tunnel: boolean
  /** For CONNECT. */
  readonly authorization?: string | null
  readonly headers?: HeaderPairs
  readonly headBytesMax?: number
  readonly onHead?: HeadListener | null
  /** For names that are looked up here although a SOCKS proxy connects. */
  readonly family?: IpFamily | null
  readonly addresses?: readonly SocketAddress[] | null
  readonly nameMaxAgeMs?: number
  readonly nameSource?: NameSource | null
}

/** Must be given for an 'https' proxy. */
export type TlsToProxy = (below: Filter, proxy: ProxySettings) => Filter

/** Plain HTTP is forwarded unless asked otherwise. */
export function needsTunnel(url: Pick<ParsedUrl, 'scheme'>, isTunnelWanted: boolean): boolean {
  return isTunnelWanted || url.scheme !== 'http'
}

/** The target of a forwarded request: the URL without user and fragment (RFC 9112 §3.2.2). */
export function absoluteTarget(url: Pick<ParsedUrl, 'scheme' | 'authority' | 'target'>): string {
  return `${url.scheme}://${url.authority}${url.target}`
}

/** Where the connector connects to; `options` are those of a direct connection, apart from host and port. */
export function proxyTarget(
  proxy: ProxySettings,
  options: Omit<TcpTarget, 'kind' | 'host' | 'port'> = {},
): ConnectTarget {
  if (proxy.socketPath !== null) return { kind: 'unix', path: proxy.socketPath }
  return { ...options, kind: 'tcp', host: proxy.host, port: proxy.port }
}

/** Forwarded requests to any origin share connections; what goes through a tunnel or SOCKS belongs to its origin. */
export function proxyPoolKey(route: Pick<ProxyRoute, 'proxy' | 'host' | 'port' | 'tunnel'>, scheme: string): string {
  const { proxy, host, port } = route
  if (!route.tunnel && !isSocks(proxy.kind)) return `proxy ${proxy.key}`
  return `${scheme}://${formatHostPort(host, port)} proxy ${proxy.key}`
}

/**
 * Builds the proxy's layers on a stream whose socket is connected to the proxy. `stream.connect` sets them up. What it
 * returns is the layer that asks the proxy, whose failure may be answered (`TunnelFilter.retry`): build nothing on it
 * before it is DONE. null: requests are forwarded, there is nobody to ask.
 */
export function pushProxy(
  engine: SocksEngine,
  task: Task,
  stream: ByteStream,
  route: ProxyRoute,
  tlsToProxy: TlsToProxy | null = null,
): TunnelFilter | SocksFilter | null {
  const { proxy, tunnel } = route
  if (proxy.kind === 'https') {
    if (tlsToProxy === null) throw new Error('pushProxy: an https proxy needs a TLS layer')
    stream.push(tlsToProxy(stream.top, proxy))
  }
  const layer = isSocks(proxy.kind) || tunnel ? layerFor(engine, task, stream.top, route) : null
  if (layer !== null) stream.push(layer)
  return layer
}

function layerFor(engine: SocksEngine, task: Task, below: Filter, route: ProxyRoute): TunnelFilter | SocksFilter {
  const { kind, username, password } = route.proxy
  if (!isSocks(kind)) return new TunnelFilter(engine, below, route)
  const credentials = username === '' && password === '' ? null : { username, password }
  return new SocksFilter(engine, task, below, { ...route, kind, credentials })
}

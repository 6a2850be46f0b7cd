/**
 * The way from a transfer to an origin: directly, forwarded by a proxy, or through one; with TLS or without. It follows
 * from the URL and the options, so a redirect may lead over another one. Equal routes have equal keys, and connections
 * of one are never used for another.
 */
import { type Check, checkOptions, isBoolean, isObject, isText, wrongRange, wrongType } from '../base/options.ts'
import { absoluteTarget, needsTunnel, proxyPoolKey } from '../connection/proxy-route.ts'
import { basicProxyAuthorization, chooseProxy, isSocks, type ProxySettings } from '../connection/proxy-settings.ts'
import { TLS_CHECKS, type TlsSettings, tlsSettings } from '../connection/tls-settings.ts'
import type { ParsedUrl } from '../wire/url.ts'
import { headerPairs } from './header-pairs.ts'
import type { RouteOptions } from './route-options.ts'

/** Of who says nothing about TLS. */
const DEFAULT_TLS: TlsSettings = tlsSettings({})
const SECURE_SCHEMES: ReadonlySet<string> = new Set(['https', 'wss'])

export interface Route {
  /** To the origin; null: none. */
  readonly tls: TlsSettings | null
  readonly proxy: ProxySettings | null
  /** To the proxy. */
  readonly proxyTls: TlsSettings
  readonly proxyHeaders: readonly (readonly [string, string])[]
  readonly tunnel: boolean
  readonly proxyHeaderVersion: 1 | 2 | null
}

/** What a request says to the proxy that forwards it. */
export interface Forwarding {
  readonly target: string
  readonly fields: readonly (readonly [string, string])[]
}

const isProxy: Check = (option, value) => {
  if (value !== null) isText(option, value)
}

const isNoProxy: Check = (option, value) => {
  if (typeof value !== 'string' && !Array.isArray(value))
    throw wrongType(option, 'a string or an array of strings', value)
}

const isProxyTls: Check = (option, value) => checkOptions(`option ${option}`, value, TLS_CHECKS)

const isProxyHeaderVersion: Check = (option, value) => {
  if (value !== null && value !== 1 && value !== 2) throw wrongRange(option, '1, 2 or null', value)
}

export const ROUTE_CHECKS: Readonly<Record<keyof RouteOptions, Check>> = {
  ...TLS_CHECKS,
  proxy: isProxy,
  noProxy: isNoProxy,
  proxyEnvironment: (option, value) => {
    if (value !== null) isObject(option, value)
  },
  proxyTunnel: isBoolean,
  proxyHeaders: isObject,
  proxyTls: isProxyTls,
  sendProxyHeader: isProxyHeaderVersion,
}

/** What else decides about the way. */
interface SocketChoice {
  /** No proxy could be asked for it. */
  readonly unixSocketPath?: string | null
}

/** Where a request is sent that is meant for that host and port; null: there. */
export type FindDestination = (host: string, port: number) => { readonly host: string; readonly port: number } | null

/** Finds routes by the options of one transfer, which have passed ROUTE_CHECKS. */
export class Router {
  readonly #options: RouteOptions & SocketChoice
  readonly #destinationOf: FindDestination
  readonly #tls: TlsSettings
  readonly #proxyTls: TlsSettings
  readonly #proxyHeaders: readonly (readonly [string, string])[]

  /** Throws TypeError or RangeError. */
  constructor(options: RouteOptions & SocketChoice, destinationOf: FindDestination = () => null) {
    this.#options = options
    this.#destinationOf = destinationOf
    const given = Object.keys(TLS_CHECKS).filter((name) => options[name as keyof RouteOptions] !== undefined)
    const tls = Object.fromEntries(given.map((name) => [name, options[name as keyof RouteOptions]]))
    this.#tls = given.length === 0 ? DEFAULT_TLS : tlsSettings(tls)
    this.#proxyTls = options.proxyTls === undefined ? DEFAULT_TLS : tlsSettings(options.proxyTls)
    this.#proxyHeaders = headerPairs('proxyHeaders', options.proxyHeaders ?? []).filter(
      (pair): pair is readonly [string, string] => pair[1] !== null,
    )
  }

  routeTo(url: ParsedUrl): Route {
    const { noProxy, proxyEnvironment, proxyTunnel, sendProxyHeader, unixSocketPath } = this.#options
    const choice = { proxy: this.#options.proxy, noProxy, environment: proxyEnvironment }
    const chosen = chooseProxy(url, choice)
    const proxy = unixSocketPath == null ? chosen : null
    return {
      tls: SECURE_SCHEMES.has(url.scheme) ? this.#tls : null,
      proxy,
      proxyTls: this.#proxyTls,
      proxyHeaders: this.#proxyHeaders,
      tunnel: proxy !== null && (needsTunnel(url, proxyTunnel ?? false) || this.#isElsewhere(url)),
      proxyHeaderVersion: sendProxyHeader ?? null,
    }
  }

  /** A forwarding proxy goes where the URL says, so whoever wants to be led elsewhere needs a tunnel (as curl). */
  #isElsewhere({ host, port }: ParsedUrl): boolean {
    const destination = this.#destinationOf(host, port)
    return destination !== null && (destination.host !== host || destination.port !== port)
  }
}

/** What a connection over that route has in common with others. */
export function routeKey(route: Route, url: ParsedUrl): string {
  const { proxy, tunnel, tls } = route
  let key = proxy === null ? url.origin : proxyPoolKey({ proxy, host: url.host, port: url.port, tunnel }, url.scheme)
  if (tls !== null) key += ` tls ${tls.key} ${tls.serverName ?? ''}`
  if (proxy?.kind === 'https') key += ` proxy tls ${route.proxyTls.key}`
  if (route.proxyHeaderVersion !== null) key += ` header ${route.proxyHeaderVersion}`
  if (route.proxyHeaders.length > 0 && tunnel) key += ` fields ${JSON.stringify(route.proxyHeaders)}`
  return key
}

/** The proxy that forwards requests; null: there is none, or it carries bytes. */
export function forwarderOf({ proxy, tunnel }: Route): ProxySettings | null {
  return proxy === null || tunnel || isSocks(proxy.kind) ? null : proxy
}

/** null unless a proxy forwards the request. `proof` says who asks, instead of Basic. */
export function forwardingOf(route: Route, url: ParsedUrl, proof: string | null = null): Forwarding | null {
  const { proxyHeaders } = route
  const proxy = forwarderOf(route)
  if (proxy === null) return null
  const authorization = proof ?? basicProxyAuthorization(proxy)
  const fields = authorization === null ? [] : [['Proxy-Authorization', authorization] as const]
  return { target: absoluteTarget(url), fields: [...fields, ...proxyHeaders] }
}

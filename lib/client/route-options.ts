/** The options of a transfer that say how its bytes get to the origin: TLS and proxies. A part of TransferOptions. */
import type { ProxyEnvironment } from '../connection/proxy-settings.ts'
import type { TlsOptions } from '../connection/tls-settings.ts'
import type { HeaderPairs, HeaderRecord } from '../wire/http1/header-list.ts'

export interface RouteOptions extends TlsOptions {
  /**
   * 'http://user:password@host:port', or https, socks4, socks4a, socks5, socks5h. '' or null: none, whatever the
   * environment says. An HTTP proxy forwards `http:` and tunnels the rest. CURLOPT_PROXY.
   */
  proxy?: string | null
  /** Hosts that are reached directly: names with their subdomains, addresses, ranges, '*' for all. CURLOPT_NOPROXY. */
  noProxy?: string | readonly string[]
  /** As `process.env`: where http_proxy, https_proxy, all_proxy and no_proxy are looked up. Default: nowhere. */
  proxyEnvironment?: ProxyEnvironment | null
  /** CONNECT for `http:` as well. CURLOPT_HTTPPROXYTUNNEL. */
  proxyTunnel?: boolean
  /** Fields for the proxy alone. CURLOPT_PROXYHEADER. */
  proxyHeaders?: HeaderRecord | HeaderPairs
  /** TLS to an https proxy. CURLOPT_PROXY_CAINFO and its like. */
  proxyTls?: TlsOptions
  /** Begin each connection with a PROXY protocol header of that version. CURLOPT_HAPROXYPROTOCOL. */
  sendProxyHeader?: 1 | 2 | null
}

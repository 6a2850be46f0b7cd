/**
 * Which proxy a transfer goes through, spelled as curl spells it: 'scheme://user:password@host:port', where a scheme
 * left out is http and a port left out 1080 (https: 443). What cannot be used is refused with a TypeError or RangeError
 * that names the option; a password is never repeated in it. The environment is read only when it is given.
 */
import { show, wrongRange, wrongType } from '../base/options.ts'
import { parseIpLiteral } from './address.ts'
import { NoProxy } from './no-proxy.ts'

export const PROXY_KINDS = ['http', 'https', 'socks4', 'socks4a', 'socks5', 'socks5h'] as const
export type ProxyKind = (typeof PROXY_KINDS)[number]

export interface ProxySettings {
  readonly kind: ProxyKind
  /** ASCII, lower case, without brackets. '' with a socket path. */
  readonly host: string
  readonly port: number
  /** Of a SOCKS proxy on a unix socket: 'socks5h://localhost/path'. */
  readonly socketPath: string | null
  /** Percent-decoded; '' when absent. */
  readonly username: string
  readonly password: string
  /** Connections through proxies of different keys have nothing to do with each other. Holds the password. */
  readonly key: string
}

/** As `process.env`. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>

export interface ProxyChoice {
  /** '' or null: none, whatever the environment says. */
  readonly proxy?: string | null | undefined
  /** Takes the place of the environment's list. */
  readonly noProxy?: string | readonly string[] | undefined
  readonly environment?: ProxyEnvironment | null | undefined
}

const PROXY_PORT = 1080
const HTTPS_PROXY_PORT = 443
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i
const REST = /^(?:([^/?#]*)@)?(\[[^\]]*\]|[^:/?#@[\]]*)(?::([^/?#]*))?(\/[^?#]*)?([?#].*)?$/

/** `option` is named in what is thrown. */
export function parseProxy(option: string, text: unknown): ProxySettings {
  if (typeof text !== 'string') throw wrongType(option, "a proxy's URL", text)
  const refuse = (problem: string): TypeError => new TypeError(`option ${option}: ${show(hideUser(text))} ${problem}`)
  // A platform's parser drops some of them, so that two readers of one text could see two hosts.
  if (/[\x00-\x20\x7f]/.test(text)) throw refuse('has a control character or a space')
  const [prefix, scheme] = SCHEME.exec(text) ?? ['', 'http']
  const match = REST.exec(text.slice(prefix.length))
  if (match === null) throw refuse("is not 'scheme://user:password@host:port'")
  const [, user, hostText = '', portText, path = '', rest] = match
  const kind = PROXY_KINDS.find((name) => name === scheme?.toLowerCase())
  if (kind === undefined) throw refuse(`has a scheme other than ${PROXY_KINDS.join(', ')}`)
  if (rest !== undefined) throw refuse('has a query or a fragment')
  const [username, password] = parseUser(user, refuse)
  const socketPath = isSocks(kind) && path.length > 1 ? decodePart(path, refuse) : null
  if (socketPath !== null && (hostText.toLowerCase() !== 'localhost' || portText !== undefined)) {
    throw refuse('names a socket, so its host must be localhost, without a port')
  }
  if (socketPath === null && path.length > 1) throw refuse('has a path')
  const host = socketPath === null ? parseHost(hostText, refuse) : ''
  const port = socketPath === null ? parsePort(option, text, kind, portText) : 0
  const key = JSON.stringify([kind, socketPath ?? host, port, username, password])
  return { kind, host, port, socketPath, username, password, key }
}

export function isSocks(kind: ProxyKind): kind is Exclude<ProxyKind, 'http' | 'https'> {
  return kind !== 'http' && kind !== 'https'
}

/**
 * The proxy for a URL, or null. Lower-case variables go first; HTTP_PROXY is not read at all, because a CGI program's
 * client can set it with a field named Proxy.
 */
export function chooseProxy(
  url: { readonly scheme: string; readonly host: string },
  choice: ProxyChoice,
): ProxySettings | null {
  const { proxy, noProxy, environment = null } = choice
  const isGiven = proxy !== undefined
  const named = isGiven ? { name: 'proxy', text: proxy ?? '' } : fromEnvironment(url.scheme, environment)
  const exceptions =
    noProxy !== undefined
      ? NoProxy.parse('noProxy', noProxy)
      : NoProxy.guess(environment?.['no_proxy'] || environment?.['NO_PROXY'] || '')
  if (named === null || named.text === '' || exceptions.matches(url.host)) return null
  return parseProxy(named.name, named.text)
}

function fromEnvironment(scheme: string, environment: ProxyEnvironment | null): { name: string; text: string } | null {
  if (environment === null) return null
  const kind = scheme === 'ws' ? 'http' : scheme === 'wss' ? 'https' : scheme
  const own = `${kind}_proxy`
  const names = kind === 'http' ? [own] : [own, own.toUpperCase()]
  for (const name of [...names, 'all_proxy', 'ALL_PROXY']) {
    const text = environment[name]
    if (text) return { name, text }
  }
  return null
}

/** Basic credentials, for Proxy-Authorization; null when the proxy's URL has none. */
export function basicProxyAuthorization({ username, password }: ProxySettings): string | null {
  if (username === '' && password === '') return null
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

type Refuse = (problem: string) => TypeError

function parseUser(user: string | undefined, refuse: Refuse): [username: string, password: string] {
  if (user === undefined) return ['', '']
  const colon = user.indexOf(':')
  const username = colon < 0 ? user : user.slice(0, colon)
  const password = colon < 0 ? '' : user.slice(colon + 1)
  return [decodePart(username, refuse), decodePart(password, refuse)]
}

function decodePart(text: string, refuse: Refuse): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(text)
  } catch {
    throw refuse('has an invalid percent encoding')
  }
  // It ends a text of SOCKS 4 and a path.
  if (decoded.includes('\0')) throw refuse('has a NUL')
  return decoded
}

function parseHost(text: string, refuse: Refuse): string {
  if (text === '') throw refuse('has no host')
  const literal = parseIpLiteral(text)
  if (literal !== null) return literal.address.toLowerCase()
  try {
    const { hostname } = new URL(`http://${text}`)
    if (hostname !== '' && !hostname.startsWith('[')) return hostname
  } catch {
    // Refused below.
  }
  throw refuse('has an invalid host')
}

function parsePort(option: string, text: string, kind: ProxyKind, port: string | undefined): number {
  if (port === undefined || port === '') return kind === 'https' ? HTTPS_PROXY_PORT : PROXY_PORT
  if (!/^\d{1,5}$/.test(port) || Number(port) === 0 || Number(port) > 65535) {
    throw wrongRange(option, 'a URL with a port from 1 to 65535', hideUser(text))
  }
  return Number(port)
}

function hideUser(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/i, '$1…@')
}

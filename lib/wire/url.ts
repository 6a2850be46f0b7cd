/**
 * URLs as a transfer needs them, by the WHATWG parser of the platform. What cannot be used is refused with an Error
 * whose message says what is wrong; passwords are not repeated in it.
 */

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, ws: 80, wss: 443 }

/** tcp: bytes without a protocol; it has no default port. */
const Schemes = ['http', 'https', 'ws', 'wss', 'tcp'] as const
export type Scheme = (typeof Schemes)[number]

export interface ParsedUrl {
  readonly scheme: Scheme
  /** ASCII (IDNA applied), lower case, an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  /** Path and query as they are sent in the request line; at least '/'. */
  readonly target: string
  /** For the Host field: brackets kept, the default port left out. */
  readonly authority: string
  /** Percent-decoded; '' when absent. */
  readonly username: string
  readonly password: string
  /** Scheme, host and port: what connections and credentials belong to. */
  readonly origin: string
  /** Without '#'; '' when absent. Never sent. */
  readonly fragment: string
  /** Normalised, with credentials and fragment. */
  readonly href: string
}

/** `base`, as for a Location field, is what a relative reference starts from. */
export function parseUrl(text: string, base?: ParsedUrl): ParsedUrl {
  // WHATWG drops tabs and line ends anywhere, so that two readers of one text could see two hosts.
  const control = findControl(text)
  if (control >= 0) throw new Error(`URL has a control character at index ${control}`)
  const url = parseWhatwg(text, base)
  const scheme = url.protocol.slice(0, -1)
  if (!isScheme(scheme)) throw new Error(`URL scheme '${scheme}' is not supported (${Schemes.join(', ')})`)
  if (url.hostname === '') throw new Error('URL has no host')
  const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port)
  if (port === undefined) throw new Error(`URL of scheme '${scheme}' has no port`)
  if (port === 0) throw new Error('URL has port 0')
  const bracketed = url.hostname.startsWith('[')
  return {
    scheme,
    host: (bracketed ? url.hostname.slice(1, -1) : url.hostname).toLowerCase(),
    port,
    target: `${url.pathname === '' ? '/' : url.pathname}${url.search}`,
    authority: url.port === '' || port === DEFAULT_PORTS[scheme] ? url.hostname.toLowerCase() : url.host.toLowerCase(),
    username: decode(url.username, 'user name'),
    password: decode(url.password, 'password'),
    origin: `${scheme}://${url.hostname.toLowerCase()}:${port}`,
    fragment: url.hash.slice(1),
    href: url.href,
  }
}

/** The same over TLS: of http and ws; others as they are. The default port becomes that of TLS (RFC 6797 §8.3). */
export function securedUrl(url: ParsedUrl): ParsedUrl {
  if (url.scheme !== 'http' && url.scheme !== 'ws') return url
  const scheme = `${url.scheme}s` as const
  const name = url.origin.slice(url.scheme.length + '://'.length, -`:${url.port}`.length)
  const port = url.port === DEFAULT_PORTS[url.scheme] ? (DEFAULT_PORTS[scheme] as number) : url.port
  return {
    ...url,
    scheme,
    port,
    authority: port === DEFAULT_PORTS[scheme] ? name : `${name}:${port}`,
    origin: `${scheme}://${name}:${port}`,
    href: `${scheme}${url.href.slice(url.scheme.length)}`,
  }
}

function parseWhatwg(text: string, base: ParsedUrl | undefined): URL {
  try {
    return base === undefined ? new URL(text) : new URL(text, base.href)
  } catch {
    throw new Error(describeFailure(text))
  }
}

/** The platform only says that it could not; this says where. The text itself may hold a password. */
function describeFailure(text: string): string {
  if (text === '') return 'URL is empty'
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)
  if (scheme === null) return "URL has no scheme such as 'http://'"
  const authority = (text.slice(scheme[0].length).split(/[/?#\\]/, 1)[0] as string).split('@').pop() as string
  const port = /:([^:\]]*)$/.exec(authority)
  if (authority === '' || authority.startsWith(':')) return 'URL has no host'
  if (port !== null && !(/^\d*$/.test(port[1] as string) && Number(port[1]) <= 65535)) {
    return `URL has an invalid port '${port[1]}'`
  }
  return `URL has an invalid host '${authority}'`
}

function findControl(text: string): number {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 32 || code === 127) return index
  }
  return -1
}

function isScheme(scheme: string): scheme is Scheme {
  return (Schemes as readonly string[]).includes(scheme)
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error(`URL has an invalid percent encoding in the ${part}`)
  }
}

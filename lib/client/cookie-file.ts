/**
 * Cookies as lines of a file in Netscape's format, which curl and browsers' exporters write: domain, whether subdomains
 * share it, path, whether it is secure, expiry in seconds (0: with the session), name and value, between tabs.
 * `#HttpOnly_` before the domain hides it from scripts. Lines that are none of this are passed over, as curl does.
 */

export interface FileCookie {
  /** In lower case, without a dot in front. */
  readonly domain: string
  readonly hostOnly: boolean
  readonly path: string
  readonly secure: boolean
  readonly httpOnly: boolean
  /** Seconds since 1970; 0: until the session ends. */
  readonly expires: number
  readonly name: string
  readonly value: string
}

const HTTP_ONLY = '#HttpOnly_'
const HEADER = '# Netscape HTTP Cookie File\n# One cookie per line, as sockmux and curl read and write it.\n\n'

export function parseCookieFile(text: string): FileCookie[] {
  const cookies: FileCookie[] = []
  for (const line of text.split(/\r?\n/)) {
    const cookie = parseLine(line)
    if (cookie !== null) cookies.push(cookie)
  }
  return cookies
}

export function formatCookieFile(cookies: Iterable<FileCookie>): string {
  let text = HEADER
  for (const cookie of cookies) {
    const { domain, hostOnly, path, secure, httpOnly, expires, name, value } = cookie
    if (/[\t\r\n]/.test(`${path}${name}${value}`)) continue
    const host = `${httpOnly ? HTTP_ONLY : ''}${hostOnly ? '' : '.'}${domain}`
    text += `${[host, bool(!hostOnly), path, bool(secure), expires, name, value].join('\t')}\n`
  }
  return text
}

function parseLine(line: string): FileCookie | null {
  const httpOnly = line.startsWith(HTTP_ONLY)
  if (line.startsWith('#') && !httpOnly) return null
  const fields = (httpOnly ? line.slice(HTTP_ONLY.length) : line).split('\t')
  // An empty value may have lost its tab.
  if (fields.length !== 7 && fields.length !== 6) return null
  const [host, subdomains, path, secure, expires, name, value = ''] = fields as string[]
  const domain = (host ?? '').replace(/^\./, '').toLowerCase()
  if (domain === '' || name === undefined || !path?.startsWith('/') || !/^\d{1,15}$/.test(expires ?? '')) return null
  return {
    domain,
    hostOnly: subdomains?.toUpperCase() !== 'TRUE',
    path,
    secure: secure?.toUpperCase() === 'TRUE',
    httpOnly,
    expires: Number(expires),
    name,
    value,
  }
}

function bool(value: boolean): string {
  return value ? 'TRUE' : 'FALSE'
}

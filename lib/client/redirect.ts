/**
 * Where a 3xx response leads, and with which request (RFC 9110 §15.4): 303 asks for another thing with GET, 301 and 302
 * turn POST into GET as everybody does, 307 and 308 repeat the request as it was.
 */
import type { HeaderList } from '../wire/http1/header-list.ts'
import { type ParsedUrl, parseUrl } from '../wire/url.ts'

/** 304 says something else, 305 and 306 are no more. */
const REDIRECTS: ReadonlySet<number> = new Set([300, 301, 302, 303, 307, 308])

/** Statuses after which a POST may stay one: CURLOPT_POSTREDIR's bits. */
export const POST_REDIRECTS = [301, 302, 303] as const
export type PostRedirect = (typeof POST_REDIRECTS)[number]

/** Fields that describe a body; without one they go (RFC 9110 §15.4). In lower case. */
export const BODY_FIELDS: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'content-range',
  'digest',
  'content-digest',
  'repr-digest',
  'last-modified',
  'expect',
])

/** The target, null when there is none. Throws an Error when Location cannot be used. */
export function redirectTarget(status: number, headers: HeaderList, url: ParsedUrl): ParsedUrl | null {
  if (!REDIRECTS.has(status)) return null
  const location = headers.first('location')
  if (location === undefined || location === '') return null
  const target = parseUrl(encodeBytes(location), url)
  // What the new one does not name stays (RFC 9110 §10.2.2).
  if (target.fragment !== '' || url.fragment === '') return target
  return parseUrl(`${target.href.split('#', 1)[0]}#${url.fragment}`)
}

/** The target as text, for whoever does not follow; null when there is none or it cannot be used. */
export function redirectUrl(status: number, headers: HeaderList, url: ParsedUrl): string | null {
  try {
    return redirectTarget(status, headers, url)?.href ?? null
  } catch {
    return null
  }
}

export function redirectMethod(status: number, method: string, keptPosts: readonly PostRedirect[]): string {
  if (method === 'GET' || method === 'HEAD') return method
  if (status === 303) return method === 'POST' && keptPosts.includes(303) ? 'POST' : 'GET'
  const mayKeep = status !== 301 && status !== 302
  return method !== 'POST' || mayKeep || keptPosts.includes(status as PostRedirect) ? method : 'GET'
}

/** A referring URL: without credentials and fragment, and nothing of a secure page for an insecure one. */
export function refererOf(from: ParsedUrl, to: ParsedUrl): string | null {
  if (from.scheme === 'https' && to.scheme !== 'https') return null
  return `${from.scheme}://${from.authority}${from.target}`
}

/** Servers send raw UTF-8 in Location; here it stands as Latin-1, and goes back as the bytes that it was. */
function encodeBytes(text: string): string {
  return text.replace(/[\x80-\xff]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

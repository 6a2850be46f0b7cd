/** The text of a request's head, made once per request: method, target, the automatic fields, the user's. */
import { fieldLines, requestHead } from '../wire/http1/request-encoder.ts'
import type { ParsedUrl } from '../wire/url.ts'
import type { Forwarding } from './route.ts'

export interface RequestHeadParts {
  readonly url: ParsedUrl
  readonly method: string
  readonly headers: readonly (readonly [string, string | null])[]
  readonly hasBody: boolean
  /** -1: chunked. */
  readonly bodyLength: number
  /** Instead of the URL's path and query. */
  readonly target: string | null
  readonly authorization: string | null
  readonly userAgent: string | null
  readonly referer: string | null
  readonly cookie: string | null
  /** What a proxy is told that forwards the request; null: there is none. */
  readonly forwarding: Forwarding | null
}

/** Methods whose requests say that they have no body, since a server expects one (RFC 9110 §8.6). */
const EXPECTS_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** Latin-1 text, empty line included. */
export function requestHeadText(parts: RequestHeadParts): string {
  const given = new Set(parts.headers.map(([name]) => name.toLowerCase()))
  const fields: [string, string][] = []
  if (!given.has('host')) fields.push(['Host', parts.url.authority])
  if (parts.authorization !== null && !given.has('authorization')) fields.push(['Authorization', parts.authorization])
  if (parts.userAgent !== null && !given.has('user-agent')) fields.push(['User-Agent', parts.userAgent])
  if (!given.has('accept')) fields.push(['Accept', '*/*'])
  if (parts.referer !== null && !given.has('referer')) fields.push(['Referer', parts.referer])
  if (parts.cookie !== null && !given.has('cookie')) fields.push(['Cookie', parts.cookie])
  for (const [name, value] of parts.forwarding?.fields ?? [])
    if (!given.has(name.toLowerCase())) fields.push([name, value])
  for (const [name, value] of parts.headers) if (value !== null) fields.push([name, value])
  if (parts.bodyLength < 0) fields.push(['Transfer-Encoding', 'chunked'])
  else if (parts.hasBody || EXPECTS_BODY.has(parts.method)) fields.push(['Content-Length', String(parts.bodyLength)])
  return requestHead(parts.method, parts.target ?? parts.forwarding?.target ?? parts.url.target, fieldLines(fields))
}

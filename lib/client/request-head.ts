/** The text of a request's head, made once per transfer: method, target, the automatic fields, the user's. */
import { fieldLines, requestHead } from '../wire/http1/request-encoder.ts'
import type { ParsedUrl } from '../wire/url.ts'

export interface RequestHeadParts {
  readonly url: ParsedUrl
  readonly method: string
  readonly headers: readonly (readonly [string, string | null])[]
  readonly hasBody: boolean
  /** -1: chunked. */
  readonly bodyLength: number
}

/** Methods whose requests say that they have no body, since a server expects one (RFC 9110 §8.6). */
const EXPECTS_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** Latin-1 text, empty line included. */
export function requestHeadText(parts: RequestHeadParts): string {
  const given = new Set(parts.headers.map(([name]) => name.toLowerCase()))
  const fields: [string, string][] = []
  if (!given.has('host')) fields.push(['Host', parts.url.authority])
  if (!given.has('accept')) fields.push(['Accept', '*/*'])
  for (const [name, value] of parts.headers) if (value !== null) fields.push([name, value])
  if (parts.bodyLength < 0) fields.push(['Transfer-Encoding', 'chunked'])
  else if (parts.hasBody || EXPECTS_BODY.has(parts.method)) fields.push(['Content-Length', String(parts.bodyLength)])
  return requestHead(parts.method, parts.url.target, fieldLines(fields))
}

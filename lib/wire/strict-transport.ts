/**
 * The value of Strict-Transport-Security (RFC 6797 §6.1). One that names a directive twice, lacks max-age or is spelled
 * wrong says nothing; directives that are not known are passed over.
 */

export interface StrictTransport {
  /** Infinity for what no calendar reaches. */
  readonly maxAgeSeconds: number
  readonly includeSubDomains: boolean
}

const DIRECTIVE =
  /[ \t]*(?:([!#$%&'*+\-.^_`|~\w]+)[ \t]*(?:=[ \t]*([!#$%&'*+\-.^_`|~\w]+|"(?:[^"\\]|\\.)*")[ \t]*)?)?(?:;|$)/y
const SECONDS_MAX = 1e11

export function parseStrictTransport(value: string): StrictTransport | null {
  const directives = new Map<string, string>()
  DIRECTIVE.lastIndex = 0
  while (DIRECTIVE.lastIndex < value.length) {
    const found = DIRECTIVE.exec(value)
    if (found === null) return null
    const [, name = '', content = ''] = found
    const lower = name.toLowerCase()
    if (directives.has(lower)) return null
    if (name !== '') directives.set(lower, content.startsWith('"') ? content.slice(1, -1) : content)
  }
  const age = directives.get('max-age') ?? ''
  if (!/^\d+$/.test(age)) return null
  const seconds = Number(age)
  return {
    maxAgeSeconds: seconds > SECONDS_MAX ? Number.POSITIVE_INFINITY : seconds,
    includeSubDomains: directives.has('includesubdomains'),
  }
}

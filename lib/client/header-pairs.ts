/** Header fields as users write them, checked and made a list of pairs. */
import { wrongType } from '../base/options.ts'
import type { HeaderPairs, HeaderRecord } from '../wire/http1/header-list.ts'
import { isFieldValue, isToken } from '../wire/http1/syntax.ts'

export type HeadersOption = HeaderRecord | HeaderPairs | Readonly<Record<string, string | readonly string[] | null>>

/** Checked [name, value] pairs of a record or an iterable of pairs. Throws TypeError naming the field. */
export function headerPairs(option: string, headers: HeadersOption): readonly (readonly [string, string | null])[] {
  const pairs: [string, string | null][] = []
  const entries = Symbol.iterator in headers ? headers : Object.entries(headers)
  for (const entry of entries as Iterable<readonly [string, unknown]>) {
    if (!Array.isArray(entry) || entry.length !== 2) throw wrongType(option, 'a record or [name, value] pairs', entry)
    const [name, value] = entry as unknown as [string, unknown]
    if (typeof name !== 'string' || !isToken(name)) throw wrongType(option, 'fields with a token for a name', name)
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && (typeof one !== 'string' || !isFieldValue(one))) {
        throw wrongType(`${option}['${name}']`, 'a string without CR, LF and NUL', one)
      }
      pairs.push([name, one])
    }
  }
  return pairs
}

/**
 * Range requests (RFC 9110 §14): what a Range asks for of something with a known size. Ranges that name nothing of it
 * are left out; overlapping and adjacent ones are put together, so that no answer is larger than the whole. A field
 * that makes no sense, or asks for too many pieces, is ignored, as the RFC allows: the whole is sent.
 */

/** Inclusive of `start`, exclusive of `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** null: send the whole. An empty list: nothing of it can be sent (416). */
export type RangeAnswer = readonly ByteRange[] | null

/** Ranges of one request; more look like an attack (CVE-2011-3192) and get the whole. */
export const RANGES_MAX = 16

const UNIT = /^bytes[\t ]*=/i
const SPEC = /^(?:(\d+)-(\d*)|-(\d+))$/

export function parseRange(value: string, size: number, rangesMax: number = RANGES_MAX): RangeAnswer {
  const unit = UNIT.exec(value)
  if (unit === null) return null
  const specs = value.slice(unit[0].length).split(',', rangesMax + 1)
  if (specs.length > rangesMax) return null
  const ranges: ByteRange[] = []
  let count = 0
  for (const text of specs) {
    const spec = text.trim()
    // RFC 9110 §5.6.1: empty elements of a list do not count.
    if (spec === '') continue
    const range = parseSpec(spec, size)
    if (range === undefined) return null
    count++
    if (range !== null) ranges.push(range)
  }
  return count === 0 ? null : joined(ranges)
}

/** null: nothing of it is there. undefined: no range. */
function parseSpec(spec: string, size: number): ByteRange | null | undefined {
  const [, first, last, suffix] = SPEC.exec(spec) ?? []
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size)
    return length === 0 ? null : { start: size - length, end: size }
  }
  if (first === undefined) return undefined
  const start = Number(first)
  const end = last === '' || last === undefined ? size : Number(last) + 1
  if (end <= start && last !== '') return undefined
  return start >= size ? null : { start, end: Math.min(end, size) }
}

/** In the order in which they were asked for, unless some of them touch: then by position. */
function joined(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const sorted = [...ranges].sort((a, b) => a.start - b.start)
  const apart: ByteRange[] = []
  for (const range of sorted) {
    const last = apart.at(-1)
    if (last === undefined || range.start > last.end) apart.push(range)
    else if (range.end > last.end) apart[apart.length - 1] = { start: last.start, end: range.end }
  }
  return apart.length === ranges.length ? ranges : apart
}

/** Value of Content-Range; of null for 416. */
export function contentRange(range: ByteRange | null, size: number): string {
  return range === null ? `bytes */${size}` : `bytes ${range.start}-${range.end - 1}/${size}`
}

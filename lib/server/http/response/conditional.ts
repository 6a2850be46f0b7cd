/**
 * Conditional requests (RFC 9110 §13): whether what a client knows of a resource still holds. The order in which the
 * fields count is that of §13.2.2; a field that another one overrules is not looked at.
 */
import type { HeaderList } from '../../../wire/http1/header-list.ts'

export interface Validators {
  /** With its quotes, and W/ when it is weak. */
  readonly etag?: string | undefined
  /** ms since 1970. */
  readonly modifiedMs?: number | undefined
}

export const Verdict = { PROCEED: 0, NOT_MODIFIED: 304, FAILED: 412 } as const
export type Verdict = (typeof Verdict)[keyof typeof Verdict]

const TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g
const DAY_NAMES = 'Sun|Mon|Tue|Wed|Thu|Fri|Sat'
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MONTH_NAMES = MONTHS.join('|')
const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)'
const IMF_DATE = new RegExp(`^(?:${DAY_NAMES}), (\\d\\d) (${MONTH_NAMES}) (\\d{4}) ${TIME} GMT$`)
const RFC850_DATE = new RegExp(
  `^(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, (\\d\\d)-(${MONTH_NAMES})-(\\d\\d) ${TIME} GMT$`,
)
const ASCTIME_DATE = new RegExp(`^(?:${DAY_NAMES}) (${MONTH_NAMES}) ([ \\d]\\d) ${TIME} (\\d{4})$`)
const SECOND_MS = 1000

/** For GET and HEAD a condition that holds no more is NOT_MODIFIED; what would change something is FAILED. */
export function checkConditions(method: string, headers: HeaderList, validators: Validators): Verdict {
  const isRead = method === 'GET' || method === 'HEAD'
  const ifMatch = headers.get('if-match')
  if (ifMatch !== undefined) {
    if (!matchesTag(ifMatch, validators.etag, true)) return Verdict.FAILED
  } else if (isModifiedSince(headers.get('if-unmodified-since'), validators) === true) return Verdict.FAILED
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== undefined) {
    if (matchesTag(ifNoneMatch, validators.etag, false)) return isRead ? Verdict.NOT_MODIFIED : Verdict.FAILED
  } else if (isRead && isModifiedSince(headers.get('if-modified-since'), validators) === false) {
    return Verdict.NOT_MODIFIED
  }
  return Verdict.PROCEED
}

/** False when the client has parts of another version: it gets the whole, whatever its Range says (§13.1.5). */
export function allowsRange(headers: HeaderList, validators: Validators): boolean {
  const ifRange = headers.get('if-range')
  if (ifRange === undefined) return true
  if (ifRange.startsWith('"') || ifRange.startsWith('W/')) return matchesTag(ifRange, validators.etag, true)
  // Exactly that date: one that is later was made up by somebody.
  const date = parseHttpDate(ifRange)
  return date !== null && validators.modifiedMs !== undefined && date === wholeSeconds(validators.modifiedMs)
}

/** One of the three forms of RFC 9110 §5.6.7, in ms since 1970; null for anything else. */
export function parseHttpDate(text: string): number | null {
  const imf = IMF_DATE.exec(text)
  if (imf !== null) return utc(imf[3], imf[2], imf[1], imf[4], imf[5], imf[6])
  const rfc850 = RFC850_DATE.exec(text)
  // Two digits are of the century that puts them near to us: 70 to 99 were, as POSIX reads them.
  if (rfc850 !== null) {
    const year = Number(rfc850[3])
    return utc(String(year + (year < 70 ? 2000 : 1900)), rfc850[2], rfc850[1], rfc850[4], rfc850[5], rfc850[6])
  }
  const asctime = ASCTIME_DATE.exec(text)
  return asctime === null ? null : utc(asctime[6], asctime[1], asctime[2], asctime[3], asctime[4], asctime[5])
}

export function httpDate(ms: number): string {
  return new Date(wholeSeconds(ms)).toUTCString()
}

function matchesTag(field: string, etag: string | undefined, strongly: boolean): boolean {
  if (field.trim() === '*') return true
  if (etag === undefined) return false
  if (strongly && etag.startsWith('W/')) return false
  for (const tag of field.match(TAGS) ?? []) {
    if (strongly ? tag === etag : opaque(tag) === opaque(etag)) return true
  }
  return false
}

function opaque(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag
}

/** null when the field is absent or no date, or the resource has none: then the field does not count. */
function isModifiedSince(field: string | undefined, { modifiedMs }: Validators): boolean | null {
  if (field === undefined || modifiedMs === undefined) return null
  const date = parseHttpDate(field)
  return date === null ? null : wholeSeconds(modifiedMs) > date
}

/** Dates of HTTP know no fraction. */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / SECOND_MS) * SECOND_MS
}

type Part = string | undefined

function utc(year: Part, month: Part, day: Part, hours: Part, minutes: Part, seconds: Part): number | null {
  const [y, d, h, m, s] = [Number(year), Number(day), Number(hours), Number(minutes), Number(seconds)]
  // A leap second is the first of the next minute.
  if (h > 23 || m > 59 || s > 60) return null
  const time = Date.UTC(y, MONTHS.indexOf(month as string), d, h, m, s)
  return new Date(Date.UTC(y, MONTHS.indexOf(month as string), d)).getUTCDate() === d ? time : null
}

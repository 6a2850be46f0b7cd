import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allowsRange, checkConditions, httpDate, parseHttpDate } from '../../../lib/server/http/response/conditional.ts'
import { contentRange, parseRange } from '../../../lib/server/http/response/range.ts'
import { HeaderList } from '../../../lib/wire/http1/header-list.ts'

const SIZE = 1000

/** As 'start-end' with the end left out. */
function show(value: string, size = SIZE, most?: number): string | null {
  const ranges = parseRange(value, size, most)
  return ranges === null ? null : ranges.map(({ start, end }) => `${start}-${end}`).join(' ')
}

describe('a Range', () => {
  it.each<[string, string | null]>([
    ['bytes=0-499', '0-500'],
    ['bytes=500-', '500-1000'],
    ['bytes=-500', '500-1000'],
    ['bytes=-5000', '0-1000'],
    ['bytes=999-999', '999-1000'],
    ['bytes=0-5000', '0-1000'],
    ['bytes=0-0,-1', '0-1 999-1000'],
    ['BYTES = 0-0', '0-1'],
    ['bytes=, 0-0 ,,\t5-5,', '0-1 5-6'],
    ['bytes=500-599,0-99', '500-600 0-100'],
    ['bytes=0-99,50-149', '0-150'],
    ['bytes=0-99,100-149', '0-150'],
    ['bytes=0-,0-,0-', '0-1000'],
    ['bytes=5-9,0-3,5-9', '0-4 5-10'],
    ['bytes=1000-', ''],
    ['bytes=1000-2000', ''],
    ['bytes=-0', ''],
    ['bytes=1000-,0-0', '0-1'],
    ['bytes=5-4', null],
    ['bytes=0-0,5-4', null],
    ['bytes=', null],
    ['bytes=,', null],
    ['bytes=-', null],
    ['bytes=a-b', null],
    ['bytes=0 - 1', null],
    ['bytes=0x1-2', null],
    ['bytes=--1', null],
    ['bytes 0-1', null],
    ['items=0-1', null],
    ['', null],
    [`bytes=${'9'.repeat(400)}-`, ''],
  ])('%s of 1000 bytes is %s', (value, ranges) => {
    expect(show(value)).toBe(ranges)
  })

  it('of nothing can not be satisfied', () => {
    expect(show('bytes=0-', 0)).toBe('')
    expect(show('bytes=-1', 0)).toBe('')
  })

  it('of too many pieces is the whole', () => {
    const many = (count: number): string => `bytes=${Array.from({ length: count }, (_, at) => `${at * 2}-${at * 2}`)}`
    expect(parseRange(many(16), SIZE)).toHaveLength(16)
    expect(parseRange(many(17), SIZE)).toBe(null)
    expect(show('bytes=0-0,2-2', SIZE, 1)).toBe(null)
  })

  it('names bytes that are there, each once, all that were asked for', () => {
    const spec = fc.oneof(
      fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
      fc.nat(60).map((first) => [first, null] as const),
      fc.nat(60).map((suffix) => [null, suffix] as const),
    )
    fc.assert(
      fc.property(fc.nat(50), fc.array(spec, { minLength: 1, maxLength: 8 }), (size, specs) => {
        const value = `bytes=${specs.map(([first, last]) => `${first ?? ''}-${last ?? ''}`).join(',')}`
        const wanted = new Set<number>()
        for (const [first, last] of specs) {
          const [from, to] = first === null ? [size - (last as number), size - 1] : [first, last ?? size - 1]
          for (let at = Math.max(from, 0); at <= Math.min(to, size - 1); at++) wanted.add(at)
        }
        const given = (parseRange(value, size) ?? []).flatMap(({ start, end }) =>
          Array.from({ length: end - start }, (_, at) => start + at),
        )
        expect(given.length).toBe(new Set(given).size)
        expect(new Set(given)).toEqual(wanted)
      }),
    )
  })

  it('is answered or ignored, whatever it says', () => {
    const text = fc.stringMatching(/^bytes=[-0-9, a]{0,20}$/)
    fc.assert(
      fc.property(text, fc.nat(100), (value, size) => {
        for (const { start, end } of parseRange(value, size) ?? []) {
          expect(start).toBeGreaterThanOrEqual(0)
          expect(end).toBeGreaterThan(start)
          expect(end).toBeLessThanOrEqual(size)
        }
      }),
    )
  })

  it('is told back', () => {
    expect(contentRange({ start: 0, end: 500 }, SIZE)).toBe('bytes 0-499/1000')
    expect(contentRange(null, SIZE)).toBe('bytes */1000')
  })
})

const MODIFIED = Date.UTC(1994, 10, 6, 8, 49, 37) + 500
const NOW = 'Sun, 06 Nov 1994 08:49:37 GMT'
const BEFORE = 'Sun, 06 Nov 1994 08:49:36 GMT'
const AFTER = 'Sun, 06 Nov 1994 08:49:38 GMT'
const STRONG = { etag: '"a"', modifiedMs: MODIFIED }
const WEAK = { etag: 'W/"a"', modifiedMs: MODIFIED }

describe('conditions', () => {
  const table: [string, Record<string, string>, typeof STRONG, number, number][] = [
    ['none', {}, STRONG, 0, 0],
    ['the same tag', { 'if-none-match': '"a"' }, STRONG, 304, 412],
    ['the same tag, weak', { 'if-none-match': 'W/"a"' }, STRONG, 304, 412],
    ['the same tag of a weak one', { 'if-none-match': '"a"' }, WEAK, 304, 412],
    ['one of several tags', { 'if-none-match': '"x", W/"a" , "y"' }, STRONG, 304, 412],
    ['a tag with a comma', { 'if-none-match': '"x,"a"' }, STRONG, 0, 0],
    ['another tag', { 'if-none-match': '"b"' }, STRONG, 0, 0],
    ['any tag', { 'if-none-match': '*' }, STRONG, 304, 412],
    ['the tag without quotes', { 'if-none-match': 'a' }, STRONG, 0, 0],
    ['another tag and the same date', { 'if-none-match': '"b"', 'if-modified-since': NOW }, STRONG, 0, 0],
    ['the same date', { 'if-modified-since': NOW }, STRONG, 304, 0],
    ['a later date', { 'if-modified-since': AFTER }, STRONG, 304, 0],
    ['an earlier date', { 'if-modified-since': BEFORE }, STRONG, 0, 0],
    ['no date', { 'if-modified-since': 'yesterday' }, STRONG, 0, 0],
    ['the tag that must be', { 'if-match': '"a"' }, STRONG, 0, 0],
    ['one of the tags that may be', { 'if-match': '"b","a"' }, STRONG, 0, 0],
    ['any tag that may be', { 'if-match': '*' }, STRONG, 0, 0],
    ['another tag that must be', { 'if-match': '"b"' }, STRONG, 412, 412],
    ['a weak tag that must be', { 'if-match': 'W/"a"' }, STRONG, 412, 412],
    ['the tag of a weak one that must be', { 'if-match': '"a"' }, WEAK, 412, 412],
    ['unmodified since', { 'if-unmodified-since': NOW }, STRONG, 0, 0],
    ['unmodified since then', { 'if-unmodified-since': BEFORE }, STRONG, 412, 412],
    ['the tag before the date', { 'if-match': '"a"', 'if-unmodified-since': BEFORE }, STRONG, 0, 0],
    ['must be, and is known', { 'if-match': '"a"', 'if-none-match': '"a"' }, STRONG, 304, 412],
    ['must not be, whatever is known', { 'if-match': '"b"', 'if-none-match': '"a"' }, STRONG, 412, 412],
  ]

  it.each(table)('%s', (_name, fields, validators, ofGet, ofPut) => {
    const headers = HeaderList.fromRecord(fields)
    expect(checkConditions('GET', headers, validators)).toBe(ofGet)
    expect(checkConditions('HEAD', headers, validators)).toBe(ofGet)
    expect(checkConditions('PUT', headers, validators)).toBe(ofPut)
  })

  it('of what has no validators hold', () => {
    const fields = { 'if-modified-since': AFTER, 'if-unmodified-since': BEFORE, 'if-none-match': '"a"' }
    expect(checkConditions('GET', HeaderList.fromRecord(fields), {})).toBe(0)
    expect(checkConditions('GET', HeaderList.fromRecord({ 'if-match': '"a"' }), {})).toBe(412)
  })

  it.each<[string, string | null, boolean, boolean]>([
    ['nothing', null, true, true],
    ['the tag', '"a"', true, false],
    ['a weak tag', 'W/"a"', false, false],
    ['another tag', '"b"', false, false],
    ['the date', NOW, true, true],
    ['a later date', AFTER, false, false],
    ['an earlier date', BEFORE, false, false],
    ['no date', 'today', false, false],
  ])('of a range: %s', (_name, ifRange, ofStrong, ofWeak) => {
    const headers = HeaderList.fromRecord(ifRange === null ? {} : { 'If-Range': ifRange })
    expect(allowsRange(headers, STRONG)).toBe(ofStrong)
    expect(allowsRange(headers, WEAK)).toBe(ofWeak)
  })
})

describe('dates', () => {
  it.each([NOW, 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])('are read as %s', (text) => {
    expect(parseHttpDate(text)).toBe(Math.floor(MODIFIED / 1000) * 1000)
  })

  it.each([
    '',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:49:37 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 CET',
    '1994-11-06T08:49:37Z',
  ])('are not read as %s', (text) => {
    expect(parseHttpDate(text)).toBe(null)
  })

  it('of two digits are of the century that is near', () => {
    expect(parseHttpDate('Thursday, 01-Jan-70 00:00:00 GMT')).toBe(0)
    expect(parseHttpDate('Thursday, 01-Jan-26 00:00:00 GMT')).toBe(Date.UTC(2026, 0, 1))
  })

  it('are written so that they are read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (seconds) => {
        expect(parseHttpDate(httpDate(seconds * 1000 + 999))).toBe(seconds * 1000)
      }),
    )
  })
})

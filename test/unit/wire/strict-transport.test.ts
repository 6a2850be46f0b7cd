import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseStrictTransport } from '../../../lib/wire/strict-transport.ts'

describe('Strict-Transport-Security', () => {
  it.each([
    ['max-age=31536000', 31_536_000, false],
    ['max-age="100"; includeSubDomains', 100, true],
    ['includesubdomains;MAX-AGE=60;x=y;preload', 60, true],
    [' max-age = 60 ', 60, false],
    ['max-age=0', 0, false],
    [';max-age=77;;', 77, false],
    ['foo="a;b\\""; max-age=9', 9, false],
    ['max-age=99999999999999999999', Number.POSITIVE_INFINITY, false],
  ])('%s', (value, maxAgeSeconds, includeSubDomains) => {
    expect(parseStrictTransport(value)).toEqual({ maxAgeSeconds, includeSubDomains })
  })

  it.each([
    '',
    'includeSubDomains',
    'max-age',
    'max-age=',
    'max-age=-5',
    'max-age=1.5',
    'max-age=60 junk',
    'max-age="5',
    'max-age=10; max-age=10',
    'max-age=10; x; X',
    'max-age=60, includeSubDomains',
    '=5; max-age=60',
  ])('says nothing when it is spelled %j', (value) => {
    expect(parseStrictTransport(value)).toBe(null)
  })

  it('never throws and always ends', () => {
    const odd = fc.array(fc.constantFrom('max-age=5', ';', '"', '\\', '=', ' ', 'a', ','), { maxLength: 30 })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          odd.map((parts) => parts.join('')),
        ),
        (value) => {
          const read = parseStrictTransport(value)
          if (read !== null) expect(read.maxAgeSeconds).toBeGreaterThanOrEqual(0)
        },
      ),
    )
    expect(parseStrictTransport(`${' '.repeat(100_000)}"`)).toBe(null)
  })
})

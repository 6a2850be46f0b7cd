import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAuthChallenges, quoteString } from '../../../lib/wire/auth-challenge.ts'

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/)
const text = fc.stringMatching(/^[\t -~\x80-\xff]{0,20}$/)
const blank = fc.constantFrom('', ' ', '\t', '  ')
const comma = fc.tuple(blank, fc.constantFrom(',', ',,', ', ,'), blank).map((parts) => parts.join(''))

const parameters = fc.uniqueArray(fc.tuple(token, text, fc.boolean(), blank), {
  minLength: 1,
  maxLength: 5,
  selector: ([name]) => name.toLowerCase(),
})
const challenge = fc.record({
  scheme: token,
  parameters: fc.option(parameters),
  comma,
})

/** A value that is a token may stand without quotes. */
function value(content: string, wantsPlain: boolean): string {
  return wantsPlain && /^[A-Za-z0-9]+$/.test(content) ? content : quoteString(content)
}

describe('challenges', () => {
  it('read what was written, whatever stands between them', () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 5 }), (list) => {
        let field = ''
        for (const one of list) {
          const lines = one.parameters?.map(
            ([name, content, plain, gap]) => `${name}${gap}=${gap}${value(content, plain)}`,
          )
          if (field !== '') field += one.comma
          field += lines === undefined ? one.scheme : `${one.scheme} ${lines.join(one.comma)}`
        }
        const expected = list.map((one) => ({
          scheme: one.scheme.toLowerCase(),
          pairs: (one.parameters ?? []).map(([name, content]) => [name.toLowerCase(), content]),
        }))
        const read = parseAuthChallenges([field])
        expect(read.map(({ scheme, parameters: map }) => ({ scheme, pairs: [...map] }))).toEqual(expected)
      }),
    )
  })

  it('never throw and always end, whatever comes', () => {
    const odd = fc.array(fc.constantFrom('"', '\\', ',', '=', ' ', 'a', 'Basic ', 'é', '\t', '@'), { maxLength: 40 })
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string(),
            odd.map((parts) => parts.join('')),
          ),
          { maxLength: 4 },
        ),
        (values) => {
          for (const { scheme, parameters: map } of parseAuthChallenges(values)) {
            expect(scheme).toMatch(/^[^A-Z\s",=]+$/)
            for (const name of map.keys()) expect(name).toBe(name.toLowerCase())
          }
        },
      ),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FormDecoder } from '../../../lib/wire/form-event.ts'
import { MultipartDecoder } from '../../../lib/wire/multipart-decoder.ts'
import { UrlencodedDecoder } from '../../../lib/wire/urlencoded-decoder.ts'
import { decodeForm } from '../../unit/wire/form-events.ts'

/** The pieces of `bytes` when it is cut at each of `cuts`, wrapped around. */
function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  const pieces: Uint8Array[] = []
  let from = 0
  for (const place of [...places, bytes.length]) {
    pieces.push(bytes.slice(from, place))
    from = place
  }
  return pieces
}

const cuts = fc.array(fc.nat(5000), { maxLength: 30 })
// Made of what delimiters are made of.
const tricky = fc.array(fc.constantFrom('\r', '\n', '-', '--', 'b0', '\r\n--b0', '\r\n--b', 'x', ' ', ':'), {
  maxLength: 30,
})

const contents = fc.array(
  fc.oneof(
    tricky.map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary' }),
  ),
  {
    maxLength: 5,
  },
)

function sameForAnyCuts(make: () => FormDecoder, bytes: Uint8Array, places: readonly number[]): void {
  const whole = decodeForm(make(), [bytes])
  expect(decodeForm(make(), cut(bytes, places))).toEqual(whole)
  expect(
    decodeForm(
      make(),
      [...bytes].map((byte) => Uint8Array.of(byte)),
    ),
  ).toEqual(whole)
}

describe('decoders of forms', () => {
  it('tell the same for any cuts of a multipart form, whole or broken', () => {
    fc.assert(
      fc.property(contents, tricky, cuts, (values, junk, places) => {
        const parts = values.map((value) => `--b0\r\nContent-Disposition: form-data; name="n"\r\n\r\n${value}\r\n`)
        const bytes = Buffer.from(`${parts.join('')}${junk.join('')}--b0--\r\n`)
        sameForAnyCuts(() => new MultipartDecoder('b0'), bytes, places)
      }),
    )
  })

  it('give back every content that does not hold the delimiter', () => {
    fc.assert(
      fc.property(contents, cuts, (values, places) => {
        const kept = values.filter((value) => !`\r\n${value}\r\n`.includes('\r\n--b0'))
        const parts = kept.map((value) => `--b0\r\nContent-Disposition: form-data; name="n"\r\n\r\n${value}\r\n`)
        const bytes = Buffer.from(`${parts.join('')}--b0--`)
        const form = decodeForm(new MultipartDecoder('b0'), cut(bytes, places))
        expect(form.parts.map((part) => part.text)).toEqual(kept.map((value) => Buffer.from(value).toString()))
      }),
    )
  })

  it('tell the same for any cuts of an urlencoded form, and what URLSearchParams reads', () => {
    // Bytes beyond ASCII as escapes: Node 20's URLSearchParams reads them wrong behind a percent sign.
    const text = fc.array(fc.constantFrom('a', '=', '&', '%', '4', '1', 'z', '+', '%20', '%c3%bc'), { maxLength: 40 })
    fc.assert(
      fc.property(text, cuts, (pieces, places) => {
        const bytes = Buffer.from(pieces.join(''))
        sameForAnyCuts(() => new UrlencodedDecoder(), bytes, places)
        const form = decodeForm(new UrlencodedDecoder(), [bytes])
        expect(form.parts.map((part) => [part.name, part.text])).toEqual([...new URLSearchParams(bytes.toString())])
      }),
    )
  })
})

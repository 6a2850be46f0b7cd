import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ResponseEvent, ResponseReader } from '../../../lib/wire/http1/response-reader.ts'
import { bytesOf, EVENTS_MAX, eachByte, readPieces } from '../../unit/wire/read-events.ts'

const EARLY = 'HTTP/1.1 103 Early\r\nA: b\r\n\r\n'
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/)
const value = fc.stringMatching(/^[!-~\x80-\xff]([ -~\t\x80-\xff]{0,20}[!-~\x80-\xff])?$/)
const framingNames = /^(content-length|transfer-encoding|connection|proxy-connection|upgrade)$/i
const fields = fc
  .array(fc.tuple(token, value), { maxLength: 8 })
  .map((pairs) => pairs.filter(([name]) => !framingNames.test(name)))
const lines = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([name, text]) => `${name}: ${text}\r\n`).join('')
const body = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
})

const chunkedBody = fc.tuple(fc.array(body, { maxLength: 4 }), fields).map(([chunks, trailers]) => {
  const full = chunks.filter((chunk) => chunk !== '')
  const coded = full.map((chunk) => `${chunk.length.toString(16)};x="y"\r\n${chunk}\r\n`).join('')
  return { text: `Transfer-Encoding: chunked\r\n\r\n${coded}0\r\n${lines(trailers)}\r\n`, body: full.join('') }
})
const fixedBody = body.map((text) => ({ text: `Content-Length: ${text.length}\r\n\r\n${text}`, body: text }))
const closedBody = body.map((text) => ({ text: `\r\n${text}`, body: text }))
const response = fc
  .tuple(fc.integer({ min: 0, max: 2 }), fields, fc.oneof(chunkedBody, fixedBody, closedBody))
  .map(([informational, pairs, content]) => ({
    text: `${EARLY.repeat(informational)}HTTP/1.1 200 OK\r\n${lines(pairs)}${content.text}`,
    body: content.body,
    pairs,
  }))

/** A response with a few bytes put in, left out or changed: nearly right is where readers go wrong. */
const damaged = fc
  .tuple(response, fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'\r\n \t:;,0aZ\0\x7f\xff', '')), { maxLength: 3 }))
  .map(([{ text }, changes]) => {
    let result = text
    for (const [at, put] of changes) {
      const index = at % (result.length + 1)
      result = result.slice(0, index) + put + result.slice(index + (at % 2))
    }
    return result
  })

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const pieces: Uint8Array[] = []
  let start = 0
  for (const place of [...places, bytes.length]) {
    pieces.push(bytes.slice(start, place))
    start = place
  }
  return pieces
}

const cuts = fc.array(fc.nat(2000), { maxLength: 6 })
const options = fc.record({
  allowHttp09: fc.boolean(),
  strict: fc.boolean(),
  headBytesMax: fc.constantFrom(80, 300_000),
})

describe('ResponseReader, for any input', () => {
  it('reads what was sent', () => {
    fc.assert(
      fc.property(response, (sent) => {
        const told = readPieces([bytesOf(sent.text)])
        expect(told.reader.error).toBeNull()
        expect(told.body).toBe(sent.body)
        expect(told.reader.headers.raw.slice(0, sent.pairs.length)).toEqual(sent.pairs)
      }),
      { numRuns: 300 },
    )
  })

  it('tells the same whole, byte by byte and at any cuts', () => {
    const texts = fc.oneof(
      response.map(({ text }) => text),
      damaged,
    )
    fc.assert(
      fc.property(texts, cuts, fc.constantFrom('GET', 'HEAD', 'CONNECT'), options, (text, places, method, chosen) => {
        const bytes = bytesOf(text)
        const whole = readPieces([bytes], method, true, chosen)
        for (const pieces of [eachByte(bytes), cutAt(bytes, places)]) {
          const other = readPieces(pieces, method, true, chosen)
          expect(other.events).toEqual(whole.events)
          expect(other.body).toBe(whole.body)
          expect(other.left).toBe(whole.left)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('neither throws nor goes on for ever with garbage', () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array([...bytesOf('HTTP/1.1 200 OK\r\n'), ...bytes])),
    )
    fc.assert(
      fc.property(garbage, cuts, options, (bytes, places, chosen) => {
        const told = readPieces(cutAt(bytes, places), 'GET', true, chosen)
        expect(['end', 'error']).toContain(told.events.at(-1))
      }),
      { numRuns: 500 },
    )
  })

  it('keeps no more than the limit of a head that never ends', () => {
    const reader = new ResponseReader({ headBytesMax: 10_000 })
    reader.reset('GET')
    const bytes = bytesOf(`HTTP/1.1 200 OK\r\n${'Name: value\r\n'.repeat(2000)}`)
    let read = 0
    while (read < bytes.length && read < EVENTS_MAX) {
      reader.receive(bytes, read, read + 1)
      if (reader.nextEvent() === ResponseEvent.ERROR) break
      read++
    }
    expect(reader.error?.code).toBe('TOO_LARGE')
    expect(read).toBeLessThanOrEqual(10_000)
  })
})

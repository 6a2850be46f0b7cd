import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RequestEvent, RequestReader } from '../../../lib/wire/http1/request-reader.ts'
import { bytesOf, EVENTS_MAX, eachByte } from '../../unit/wire/read-events.ts'

/** Everything that a server would act on. */
function read(pieces: readonly Uint8Array[], discipline: number): unknown[] {
  const reader = new RequestReader({ discipline, headBytesMax: 120 })
  const told: unknown[] = []
  let body = ''
  const drain = (): void => {
    for (let count = 0; ; count++) {
      if (count > EVENTS_MAX) throw new Error('the reader does not come to an end')
      const event = reader.nextEvent()
      if (event === RequestEvent.HEAD) told.push(reader.method, reader.target, reader.headers.raw, reader.keepAlive)
      else if (event === RequestEvent.TRAILERS) told.push(reader.trailers.raw)
      else if (event === RequestEvent.DATA) {
        body += Buffer.from(reader.dataBytes.subarray(reader.dataStart, reader.dataEnd)).toString('latin1')
      } else if (event === RequestEvent.END) {
        told.push('end', body)
        body = ''
        reader.reset()
      } else return
    }
  }
  for (const piece of pieces) {
    reader.receive(piece, 0, piece.length)
    drain()
  }
  reader.receiveEof()
  drain()
  expect([RequestEvent.ERROR, RequestEvent.CLOSED]).toContain(reader.nextEvent())
  told.push(body, reader.error === null ? 'closed' : 'refused')
  return told
}

const request = fc.constantFrom(
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.0\nA: b\n c\n\n',
  'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
  'PUT /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\n',
)
const damage = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'\r\n \t:;,0aZ\0\x7f\xff', '')), { maxLength: 3 })
const input = fc.tuple(fc.array(request, { maxLength: 4 }), damage).map(([requests, changes]) => {
  let text = requests.join('')
  for (const [at, put] of changes) {
    const index = at % (text.length + 1)
    text = text.slice(0, index) + put + text.slice(index + (at % 2))
  }
  return bytesOf(text)
})

it('reads the same requests whole, byte by byte and in two pieces', () => {
  fc.assert(
    fc.property(
      fc.oneof(input, fc.uint8Array({ maxLength: 100 })),
      fc.nat(),
      fc.integer({ min: -3, max: 3 }),
      (bytes, place, discipline) => {
        const whole = read([bytes], discipline)
        const cut = place % (bytes.length + 1)
        expect(read([bytes.slice(0, cut), bytes.slice(cut)], discipline)).toEqual(whole)
        expect(read(eachByte(bytes), discipline)).toEqual(whole)
      },
    ),
    { numRuns: 500 },
  )
})

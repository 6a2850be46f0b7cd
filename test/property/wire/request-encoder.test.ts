import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fieldLines, writeChunk, writeLastChunk, writeRequestHead } from '../../../lib/wire/http1/request-encoder.ts'

interface Sent {
  readonly method: string
  readonly target: string
  readonly fields: readonly (readonly [string, string])[]
  readonly chunks: readonly Uint8Array[]
}

const sent: fc.Arbitrary<Sent> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
  target: fc.stringMatching(/^\/[!-"$-~]{0,30}$/),
  fields: fc.array(fc.tuple(fc.stringMatching(/^x-[a-z]{1,8}$/), fc.stringMatching(/^[!-~\xa0-\xff]{1,20}$/)), {
    maxLength: 6,
  }),
  chunks: fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 4 }),
})

function encode(request: Sent): Uint8Array {
  const into = new Uint8Array(8192)
  const fields = [['Host', 'a'], ...request.fields, ['Transfer-Encoding', 'chunked'], ['Connection', 'close']] as [
    string,
    string,
  ][]
  let at = writeRequestHead(into, 0, request.method, request.target, fieldLines(fields))
  for (const chunk of request.chunks) at = writeChunk(into, at, chunk)
  at = writeLastChunk(into, at, fieldLines([['X-Trailer', 'end']]))
  return into.slice(0, at)
}

it('writes requests that the HTTP server of Node reads as they were meant', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    await fc.assert(
      fc.asyncProperty(sent, async (request) => {
        const received = once(server, 'request') as Promise<[IncomingMessage, { end(): void }]>
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {})
        socket.end(encode(request))
        const [message, answer] = await received
        const parts: Uint8Array[] = []
        for await (const part of message) parts.push(part as Uint8Array)
        answer.end()
        socket.destroy()
        expect([message.method, message.url]).toEqual([request.method, request.target])
        expect(message.rawHeaders.slice(2, 2 + 2 * request.fields.length)).toEqual(request.fields.flat())
        expect(Buffer.concat(parts)).toEqual(Buffer.concat(request.chunks))
        expect(message.rawTrailers).toEqual(['X-Trailer', 'end'])
      }),
      { numRuns: 50 },
    )
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

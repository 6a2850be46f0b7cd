/** Bodies of requests that come piece by piece: no faster than the peer takes them, and ended with the request. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type BodyFunction, type BodyPieces, type RequestOptions, request, TransferError } from '../../lib/index.ts'
import { OriginThread } from './origin-client.ts'
import { closeServers, failureOf, ownMulti, serve, until, wait } from './requests.ts'

/** What the sockets of both ends and the library may hold between a source and a server that does not read. */
const UNREAD_BYTES_MOST = 16 * 1024 * 1024
const PIECE_BYTES = 64 * 1024

const thread = new OriginThread()
let url = ''
beforeAll(async () => {
  url = `http://127.0.0.1:${(await thread.open({})).port}`
})
afterEach(closeServers)
afterAll(() => thread.stop())

/** Pieces without end, that are counted, and whose end is seen. */
class Source {
  given = 0
  hasEnded = false

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (; this.given < 4096; this.given++) yield new Uint8Array(PIECE_BYTES)
    } finally {
      this.hasEnded = true
    }
  }
}

async function* pieces(...all: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const piece of all) {
    await wait(1)
    yield piece
  }
}

it('sends what iterables and web streams give', async () => {
  const long = new Uint8Array(300_000).fill(97)
  const expected = `one${'a'.repeat(300_000)}two`
  const stream = new Blob(['one', long, 'two']).stream() as unknown as BodyPieces
  for (const body of [pieces('one', '', long, 'two'), ['one', long, 'two'], stream]) {
    expect((await (await request(`${url}/echo`, { body })).text()) === expected).toBe(true)
  }
  expect(await (await request(`${url}/echo`, { body: [], method: 'PUT' })).text()).toBe('')
})

it('sends a length that is known, and fails when fewer bytes come', async () => {
  const server = await serve((asked, answer) => {
    asked.resume().on('end', () => answer.end(asked.headers['content-length'] ?? asked.headers['transfer-encoding']))
  })
  const send = async (bodyLength?: number): Promise<string> =>
    (await request(server, { body: pieces('abc', 'def'), ...(bodyLength === undefined ? {} : { bodyLength }) })).text()
  expect(await send()).toBe('chunked')
  expect(await send(6)).toBe('6')
  expect((await failureOf(send(7))).code).toBe('READ_ERROR')
})

it('takes a callback as a transfer does, and cannot send pieces twice', async () => {
  const server = await serve((asked, answer) => {
    asked.resume().on('end', () => answer.writeHead(asked.url === '/' ? 307 : 200, { location: '/to' }).end())
  })
  const send = async (options: RequestOptions): Promise<number> =>
    (await request(server, { followRedirects: true, ...options })).status
  let given = 0
  const body: BodyFunction = () => (given++ < 2 ? 'abc' : null)
  const rewindBody = (): void => {
    given = 0
  }
  expect(await send({ body, rewindBody })).toBe(200)
  expect((await failureOf(send({ body: pieces('abc') }))).code).toBe('SEND_FAIL_REWIND')
})

it('reads a source no faster than the server reads, and goes on when it does', async () => {
  let goOn = (): void => {}
  const server = await serve((asked, answer) => {
    let bytes = 0
    goOn = () => {
      asked.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      asked.on('end', () => answer.end(String(bytes)))
    }
  })
  const source = new Source()
  const text = request(server, { body: source }).then((response) => response.text())
  await until(() => source.given > 0)
  let before = -1
  while (source.given > before) {
    before = source.given
    await wait(100)
  }
  expect(source.given * PIECE_BYTES).toBeLessThan(UNREAD_BYTES_MOST)
  goOn()
  expect(await text).toBe(String(4096 * PIECE_BYTES))
  expect(source.hasEnded).toBe(true)
})

it('fails with the error of its source', async () => {
  const error = new Error('torn')
  const failing = async function* (): AsyncGenerator<string> {
    yield 'first'
    await wait(1)
    throw error
  }
  const stream = new ReadableStream({
    pull: (controller) => controller.error(error),
  })
  for (const body of [failing(), stream as unknown as BodyPieces]) {
    const failure = await failureOf(request(`${url}/echo`, { body }))
    expect(failure).toBeInstanceOf(TransferError)
    expect([failure.code, failure.cause]).toEqual(['ABORTED_BY_CALLBACK', error])
  }
  const locked = new ReadableStream()
  locked.getReader()
  expect(await failureOf(request(`${url}/echo`, { body: locked as unknown as BodyPieces }))).toBeInstanceOf(TypeError)
})

it('ends its source when the request ends first', async () => {
  using own = ownMulti()
  const { multi } = own
  const server = await serve((_asked, answer) => void answer.writeHead(413).end('too long'))
  const source = new Source()
  const response = await request(server, { body: source, multi })
  expect([response.status, await response.text()]).toEqual([413, 'too long'])
  await until(() => source.hasEnded)

  const controller = new AbortController()
  const aborted = new Source()
  const unread = await serve(() => {})
  const waiting = failureOf(request(unread, { body: aborted, multi, signal: controller.signal }))
  await until(() => aborted.given > 0)
  controller.abort()
  expect((await waiting).name).toBe('AbortError')
  await until(() => aborted.hasEnded)
  expect(multi.running).toBe(0)
})

it('runs the source off the stack of the engine', async () => {
  using own = ownMulti()
  const { multi } = own
  const states: number[] = []
  const source = {
    *[Symbol.iterator](): Generator<string> {
      for (let i = 0; i < 3; i++) {
        // Refused with RECURSIVE_API_CALL inside.
        states.push(multi.perform())
        yield 'x'
      }
    },
  }
  expect(await (await request(`${url}/echo`, { body: source, multi })).text()).toBe('xxx')
  expect(states).toEqual([1, 1, 1])
})

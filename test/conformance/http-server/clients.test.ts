import { expect } from 'vitest'
import { httpStage, lastBody, statuses } from '../../support/http-stage.ts'
import { scenario } from '../drivers.ts'
import { Fetch, readMessages } from '../fetches.ts'

const HOST = 'Host: a\r\n'

scenario('serves transfers of the same Multi: GET, PUT of any size, chunks, streams', async (bench) => {
  const large = Buffer.alloc(300_000, 'abcdefg')
  const stage = httpStage(bench, {
    handler: async (request) => {
      if (request.url === '/echo') return { body: await request.bytes() }
      if (request.url === '/count') return { body: String(await count(request)) }
      if (request.url === '/stream') return { body: pieces() }
      return { headers: { 'X-Method': request.method }, body: large }
    },
  })
  const url = (path: string): string => `http://127.0.0.1:${stage.port}${path}`
  const fetches = [
    new Fetch({ url: url('/') }),
    new Fetch({ url: url('/echo'), body: large, method: 'PUT' }),
    new Fetch({ url: url('/count'), body: inPieces(large), method: 'POST' }),
    new Fetch({ url: url('/stream') }),
    new Fetch({ url: url('/'), method: 'HEAD' }),
  ]
  for (const { transfer } of fetches) stage.multi.add(transfer)
  await stage.until(() => {
    readMessages(stage.multi, fetches)
    return fetches.every(({ message }) => message !== null)
  })
  expect(fetches.map(({ outcome }) => outcome)).toEqual(new Array(5).fill('OK'))
  const [get, echo, counted, stream, head] = fetches as [Fetch, Fetch, Fetch, Fetch, Fetch]
  expect(get.body.equals(large)).toBe(true)
  expect(echo.body.equals(large)).toBe(true)
  expect(counted.body.toString()).toBe('300000')
  expect(stream.body.toString()).toBe('onetwothree')
  expect(head.body.length).toBe(0)
  for (const { transfer } of fetches) stage.multi.remove(transfer)
  expect(stage.errors).toEqual([])
  await stage.close()
})

/** A body of which nobody knows the length before it ends. */
function inPieces(bytes: Uint8Array): (length: number) => Uint8Array | null {
  let at = 0
  return (length) => {
    const piece = bytes.subarray(at, at + Math.min(length, 10_000))
    at += piece.length
    return piece.length === 0 ? null : piece
  }
}

async function count(body: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0
  for await (const piece of body) size += piece.length
  return size
}

async function* pieces(): AsyncGenerator<string> {
  yield 'one'
  await null
  yield 'two'
  yield 'three'
}

scenario('reads requests that come byte by byte as those that come whole', async (bench) => {
  const stage = httpStage(bench, {
    handler: async ({ method, url, headers, contentLength }) => ({
      body: `${method} ${url} ${headers.get('x')} ${contentLength}`,
    }),
  })
  const text =
    `GET /a HTTP/1.1\r\n${HOST}X: 1\r\n\r\n` +
    `POST /b HTTP/1.1\r\n${HOST}X: 2\r\nContent-Length: 3\r\n\r\nabc` +
    `PUT /c HTTP/1.1\r\n${HOST}X: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nT: t\r\n\r\n` +
    `GET /d HTTP/1.1\r\n${HOST}X: 4\r\nConnection: close\r\n\r\n`
  const whole = await stage.exchange(text)
  expect(statuses(whole)).toEqual([200, 200, 200, 200])
  const client = stage.client()
  for (const byte of text) {
    client.write(byte)
    await stage.pass(0)
  }
  await stage.until(() => client.isOver)
  expect(client.received).toBe(whole)
  await stage.close()
})

scenario('stops under load: every connection ends, and every request hears of it', async (bench) => {
  const signals: AbortSignal[] = []
  const stage = httpStage(bench, {
    handler: (request) => {
      if (request.url !== '/wait') return { body: 'x' }
      signals.push(request.signal)
      return new Promise<never>(() => {})
    },
  })
  const clients = Array.from({ length: 20 }, (_, index) =>
    stage.client(`GET /${index % 2 === 0 ? 'wait' : 'now'} HTTP/1.1\r\n${HOST}\r\n`),
  )
  await stage.until(() => signals.length === 10)
  const stopped = stage.server.stop()
  await stage.until(() => clients.every((client) => client.isOver))
  await stage.until(() => stage.server.state === 'stopped')
  await stopped
  expect(signals.every((signal) => signal.aborted)).toBe(true)
  expect(stage.ends.filter((end) => end === '/wait shutdown')).toHaveLength(10)
  await stage.close()
})

scenario('quiesces with a stream in flight, which ends as it would have', async (bench) => {
  let next = (): void => {}
  async function* stream(): AsyncGenerator<string> {
    yield 'begun '
    await new Promise<void>((resolve) => {
      next = resolve
    })
    yield 'ended'
  }
  const stage = httpStage(bench, { handler: () => ({ body: stream() }) })
  const client = stage.client(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
  await stage.until(() => client.received.includes('begun'))
  const handles = stage.server.quiesce()
  expect(handles).toHaveLength(1)
  expect(stage.server.quiesce()).toEqual([])
  next()
  await stage.until(() => client.ended)
  expect(lastBody(client.received.replace(/\r\n\r\n$/, ''))).toMatch(/begun .*ended/s)
  const kernel = bench.simulation?.kernel ?? (await import('../../../lib/index.ts')).kernel
  for (const { fd } of handles) kernel.close(fd)
  await stage.close()
})

scenario('closes with its Multi, requests under way and all', async (bench) => {
  const multi = bench.multi()
  let seen = 0
  const stage = httpStage(
    bench,
    {
      handler: () => {
        seen++
        return new Promise<never>(() => {})
      },
    },
    multi,
  )
  const client = stage.client(`GET / HTTP/1.1\r\n${HOST}\r\n`)
  await stage.until(() => seen === 1)
  client.close()
})

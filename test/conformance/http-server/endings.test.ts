import { expect } from 'vitest'
import type { HttpRequest, HttpResponse } from '../../../lib/index.ts'
import { httpStage, lastBody, statuses } from '../../support/http-stage.ts'
import { scenario } from '../drivers.ts'

const HOST = 'Host: a\r\n'
const SHORT = { firstByteMs: 40, headersMs: 40, requestMs: 80, keepAliveMs: 40, writeStallMs: 60, lingerMs: 30 }
const LONG_MS = 100_000

function post(target: string, length: number, body = ''): string {
  return `POST ${target} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\n${body}`
}

scenario(
  'ends connections that say nothing, before the first request and between two',
  async (bench) => {
    const stage = httpStage(bench, { timeouts: SHORT, handler: () => ({ body: 'x' }) })
    expect(await stage.exchange('')).toBe('')
    expect(statuses(await stage.exchange(`GET / HTTP/1.1\r\n${HOST}\r\n`))).toEqual([200])
    await stage.until(() => stage.closes.length === 2)
    expect(stage.closes).toEqual(['timeout', 'timeout'])
    await stage.close()
  },
  { calm: true },
)

scenario(
  'answers 408 to heads and bodies that drip, and serves others meanwhile',
  async (bench) => {
    const stage = httpStage(bench, {
      timeouts: SHORT,
      handler: async (request) => ({ body: await request.text().catch((error: Error) => error.message) }),
    })
    const head = stage.client('GET / HT')
    const body = stage.client(post('/slow', 1000, 'ab'))
    let drips = 0
    while (!head.isOver || !body.isOver) {
      if (!head.isOver) head.write('T')
      if (!body.isOver) body.write('c')
      await stage.pass(5)
      if (++drips % 5 === 0 && drips < 30) {
        expect(statuses(await stage.exchange(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`))).toEqual([200])
      }
      expect(drips).toBeLessThan(200)
    }
    expect(statuses(head.received)).toEqual([408])
    expect(statuses(body.received)).toEqual([408])
    expect(stage.ends).toContain('/slow timeout')
    await stage.close()
  },
  { calm: true },
)

scenario(
  'ends a connection whose peer takes nothing of its answer',
  async (bench) => {
    const body = new Uint8Array(16 * 1024 * 1024)
    const stage = httpStage(bench, { timeouts: { ...SHORT, keepAliveMs: LONG_MS }, handler: () => ({ body }) })
    const client = stage.client(`GET /stall HTTP/1.1\r\n${HOST}\r\n`)
    client.pauseReading()
    await stage.until(() => stage.closes.length === 1)
    expect(stage.closes).toEqual(['timeout'])
    await stage.close()
  },
  { calm: true },
)

scenario(
  'counts an answer as movement of its connection',
  async (bench) => {
    let answer = (): void => {}
    let asked: HttpRequest | null = null
    const handler = (request: HttpRequest): Promise<HttpResponse> => {
      asked = request
      return new Promise((resolve) => {
        answer = () => resolve({ body: 'x' })
      })
    }
    const stage = httpStage(bench, { handler })
    const client = stage.client(`GET / HTTP/1.1\r\n${HOST}\r\n`)
    await stage.until(() => asked !== null)
    await stage.pass(500)
    answer()
    await stage.until(() => client.received.endsWith('x'))
    expect((asked as HttpRequest | null)?.connection.idleMs).toBeLessThan(500)
    await stage.close()
  },
  { on: 'simulated', calm: true },
)

scenario('tells how each request ended', async (bench) => {
  const answers = new Map<string, () => void>()
  const aborted: string[] = []
  const stage = httpStage(bench, {
    handler: (request) => {
      request.signal.addEventListener('abort', () => aborted.push(`${request.url} ${request.signal.reason.code}`))
      return new Promise((resolve) => answers.set(request.url, () => resolve({ body: request.url })))
    },
  })
  const get = (target: string): string => `GET ${target} HTTP/1.1\r\n${HOST}\r\n`
  const completed = stage.client(get('/completed'))
  await stage.until(() => answers.has('/completed'))
  answers.get('/completed')?.()
  await stage.until(() => lastBody(completed.received) === '/completed')
  const reset = stage.client(get('/reset'))
  const ended = stage.client(get('/ended'))
  const cut = stage.client(post('/cut', 100, 'ab'))
  const stopped = stage.client(get('/stopped'))
  await stage.until(() => answers.size === 5)
  reset.reset()
  ended.end()
  cut.end()
  await stage.until(() => stage.ends.length === 4)
  expect(stopped.isOver).toBe(false)
  await stage.close()
  expect(stage.ends.toSorted()).toEqual([
    '/completed completed',
    '/cut read-error',
    '/ended client-abort',
    '/reset client-abort',
    '/stopped shutdown',
  ])
  expect(aborted.toSorted()).toEqual(stage.ends.filter((end) => !end.startsWith('/completed')).toSorted())
  for (const answer of answers.values()) answer()
  expect(stage.errors).toEqual([])
})

scenario('answers a peer that closed its half, when told to', async (bench) => {
  const stage = httpStage(bench, {
    halfClose: 'answer',
    handler: async (request) => ({ body: await request.text() }),
  })
  const client = stage.client(post('/', 2, 'ab') + post('/', 2, 'cd'))
  client.end()
  await stage.until(() => client.isOver)
  expect(statuses(client.received)).toEqual([200, 200])
  expect(lastBody(client.received)).toBe('cd')
  await stage.close()
})

scenario('answers early, and keeps the connection when the rest of the body is short', async (bench) => {
  const stage = httpStage(bench, { limits: { discardBytes: 1000 }, handler: () => ({ body: 'early' }) })
  const client = stage.client(post('/', 500, 'a'))
  await stage.until(() => client.received.endsWith('early'))
  client.write('a'.repeat(499))
  client.write(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
  await stage.until(() => client.ended)
  expect(statuses(client.received)).toEqual([200, 200])
  const long = await stage.exchange(post('/', 100_000, 'a'.repeat(50_000)))
  expect(long).toContain('Connection: close')
  expect(long.endsWith('early')).toBe(true)
  const chunked = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`
  const chunks = `400\r\n${'a'.repeat(1024)}\r\n`.repeat(5)
  expect((await stage.exchange(chunked + chunks)).endsWith('early')).toBe(true)
  expect(stage.ends).toEqual(new Array(4).fill('/ completed'))
  await stage.close()
})

scenario('drives a request in three phases, with a body that is held back', async (bench) => {
  const log: string[] = []
  let held: HttpRequest | null = null
  const stage = httpStage(bench, {
    driver: {
      onHeaders: (request) => {
        log.push(`headers ${request.url}`)
        if (request.url === '/now') request.respond({ body: 'now' })
      },
      onBody: (request, bytes) => {
        log.push(Buffer.from(bytes).toString())
        if (held !== null || !request.url.startsWith('/held')) return undefined
        held = request
        return 1
      },
      onEnd: (request) => {
        log.push(`end ${request.url}`)
        request.respond({ body: 'done' })
      },
    },
  })
  const client = stage.client(post('/held', 3, 'abc'))
  await stage.until(() => held !== null)
  expect(log).toEqual(['headers /held', expect.stringMatching(/^a/)])
  expect(client.received).toBe('')
  const request = held as unknown as HttpRequest
  request.resume()
  await stage.until(() => client.received.endsWith('done'))
  expect(log.at(-1)).toBe('end /held')
  expect(() => request.respond({})).not.toThrow()
  client.write(post('/now', 2, 'xy'))
  await stage.until(() => client.received.endsWith('now'))
  client.write(`GET /end HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
  await stage.until(() => client.ended)
  expect(statuses(client.received)).toEqual([200, 200, 200])
  expect(log.slice(-3)).toEqual(['headers /now', 'headers /end', 'end /end'])
  await stage.close()
})

scenario(
  'drains: answers what is under way with its last words, and ends who is idle',
  async (bench) => {
    let answer = (): void => {}
    const stage = httpStage(bench, {
      drainIdleMs: 20,
      handler: ({ url }) =>
        url === '/wait' ? new Promise((resolve) => (answer = () => resolve({ body: 'late' }))) : { body: 'x' },
    })
    const idle = stage.client(`GET / HTTP/1.1\r\n${HOST}\r\n`)
    const last = stage.client(`GET / HTTP/1.1\r\n${HOST}\r\n`)
    const busy = stage.client(`GET /wait HTTP/1.1\r\n${HOST}\r\n`)
    await stage.until(() => idle.received.endsWith('x') && last.received.endsWith('x') && answer.length === 0)
    await stage.until(() => stage.server.stats().connections === 3)
    const drained = stage.server.drain({ deadlineMs: 5000 })
    last.write(`GET / HTTP/1.1\r\n${HOST}\r\n`)
    await stage.until(() => last.isOver && idle.isOver)
    expect(statuses(last.received)).toEqual([200, 200])
    expect(last.received).toContain('Connection: close')
    expect(statuses(idle.received)).toEqual([200])
    expect(busy.received).toBe('')
    answer()
    await stage.until(() => busy.ended)
    expect(busy.received).toMatch(/Connection: close\r\n\r\nlate$/)
    for (const client of [idle, last, busy]) client.close()
    await stage.until(() => stage.server.state === 'stopped')
    expect((await drained).complete).toBe(true)
    await stage.close()
  },
  { calm: true },
)

import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { fileResponse, type HttpResponse, PAUSE, prepareResponse } from '../../../lib/index.ts'
import { httpStage, lastBody } from '../../support/http-stage.ts'
import type { Bench } from '../bench.ts'
import { scenario } from '../drivers.ts'

const SIZE = 200_000
const CONTENT = Buffer.alloc(SIZE)
for (let at = 0; at < SIZE; at++) CONTENT[at] = 97 + ((at * 7 + (at >> 8)) % 26)
const TEXT = CONTENT.toString('latin1')
const PATH = join(tmpdir(), `sockmux-served-${process.pid}.txt`)
writeFileSync(PATH, CONTENT)
afterAll(() => rmSync(PATH))

const HOST = 'Host: a\r\n'
const CLOSE = 'Connection: close\r\n'

function get(target: string, fields = '', version = '1.1'): string {
  return `GET ${target} HTTP/${version}\r\n${HOST}${fields}\r\n`
}

/** The file, wherever the bench reads files. */
function store(bench: Bench): void {
  bench.simulation?.files.put(PATH, CONTENT)
}

function openFiles(bench: Bench): number {
  if (bench.simulation !== null) return bench.simulation.files.openCount
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === PATH
    } catch {
      return false
    }
  }).length
}

const prepared = prepareResponse({ body: CONTENT.subarray(0, 100) })

function* pieces(size: number): Generator<Uint8Array> {
  for (let at = 0; at < SIZE; at += size) yield CONTENT.subarray(at, at + size)
}

async function* later(size: number): AsyncGenerator<Uint8Array> {
  for (const piece of pieces(size)) {
    await Promise.resolve()
    yield piece
  }
}

const ANSWERS: Record<string, () => HttpResponse> = {
  '/string': () => ({ body: TEXT }),
  '/bytes': () => ({ body: CONTENT }),
  '/gathered': () => ({ body: [...pieces(10_001)] }),
  '/file': () => ({ body: { file: PATH } }),
  '/part': () => ({ body: { file: PATH, offset: 5, length: 100_000 } }),
  '/pulled': () => ({ body: (at, most) => (at < SIZE ? CONTENT.subarray(at, at + most) : null) }),
  '/iterable': () => ({ body: pieces(30_000), trailers: { 'x-end': 'yes' } }),
  '/async': () => ({ body: later(40_000) }),
  '/stream': () => ({ body: new Blob([CONTENT.subarray(0, 50_000)]).stream() }),
  '/prepared': () => prepared,
  '/empty': () => ({ status: 204 }),
}

/** What each of them is, once decoded. */
function expected(target: string): string {
  const parts: Record<string, [number, number]> = {
    '/part': [5, 100_005],
    '/stream': [0, 50_000],
    '/prepared': [0, 100],
    '/empty': [0, 0],
  }
  const [start, end] = parts[target] ?? [0, SIZE]
  return TEXT.slice(start, end)
}

/** The bodies of answers that stand one behind the other. */
function decode(received: string): string[] {
  const bodies: string[] = []
  for (let at = 0; at < received.length; ) {
    const end = received.indexOf('\r\n\r\n', at) + 4
    const head = received.slice(at, end)
    const [, length] = /Content-Length: (\d+)/.exec(head) ?? []
    at = end
    let body = ''
    if (length !== undefined) {
      body = received.slice(at, at + Number(length))
      at += Number(length)
    } else if (head.includes('chunked')) {
      for (let size = -1; size !== 0; ) {
        const line = received.indexOf('\r\n', at)
        size = Number.parseInt(received.slice(at, line), 16)
        body += received.slice(line + 2, line + 2 + size)
        at = size === 0 ? received.indexOf('\r\n\r\n', at) + 4 : line + 2 + size + 2
      }
    }
    bodies.push(body)
  }
  return bodies
}

scenario('sends bodies of every kind, one behind the other on one connection', async (bench) => {
  store(bench)
  const stage = httpStage(bench, { handler: ({ url }) => (ANSWERS[url] as () => HttpResponse)() })
  const targets = Object.keys(ANSWERS)
  const last = targets.length - 1
  const requests = targets.map((target, index) => get(target, index === last ? CLOSE : ''))
  const client = stage.client(requests.join(''))
  await stage.until(() => client.isOver)
  expect([client.failed, ...stage.closes, ...stage.errors]).toEqual([null, 'done'])
  const bodies = decode(client.received)
  expect(bodies.map((body) => body.length)).toEqual(targets.map((target) => expected(target).length))
  for (const [index, target] of targets.entries()) expect(bodies[index] === expected(target), target).toBe(true)
  expect(openFiles(bench)).toBe(0)
  await stage.close()
})

scenario('sends them to old clients, until the connection ends', async (bench) => {
  store(bench)
  const stage = httpStage(bench, { handler: ({ url }) => (ANSWERS[url] as () => HttpResponse)() })
  for (const target of ['/pulled', '/file', '/async']) {
    const received = await stage.exchange(get(target, '', '1.0'))
    expect(lastBody(received) === expected(target), target).toBe(true)
  }
  await stage.close()
})

scenario('closes what a body holds when its reader stops and goes', async (bench) => {
  store(bench)
  let returned = 0
  function* long(): Generator<Uint8Array> {
    try {
      for (let i = 0; i < 30; i++) yield CONTENT.subarray(0, 50_000)
    } finally {
      returned++
    }
  }
  const big = { file: PATH }
  let begun = 0
  const stage = httpStage(bench, {
    handler: ({ url }) => {
      begun++
      return { body: url === '/file' ? big : long() }
    },
  })
  const clients = ['/long', '/long'].map((target) => {
    const client = stage.client()
    client.pauseReading()
    client.write(get(target))
    return client
  })
  await stage.until(() => begun === 2)
  await stage.pass(50)
  for (const client of clients) client.reset()
  await stage.until(() => stage.closes.length === 2)
  expect(returned).toBe(2)
  const reader = stage.client(get('/file').repeat(3))
  await stage.until(() => reader.received.length > 0)
  reader.reset()
  await stage.until(() => stage.closes.length === 3)
  expect(openFiles(bench)).toBe(0)
  await stage.close()
})

scenario('cuts an answer whose producer fails so that the client sees it', async (bench) => {
  const stage = httpStage(bench, {
    handler: ({ url }) => ({
      body: (position: number) => {
        if (position > 0) throw new Error('the disk is on fire')
        return url
      },
    }),
  })
  for (const version of ['1.1', '1.0']) {
    const client = stage.client(get('/part', '', version))
    await stage.until(() => client.isOver)
    expect(client.ended).toBe(false)
    expect(client.failed).toBe('ECONNRESET')
    expect(client.received).not.toContain('\r\n0\r\n')
  }
  await stage.until(() => stage.ends.length === 2)
  expect(stage.ends).toEqual(['/part error', '/part error'])
  await stage.close()
})

scenario('goes on with a function that paused when the request is resumed', async (bench) => {
  const waiting: (() => void)[] = []
  const stage = httpStage(bench, {
    handler: (request) => {
      let turn = 0
      return {
        body: () => {
          turn++
          if (turn === 2) waiting.push(() => request.resume())
          return turn === 1 ? 'first ' : turn === 2 ? PAUSE : turn === 3 ? 'second' : null
        },
      }
    },
  })
  const client = stage.client(get('/', CLOSE))
  await stage.until(() => waiting.length === 1 && client.received.includes('first'))
  await stage.pass(20)
  expect(client.received).not.toContain('second')
  for (const resume of waiting) resume()
  await stage.until(() => client.ended)
  expect(decode(client.received)).toEqual(['first second'])
  await stage.close()
})

scenario('answers with a file, its parts, or that nothing changed', async (bench) => {
  store(bench)
  const files = bench.simulation?.files
  const stage = httpStage(bench, {
    handler: (request) => fileResponse(request, PATH, files === undefined ? {} : { files }),
  })
  const whole = await stage.exchange(get('/', CLOSE))
  const etag = /etag: (\S+)/.exec(whole)?.[1]
  expect(lastBody(whole) === TEXT).toBe(true)
  expect(lastBody(await stage.exchange(get('/', `Range: bytes=10-109999\r\n${CLOSE}`)))).toBe(TEXT.slice(10, 110_000))
  const parts = await stage.exchange(get('/', `Range: bytes=0-9,100000-199999\r\n${CLOSE}`))
  expect(parts).toContain('multipart/byteranges')
  expect(parts).toContain(`\r\n\r\n${TEXT.slice(100_000, 200_000)}\r\n--`)
  expect(await stage.exchange(get('/', `If-None-Match: ${etag}\r\n${CLOSE}`))).toContain('304 Not Modified')
  expect(openFiles(bench)).toBe(0)
  await stage.close()
})

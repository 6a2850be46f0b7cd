import { afterEach, describe, expect, it } from 'vitest'
import type { HttpResponse } from '../../../lib/server/http/response/response.ts'
import { HeaderList } from '../../../lib/wire/http1/header-list.ts'
import { simulate } from '../../sim/simulation.ts'
import { type AnswerFunction, ResponseBench, type ResponseBenchOptions } from '../../support/response-bench.ts'

const benches: ResponseBench[] = []

function open(answer: AnswerFunction, options: Partial<ResponseBenchOptions> = {}): ResponseBench {
  const bench = new ResponseBench({ simulation: simulate(1), answer, ...options })
  benches.push(bench)
  return bench
}

afterEach(() => {
  for (const bench of benches.splice(0)) bench.close()
})

const DATE = 'Date: Thu, 29 Feb 2024 12:00:01 GMT\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: a'
const GET_CLOSE = `${GET}\r\nConnection: close`
const HEAD = 'HEAD / HTTP/1.1\r\nHost: a'
const OLD = 'GET / HTTP/1.0'
const OLD_KEEP = `${OLD}\r\nConnection: keep-alive`

/** The whole answer to one request, without the date; '(end)' behind it when the connection was closed. */
function answerTo(request: string, response: HttpResponse, options: Partial<ResponseBenchOptions> = {}): string {
  const bench = open(() => response, options)
  bench.ask(request)
  bench.step()
  bench.read()
  const [before, after = ''] = bench.received.split(DATE)
  return `${before}${after}${bench.end === null ? '' : `(${bench.end})`}`
}

describe('heads', () => {
  it('carry the date, what the program gives in its order, and the length of the body', () => {
    const bench = open(() => ({
      body: 'Hello',
      headers: { 'content-type': 'text/plain', 'X-Two': ['1', '2'], age: 3 },
    }))
    bench.ask(GET)
    bench.step()
    bench.read()
    expect(bench.received).toBe(
      `HTTP/1.1 200 OK\r\n${DATE}content-type: text/plain\r\nX-Two: 1\r\nX-Two: 2\r\nage: 3\r\n` +
        'Content-Length: 5\r\n\r\nHello',
    )
  })

  it('carry the date of the second in which they leave', () => {
    const simulation = simulate(1)
    const bench = open(() => ({}), { simulation })
    const dates: (string | undefined)[] = []
    for (const at of [1500, 2999, 3000, 65_000]) {
      simulation.world.advanceTo(at)
      bench.received = ''
      bench.ask(GET)
      bench.step()
      bench.read()
      dates.push(/Date: .* (\S+) GMT/.exec(bench.received)?.[1])
    }
    expect(dates).toEqual(['12:00:01', '12:00:02', '12:00:03', '12:01:05'])
  })

  it.each<[string, HttpResponse, string]>([
    ['pairs', { headers: [['a', 'b'], ['A', 'c']] }, 'a: b\r\nA: c\r\n'],
    ['a map', { headers: new Map([['a', 'b']]) }, 'a: b\r\n'],
    ['a list', { headers: HeaderList.fromRecord({ a: ['b', 'c'] }) }, 'a: b\r\na: c\r\n'],
    ['a record with an absent field', { headers: { a: undefined, b: '' } }, 'b: \r\n'],
    ['a date of its own', { headers: { DATE: 'today' } }, 'DATE: today\r\n'],
    ['text beyond ASCII', { headers: { a: 'Zoë\t' } }, 'a: Zoë\t\r\n'],
  ])('take %s', (_name, response, lines) => {
    expect(answerTo(GET, response)).toBe(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 0\r\n\r\n`)
  }) // biome-ignore format: a table

  it.each<[number, string | undefined, string]>([
    [200, undefined, '200 OK'],
    [404, undefined, '404 Not Found'],
    [299, undefined, '299 '],
    [999, undefined, '999 '],
    [404, 'Gone fishing', '404 Gone fishing'],
    [200, '', '200 '],
  ])('say %i %s as they should', (status, reason, line) => {
    const answer = answerTo(GET, reason === undefined ? { status } : { status, reason })
    expect(answer).toBe(`HTTP/1.1 ${line}\r\nContent-Length: 0\r\n\r\n`)
  })

  it('name the server and leave out the date when asked to', () => {
    const settings = { server: 'sockmux', date: false }
    expect(answerTo(GET, {}, { settings })).toBe('HTTP/1.1 200 OK\r\nServer: sockmux\r\nContent-Length: 0\r\n\r\n')
    const own = answerTo(GET, { headers: { server: 'mine' } }, { settings })
    expect(own).toBe('HTTP/1.1 200 OK\r\nserver: mine\r\nContent-Length: 0\r\n\r\n')
  })

  it.each<[string, unknown, RegExp]>([
    ['a line feed in a value', { headers: { a: 'b\nc' } }, /headers\['a'\]/],
    ['a carriage return in a value', { headers: { a: 'b\rc' } }, /headers\['a'\]/],
    ['a NUL in a value', { headers: { a: 'b\0' } }, /headers\['a'\]/],
    ['a character beyond Latin-1', { headers: { a: '€' } }, /headers\['a'\]/],
    ['a line break in one of several values', { headers: { a: ['b', 'c\r\nd: e'] } }, /headers\['a'\]/],
    ['a line break in a name', { headers: { 'a\r\nb': 'c' } }, /token/],
    ['a colon in a name', { headers: { 'a:': 'c' } }, /token/],
    ['an empty name', { headers: [['', 'c']] }, /token/],
    ['a name that is no text', { headers: [[1, 'c']] }, /token/],
    ['a value that is no text', { headers: { a: {} } }, /headers\['a'\]/],
    ['fields that are no pairs', { headers: ['a: b'] }, /pairs/],
    ['fields as text', { headers: 'a: b' }, /record/],
    ['a line break in the reason', { reason: 'O\r\nK' }, /reason/],
    ['a reason that is no text', { reason: 1 }, /reason/],
    ['a status below 200', { status: 100 }, /status/],
    ['a status above 999', { status: 1000 }, /status/],
    ['a status that is no integer', { status: 200.5 }, /status/],
    ['a status that is no number', { status: '200' }, /status/],
    ['a length that is no number', { headers: { 'content-length': 'x' } }, /content-length/],
    ['two lengths', { headers: { 'Content-Length': ['1', '2'] } }, /content-length/],
    ['a length that is not that of the body', { headers: { 'Content-Length': 3 }, body: 'four' }, /has 4 bytes/],
    ['a coding that is not chunked', { headers: { 'Transfer-Encoding': 'gzip, chunked' } }, /transfer-encoding/],
    ['a number for a body', { body: 1 }, /body/],
    ['an unknown object for a body', { body: { path: 'a' } }, /body/],
    ['pieces that are no bytes', { body: [1] }, /body/],
    ['a pull that is no function', { body: { pull: 1 } }, /body\.pull/],
    ['a length of a pull that is none', { body: { pull: () => null, length: -1 } }, /body\.length/],
    ['a length among the trailers', { body: 'a', trailers: { 'content-length': '1' } }, /trailers/],
    ['a line break in the trailers', { body: 'a', trailers: { a: 'b\n' } }, /trailers\['a'\]/],
  ])('refuse %s before a byte has left', (_name, response, message) => {
    const answer = answerTo(GET, response as HttpResponse)
    expect(answer).toMatch(/^HTTP\/1.1 500 Internal Server Error\r\nContent-Length: \d+\r\n\r\noption /)
    expect(answer).toMatch(message)
  })
})

/** Every kind of body that gives these pieces. */
const PIECES = ['He', 'llo, ', 'wörld']
const TEXT = PIECES.join('')
const BYTES = Buffer.from(TEXT)
const WIRE = BYTES.toString('latin1')

async function* slowly(): AsyncGenerator<string> {
  for (const piece of PIECES) {
    await new Promise((resolve) => setImmediate(resolve))
    yield piece
  }
}

const KINDS: Record<string, { body: () => NonNullable<HttpResponse['body']>; length: number }> = {
  'a string': { body: () => TEXT, length: BYTES.length },
  bytes: { body: () => BYTES, length: BYTES.length },
  'several buffers': { body: () => PIECES.map((piece) => Buffer.from(piece)), length: BYTES.length },
  'a function': { body: () => pulled(), length: -1 },
  'a function of known length': { body: () => ({ pull: pulled(), length: BYTES.length }), length: BYTES.length },
  'an iterable': { body: () => new Set(PIECES), length: -1 },
  'an async iterable': { body: slowly, length: -1 },
  'a web stream': { body: () => new Blob([TEXT]).stream(), length: -1 },
  'a file': { body: () => ({ file: '/hello' }), length: BYTES.length },
  'a part of a file': { body: () => ({ file: '/padded', offset: 3, length: BYTES.length }), length: BYTES.length },
}

function pulled(): (position: number, bytesMax: number) => Uint8Array | null {
  return (position) => (position === BYTES.length ? null : BYTES.subarray(position, position + 5))
}

const CHUNKED = /^Transfer-Encoding: chunked\r\n/m

function decodeChunks(body: string): string {
  let text = ''
  for (let at = 0; ; ) {
    const [line = '', hex = ''] = /^([0-9a-f]+)\r\n/.exec(body.slice(at)) ?? []
    const size = Number.parseInt(hex, 16)
    if (size === 0) {
      expect(body.slice(at)).toBe('0\r\n\r\n')
      return text
    }
    text += body.slice(at + line.length, at + line.length + size)
    expect(body.slice(at + line.length + size, at + line.length + size + 2)).toBe('\r\n')
    at += line.length + size + 2
  }
}

describe.each(Object.entries(KINDS))('a body that is %s', (_name, { body, length }) => {
  const requests: [string, string][] = [
    ['HTTP/1.1', GET],
    ['HTTP/1.1, the last one', GET_CLOSE],
    ['HTTP/1.0', OLD],
    ['HTTP/1.0 that stays', OLD_KEEP],
    ['HEAD', HEAD],
  ]
  it.each(requests)('is sent to %s', async (_title, request) => {
    const simulation = simulate(1)
    simulation.files.put('/hello', BYTES)
    simulation.files.put('/padded', Buffer.concat([Buffer.from('***'), BYTES, Buffer.from('***')]))
    let answered = 0
    const bench = open(() => (answered++ === 0 ? { body: body() } : { body: 'next' }), { simulation })
    bench.ask(request)
    const isOld = request.includes('HTTP/1.0')
    const isHead = request.startsWith('HEAD')
    const stays = !(request === GET_CLOSE || request === OLD || (isOld && length < 0))
    if (stays) bench.ask(GET)
    await bench.run(() => (stays ? bench.received.endsWith('next') : bench.end === 'end'))
    const [head = '', ...rest] = bench.received.split('\r\n\r\n')
    const sent = rest.join('\r\n\r\n').split('HTTP/1.1 200 OK')[0] ?? ''
    expect(head.includes('\r\nConnection: close')).toBe(!stays)
    expect(head.includes('\r\nConnection: keep-alive')).toBe(isOld && stays)
    if (length >= 0) expect(head).toContain(`\r\nContent-Length: ${length}`)
    else expect(head).not.toContain('Content-Length')
    expect(CHUNKED.test(`${head}\r\n`)).toBe(length < 0 && !isOld)
    if (isHead) expect(sent).toBe('')
    else expect(length < 0 && !isOld ? decodeChunks(sent) : sent).toBe(WIRE)
    expect(simulation.files.openCount).toBe(0)
  })
})

const NOT_MODIFIED = { status: 304, headers: { 'content-length': '9' } }

describe('statuses without a body', () => {
  it.each<[string, string, HttpResponse, string]>([
    ['204 to GET', GET, { status: 204, body: 'ignored' }, '204 No Content\r\n\r\n'],
    ['205 to GET', GET, { status: 205, body: 'ignored' }, '205 Reset Content\r\nContent-Length: 0\r\n\r\n'],
    ['304 to GET', GET, { status: 304 }, '304 Not Modified\r\n\r\n'],
    ['304 with a length', GET, NOT_MODIFIED, '304 Not Modified\r\nContent-Length: 9\r\n\r\n'],
    ['304 with a body', GET, { status: 304, body: 'four' }, '304 Not Modified\r\nContent-Length: 4\r\n\r\n'],
    ['HEAD with a length', HEAD, { headers: { 'content-length': '9' } }, '200 OK\r\nContent-Length: 9\r\n\r\n'],
    ['HEAD of nothing', HEAD, {}, '200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1', {}, '200 OK\r\n\r\n'],
    ['CONNECT refused', 'CONNECT a:1 HTTP/1.1', { status: 403 }, '403 Forbidden\r\nContent-Length: 0\r\n\r\n'],
  ])('are sent as they must be: %s', (_name, request, response, expected) => {
    expect(answerTo(request, response)).toBe(`HTTP/1.1 ${expected}`)
  }) // biome-ignore format: a table
})

describe('the connection', () => {
  it.each<[string, string, HttpResponse['headers'], string]>([
    ['closes when the program says so', GET, { connection: 'Close' }, 'Connection: close\r\n\r\n(end)'],
    ['stays whatever the program says of that', GET, { connection: 'keep-alive' }, '\r\n'],
    ['keeps other options', GET, { Connection: 'keep-alive, X-Hop' }, 'Connection: X-Hop\r\n\r\n'],
    ['closes with other options', GET, { Connection: ['X-Hop', 'close'] }, 'Connection: X-Hop, close\r\n\r\n(end)'],
    ['closes when the client asks', GET_CLOSE, {}, 'Connection: close\r\n\r\n(end)'],
    ['closes to an old client', OLD, {}, 'Connection: close\r\n\r\n(end)'],
    ['stays for an old client that asks', OLD_KEEP, {}, 'Connection: keep-alive\r\n\r\n'],
    ['closes to it when the program says so', OLD_KEEP, { connection: 'close' }, 'Connection: close\r\n\r\n(end)'],
  ])('%s', (_name, request, headers, tail) => {
    expect(answerTo(request, { headers: headers ?? {} })).toBe(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${tail}`)
  }) // biome-ignore format: a table
})

describe('chunks', () => {
  it('are sent on request also where the length is known, with trailers', () => {
    const headers = { 'transfer-encoding': 'chunked' }
    const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
    expect(answerTo(GET, { headers, body: 'ten bytes!' })).toBe(`${chunked}a\r\nten bytes!\r\n0\r\n\r\n`)
    expect(answerTo(GET, { headers })).toBe(`${chunked}0\r\n\r\n`)
    const trailers = { 'x-sum': '1' }
    expect(answerTo(GET, { trailers, body: 'abc' })).toBe(`${chunked}3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n`)
    expect(answerTo(GET, { trailers: () => trailers, body: ['a', 'b'] })).toBe(
      `${chunked}2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n`,
    )
    expect(answerTo(OLD_KEEP, { headers, trailers, body: 'abc' })).toBe(
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc',
    )
  })

  it('end with trailers that are asked for when the body has ended', () => {
    let count = 0
    const body = function* (): Generator<string> {
      for (const piece of ['a', '', 'b']) {
        count++
        yield piece
      }
    }
    expect(answerTo(GET, { body: body(), trailers: () => ({ 'x-count': count }) })).toBe(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nx-count: 3\r\n\r\n',
    )
  })

  it('are not used for a body whose length the program knows', () => {
    const body = new Set(['abc', 'def'])
    expect(answerTo(GET, { body, headers: { 'content-length': 6 } })).toBe(
      'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef',
    )
  })
})

describe('informational answers', () => {
  it('stand before the response', () => {
    const answer: AnswerFunction = (_request, sender) => {
      sender.informational(103, { link: '</a.css>; rel=preload' })
      sender.informational(100)
      return { body: 'x' }
    }
    const bench = open(answer)
    bench.ask(GET)
    bench.step()
    bench.read()
    expect(bench.received).toBe(
      'HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n' +
        `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 1\r\n\r\nx`,
    )
    expect(() => bench.sender.informational(200)).toThrow(/status/)
    expect(() => bench.sender.informational(103, { a: '\n' })).toThrow(/headers\['a'\]/)
  })
})

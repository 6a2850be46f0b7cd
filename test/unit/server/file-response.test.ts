import { closeSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { contentTypeOf } from '../../../lib/server/http/response/content-types.ts'
import { type FileResponseOptions, fileResponse } from '../../../lib/server/http/response/file-response.ts'
import type { DescriptorBody } from '../../../lib/server/http/response/response.ts'
import { HeaderList } from '../../../lib/wire/http1/header-list.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { ResponseBench } from '../../support/response-bench.ts'

const CONTENT = '0123456789'.repeat(10)
const MODIFIED = Date.UTC(1994, 10, 6, 8, 49, 37)
const LAST_MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT'
const ETAG = `"${(MODIFIED * 1000).toString(16)}-64"`

let simulation: Simulation
let bench: ResponseBench | null = null

afterEach(() => {
  if (bench !== null) expect(simulation.files.openCount).toBe(0)
  bench?.close()
  bench = null
})

/** What a client of a server of this one file gets. */
function ask(request: string, options: FileResponseOptions = {}, path = '/a.txt'): { head: string; body: string } {
  bench?.close()
  simulation = simulate(1)
  const { files } = simulation
  files.put('/a.txt', CONTENT, MODIFIED)
  files.put('/empty', '', MODIFIED)
  const settings = { server: null, date: false }
  bench = new ResponseBench({
    simulation,
    settings,
    answer: ({ method, head }) => {
      const fields = head.split('\r\n').slice(1).map((line) => line.split(/: ?(.*)/s, 2) as [string, string])
      return fileResponse({ method, headers: HeaderList.fromPairs(fields) }, path, { files, ...options })
    },
  }) // biome-ignore format: short
  bench.ask(request)
  bench.step()
  bench.read()
  const end = bench.received.indexOf('\r\n\r\n')
  return { head: bench.received.slice(0, end), body: bench.received.slice(end + 4) }
}

const GET = 'GET / HTTP/1.1'

describe('a file', () => {
  it('is sent with what its client can ask by later', () => {
    expect(ask(GET)).toEqual({
      head: [
        'HTTP/1.1 200 OK',
        `etag: ${ETAG}`,
        `last-modified: ${LAST_MODIFIED}`,
        'accept-ranges: bytes',
        'content-type: text/plain; charset=utf-8',
        'Content-Length: 100',
      ].join('\r\n'),
      body: CONTENT,
    })
    expect(ask('HEAD / HTTP/1.1')).toEqual({ head: expect.stringContaining('Content-Length: 100'), body: '' })
    expect(ask(GET, {}, '/empty').head).toContain('Content-Length: 0')
  })

  it('is sent as the options say', () => {
    const options = { contentType: 'a/b', lastModified: false, ranges: false, headers: { 'cache-control': 'no-cache' } }
    expect(ask(`${GET}\r\nRange: bytes=0-0`, { etag: false, ...options })).toEqual({
      head: 'HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: a/b\r\nContent-Length: 100',
      body: CONTENT,
    })
    expect(ask(GET, { etag: 'weak' }).head).toContain(`etag: W/${ETAG}`)
  })

  it.each<[string, string, string, string]>([
    ['a range', 'Range: bytes=10-19', '206 Partial Content', '0123456789'],
    ['its end', 'Range: bytes=-3', '206 Partial Content', '789'],
    ['a range of this version', `Range: bytes=0-0\r\nIf-Range: ${ETAG}`, '206 Partial Content', '0'],
    ['a range of another version', 'Range: bytes=0-0\r\nIf-Range: "x"', '200 OK', CONTENT],
    ['nonsense', 'Range: bytes=x', '200 OK', CONTENT],
    ['what is beyond it', 'Range: bytes=100-', '416 Range Not Satisfiable', 'Range Not Satisfiable\n'],
    ['the version that it has', `If-None-Match: ${ETAG}\r\nRange: bytes=0-0`, '304 Not Modified', ''],
    ['changes since the last', `If-Modified-Since: ${LAST_MODIFIED}`, '304 Not Modified', ''],
    ['another version only', 'If-Match: "x"', '412 Precondition Failed', 'Precondition Failed\n'],
  ])('answers who asks for %s', (_name, fields, status, body) => {
    const answer = ask(`${GET}\r\n${fields}`)
    expect(answer.head).toContain(`HTTP/1.1 ${status}\r\n`)
    expect(answer.body).toBe(body)
  })

  it('tells which part it is, or how much there is', () => {
    expect(ask(`${GET}\r\nRange: bytes=10-19`).head).toContain('content-range: bytes 10-19/100\r\n')
    expect(ask(`${GET}\r\nRange: bytes=100-`).head).toContain('content-range: bytes */100\r\n')
    const unchanged = ask(`${GET}\r\nIf-None-Match: *`).head
    expect(unchanged).toContain(`etag: ${ETAG}`)
    expect(unchanged).not.toContain('Content-Length')
  })

  it('is sent whole to HEAD, whatever range that asks for', () => {
    expect(ask('HEAD / HTTP/1.1\r\nRange: bytes=0-0').head).toContain('200 OK')
  })

  it('is sent in parts', () => {
    const { head, body } = ask(`${GET}\r\nRange: bytes=0-1,50-59,-1`)
    const boundary = /multipart\/byteranges; boundary=(\S+)/.exec(head)?.[1]
    const part = (range: string, text: string): string =>
      `--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes ${range}/100\r\n\r\n${text}\r\n`
    expect(head).toContain('HTTP/1.1 206 Partial Content\r\n')
    expect(body).toBe(`${part('0-1', '01')}${part('50-59', '0123456789')}${part('99-99', '9')}--${boundary}--\r\n`)
    expect(head).toContain(`Content-Length: ${body.length}`)
  })

  it('is not sent in more parts than the limit', () => {
    expect(ask(`${GET}\r\nRange: bytes=0-0,5-5,9-9`, { rangesMax: 2 }).body).toBe(CONTENT)
    expect(ask(`${GET}\r\nRange: bytes=0-0,5-5`, { rangesMax: 2 }).head).toContain('multipart/byteranges')
  })
})

describe('what is no file', () => {
  it.each([
    ['/nowhere', '404 Not Found'],
    ['/a\0.txt', '404 Not Found'],
  ])('is told of %j', (path, status) => {
    expect(ask(GET, {}, path).head).toContain(`HTTP/1.1 ${status}\r\n`)
  })

  it('is told of a method that files do not have', () => {
    expect(ask('POST / HTTP/1.1').head).toContain('HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD\r\n')
  })

  it.each<[string, () => unknown, RegExp]>([
    ['an unknown option', () => fileResponse(REQUEST, '/a', { range: true } as FileResponseOptions), /range/],
    ['an etag', () => fileResponse(REQUEST, '/a', { etag: true as unknown as false }), /etag/],
    ['a path', () => fileResponse(REQUEST, 1 as unknown as string), /path/],
    ['a limit', () => fileResponse(REQUEST, '/a', { rangesMax: 0 }), /rangesMax/],
  ])('refuses %s that is wrong', (_name, call, message) => {
    expect(call).toThrow(message)
  })
})

const REQUEST = { method: 'GET', headers: HeaderList.EMPTY }

describe('on the disk', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sockmux-files-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  it('files are found, and directories are none', () => {
    const path = join(directory, 'a.html')
    writeFileSync(path, CONTENT)
    utimesSync(path, MODIFIED / 1000, MODIFIED / 1000)
    const response = fileResponse(REQUEST, path)
    expect(response).toMatchObject({
      status: 200,
      headers: { etag: ETAG, 'last-modified': LAST_MODIFIED, 'content-type': 'text/html; charset=utf-8' },
    })
    closeSync((response.body as DescriptorBody).fd)
    for (const wrong of [directory, join(path, 'b'), join(directory, 'x'.repeat(300))]) {
      expect(fileResponse(REQUEST, wrong)).toMatchObject({ status: 404 })
    }
  })
})

describe('the type of a file', () => {
  it.each([
    ['/a/index.html', 'text/html; charset=utf-8'],
    ['a.JS', 'text/javascript; charset=utf-8'],
    ['a.tar.gz', 'application/gzip'],
    ['photo.jpeg', 'image/jpeg'],
    ['/a.b/c', 'application/octet-stream'],
    ['constructor', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
    ['', 'application/octet-stream'],
  ])('of %j is %s', (path, type) => {
    expect(contentTypeOf(path)).toBe(type)
  })
})

import { describe, expect, it } from 'vitest'
import { RequestEvent, RequestReader, type RequestReaderOptions } from '../../../lib/wire/http1/request-reader.ts'
import { bytesOf, eachByte } from './read-events.ts'

interface Told {
  readonly requests: readonly string[]
  readonly body: string
  readonly reader: RequestReader
}

/** Reads all requests that the pieces hold, and what follows. */
function readPieces(pieces: readonly Uint8Array[], options: RequestReaderOptions = {}): Told {
  const reader = new RequestReader(options)
  const requests: string[] = []
  let body = ''
  const drain = (): void => {
    for (;;) {
      switch (reader.nextEvent()) {
        case RequestEvent.HEAD:
          requests.push(`${reader.method} ${reader.target} ${reader.httpVersion} ${JSON.stringify(reader.headers.raw)}`)
          break
        case RequestEvent.DATA:
          body += Buffer.from(reader.dataBytes.subarray(reader.dataStart, reader.dataEnd)).toString('latin1')
          break
        case RequestEvent.TRAILERS:
          requests.push(`trailers ${JSON.stringify(reader.trailers.raw)}`)
          break
        case RequestEvent.END:
          if (reader.upgrade) return
          reader.reset()
          break
        default:
          return
      }
    }
  }
  for (const piece of pieces) {
    reader.receive(piece, 0, piece.length)
    drain()
  }
  reader.receiveEof()
  drain()
  return { requests, body, reader }
}

/** Whole and byte by byte must tell the same. */
function read(text: string, options: RequestReaderOptions = {}): Told {
  const whole = readPieces([bytesOf(text)], options)
  const cut = readPieces(eachByte(bytesOf(text)), options)
  const outcome = ({ requests, body, reader }: Told): unknown[] => [requests, body, reader.error?.status]
  expect(outcome(cut)).toEqual(outcome(whole))
  return whole
}

const HOST = 'Host: a\r\n'

describe('requests', () => {
  it('are told with method, target and fields', () => {
    const { requests, reader } = read(`\r\nGET /x?y HTTP/1.1\r\n${HOST}A: b \r\n\r\n`)
    expect(requests).toEqual(['GET /x?y 1.1 [["Host","a"],["A","b"]]'])
    expect(reader.nextEvent()).toBe(RequestEvent.CLOSED)
  })

  it('may come many at once', () => {
    const { requests } = read(`GET /a HTTP/1.1\r\n${HOST}\r\n`.repeat(300))
    expect(requests).toHaveLength(300)
  })

  it('may have a body of known length or in chunks', () => {
    const fixed = `POST /f HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nab`
    const chunked = `PUT /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n`
    const { requests, body, reader } = read(fixed + chunked + fixed)
    expect(reader.error).toBeNull()
    expect(body).toBe('abcab')
    expect(requests.map((request) => request.slice(0, 8))).toEqual(['POST /f ', 'PUT /c 1', 'trailers', 'POST /f '])
  })

  it.each([
    ['* in OPTIONS', 'OPTIONS * HTTP/1.1', '*'],
    ['absolute form', 'GET http://b:1/x HTTP/1.1', 'http://b:1/x'],
    ['a method of two words', 'M-SEARCH /x HTTP/1.1', '/x'],
  ])('have a target in any form: %s', (_name, line, target) => {
    expect(read(`${line}\r\n${HOST}\r\n`).reader.target).toBe(target)
  })

  it('that ask for another protocol leave the bytes behind them alone', () => {
    const upgrade = readPieces([bytesOf(`GET / HTTP/1.1\r\n${HOST}Connection: x, Upgrade\r\nUpgrade: y\r\n\r\n\x81`)])
    expect([upgrade.reader.upgrade, upgrade.reader.unread()]).toEqual([true, 1])
    const connect = readPieces([bytesOf(`CONNECT b:443 HTTP/1.1\r\n${HOST}\r\n\x16\x03`)])
    expect([connect.reader.upgrade, connect.reader.unread(), connect.reader.target]).toEqual([true, 2, 'b:443'])
  })

  it.each([
    ['1.1', '', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.0', '', false],
    ['1.0', 'Connection: keep-alive\r\n', true],
  ])('of version %s with %j say whether the connection stays', (version, fields, expected) => {
    expect(read(`GET / HTTP/${version}\r\n${HOST}${fields}\r\n`).reader.keepAlive).toBe(expected)
  })

  it('wait for 100 only when they have a body', () => {
    const head = `POST / HTTP/1.1\r\n${HOST}Expect: 100-Continue\r\n`
    const waits = (text: string): boolean => {
      const reader = new RequestReader()
      reader.receive(bytesOf(text), 0, text.length)
      expect(reader.nextEvent()).toBe(RequestEvent.HEAD)
      return reader.expectContinue
    }
    expect(waits(`${head}Content-Length: 1\r\n\r\n`)).toBe(true)
    expect(waits(`${head}Transfer-Encoding: chunked\r\n\r\n`)).toBe(true)
    expect(waits(`${head}\r\n`)).toBe(false)
    expect(waits(`${head.replace('1.1', '1.0')}Content-Length: 1\r\n\r\n`)).toBe(false)
  })
})

describe('requests that are refused', () => {
  it.each([
    [400, 'no Host', 'GET / HTTP/1.1\r\n\r\n'],
    [400, 'two Hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
    [400, 'both lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    [400, 'both lengths, turned', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`],
    [400, 'two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\nab`],
    [400, 'chunked not last', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, gzip\r\n\r\n`],
    [400, 'chunked twice', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, chunked\r\n\r\n`],
    [400, 'an odd chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n`],
    [400, 'chunks in HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`],
    [501, 'an unknown coding', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    [400, 'LF alone', 'GET / HTTP/1.1\nHost: a\n\n'],
    [400, 'a folded line', `GET / HTTP/1.1\r\n${HOST}A: b\r\n c\r\n\r\n`],
    [400, 'white space before a colon', `GET / HTTP/1.1\r\nHost : a\r\n\r\n`],
    [400, 'NUL', `GET / HTTP/1.1\r\n${HOST}A: \0\r\n\r\n`],
    [400, 'a target with a byte above 0x7F', `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`],
    [400, 'HTTP/0.9', 'GET /\r\n\r\n'],
    [400, 'a TLS handshake', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
    [400, 'RTSP', 'DESCRIBE / RTSP/1.0\r\n\r\n'],
    [501, 'an unknown method', `BREW / HTTP/1.1\r\n${HOST}\r\n`],
    [505, 'the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [505, 'another version', `GET / HTTP/1.2\r\n${HOST}\r\n`],
    [400, 'a bad chunk', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nx\r\n`],
  ])('%i: %s', (status, _name, text) => {
    const { reader } = read(text)
    expect(reader.error?.status).toBe(status)
    expect(reader.keepAlive).toBe(false)
  })

  it('431 and 414: a head or a request line that is too large', () => {
    const options = { headBytesMax: 200 }
    expect(read(`GET / HTTP/1.1\r\n${HOST}A: ${'x'.repeat(200)}`, options).reader.error?.status).toBe(431)
    expect(read(`GET /${'x'.repeat(300)}`, options).reader.error?.status).toBe(414)
  })

  it('say when the stream ended inside', () => {
    expect(read('GET / HT').reader.error?.cutOff).toBe(true)
    expect(read(`POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\na`).reader.error?.cutOff).toBe(true)
    expect(read('').reader.nextEvent()).toBe(RequestEvent.CLOSED)
  })
})

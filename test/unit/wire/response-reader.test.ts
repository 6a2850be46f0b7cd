import { describe, expect, it } from 'vitest'
import { ResponseEvent, ResponseReader } from '../../../lib/wire/http1/response-reader.ts'
import { bytesOf, readPieces, readText } from './read-events.ts'

const OK = 'HTTP/1.1 200 OK\r\n'

/** The code of the error that the input ends in, or '' for success. */
function errorOf(text: string, method = 'GET'): string {
  return readText(text, method).reader.error?.code ?? ''
}

describe('heads', () => {
  it('tells status, reason, version and fields in order', () => {
    const { reader, body } = readText(`${OK}B: 2\r\na:  x y \t\r\nEmpty:\r\nContent-Length: 5\r\n\r\nhello`)
    expect([reader.status, reader.reason, reader.httpVersion, body]).toEqual([200, 'OK', '1.1', 'hello'])
    expect(reader.headers.raw).toEqual([
      ['B', '2'],
      ['a', 'x y'],
      ['Empty', ''],
      ['Content-Length', '5'],
    ])
    expect(reader.headText).toBe(`${OK}B: 2\r\na:  x y \t\r\nEmpty:\r\nContent-Length: 5\r\n\r\n`)
  })

  it('reads a status line without a reason', () => {
    expect(readText('HTTP/1.1 200\r\n\r\n').reader.reason).toBe('')
    expect(readText('HTTP/1.0 404 \r\n\r\n').reader.status).toBe(404)
  })

  it('keeps bytes above 0x7F in values as Latin-1', () => {
    expect(readText(`${OK}a: \xe9\xff\r\n\r\n`).reader.headers.get('A')).toBe('\xe9\xff')
  })

  it('passes over empty lines before the status line', () => {
    expect(readText(`\r\n\r\n${OK}Content-Length: 0\r\n\r\n`).events.at(-1)).toBe('end')
  })

  it('accepts lines that end in LF alone, except in strict mode', () => {
    const text = 'HTTP/1.1 200 OK\nA: b\nContent-Length: 1\n\nx'
    expect(readText(text).reader.headers.get('a')).toBe('b')
    expect(readText(text, 'GET', true, { strict: true }).reader.error?.code).toBe('WEIRD_SERVER_REPLY')
  })

  it('joins a folded value with a space, except in strict mode', () => {
    const text = `${OK}A: b\r\n  c\r\n\td\r\nContent-Length: 0\r\n\r\n`
    const { reader } = readText(text)
    expect(reader.headers.raw).toEqual([
      ['A', 'b c d'],
      ['Content-Length', '0'],
    ])
    expect(reader.headText).toBe(text)
    expect(readText(text, 'GET', true, { strict: true }).reader.error?.code).toBe('WEIRD_SERVER_REPLY')
  })

  it.each([
    ['a control character in a value', `${OK}A: b\x01\r\n\r\n`],
    ['NUL in a value', `${OK}A: b\0\r\n\r\n`],
    ['a control character beside a fold', `${OK}A: b\x01\r\n c\r\n\r\n`],
    ['white space before the colon', `${OK}A : b\r\n\r\n`],
    ['a field without a colon', `${OK}Ab\r\n\r\n`],
    ['a field without a name', `${OK}: b\r\n\r\n`],
    ['white space before the first field', `${OK} A: b\r\n\r\n`],
    ['CR without LF', `${OK}A: b\rC: d\r\n\r\n`],
    ['CR CR LF after the status line', `${OK.trim()}\r\r\nA: b\r\n\r\n`],
  ])('refuses %s', (_name, text) => {
    expect(errorOf(text)).toBe('WEIRD_SERVER_REPLY')
  })

  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['RTSP', 'RTSP/1.0 200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['an HTML page without a head', '<html></html>'],
  ])('takes %s for another protocol, as curl does', (_name, text) => {
    expect(errorOf(text)).toBe('UNSUPPORTED_PROTOCOL')
  })

  it.each(['HTTP/2.0 200 OK\r\n\r\n', 'HTTP/1.2 200 OK\r\n\r\n', 'HTTP/0.9 200 OK\r\n\r\n', 'HTTP/2 200 OK\r\n\r\n'])(
    'refuses a version that is not of HTTP/1: %j',
    (text) => {
      expect(errorOf(text)).toBe('UNSUPPORTED_PROTOCOL')
    },
  )

  it('sees junk before it ends', () => {
    const { reader } = readText('SSH-2.0-OpenSSH', 'GET', false)
    expect(reader.error?.code).toBe('UNSUPPORTED_PROTOCOL')
  })

  it('takes a head up to the limit and refuses one byte more', () => {
    const head = `${OK}A: ${'x'.repeat(100)}\r\nContent-Length: 0\r\n\r\n`
    for (const pieces of [[bytesOf(head)], Array.from(bytesOf(head), (byte) => new Uint8Array([byte]))]) {
      expect(readPieces(pieces, 'GET', true, { headBytesMax: head.length }).events.at(-1)).toBe('end')
      const refused = readPieces(pieces, 'GET', true, { headBytesMax: head.length - 1 })
      expect(refused.reader.error?.code).toBe('TOO_LARGE')
    }
  })

  it('bounds fields, empty lines and informational heads', () => {
    expect(errorOf(`${OK}${'a:\r\n'.repeat(5001)}\r\n`)).toBe('TOO_LARGE')
    expect(readText('\r\n'.repeat(600), 'GET', true, { headBytesMax: 1000 }).reader.error?.code).toBe('TOO_LARGE')
    const many = readText('HTTP/1.1 103 x\r\n\r\n'.repeat(500), 'GET', true, { headBytesMax: 100 })
    expect(many.reader.error?.code).toBe('TOO_LARGE')
  })

  it('reads a head larger than the windows that are parsed at a time', () => {
    const value = 'v'.repeat(50_000)
    const name = 'N'.repeat(2000)
    const { reader } = readText(`${OK}${name}: ${value}\r\nContent-Length: 0\r\n\r\n`)
    expect(reader.headers.get(name)).toBe(value)
  })

  it('reads on after informational heads', () => {
    const { events, body } = readText(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n\r\n' +
        `${OK}Content-Length: 2\r\n\r\nok`,
    )
    expect(events.map((event) => event.slice(0, 14))).toEqual([
      '["informationa',
      '["informationa',
      '["head","1.1",',
      'end',
    ])
    expect(body).toBe('ok')
  })
})

describe('length of the body', () => {
  it.each([
    ['GET', 204],
    ['GET', 304],
    ['HEAD', 200],
  ])('is 0 for %s with %i, and the connection stays', (method, status) => {
    const { events, reader, left } = readText(`HTTP/1.1 ${status} x\r\nContent-Length: 5\r\n\r\nnext!`, method)
    expect([events.at(-1), reader.keepAlive, left]).toEqual(['end', true, 'next!'])
  })

  it('is 0 after a HEAD answered without any length', () => {
    const { reader, events } = readText(OK.concat('\r\n'), 'HEAD', false)
    expect([events.at(-1), reader.keepAlive]).toEqual(['end', true])
  })

  it.each([
    ['101', 'GET', 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n\x81\0'],
    ['success of CONNECT', 'CONNECT', `${OK}Transfer-Encoding: chunked\r\n\r\n\x81\0`],
  ])('is 0 for %s, and the bytes after it are another protocol', (_name, method, text) => {
    const { reader, left } = readText(text, method)
    expect([reader.upgrade, reader.keepAlive, left]).toEqual([true, false, '\x81\0'])
  })

  it('is that of the fields when CONNECT is refused', () => {
    expect(readText('HTTP/1.1 407 x\r\nContent-Length: 2\r\n\r\nno', 'CONNECT').body).toBe('no')
  })

  it('is Content-Length, and no byte more', () => {
    const { body, left, reader } = readText(`${OK}Content-Length: 5\r\n\r\nhelloHTTP/1.1`)
    expect([body, left, reader.keepAlive, reader.contentLength]).toEqual(['hello', 'HTTP/1.1', true, 5])
  })

  it('reaches to the end of the stream without a length', () => {
    const { body, reader, events } = readText(`${OK}\r\nall of it`)
    expect([body, reader.keepAlive, events.at(-1)]).toEqual(['all of it', false, 'end'])
  })

  it.each(['rot13', 'chunked, rot13', 'gzip, chunked'])('is refused in coding %s, which nobody undoes', (coding) => {
    const { reader } = readText(`${OK}Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`)
    expect(reader.error?.code).toBe('BAD_CONTENT_ENCODING')
  })

  it.each([
    ['both lengths', 'Content-Length: 3\r\nTransfer-Encoding: chunked'],
    ['both lengths the other way round', 'Transfer-Encoding: chunked\r\nContent-Length: 3'],
    ['chunked said twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
  ])('is that of the chunks with %s, and the connection is not used again', (_name, fields) => {
    const { body, reader } = readText(`${OK}${fields}\r\n\r\n2\r\nhi\r\n0\r\n\r\n`)
    expect([body, reader.keepAlive, reader.error]).toEqual(['hi', false, null])
  })

  it.each([
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 5\r\nContent-Length: 5',
    'Content-Length: 5, 5',
    'Content-Length: -1',
    'Content-Length: +1',
    'Content-Length: 0x5',
    'Content-Length:',
    'Content-Length: 99999999999999999',
    'Content-Length: 99999999999999999999999',
  ])('is refused: %j', (fields) => {
    expect(errorOf(`${OK}${fields}\r\n\r\nhello`)).toBe('WEIRD_SERVER_REPLY')
  })
})

describe('chunked bodies', () => {
  const CHUNKED = `${OK}Transfer-Encoding: Chunked\r\n\r\n`

  it('gives the data, and trailers', () => {
    const { events, body, left } = readText(`${CHUNKED}5\r\nhello\r\n00A\r\n0123456789\r\n0\r\nT: v\r\n\r\nnext`)
    expect([body, left]).toEqual(['hello0123456789', 'next'])
    expect(events.slice(1)).toEqual(['trailers [["T","v"]]', 'end'])
  })

  it('drops extensions', () => {
    expect(readText(`${CHUNKED}2 ;a=b;c="d"\r\nhi\r\n0;x\r\n\r\n`).body).toBe('hi')
    expect(readText(`${CHUNKED}2  \r\nhi\r\n0\r\n\r\n`).body).toBe('hi')
  })

  it('takes any number of extensions that data goes with, as signatures of chunks do', () => {
    const chunk = `400;chunk-signature=${'a'.repeat(64)}\r\n${'x'.repeat(0x400)}\r\n`
    expect(readText(`${CHUNKED}${chunk.repeat(500)}0\r\n\r\n`).body.length).toBe(500 * 0x400)
  })

  it.each([
    ['no size', '\r\nhi\r\n'],
    ['a sign', '-1\r\nhi\r\n'],
    ['0x', '0x2\r\nhi\r\n'],
    ['a size too large', 'fffffffffffffff\r\n'],
    ['a size with too many digits', `${'0'.repeat(17)}2\r\nhi\r\n`],
    ['LF alone after a size', '2\nhi\r\n'],
    ['CR without LF after a size', '2\rxhi\r\n'],
    ['LF alone in an extension', '2;a\nhi\r\n'],
    ['an extension without bound', `2;${'a'.repeat(20_000)}\r\nhi\r\n`],
    ['extensions without bound', `1;${'a'.repeat(1000)}\r\nx\r\n`.repeat(17)],
    ['data longer than its size', '2\r\nhip\r\n'],
    ['CR without LF after data', '2\r\nhi\rx'],
    ['trailers that are none', '0\r\nnot a field\r\n\r\n'],
  ])('refuses %s', (_name, text) => {
    expect(errorOf(`${CHUNKED}${text}0\r\n\r\n`)).toBe('RECV_ERROR')
  })

  it('bounds the trailers', () => {
    const text = `${CHUNKED}0\r\nT: ${'v'.repeat(200)}\r\n\r\n`
    expect(readText(text, 'GET', true, { trailerBytesMax: 100 }).reader.error?.code).toBe('TOO_LARGE')
  })
})

describe('end of the stream', () => {
  it.each([
    ['GOT_NOTHING', 'before any byte', ''],
    ['RECV_ERROR', 'inside the status line', 'HTTP/1.1 20'],
    ['RECV_ERROR', 'inside a field', `${OK}Content-Le`],
    ['RECV_ERROR', 'after an informational head', 'HTTP/1.1 100 x\r\n\r\n'],
    ['PARTIAL_FILE', 'inside a body of known length', `${OK}Content-Length: 5\r\n\r\nhell`],
    ['PARTIAL_FILE', 'before a body of known length', `${OK}Content-Length: 5\r\n\r\n`],
    ['PARTIAL_FILE', 'inside a chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhe`],
    ['PARTIAL_FILE', 'before the last chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n`],
    ['PARTIAL_FILE', 'inside the trailers', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n`],
  ])('is %s %s', (code, _where, text) => {
    expect(errorOf(text)).toBe(code)
  })
})

describe('reuse of the connection', () => {
  it.each([
    ['1.1', '', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.1', 'Connection: Foo, CLOSE\r\n', false],
    ['1.1', 'Connection: keep-alive\r\nConnection: close\r\n', false],
    ['1.0', '', false],
    ['1.0', 'Connection: Keep-Alive\r\n', true],
    ['1.0', 'Connection: close, keep-alive\r\n', false],
    ['1.0', 'Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n', false],
  ])('follows version %s with %j', (version, fields, expected) => {
    const length = fields.includes('chunked') ? '' : 'Content-Length: 0\r\n'
    const { reader } = readText(`HTTP/${version} 200 OK\r\n${length}${fields}\r\n`, 'GET', false)
    expect(reader.keepAlive).toBe(expected)
  })

  it('reads the next response from the bytes that are left', () => {
    const reader = new ResponseReader()
    const bytes = bytesOf(`${OK}Content-Length: 1\r\n\r\naHTTP/1.0 404 No\r\nContent-Length: 1\r\n\r\nb`)
    reader.receive(bytes, 0, bytes.length)
    const seen: unknown[] = []
    for (const method of ['GET', 'GET']) {
      reader.reset(method)
      expect([reader.headersSeen, reader.started]).toEqual([false, false])
      for (let event = reader.nextEvent(); event !== ResponseEvent.END; event = reader.nextEvent()) seen.push(event)
      seen.push(reader.status, reader.bodyReceived, reader.unread())
    }
    const { HEAD, DATA } = ResponseEvent
    expect(seen).toEqual([HEAD, DATA, 200, 1, 39, HEAD, DATA, 404, 1, 0])
  })

  it('goes on later with bytes that were kept', () => {
    const reader = new ResponseReader()
    reader.reset('GET')
    const bytes = bytesOf(`${OK}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n`)
    reader.receive(bytes, 0, bytes.length)
    expect([reader.nextEvent(), reader.nextEvent()]).toEqual([ResponseEvent.HEAD, ResponseEvent.DATA])
    const kept = bytes.slice(reader.consumed, reader.consumed + reader.unread())
    bytes.fill(0)
    reader.receive(kept, 0, kept.length)
    expect([reader.nextEvent(), reader.nextEvent()]).toEqual([ResponseEvent.DATA, ResponseEvent.END])
    expect(reader.bodyReceived).toBe(2)
  })

  it('lends data without copying it', () => {
    const reader = new ResponseReader()
    reader.reset('GET')
    const bytes = bytesOf(`${OK}Content-Length: 3\r\n\r\nabc`)
    reader.receive(bytes, 0, bytes.length)
    reader.nextEvent()
    reader.nextEvent()
    expect(reader.dataBytes).toBe(bytes)
    expect([reader.dataStart, reader.dataEnd]).toEqual([bytes.length - 3, bytes.length])
  })

  it('forgets the connection when it is recycled', () => {
    const reader = new ResponseReader()
    const bytes = bytesOf(`${OK}Content-Le`)
    reader.reset('GET')
    reader.receive(bytes, 0, bytes.length)
    expect(reader.nextEvent()).toBe(ResponseEvent.NEED_MORE)
    reader.receiveEof()
    reader.recycle()
    reader.reset('GET')
    expect([reader.nextEvent(), reader.unread()]).toEqual([ResponseEvent.NEED_MORE, 0])
  })

  it('serves several readers in turn', () => {
    const first = new ResponseReader()
    const second = new ResponseReader()
    const head = bytesOf(`${OK}Name: first\r\nContent-Length: 0\r\n\r\n`)
    const other = bytesOf(`${OK}Name: second\r\nContent-Length: 0\r\n\r\n`)
    first.reset('GET')
    second.reset('GET')
    first.receive(head, 0, 20)
    expect(first.nextEvent()).toBe(ResponseEvent.NEED_MORE)
    second.receive(other, 0, other.length)
    expect(second.nextEvent()).toBe(ResponseEvent.HEAD)
    first.receive(head, 20, head.length)
    expect(first.nextEvent()).toBe(ResponseEvent.HEAD)
    expect([first.headers.get('name'), second.headers.get('name')]).toEqual(['first', 'second'])
  })
})

describe('HTTP/0.9', () => {
  const allowHttp09 = { allowHttp09: true }

  it.each(['<html>', 'HTTPS?', 'HTT', 'H'])('takes %j as a body where it is allowed', (text) => {
    for (const pieces of [[bytesOf(text)], Array.from(bytesOf(text), (byte) => new Uint8Array([byte]))]) {
      const { reader, body, events } = readPieces(pieces, 'GET', true, allowHttp09)
      expect([reader.httpVersion, body, events.at(-1), reader.keepAlive]).toEqual(['0.9', text, 'end', false])
      expect(reader.bodyReceived).toBe(text.length)
    }
  })

  it('still reads HTTP/1 where it is allowed', () => {
    expect(readText(`${OK}\r\nx`, 'GET', true, allowHttp09).reader.httpVersion).toBe('1.1')
    expect(readText('HTTP/1.1', 'GET', true, allowHttp09).reader.error?.code).toBe('RECV_ERROR')
  })
})

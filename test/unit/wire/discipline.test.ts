import { describe, expect, it } from 'vitest'
import { RequestEvent, RequestReader } from '../../../lib/wire/http1/request-reader.ts'
import { bytesOf, eachByte } from './read-events.ts'

const LEVELS = [3, 2, 1, 0, -1, -2, -3]

/** Method, target and fields, or the status of the refusal; the same for any cuts. */
function read(text: string, discipline: number): string {
  const outcomes = [[bytesOf(text)], eachByte(bytesOf(text))].map((pieces) => {
    const reader = new RequestReader({ discipline })
    let event: RequestEvent = RequestEvent.NEED_MORE
    for (const piece of pieces) {
      reader.receive(piece, 0, piece.length)
      event = reader.nextEvent()
      if (event !== RequestEvent.NEED_MORE) break
    }
    if (event === RequestEvent.ERROR) return String(reader.error?.status)
    return event === RequestEvent.HEAD
      ? `${reader.method} ${reader.target} ${JSON.stringify(reader.headers.raw)}`
      : 'more'
  })
  expect(outcomes[1]).toBe(outcomes[0])
  return outcomes[0] as string
}

function acceptedAt(text: string): number[] {
  return LEVELS.filter((level) => read(text, level).startsWith('GET '))
}

const HOST = 'Host: a\r\n'

describe('the discipline of requests', () => {
  it.each([
    ['nothing odd', `GET / HTTP/1.1\r\n${HOST}\r\n`, 3],
    ['an empty line before the request line', `\r\nGET / HTTP/1.1\r\n${HOST}\r\n`, 1],
    ['several', `\r\n\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\n`, 0],
    ['a great many', `${'\r\n'.repeat(100)}GET / HTTP/1.1\r\n${HOST}\r\n`, -3],
    ['lines that end in LF alone', 'GET / HTTP/1.1\nHost: a\n\n', 0],
    ['a folded field', `GET / HTTP/1.1\r\n${HOST}A: b\r\n c\r\n\r\n`, 0],
    ['a tab in the request line', `GET\t/ HTTP/1.1\r\n${HOST}\r\n`, 0],
    ['VT and FF in the request line', `GET\v/\fHTTP/1.1\r\n${HOST}\r\n`, -1],
    ['runs of blanks in the request line', `GET   /  HTTP/1.1\r\n${HOST}\r\n`, -1],
    ['blanks before the request line', `  GET / HTTP/1.1\r\n${HOST}\r\n`, -1],
    ['CR inside a field', `GET / HTTP/1.1\r\n${HOST}A: b\rc\r\n\r\n`, -1],
    ['NUL inside a field', `GET / HTTP/1.1\r\n${HOST}A: b\0c\r\n\r\n`, -1],
    ['blanks inside the target', `GET /a b HTTP/1.1\r\n${HOST}\r\n`, -2],
    ['a blank in the name of a field', `GET / HTTP/1.1\r\n${HOST}A b: c\r\n\r\n`, -2],
    ['a field without a name', `GET / HTTP/1.1\r\n${HOST}: c\r\n\r\n`, -2],
    ['a line without a colon', `GET / HTTP/1.1\r\n${HOST}junk\r\n\r\n`, -2],
    ['a blank before the colon', `GET / HTTP/1.1\r\n${HOST.replace(':', ' :')}\r\n`, -3],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', -3],
  ])('allows %s from its level on', (_name, text, level) => {
    expect(acceptedAt(text)).toEqual(LEVELS.filter((one) => one <= level))
  })

  it.each([
    ['two lengths', 'Content-Length: 1\r\nContent-Length: 2\r\n'],
    ['the same length twice', 'Content-Length: 1\r\nContent-Length: 1\r\n'],
    ['a list of lengths', 'Content-Length: 1, 1\r\n'],
    ['a signed length', 'Content-Length: +1\r\n'],
    ['a length and chunks', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 1\r\n'],
    ['two Hosts', 'Host: b\r\n'],
    ['chunked twice', 'Transfer-Encoding: chunked, chunked\r\n'],
    ['chunked in two fields', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'],
    ['chunked not last', 'Transfer-Encoding: chunked, identity\r\n'],
  ])('never allows %s', (_name, fields) => {
    for (const level of LEVELS) expect(read(`POST / HTTP/1.1\r\n${HOST}${fields}\r\n`, level)).toBe('400')
  })

  it('repairs to one reading', () => {
    expect(read(`GET  /a\tb HTTP/1.1\r\nhost : x\r\njunk\r\nA: b\0c\r\n d\r\n\r\n`, -3)).toBe(
      'GET /a%20b [["host","x"],["A","b c d"]]',
    )
  })

  it('finds lengths that were spelled to be overlooked', () => {
    const text = `POST / HTTP/1.1\r\n${HOST}Content-Length : 5\r\nContent-Length: 0\r\n\r\n`
    expect(read(text, -3)).toBe('400')
    expect(read(`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n`, -3)).toBe('400')
  })
})

import { describe, expect, it } from 'vitest'
import {
  CHUNK_OVERHEAD_MAX,
  fieldLines,
  writeChunk,
  writeChunkSize,
  writeLastChunk,
  writeRequestHead,
} from '../../../lib/wire/http1/request-encoder.ts'
import { isFieldValue, isTarget, isToken } from '../../../lib/wire/http1/syntax.ts'

const textOf = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.subarray(start, end)).toString('latin1')

describe('request head', () => {
  it('is written at an offset', () => {
    const into = new Uint8Array(200)
    const lines = fieldLines([
      ['Host', 'a'],
      ['X', '\xe9'],
    ])
    const end = writeRequestHead(into, 7, 'GET', '/x?y', lines)
    expect(textOf(into, 7, end)).toBe('GET /x?y HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n')
    expect([into[6], into[end]]).toEqual([0, 0])
  })

  it('writes nothing when it does not fit', () => {
    const into = new Uint8Array(18)
    expect(writeRequestHead(into, 0, 'GET', '/x', '')).toBe(-1)
    expect(into.every((byte) => byte === 0)).toBe(true)
    expect(writeRequestHead(new Uint8Array(19), 0, 'GET', '/x', '')).toBe(19)
    expect(writeRequestHead(new Uint8Array(19), 1, 'GET', '/x', '')).toBe(-1)
  })
})

describe('chunks', () => {
  it('are framed by size and CRLF, and ended by the last chunk with trailers', () => {
    const into = new Uint8Array(100)
    let at = writeChunk(into, 0, Buffer.from('0123456789abcdef'))
    at = writeLastChunk(into, at, fieldLines([['T', 'v']]))
    expect(textOf(into, 0, at)).toBe('10\r\n0123456789abcdef\r\n0\r\nT: v\r\n\r\n')
  })

  it('never take more than the stated overhead, and write nothing when they do not fit', () => {
    const into = new Uint8Array(CHUNK_OVERHEAD_MAX)
    expect(writeChunkSize(into, 0, Number.MAX_SAFE_INTEGER)).toBe(CHUNK_OVERHEAD_MAX - 2)
    const small = new Uint8Array(6)
    expect(writeChunk(small, 0, Buffer.from('xy'))).toBe(-1)
    expect(small.every((byte) => byte === 0)).toBe(true)
  })

  it('are refused when empty, because an empty chunk ends the body', () => {
    expect(() => writeChunkSize(new Uint8Array(9), 0, 0)).toThrow(RangeError)
    expect(() => writeChunk(new Uint8Array(9), 0, new Uint8Array(0))).toThrow(RangeError)
  })
})

describe('syntax', () => {
  it('knows tokens', () => {
    for (const text of ['GET', "!#$%&'*+-.^_`|~09az"]) expect(isToken(text)).toBe(true)
    for (const text of ['', 'a b', 'a:', 'a\r', '\xe9', 'a\u{1F600}', '(', '\x7f', 'a\0'])
      expect(isToken(text)).toBe(false)
  })

  it('knows field values', () => {
    for (const text of ['', 'a b\tc', '\x80\xff']) expect(isFieldValue(text)).toBe(true)
    for (const text of ['a\r', 'a\n', 'a\0', '\x7f', '\u0100', '\u{1F600}']) expect(isFieldValue(text)).toBe(false)
  })

  it('knows targets', () => {
    for (const text of ['/', '*', 'a:80', 'http://x/?%20']) expect(isTarget(text)).toBe(true)
    for (const text of ['', '/a b', '/\r\n', '/\xe9', '/\0']) expect(isTarget(text)).toBe(false)
  })
})

import { describe, expect, it } from 'vitest'
import { type FormDecoder, FormEvent } from '../../../lib/wire/form-event.ts'
import { MultipartDecoder, multipartBoundary } from '../../../lib/wire/multipart-decoder.ts'
import { UrlencodedDecoder } from '../../../lib/wire/urlencoded-decoder.ts'
import { type DecodedForm, decodeForm } from './form-events.ts'

function multipart(text: string, boundary = 'b0'): DecodedForm {
  return decodeForm(new MultipartDecoder(boundary), [Buffer.from(text)])
}

function urlencoded(text: string): DecodedForm {
  return decodeForm(new UrlencodedDecoder(), [Buffer.from(text)])
}

const part = (head: string, content: string): string => `--b0\r\nContent-Disposition: ${head}\r\n\r\n${content}\r\n`

describe('MultipartDecoder', () => {
  it('reads fields and files in order, with their heads', () => {
    const file =
      '--b0\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\nXY'
    const form = multipart(`${part('form-data; name="a"', 'one')}${file}\r\n--b0--\r\n`)
    expect(form).toEqual({
      parts: [
        { name: 'a', filename: null, contentType: '', text: 'one' },
        { name: 'f', filename: 'a.bin', contentType: 'image/png', text: 'XY' },
      ],
      reason: '',
    })
  })

  it('passes over what stands before the first delimiter and behind the last', () => {
    const form = multipart(`before\r\n--b\r\n${part('form-data; name="a"', '1')}--b0-- \r\nbehind\r\n--b0\r\n`)
    expect(form.parts.map((one) => one.text)).toEqual(['1'])
    expect(form.reason).toBe('')
  })

  it.each(['\r', '\r\n', '\r\n-', '\r\n--', '\r\n--b', '\r\n\r\n--', '\r\r\n--b', '--b0', '\r\n--B0'])(
    'gives content that looks like a delimiter as it is: %j',
    (content) => {
      expect(multipart(`${part('form-data; name="a"', `${content}x`)}--b0--`).parts[0]?.text).toBe(`${content}x`)
      expect(multipart(`${part('form-data; name="a"', content)}--b0--`).parts[0]?.text).toBe(content)
    },
  )

  it('reads names as browsers, curl and old programs write them', () => {
    const nameOf = (head: string): unknown => multipart(`${part(head, '')}--b0--`).parts[0]
    expect(nameOf('form-data; name="a%22b%0D%0Ac"')).toMatchObject({ name: 'a"b\r\nc' })
    expect(nameOf('form-data; name="a\\"b"')).toMatchObject({ name: 'a"b' })
    expect(nameOf('form-data; name=plain; filename="C:\\dir\\ü.txt"')).toMatchObject({
      name: 'plain',
      filename: 'C:\\dir\\ü.txt',
    })
    expect(nameOf('Form-Data ; NAME="x;y=z"; name="second"')).toMatchObject({ name: 'x;y=z' })
  })

  it.each([
    ['no last delimiter', `${part('form-data; name="a"', '1')}`, 'ends before its last delimiter'],
    ['an end inside the delimiter', `${part('form-data; name="a"', '1')}--b`, 'ends before its last delimiter'],
    ['nothing', '', 'ends before its last delimiter'],
    ['text behind a delimiter', '--b0x\r\n', 'followed by something else'],
    ['one dash behind a delimiter', '--b0-x', 'followed by something else'],
    ['endless padding', `--b0${' '.repeat(100)}\r\n`, 'followed by something else'],
    ['a part without a name', part('form-data', '1'), 'does not name its field'],
    ['a part of another kind', part('attachment; name="a"', '1'), 'does not name its field'],
    ['a part without a head', '--b0\r\n\r\n1\r\n--b0--', 'does not name its field'],
    ['a head that is too large', part(`form-data; name="${'a'.repeat(9000)}"`, ''), 'too large'],
    ['a head that is none', '--b0\r\nwhat is this\r\n\r\n', 'invalid'],
  ])('refuses a form with %s', (_what, text, reason) => {
    expect(multipart(text).reason).toContain(reason)
  })

  it('refuses a boundary that cannot be one', () => {
    expect(() => new MultipartDecoder('')).toThrow(RangeError)
    expect(() => new MultipartDecoder('a\r\nb')).toThrow(RangeError)
    expect(() => new MultipartDecoder('a'.repeat(71))).toThrow(RangeError)
  })

  it('finds the boundary in a Content-Type', () => {
    expect(multipartBoundary('multipart/form-data; boundary=abc')).toBe('abc')
    expect(multipartBoundary('Multipart/Form-Data;charset=utf-8; boundary="a b"')).toBe('a b')
    expect(multipartBoundary('multipart/form-data')).toBeNull()
    expect(multipartBoundary('text/plain; boundary=abc')).toBeNull()
    expect(multipartBoundary('multipart/form-data; boundary=a@b')).toBeNull()
  })

  it('keeps no more of a huge content than a delimiter', () => {
    const decoder: FormDecoder = new MultipartDecoder('b0')
    decoder.receive(Buffer.from('--b0\r\nContent-Disposition: form-data; name=a\r\n\r\n'), 0, 51)
    while (decoder.nextEvent() !== FormEvent.NEED_MORE);
    const piece = Buffer.alloc(65_536, '\r\n--b')
    for (let round = 0; round < 100; round++) {
      decoder.receive(piece, 0, piece.length)
      let told = 0
      while (decoder.nextEvent() === FormEvent.DATA) told += decoder.dataEnd - decoder.dataStart
      expect(told).toBeGreaterThan(piece.length - 8)
    }
  })
})

describe('UrlencodedDecoder', () => {
  const pairs = (text: string): (readonly [string, string])[] =>
    urlencoded(text).parts.map((one) => [one.name, one.text] as const)

  it.each([
    '',
    'a=1',
    'a=1&b=2',
    'a',
    'a&b',
    '=1',
    'a=',
    '&&a=1&&',
    'a=b=c',
    'a+b=c+d',
    '%41=%e2%82%ac',
    'a=%',
    'a=%4',
    '%4=%zz',
    'a=%%41',
    'a=%4%41',
    'ü=ö',
    '&',
    '=',
    '=&=',
    'a=1&a=2',
  ])('reads as URLSearchParams does: %j', (text) => {
    // biome-ignore format: a table
    expect(pairs(text)).toEqual([...new URLSearchParams(text)])
  })

  it('gives a long value in pieces', () => {
    expect(pairs(`a=${'x%20'.repeat(20_000)}&b=1`)).toEqual([
      ['a', 'x '.repeat(20_000)],
      ['b', '1'],
    ])
  })

  it('refuses a name that is too long', () => {
    expect(urlencoded(`${'n'.repeat(10_000)}=1`).reason).toContain('too long')
  })
})

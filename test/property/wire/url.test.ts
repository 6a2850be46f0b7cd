import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ParsedUrl, parseUrl, securedUrl } from '../../../lib/wire/url.ts'

const odd = fc
  .array(fc.constantFrom('http', '://', 'ws', ':', '/', '//', '@', 'a', '.', '[::1]', '%', '80', '?', '#', '\\', ' '), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''))
const texts = fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), odd, fc.string())

function parse(text: string, base?: ParsedUrl): ParsedUrl | null {
  try {
    return parseUrl(text, base)
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return null
  }
}

describe('URLs', () => {
  it('give only what can stand in a request, and themselves again', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const url = parse(text)
        if (url === null) return
        expect(url.target).toMatch(/^\/?[!-~]*$/)
        expect(url.authority).toMatch(/^[!-~]+$/)
        expect(url.authority).not.toMatch(/[/?#@]/)
        expect(url.port).toBeGreaterThan(0)
        expect(parseUrl(url.href)).toEqual(url)
      }),
      { numRuns: 1000 },
    )
  })

  it('of redirects are resolved as the platform does, or refused', () => {
    const base = parseUrl('http://h.test:8080/a/b?c#d')
    fc.assert(
      fc.property(texts, (text) => {
        const url = parse(text, base)
        if (url !== null) expect(url.href).toBe(new URL(text, base.href).href)
      }),
      { numRuns: 500 },
    )
  })

  it('become those that the platform would make of them over TLS', () => {
    fc.assert(
      fc.property(texts, fc.constantFrom('', ':80', ':443', ':8080'), (text, port) => {
        const url = parse(text) ?? parse(`http://x.test${port}/`)
        if (url === null || url.scheme === 'tcp') return
        const secured = securedUrl(url)
        expect(securedUrl(secured)).toBe(secured)
        const asked = new URL(url.href.replace(/^(http|ws):/, '$1s:'))
        const expected = parseUrl(asked.href)
        expect({ ...secured, href: '' }).toEqual({ ...expected, href: '' })
      }),
      { numRuns: 500 },
    )
  })
})

import { describe, expect, it } from 'vitest'
import { redirectMethod, redirectTarget, redirectUrl, refererOf } from '../../../lib/client/redirect.ts'
import { requestUrl } from '../../../lib/client/request-url.ts'
import { HeaderList } from '../../../lib/wire/http1/header-list.ts'
import { parseUrl } from '../../../lib/wire/url.ts'

const from = parseUrl('http://user:secret@host.example:8080/a/b?q=1#part')

function target(location: string, status = 302): string | undefined {
  return redirectTarget(status, HeaderList.fromPairs([['Location', location]]), from)?.href
}

describe('a redirect', () => {
  it('leads where Location says, from where it is', () => {
    const root = 'http://user:secret@host.example:8080'
    expect(target('c')).toBe(`${root}/a/c#part`)
    expect(target('/c?x#other')).toBe(`${root}/c?x#other`)
    expect(target('?x')).toBe(`${root}/a/b?x#part`)
    expect(target('../..')).toBe(`${root}/#part`)
    expect(target('//else/x')).toBe('http://else/x#part')
    expect(target('HTTP://Else:80/x y')).toBe('http://else/x%20y#part')
  })

  it('keeps the bytes of a Location that is not ASCII', () => {
    expect(target(`/${Buffer.from('é').toString('latin1')}`)).toContain('/%C3%A9#')
    expect(target('/\xe9')).toContain('/%E9#')
  })

  it('is one of its statuses, with a Location', () => {
    expect([300, 301, 302, 303, 307, 308].map((status) => target('/x', status) !== undefined)).not.toContain(false)
    expect([200, 201, 304, 305, 306, 309, 401].map((status) => target('/x', status))).not.toContain('x')
    expect(target('/x', 304)).toBeUndefined()
    expect(target('')).toBeUndefined()
    expect(redirectTarget(302, HeaderList.EMPTY, from)).toBeNull()
  })

  it('throws for a Location that is no URL, and tells null to who only asks', () => {
    for (const location of ['http://[', 'http://', 'mailto:x', 'file:///etc/passwd', 'http://h:0/']) {
      expect(() => target(location), location).toThrow()
      expect(redirectUrl(302, HeaderList.fromPairs([['Location', location]]), from)).toBeNull()
    }
  })

  it('changes the method only where it must', () => {
    expect(redirectMethod(301, 'POST', [])).toBe('GET')
    expect(redirectMethod(301, 'POST', [302])).toBe('GET')
    expect(redirectMethod(301, 'POST', [301])).toBe('POST')
    expect(redirectMethod(303, 'POST', [303])).toBe('POST')
    expect(redirectMethod(303, 'DELETE', [303])).toBe('GET')
    expect(redirectMethod(303, 'HEAD', [])).toBe('HEAD')
    expect(redirectMethod(302, 'PATCH', [])).toBe('PATCH')
    expect(redirectMethod(308, 'POST', [])).toBe('POST')
  })

  it('names no secret in Referer, and nothing of a secure page to an insecure one', () => {
    expect(refererOf(from, from)).toBe('http://host.example:8080/a/b?q=1')
    const secure = parseUrl('https://host/')
    expect(refererOf(secure, from)).toBeNull()
    expect(refererOf(secure, secure)).toBe('https://host/')
    expect(refererOf(from, secure)).not.toBeNull()
  })
})

describe('the URL of a transfer', () => {
  it('may leave its protocol out when there is a default', () => {
    expect(requestUrl('host:81/x', { defaultProtocol: 'http' }).href).toBe('http://host:81/x')
    expect(requestUrl('https://host/', { defaultProtocol: 'http' }).scheme).toBe('https')
    expect(() => requestUrl('host/x', {})).toThrow('scheme')
  })

  it('keeps its path as it is written when that is asked for', () => {
    const asIs = (text: string): [string, string] => {
      const { target: sent, href } = requestUrl(text, { pathAsIs: true })
      return [sent, href]
    }
    expect(requestUrl('http://host/a/../b', {}).target).toBe('/b')
    expect(asIs('http://host/a/../b/./c?x=../y#z')).toEqual(['/a/../b/./c?x=../y', 'http://host/a/../b/./c?x=../y#z'])
    expect(asIs('http://user:p@host:81')).toEqual(['/', 'http://user:p@host:81/'])
    expect(asIs('http://host?x')).toEqual(['/?x', 'http://host/?x'])
    expect(asIs('http://host//é /')).toEqual(['//%C3%A9%20/', 'http://host//%C3%A9%20/'])
  })
})

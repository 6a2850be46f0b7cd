import { describe, expect, it } from 'vitest'
import { parseUrl } from '../../../lib/wire/url.ts'

describe('parseUrl', () => {
  it('gives what a transfer needs', () => {
    expect(parseUrl('HTTP://us%40er:p%3Aw@Example.COM:8080/a/../b%20c?q=1#frag')).toEqual({
      scheme: 'http',
      host: 'example.com',
      port: 8080,
      target: '/b%20c?q=1',
      authority: 'example.com:8080',
      username: 'us@er',
      password: 'p:w',
      origin: 'http://example.com:8080',
      fragment: 'frag',
      href: 'http://us%40er:p%3Aw@example.com:8080/b%20c?q=1#frag',
    })
  })

  it.each([
    ['http://a', 80, 'a'],
    ['https://a:443/', 443, 'a'],
    ['ws://a', 80, 'a'],
    ['wss://a:8443', 8443, 'a:8443'],
    ['tcp://A:7', 7, 'a:7'],
    ['http://a:443', 443, 'a:443'],
  ])('knows the port and the Host field of %s', (text, port, authority) => {
    const url = parseUrl(text)
    expect([url.port, url.authority, url.target]).toEqual([port, authority, '/'])
  })

  it('takes the brackets off an IPv6 address, except in the Host field', () => {
    const url = parseUrl('http://[::1]:81/')
    expect([url.host, url.authority, url.origin]).toEqual(['::1', '[::1]:81', 'http://[::1]:81'])
    expect(parseUrl('tcp://[::1]:81').host).toBe('::1')
  })

  it('makes ASCII of international names', () => {
    expect(parseUrl('http://b\xfccher.example/\xe4').host).toBe('xn--bcher-kva.example')
    expect(parseUrl('http://a/\xe4').target).toBe('/%C3%A4')
  })

  it('resolves a reference against a base', () => {
    const base = parseUrl('http://u:p@a:81/x/y?q')
    expect(parseUrl('../z', base).target).toBe('/z')
    expect(parseUrl('//b/', base).origin).toBe('http://b:80')
    expect(parseUrl('https://c', base).port).toBe(443)
  })

  it.each([
    ['', 'URL is empty'],
    ['example.com/x', 'no scheme'],
    ['ftp://a/', "scheme 'ftp' is not supported"],
    ['http+unix://a/', "scheme 'http+unix' is not supported"],
    ['http://', 'no host'],
    ['http://:80/', 'no host'],
    ['http://a:99999/', "invalid port '99999'"],
    ['http://a:x/', "invalid port 'x'"],
    ['http://a:0/', 'port 0'],
    ['http://a b/', "invalid host 'a b'"],
    ['http://[::1/', 'invalid host'],
    ['tcp://a', 'no port'],
    ['tcp:a', 'no host'],
    ['http://a/\r\nX: y', 'control character at index 9'],
    ['http://a\t.b/', 'control character'],
    ['http://%zz:x@a/', 'percent encoding in the user name'],
  ])('refuses %j', (text, message) => {
    expect(() => parseUrl(text)).toThrow(message)
  })

  it('does not repeat a password in what it says', () => {
    expect(() => parseUrl('http://user:secret@a:x/')).toThrow(/^(?!.*secret)/)
  })
})

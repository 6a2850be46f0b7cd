import { describe, expect, it } from 'vitest'
import { NoProxy } from '../../../lib/connection/no-proxy.ts'
import {
  basicProxyAuthorization,
  chooseProxy,
  PROXY_KINDS,
  type ProxyChoice,
  parseProxy,
} from '../../../lib/connection/proxy-settings.ts'

describe('the URL of a proxy', () => {
  it('gives all its parts', () => {
    const { key, ...parts } = parseProxy('proxy', 'SOCKS5h://us%40er:p%3Aw@Proxy.Example.:1081/')
    expect(parts).toEqual({
      kind: 'socks5h',
      host: 'proxy.example.',
      port: 1081,
      socketPath: null,
      username: 'us@er',
      password: 'p:w',
    })
    expect(key).not.toBe(parseProxy('proxy', 'socks5h://us%40er:other@proxy.example.:1081').key)
    expect(key).toBe(parseProxy('proxy', 'socks5h://us@er:p%3Aw@PROXY.example.:1081').key)
  })

  it.each([
    ['proxy.test', 'http', 'proxy.test', 1080],
    ['proxy.test:3128', 'http', 'proxy.test', 3128],
    ['localhost:3128/', 'http', 'localhost', 3128],
    ['http://proxy.test', 'http', 'proxy.test', 1080],
    ['http://proxy.test:80', 'http', 'proxy.test', 80],
    ['https://proxy.test', 'https', 'proxy.test', 443],
    ['socks4://192.0.2.1', 'socks4', '192.0.2.1', 1080],
    ['socks4a://proxy.test:', 'socks4a', 'proxy.test', 1080],
    ['socks5://[::1]:9050', 'socks5', '::1', 9050],
    ['http://b\xfccher.test:1', 'http', 'xn--bcher-kva.test', 1],
  ])('%s', (text, kind, host, port) => {
    expect(parseProxy('proxy', text)).toMatchObject({ kind, host, port, username: '', password: '', socketPath: null })
  })

  it('may be a path of a unix socket, for SOCKS', () => {
    expect(parseProxy('proxy', 'socks5h://u:p@localhost/run/a%20b.sock')).toMatchObject({
      socketPath: '/run/a b.sock',
      host: '',
      port: 0,
      username: 'u',
    })
  })

  it.each([
    [7, "option proxy must be a proxy's URL, not 7"],
    ['ftp://proxy.test', 'has a scheme other than http, https, socks4'],
    ['socks://proxy.test', 'has a scheme other than'],
    ['http://', 'has no host'],
    ['http://:80', 'has no host'],
    ['', 'has no host'],
    ['http://a/path', 'has a path'],
    ['http://a/?q', 'has a query'],
    ['http://a#f', 'has a query or a fragment'],
    ['http://a b', 'has a control character or a space'],
    ['http://a\r\nX:y', 'has a control character'],
    ['http://a%', 'has an invalid host'],
    ['http://[::1', 'is not'],
    ['http://[1.2.3.4]', 'has an invalid host'],
    ['http://%zz@a', 'has an invalid percent encoding'],
    ['socks4://a%00b@c', 'has a NUL'],
    ['socks5://proxy.test/run/s', 'host must be localhost'],
    ['socks5://localhost:1/run/s', 'without a port'],
  ])('%j is refused', (text, message) => {
    const parse = (): unknown => parseProxy('proxy', text)
    expect(parse).toThrow(TypeError)
    expect(parse).toThrow(message)
    expect(parse).toThrow('option proxy')
  })

  it.each(['http://a:0', 'http://a:65536', 'http://a:x'])('%s is refused for its port', (text) => {
    expect(() => parseProxy('all_proxy', text)).toThrow(RangeError)
    expect(() => parseProxy('all_proxy', text)).toThrow('option all_proxy')
  })

  it('never shows its password', () => {
    for (const text of [
      'ftp://u:secret@a',
      'u:secret@a:x',
      'http://u:secret@a/b',
      'http://u:sec ret@a',
      'u:secret@[',
    ]) {
      expect(() => parseProxy('proxy', text)).toThrow(/^(?!.*sec)/)
    }
  })

  it('gives Basic credentials', () => {
    expect(basicProxyAuthorization(parseProxy('proxy', 'a'))).toBeNull()
    const expected = `Basic ${Buffer.from('ü:p').toString('base64')}`
    expect(basicProxyAuthorization(parseProxy('proxy', '%C3%BC:p@a'))).toBe(expected)
  })

  it('has one of the kinds that there are', () => {
    for (const kind of PROXY_KINDS) expect(parseProxy('proxy', `${kind}://a`).kind).toBe(kind)
  })
})

describe('the list of hosts without a proxy', () => {
  it.each([
    ['*', 'anything.test', true],
    ['', 'a.test', false],
    ['a.test', 'a.test', true],
    ['a.test', 'A.TEST.', true],
    ['a.test', 'www.a.test', true],
    ['a.test', 'wwwa.test', false],
    ['a.test', 'test', false],
    ['.a.test', 'a.test', true],
    ['.a.test.', 'www.a.test', true],
    ['b.test,a.test', 'a.test', true],
    ['b.test a.test', 'a.test', true],
    [' ,b.test ,, a.test', 'www.a.test', true],
    ['192.168.0.1', '192.168.0.1', true],
    ['192.168.0.1', '192.168.0.10', false],
    ['168.0.1', '192.168.0.1', false],
    ['192.168.0.0/16', '192.168.44.1', true],
    ['192.168.0.0/16', '192.169.0.1', false],
    ['10.0.0.0/8', '10.example.test', false],
    ['::1', '[::1]', true],
    ['[::1]', '0:0:0:0:0:0:0:1', true],
    ['[fd00::]/8', 'fd12::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['1.2.3.4', 'x.1.2.3.4.test', false],
    ['.', 'a.test', false],
  ])('%j with %s: %s', (list, host, matches) => {
    expect(NoProxy.parse('noProxy', list).matches(host)).toBe(matches)
    expect(NoProxy.guess(list).matches(host)).toBe(matches)
  })

  it('may be an array', () => {
    const list = NoProxy.parse('noProxy', ['a.test', '10.0.0.0/8'])
    expect([list.matches('a.test'), list.matches('10.1.1.1'), list.matches('b.test')]).toEqual([true, true, false])
  })

  it('must make sense as an option, but not in the environment', () => {
    expect(() => NoProxy.parse('noProxy', '10.0.0.0/33')).toThrow(RangeError)
    expect(() => NoProxy.parse('noProxy', 'a/b')).toThrow('option noProxy')
    expect(() => NoProxy.parse('noProxy', [3])).toThrow(TypeError)
    expect(() => NoProxy.parse('noProxy', 'a\0b')).toThrow('is no host')
    expect(NoProxy.guess('10.0.0.0/33,a.test').matches('a.test')).toBe(true)
  })
})

describe('the choice of a proxy', () => {
  const url = { scheme: 'http', host: 'a.test' }
  const chosen = (choice: ProxyChoice, scheme = 'http', host = 'a.test'): string | undefined =>
    chooseProxy({ scheme, host }, choice)?.host

  it('is none unless there is one', () => {
    expect(chooseProxy(url, {})).toBeNull()
    expect(chooseProxy(url, { environment: {} })).toBeNull()
    expect(chooseProxy(url, { proxy: null, environment: { http_proxy: 'e' } })).toBeNull()
    expect(chooseProxy(url, { proxy: '', environment: { http_proxy: 'e' } })).toBeNull()
  })

  it('is the option before the environment', () => {
    expect(chosen({ proxy: 'p', environment: { http_proxy: 'e' } })).toBe('p')
    expect(chosen({ proxy: 'p', noProxy: 'a.test' })).toBeUndefined()
    expect(chosen({ proxy: 'p', noProxy: '', environment: { no_proxy: '*' } })).toBe('p')
    expect(chosen({ proxy: 'p', environment: { NO_PROXY: 'test' } })).toBeUndefined()
    expect(chosen({ proxy: 'p', environment: { no_proxy: 'b', NO_PROXY: 'test' } })).toBe('p')
  })

  it('follows the scheme in the environment', () => {
    const environment = {
      http_proxy: 'http1',
      HTTP_PROXY: 'HTTP1',
      https_proxy: 'https1',
      HTTPS_PROXY: 'HTTPS1',
      all_proxy: 'all1',
      ALL_PROXY: 'ALL1',
    }
    expect(chosen({ environment })).toBe('http1')
    expect(chosen({ environment }, 'ws')).toBe('http1')
    expect(chosen({ environment }, 'https')).toBe('https1')
    expect(chosen({ environment }, 'wss')).toBe('https1')
    expect(chosen({ environment }, 'tcp')).toBe('all1')
    expect(chosen({ environment: { HTTPS_PROXY: 'up', https_proxy: '' } }, 'https')).toBe('up')
    expect(chosen({ environment: { ALL_PROXY: 'up' } })).toBe('up')
  })

  it('never reads HTTP_PROXY', () => {
    expect(chosen({ environment: { HTTP_PROXY: 'evil' } })).toBeUndefined()
  })

  it('names the variable that is wrong', () => {
    expect(() => chosen({ environment: { https_proxy: 'x://y' } }, 'https')).toThrow('option https_proxy')
  })
})

import { describe, expect, it } from 'vitest'
import {
  absoluteTarget,
  needsTunnel,
  type ProxyRoute,
  proxyPoolKey,
  proxyTarget,
  pushProxy,
} from '../../../lib/connection/proxy-route.ts'
import { parseProxy } from '../../../lib/connection/proxy-settings.ts'
import { SocketFilter } from '../../../lib/connection/socket-filter.ts'
import { SocksFilter } from '../../../lib/connection/socks-filter.ts'
import { ByteStream } from '../../../lib/connection/stream.ts'
import { TunnelFilter } from '../../../lib/connection/tunnel-filter.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { parseUrl } from '../../../lib/wire/url.ts'
import { Waiter } from './fake-engine.ts'
import { ScriptedLayer, scriptedStack } from './proxy-script.ts'

function route(proxy: string, tunnel = true): ProxyRoute {
  return { proxy: parseProxy('proxy', proxy), host: 'a.test', port: 443, tunnel }
}

function push(way: ProxyRoute, withTls = false): { stream: ByteStream; layer: TunnelFilter | SocksFilter | null } {
  const { engine, fake } = scriptedStack()
  const fd = fake.fake.socket(Family.IPV4)
  const host = Object.assign(fake, { scratch: engine.scratch })
  const stream = new ByteStream(host, new SocketFilter(host, fd, fake.fake.generation(fd)), 0)
  const tls = withTls ? () => new ScriptedLayer(engine.kernel, engine.scratch) : null
  return { stream, layer: pushProxy(host, new Waiter(fake).task, stream, way, tls) }
}

describe('the way through a proxy', () => {
  it('forwards plain HTTP, and tunnels everything else or when asked to', () => {
    expect(needsTunnel({ scheme: 'http' }, false)).toBe(false)
    expect(needsTunnel({ scheme: 'http' }, true)).toBe(true)
    for (const scheme of ['https', 'ws', 'wss', 'tcp'] as const) expect(needsTunnel({ scheme }, false)).toBe(true)
  })

  it('names the whole target in a forwarded request, without user and fragment', () => {
    expect(absoluteTarget(parseUrl('http://u:p@A.test:80/x?y#z'))).toBe('http://a.test/x?y')
    expect(absoluteTarget(parseUrl('http://[::1]:81'))).toBe('http://[::1]:81/')
  })

  it('leads to the proxy first', () => {
    const proxy = parseProxy('proxy', 'http://p.test:3128')
    expect(proxyTarget(proxy)).toEqual({ kind: 'tcp', host: 'p.test', port: 3128 })
    expect(proxyTarget(proxy, { family: 4, noDelay: true })).toMatchObject({ host: 'p.test', family: 4, noDelay: true })
    expect(proxyTarget(parseProxy('proxy', 'socks5://localhost/s'))).toEqual({ kind: 'unix', path: '/s' })
  })

  it('shares connections for forwarded requests alone', () => {
    const key = (proxy: string, host: string, tunnel: boolean): string =>
      proxyPoolKey({ ...route(proxy, tunnel), host }, 'http')
    expect(key('http://p', 'a', false)).toBe(key('http://p', 'b', false))
    expect(key('http://p', 'a', false)).not.toBe(key('http://q', 'a', false))
    expect(key('http://p', 'a', true)).not.toBe(key('http://p', 'b', true))
    expect(key('http://p', 'a', true)).not.toBe(key('http://p', 'a', false))
    expect(key('socks5://p', 'a', false)).not.toBe(key('socks5://p', 'b', false))
    expect(key('socks5://u:1@p', 'a', false)).not.toBe(key('socks5://u:2@p', 'a', false))
  })

  it('has the layers that the proxy needs', () => {
    for (const kind of ['socks4', 'socks4a', 'socks5', 'socks5h']) {
      const { stream, layer } = push(route(`${kind}://p`, false))
      expect(layer).toBeInstanceOf(SocksFilter)
      expect(stream.top).toBe(layer)
    }
    const tunnel = push(route('http://p'))
    expect(tunnel.layer).toBeInstanceOf(TunnelFilter)
    expect(tunnel.stream.top).toBe(tunnel.layer)
    const forwarding = push(route('http://p', false))
    expect(forwarding.layer).toBeNull()
    expect(forwarding.stream.top).toBe(forwarding.stream.socket)
  })

  it('has TLS to an https proxy below them', () => {
    const forwarding = push(route('https://p', false), true)
    expect(forwarding.layer).toBeNull()
    expect(forwarding.stream.top).toBeInstanceOf(ScriptedLayer)
    expect(push(route('https://p'), true).layer).toBeInstanceOf(TunnelFilter)
    expect(() => push(route('https://p'))).toThrow('needs a TLS layer')
  })
})

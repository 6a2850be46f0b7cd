import { expect } from 'vitest'
import type { TransferOptions } from '../../lib/index.ts'
import type { Simulation } from '../sim/simulation.ts'
import type { Bench } from './bench.ts'
import { scenario } from './drivers.ts'
import { Fetch, fetchOne, readMessages } from './fetches.ts'
import { type ScriptedServer, serveScript } from './scripted.ts'

const PROXY_PORT = 3128
const CHALLENGE = 'Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
const GRANTED = 'HTTP/1.1 200 Granted\r\nX-Proxy: yes\r\n\r\n'
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'

type Refusal = (number: number) => { readonly text: string; readonly ends: boolean } | null

/** Plays the origin as well; grants a tunnel once the proof is of Digest, and `refuse` has nothing to say. */
function serveProxy(bench: Bench, refuse: Refusal): ScriptedServer & { readonly heads: string[] } {
  const heads: string[] = []
  let asked = 0
  const server = serveScript(bench.simulation as Simulation, PROXY_PORT, (connection) => {
    const end = connection.received.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = connection.received.slice(0, end)
    connection.received = connection.received.slice(end + 4)
    heads.push(head)
    if (!head.startsWith('CONNECT')) {
      connection.peer.write(ANSWER)
      return
    }
    const refusal = refuse(++asked)
    connection.peer.write(refusal?.text ?? GRANTED)
    if (refusal?.ends === true) connection.peer.end()
  })
  return { ...server, heads }
}

function refusal(fields: string, body = 'who?'): string {
  return `HTTP/1.1 407 Login\r\n${CHALLENGE}${fields}Content-Length: ${body.length}\r\n\r\n${body}`
}

function throughTunnel(options: Partial<TransferOptions> = {}): TransferOptions {
  const proxy = `http://u:p@127.0.0.1:${PROXY_PORT}`
  return { url: 'http://a.test/x', proxy, proxyTunnel: true, ...options }
}

function countOf(proxy: { readonly heads: readonly string[] }, pattern: RegExp): number {
  return proxy.heads.filter((head) => pattern.test(head)).length
}

scenario(
  'answers a challenge on a new connection when the proxy closes the one that it refused',
  async (bench) => {
    const proxy = serveProxy(bench, (number) =>
      number === 1 ? { text: refusal('Connection: close\r\n'), ends: true } : null,
    )
    const multi = bench.multi({ maxTotalConnections: 1 })
    const fetch = await fetchOne(bench, multi, throughTunnel())
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(fetch.body.toString()).toBe('hi')
    expect(proxy.connections.length).toBe(2)
    expect(fetch.transfer.info.connects).toBe(2)
    expect(countOf(proxy, /^Proxy-Authorization: Digest username="u".*uri="a\.test:80"/m)).toBe(1)
    expect(multi.stats.connections).toBe(1)
    expect((await fetchOne(bench, multi, throughTunnel())).transfer.info.connects, 'the tunnel is kept').toBe(0)
  },
  { on: 'simulated' },
)

scenario(
  'answers on a new connection when the old one breaks before the answer is out',
  async (bench) => {
    const proxy = serveProxy(bench, (number) =>
      number === 1 ? { text: refusal('', 'who?').slice(0, -2), ends: true } : null,
    )
    const fetch = await fetchOne(bench, bench.multi(), throughTunnel())
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(proxy.connections.length).toBe(2)
    expect(countOf(proxy, /^Proxy-Authorization: Digest/m)).toBe(1)
  },
  { on: 'simulated' },
)

scenario(
  'gives up when the proxy refuses the answer as well',
  async (bench) => {
    const proxy = serveProxy(bench, () => ({ text: refusal('Connection: close\r\n'), ends: true }))
    const multi = bench.multi()
    const fetch = await fetchOne(bench, multi, throughTunnel())
    expect(fetch.outcome).toBe('RECV_ERROR')
    expect(fetch.error.message).toContain('407')
    expect(proxy.connections.length).toBe(2)
    expect(multi.stats.connections).toBe(0)
  },
  { on: 'simulated' },
)

scenario(
  'does not say twice what was refused once',
  async (bench) => {
    const text = 'HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n'
    const proxy = serveProxy(bench, () => ({ text, ends: false }))
    const fetch = await fetchOne(bench, bench.multi(), throughTunnel())
    expect(fetch.outcome).toBe('RECV_ERROR')
    expect(proxy.heads.length).toBe(1)
  },
  { on: 'simulated' },
)

scenario(
  'can be timed out or removed while it connects anew',
  async (bench) => {
    const { network } = (bench.simulation as Simulation).kernel
    const proxy = serveProxy(bench, () => {
      network.setRoute('127.0.0.1', 'blackhole')
      return { text: refusal('Connection: close\r\n'), ends: true }
    })
    const multi = bench.multi()
    const fetch = new Fetch(throughTunnel({ timeoutMs: 60_000 }))
    multi.add(fetch.transfer)
    await bench.drive(multi, () => proxy.heads.length === 1 && fetch.transfer.info.connects === 1)
    await bench.pass(multi, 50)
    const late = new Fetch(throughTunnel({ connectTimeoutMs: 100 }))
    multi.add(late.transfer)
    await bench.drive(multi, () => late.transfer.info.totalTime > 0 && multi.running === 1)
    readMessages(multi, [fetch, late])
    expect(late.error.message).toMatch(/^Connection timed out/)
    multi.remove(fetch.transfer)
    expect(multi.stats.connections).toBe(0)
  },
  { on: 'simulated' },
)

scenario(
  'tells onDebug every head to the proxy and from it',
  async (bench) => {
    serveProxy(bench, (number) => (number === 1 ? { text: refusal(''), ends: false } : null))
    const told: string[] = []
    const fetch = await fetchOne(
      bench,
      bench.multi(),
      throughTunnel({
        onDebug: (kind, content) => {
          if (kind !== 'headIn' && kind !== 'headOut') return
          const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1')
          expect(text.endsWith('\r\n\r\n')).toBe(true)
          told.push(`${kind} ${text.slice(0, text.indexOf('\r\n'))}`)
        },
      }),
    )
    expect(fetch.outcome).toBe('OK')
    expect(told).toEqual([
      'headOut CONNECT a.test:80 HTTP/1.1',
      'headIn HTTP/1.1 407 Login',
      'headOut CONNECT a.test:80 HTTP/1.1',
      'headIn HTTP/1.1 200 Granted',
      'headOut GET /x HTTP/1.1',
      'headIn HTTP/1.1 200 OK',
    ])
  },
  { on: 'simulated' },
)

scenario(
  'ends a transfer whose onDebug throws about a tunnel',
  async (bench) => {
    serveProxy(bench, () => null)
    const multi = bench.multi()
    for (const wanted of ['headOut', 'headIn'] as const) {
      const fetch = await fetchOne(
        bench,
        multi,
        throughTunnel({
          onDebug: (kind) => {
            if (kind === wanted) throw new Error(`no ${wanted}`)
          },
        }),
      )
      expect(fetch.outcome).toBe('ABORTED_BY_CALLBACK')
      expect(multi.stats.connections).toBe(0)
    }
  },
  { on: 'simulated' },
)

scenario(
  'needs a tunnel where connectTo leads elsewhere, and none where it leads nowhere else',
  async (bench) => {
    const proxy = serveProxy(bench, () => null)
    const multi = bench.multi()
    const connectTo = ['a.test:80:b.test:81', 'c.test:80::']
    await fetchOne(bench, multi, throughTunnel({ proxyTunnel: false, connectTo }))
    expect(proxy.heads.map((head) => head.split('\r\n')[0])).toEqual(['CONNECT b.test:81 HTTP/1.1', 'GET /x HTTP/1.1'])
    expect(proxy.heads[1]).not.toContain('Proxy-Authorization')
    await fetchOne(bench, multi, throughTunnel({ proxyTunnel: false, connectTo, url: 'http://c.test/y' }))
    expect(proxy.heads[2]).toContain('GET http://c.test/y HTTP/1.1')
    expect(proxy.heads[2]).toContain('Proxy-Authorization')
  },
  { on: 'simulated' },
)

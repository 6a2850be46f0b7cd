import { describe, expect, it } from 'vitest'
import { type SystemError, Transfer, type TransferError } from '../../lib/index.ts'
import { SimOrigin } from '../sim/origin.ts'
import type { Simulation } from '../sim/simulation.ts'
import { TYPE_A, TYPE_CNAME, writeAnswer } from '../support/dns-answers.ts'
import { SimulatedBench } from './bench.ts'
import { address, answerFrom, type DohReply, type DohWorld, httpAnswer, serveDoh } from './doh-in-world.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'

const ON = { on: 'simulated' } as const
const RECORDS = [address('a.test', '127.0.0.1')]

function simulationOf(bench: { readonly simulation: Simulation | null }): Simulation {
  return bench.simulation as Simulation
}

function lookups(bench: { readonly simulation: Simulation | null }): string[] {
  return [...simulationOf(bench).resolver.lookups.keys()]
}

scenario(
  'asks the server for both families, once for many, and counts as nothing',
  async (bench) => {
    const doh = serveDoh(simulationOf(bench), (query) => answerFrom(query, RECORDS), 5)
    const multi = bench.multi({ maxTotalConnections: 1 })
    const url = `http://a.test:${bench.port}/bytes/10`
    const list = Array.from({ length: 5 }, () => ({ url, dohUrl: doh.url }))
    const fetches = list.map((options) => new Fetch(options))
    for (const { transfer } of fetches) multi.add(transfer)
    let runningMax = 0
    await bench.drive(multi, () => {
      runningMax = Math.max(runningMax, multi.running)
      return multi.running === 0
    })
    expect(readMessages(multi, fetches).length).toBe(5)
    for (const fetch of fetches) expectBody(fetch, '/bytes/10')
    expect(runningMax).toBe(5)
    expect(multi.stats).toMatchObject({ added: 5, done: 5, connections: 1, idleConnections: 1, pending: 0 })
    expect(doh.asked.toSorted()).toEqual(['a.test A', 'a.test AAAA'])
    expect(doh.heads[0]).toMatch(/^POST \/dns-query HTTP\/1\.1\r\nHost: 127\.0\.0\.1:8053\r\n/)
    expect(doh.heads[0]).toMatch(/^Content-Type: application\/dns-message\r?$/m)
    expect(lookups(bench)).toEqual([])
    expect(fetches[0]?.transfer.info.nameLookupTime).toBeGreaterThan(0)
  },
  ON,
)

scenario(
  'asks for one family when one is wanted, and follows a chain of names',
  async (bench) => {
    const chain = [
      { name: 'www.test', type: TYPE_CNAME, ttl: 9, value: 'b.test' },
      { name: 'b.test', type: TYPE_CNAME, ttl: 9, value: 'a.test' },
      ...RECORDS,
    ]
    const doh = serveDoh(simulationOf(bench), (query) => answerFrom(query, chain))
    const url = `http://www.test:${bench.port}/bytes/10`
    expectBody(await fetchOne(bench, bench.multi(), { url, dohUrl: doh.url, ipVersion: 4 }), '/bytes/10')
    expect(doh.asked).toEqual(['www.test A'])
  },
  ON,
)

scenario(
  'asks the system for the name of the server, and for names of this machine',
  async (bench) => {
    const { resolver } = simulationOf(bench)
    resolver.set('localhost', { addresses: ['127.0.0.1'] })
    resolver.set('a.localhost', { addresses: ['127.0.0.1'] })
    const doh = serveDoh(simulationOf(bench), (query) => answerFrom(query, RECORDS))
    const multi = bench.multi()
    const dohUrl = doh.url.replace('127.0.0.1', 'localhost')
    for (const host of ['a.test', 'a.localhost', 'localhost', bench.address]) {
      const fetch = await fetchOne(bench, multi, { url: `http://${host}:${bench.port}/bytes/10`, dohUrl })
      expectBody(fetch, '/bytes/10')
    }
    expect(doh.asked.toSorted()).toEqual(['a.test A', 'a.test AAAA'])
    expect(lookups(bench).toSorted()).toEqual(['a.localhost', 'localhost'])
  },
  ON,
)

scenario(
  'fails as any lookup does, and says why',
  async (bench) => {
    const failing: readonly [
      reply: (query: Parameters<typeof answerFrom>[0]) => DohReply,
      code: string,
      why: RegExp,
    ][] = [
      [(query) => writeAnswer(query, [], { responseCode: 3 }), 'ENOTFOUND', /^$/],
      [(query) => writeAnswer(query, []), 'ENOTFOUND', /^$/],
      [(query) => writeAnswer(query, [], { responseCode: 2 }), 'EAI_AGAIN', /code 2/],
      [(query) => writeAnswer(query, [], { responseCode: 5 }), 'EAI_FAIL', /code 5/],
      [(query) => writeAnswer({ ...query, name: 'b.test' }, RECORDS), 'EAI_FAIL', /another question/],
      [(query) => httpAnswer(answerFrom(query, RECORDS), 'Content-Type: text/html\r\n'), 'EAI_FAIL', /'text\/html'/],
      [() => httpAnswer(Buffer.from('no')), 'EAI_FAIL', /shorter/],
      [() => 'HTTP/1.1 204 None\r\n\r\n', 'EAI_FAIL', /status is 204/],
      [() => 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n', 'EAI_AGAIN', /500/],
      [() => 'HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n', 'EAI_AGAIN', /65535|size/],
      [() => '', 'EAI_AGAIN', /./],
    ]
    let reply: (query: Parameters<typeof answerFrom>[0]) => DohReply = () => null
    const doh = serveDoh(simulationOf(bench), (query) => reply(query))
    const multi = bench.multi()
    for (const [index, [answer, code, why]] of failing.entries()) {
      reply = answer
      const host = `n${index}.test`
      const fetch = await fetchOne(bench, multi, { url: `http://${host}/`, dohUrl: doh.url })
      expect(fetch.outcome).toBe('COULDNT_RESOLVE_HOST')
      expect(fetch.error.message).toContain(code)
      const cause = fetch.error.cause as SystemError
      expect(cause).toMatchObject({ code, syscall: 'dns', address: host })
      expect((cause.cause as TransferError | undefined)?.message ?? '').toMatch(why)
    }
  },
  ON,
)

scenario(
  'fails when nobody is there, or the name cannot be asked for',
  async (bench) => {
    const multi = bench.multi()
    const dohUrl = 'http://127.0.0.1:9/'
    const refused = await fetchOne(bench, multi, { url: 'http://a.test/', dohUrl })
    expect(refused.outcome).toBe('COULDNT_RESOLVE_HOST')
    expect(((refused.error.cause as SystemError).cause as TransferError).code).toBe('COULDNT_CONNECT')
    const long = await fetchOne(bench, multi, { url: `http://${'x'.repeat(64)}.test/`, dohUrl })
    expect(long.error.message).toContain('ENOTFOUND')
    const proxy = await fetchOne(bench, multi, { url: 'http://a.test/', dohUrl, proxy: 'http://proxy.test:1' })
    expect(proxy.outcome).toBe('COULDNT_RESOLVE_PROXY')
  },
  ON,
)

scenario(
  'takes one family when the other fails or keeps silent',
  async (bench) => {
    let silent: DohReply = null
    const doh = serveDoh(simulationOf(bench), (query) => (query.type === TYPE_A ? answerFrom(query, RECORDS) : silent))
    const multi = bench.multi()
    const options = { url: `http://a.test:${bench.port}/bytes/10`, dohUrl: doh.url, freshConnect: true }
    expectBody(await fetchOne(bench, multi, options), '/bytes/10')
    silent = 'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'
    await bench.pass(multi, 6000)
    expectBody(await fetchOne(bench, multi, options), '/bytes/10')
    expect(doh.asked.length, 'what was incomplete is not believed for long').toBe(4)
  },
  ON,
)

scenario(
  'lets go of what nobody waits for any more, whoever leaves how',
  async (bench) => {
    const doh = serveDoh(simulationOf(bench), () => null)
    const multi = bench.multi()
    const slow = { url: 'http://a.test/', dohUrl: doh.url, connectTimeoutMs: 3000 }
    const timed = new Fetch(slow)
    const removed = new Transfer(slow)
    multi.add(timed.transfer)
    multi.add(removed)
    await bench.drive(multi, () => doh.asked.length === 2)
    multi.remove(removed)
    await bench.drive(multi)
    readMessages(multi, [timed])
    expect(timed.error.message).toMatch(/^Resolving timed out after/)
    await bench.pass(multi, 1000)
    expect(doh.connections.map(({ hasEnded }) => hasEnded)).toEqual([true, true])
    multi.add(new Transfer(slow))
    await bench.drive(multi, () => doh.asked.length === 4)
    multi.close()
  },
  ON,
)

describe('what DNS over HTTPS has answered', () => {
  async function world(reply: (ttl: { now: number }) => DohReply, run: Run): Promise<void> {
    const bench = new SimulatedBench('', 1, {}, false)
    const doh = serveDoh(bench.simulation, () => reply({ now: bench.now() }))
    await run(bench, doh)
    await bench.close()
  }
  type Run = (bench: SimulatedBench, doh: DohWorld) => Promise<void>
  const query = { id: 0, name: 'a.test', type: TYPE_A }

  async function isAsked(bench: SimulatedBench, doh: DohWorld, multi = bench.multi(), options = {}): Promise<boolean> {
    const before = doh.asked.length
    const url = `http://a.test:${bench.port}/bytes/10`
    await fetchOne(bench, multi, { url, dohUrl: doh.url, ipVersion: 4, freshConnect: true, ...options })
    return doh.asked.length > before
  }

  it('holds as long as it says, or as long as the transfer says when that is shorter', async () => {
    await world(
      () => writeAnswer(query, [address('a.test', '127.0.0.1', 100)]),
      async (bench, doh) => {
        const multi = bench.multi()
        expect(await isAsked(bench, doh, multi)).toBe(true)
        await bench.pass(multi, 90_000)
        expect(await isAsked(bench, doh, multi)).toBe(false)
        expect(await isAsked(bench, doh, multi, { dnsCacheTimeoutMs: 200_000 })).toBe(false)
        await bench.pass(multi, 11_000)
        expect(await isAsked(bench, doh, multi, { dnsCacheTimeoutMs: Number.POSITIVE_INFINITY })).toBe(false)
        expect(await isAsked(bench, doh, multi, { dnsCacheTimeoutMs: 200_000 })).toBe(true)
        await bench.pass(multi, 10_000)
        expect(await isAsked(bench, doh, multi, { dnsCacheTimeoutMs: 5000 })).toBe(true)
        expect(await isAsked(bench, doh, multi, { dohUrl: `${doh.url}?other` }), 'of another server').toBe(true)
      },
    )
  })

  it('with a TTL of 0 holds for those who asked together only', async () => {
    await world(
      () => writeAnswer(query, [address('a.test', '127.0.0.1', 0)]),
      async (bench, doh) => {
        const multi = bench.multi()
        const url = `http://a.test:${bench.port}/bytes/10`
        await fetchAll(
          bench,
          multi,
          [1, 2, 3].map(() => ({ url, dohUrl: doh.url, ipVersion: 4 as const })),
        )
        expect(doh.asked.length).toBe(1)
        expect(await isAsked(bench, doh, multi)).toBe(true)
      },
    )
  })

  it('is kept for a moment when there is no such name, and not at all when it failed', async () => {
    for (const [responseCode, isKept] of [
      [3, true],
      [2, false],
    ] as const) {
      await world(
        () => writeAnswer(query, [], { responseCode }),
        async (bench, doh) => {
          const multi = bench.multi()
          expect(await isAsked(bench, doh, multi)).toBe(true)
          expect(await isAsked(bench, doh, multi)).toBe(!isKept)
          await bench.pass(multi, 6000)
          expect(await isAsked(bench, doh, multi)).toBe(true)
        },
      )
    }
  })

  it('comes over few connections, which are kept', async () => {
    const bench = new SimulatedBench('', 1, {}, false)
    const doh = serveDoh(bench.simulation, (asked) => answerFrom(asked, [address(asked.name, '127.0.0.1')]), 20)
    const multi = bench.multi()
    const list = Array.from({ length: 40 }, (_, index) => ({
      url: `http://n${index}.test:${bench.port}/bytes/1`,
      dohUrl: doh.url,
    }))
    for (const fetch of await fetchAll(bench, multi, list)) expectBody(fetch, '/bytes/1')
    expect(doh.asked.length).toBe(80)
    expect(doh.connections.length).toBeLessThanOrEqual(6)
    await bench.close()
  })

  it('is tried family by family', async () => {
    const bench = new SimulatedBench('', 1, {}, false)
    const six = '2001:db8::1'
    bench.simulation.kernel.network.setRoute(six, 'blackhole')
    const records = [address('a.test', six), ...RECORDS]
    const doh = serveDoh(bench.simulation, (asked) => answerFrom(asked, records))
    const url = 'http://a.test/bytes/10'
    const fetch = await fetchOne(bench, bench.multi(), { url, dohUrl: doh.url })
    expectBody(fetch, '/bytes/10')
    expect(fetch.transfer.info.primaryAddress).toBe('127.0.0.1')
    expect(fetch.transfer.info.connectTime - fetch.transfer.info.nameLookupTime).toBeGreaterThanOrEqual(200_000)
    const other = new SimOrigin(bench.simulation.world, bench.simulation.kernel.network, { address: six })
    bench.simulation.kernel.network.setRoute(six, 'up')
    const direct = await fetchOne(bench, bench.multi(), { url, dohUrl: doh.url })
    expect(direct.transfer.info.primaryAddress).toBe(six)
    expect(other.requests.length).toBe(1)
    await bench.close()
  })
})

describe('the options of DNS over HTTPS', () => {
  it.each(['http://dns.test/', 'ftp://dns.test/', 'ws://127.0.0.1/', 'dns', '', 'https://'])('refuse %j', (dohUrl) => {
    expect(() => new Transfer({ url: 'http://a.test/', dohUrl })).toThrow(/dohUrl/)
  })

  it('refuse what is no URL, and what TLS does not know', () => {
    expect(() => new Transfer({ url: 'http://a.test/', dohUrl: 5 as unknown as string })).toThrow(TypeError)
    const dohTls = { verify: false } as object
    expect(() => new Transfer({ url: 'http://a.test/', dohUrl: 'https://dns.test/', dohTls })).toThrow(/verify/)
  })

  it.each(['https://dns.test/dns-query', 'http://127.0.0.1:53/', 'http://localhost/', 'http://[::1]/', null])(
    'take %j',
    (dohUrl) => {
      expect(() => new Transfer({ url: 'http://a.test/', dohUrl })).not.toThrow()
    },
  )
})

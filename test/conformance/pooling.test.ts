import { describe, expect, it } from 'vitest'
import type { Transfer } from '../../lib/index.ts'
import { type Bench, SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'
import { serveScript } from './scripted.ts'

scenario('uses one connection for requests that follow each other', async (bench) => {
  const multi = bench.multi()
  for (let i = 0; i < 20; i++)
    expectBody(await fetchOne(bench, multi, { url: bench.url(`/bytes/${i}`) }), `/bytes/${i}`)
  expect((await bench.look()).connections).toBe(1)
  expect(multi.stats).toMatchObject({ connections: 1, idleConnections: 1, added: 20, running: 0, done: 0 })
})

scenario('opens a fresh connection when asked, each time', async (bench) => {
  const multi = bench.multi()
  for (let i = 0; i < 3; i++) await fetchOne(bench, multi, { url: bench.url('/bytes/5'), freshConnect: true })
  expect((await bench.look()).connections).toBe(3)
})

scenario('opens a fresh connection although the limit is reached by idle ones', async (bench) => {
  const multi = bench.multi({ maxHostConnections: 1 })
  for (let i = 0; i < 3; i++) {
    expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/5'), freshConnect: true }), '/bytes/5')
  }
  expect(multi.stats.connections).toBe(1)
})

scenario('closes the connection when reuse is forbidden', async (bench) => {
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: bench.url('/bytes/5'), forbidReuse: true })
  expect(multi.stats.connections).toBe(0)
  expect(multi.waitFds()).toEqual([])
})

scenario('keeps to the limit per host, lets everybody through, and nobody twice', async (bench) => {
  const multi = bench.multi({ maxHostConnections: 3 })
  const paths = Array.from({ length: 60 }, (_, index) => `/bytes/${index}`)
  const fetches = await fetchAll(
    bench,
    multi,
    paths.map((path) => ({ url: bench.url(path) })),
  )
  for (const [index, path] of paths.entries()) expectBody(fetches[index]!, path)
  const look = await bench.look()
  expect(look.connections).toBeLessThanOrEqual(bench.simulation === null ? 3 : 60)
  expect(look.requests.length).toBeGreaterThanOrEqual(60)
  expect(multi.stats.pending).toBe(0)
})

scenario('lets those who wait through when every connection dies after one answer', async (bench) => {
  const multi = bench.multi({ maxHostConnections: 2 })
  const paths = Array.from({ length: 15 }, (_, index) => `/close/${index * 10}`)
  const fetches = await fetchAll(
    bench,
    multi,
    paths.map((path) => ({ url: bench.url(path) })),
  )
  for (const [index, path] of paths.entries()) expectBody(fetches[index]!, path)
  expect(multi.stats).toMatchObject({ connections: 0, pending: 0 })
})

scenario('lets those who wait through when every connection is refused', async (bench) => {
  const multi = bench.multi({ maxHostConnections: 2 })
  await bench.shutOrigin()
  const fetches = await fetchAll(
    bench,
    multi,
    Array.from({ length: 10 }, () => ({ url: bench.url('/bytes/1') })),
  )
  for (const fetch of fetches) expect(fetch.outcome).toBe('COULDNT_CONNECT')
  expect(fetches[0]?.error.cause).toMatchObject({ code: 'ECONNREFUSED' })
})

scenario('starts in the order of adding when connections are few', async (bench) => {
  const multi = bench.multi({ maxHostConnections: 1 })
  const paths = Array.from({ length: 12 }, (_, index) => `/bytes/${index}`)
  await fetchAll(
    bench,
    multi,
    paths.map((path) => ({ url: bench.url(path) })),
  )
  const { requests } = await bench.look()
  expect([...new Set(requests.map(({ target }) => target))]).toEqual(paths)
})

scenario('closes an idle connection when the origin does, and opens another', async (bench) => {
  const multi = bench.multi()
  expectBody(await fetchOne(bench, multi, { url: bench.url('/idle-fin/10') }), '/idle-fin/10')
  await bench.drive(multi, () => multi.stats.connections === 0)
  expect(multi.waitFds()).toEqual([])
  expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/10') }), '/bytes/10')
  expect((await bench.look()).connections).toBe(2)
})

scenario('closes an idle connection on which junk arrives', async (bench) => {
  const multi = bench.multi()
  expectBody(await fetchOne(bench, multi, { url: bench.url('/stray/10') }), '/stray/10')
  await bench.drive(multi, () => multi.stats.connections === 0)
  expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/10') }), '/bytes/10')
})

scenario(
  'begins again on a new connection when the origin closes an idle one in its face',
  async (bench) => {
    const multi = bench.multi()
    for (let i = 0; i < 6; i++) {
      expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/10') }), '/bytes/10')
    }
    expect(multi.stats.idleConnections).toBeLessThanOrEqual(1)
  },
  { origin: { keepAliveMost: 2 } },
)

scenario(
  'serves many when the origin closes idle connections all the time',
  async (bench) => {
    const multi = bench.multi({ maxHostConnections: 4 })
    const paths = Array.from({ length: 40 }, (_, index) => (index % 4 === 0 ? `/idle-fin/${index}` : `/bytes/${index}`))
    const fetches = await fetchAll(
      bench,
      multi,
      paths.map((path) => ({ url: bench.url(path) })),
    )
    for (const [index, path] of paths.entries()) expectBody(fetches[index]!, path)
  },
  { origin: { idleCloseMs: 1 } },
)

scenario('keeps no more idle connections than allowed', async (bench) => {
  const multi = bench.multi({ maxIdleConnections: 2 })
  await fetchAll(
    bench,
    multi,
    Array.from({ length: 8 }, () => ({ url: bench.url('/slow/5/10') })),
  )
  expect(multi.stats.idleConnections).toBeLessThanOrEqual(2)
  expect(multi.stats.connections).toBe(multi.stats.idleConnections)
})

scenario('keeps none when none is allowed', async (bench) => {
  const multi = bench.multi({ maxIdleConnections: 0 })
  await fetchAll(bench, multi, [{ url: bench.url('/bytes/1') }, { url: bench.url('/bytes/2') }])
  expect(multi.stats.connections).toBe(0)
  expect(multi.waitFds()).toEqual([])
  expect(multi.timeout()).toBe(-1)
})

scenario('does not reuse across options that reach another peer', async (bench) => {
  const multi = bench.multi()
  const resolve = [`one.test:${bench.port}:127.0.0.1`]
  await fetchOne(bench, multi, { url: bench.url('/bytes/1') })
  await fetchOne(bench, multi, { url: `http://one.test:${bench.port}/bytes/1`, resolve })
  await fetchOne(bench, multi, { url: bench.url('/bytes/1'), ipVersion: 4 })
  expect((await bench.look()).connections).toBe(3)
  expect((await bench.look()).requests[1]?.headers.get('host')).toBe(
    bench.port === 80 ? 'one.test' : `one.test:${bench.port}`,
  )
})

scenario(
  'runs a thousand at once',
  async (bench) => {
    const multi = bench.multi()
    const paths = Array.from({ length: 1000 }, (_, index) => `/bytes/${index % 50}`)
    const fetches = await fetchAll(
      bench,
      multi,
      paths.map((path) => ({ url: bench.url(path) })),
    )
    for (const [index, path] of paths.entries()) expectBody(fetches[index]!, path)
    expect(multi.stats).toMatchObject({ added: 1000, running: 0, pending: 0, done: 0 })
  },
  { calm: true },
)

it('gives a transfer that wants a fresh connection no used one, though it had to wait', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi({ maxHostConnections: 1 })
  const url = bench.url('/slow/10/1')
  const fetches = await fetchAll(bench, multi, [
    { url },
    { url, freshConnect: true },
    { url },
    { url, freshConnect: true },
  ])
  expect(fetches.map(({ outcome }) => outcome)).toEqual(['OK', 'OK', 'OK', 'OK'])
  expect(fetches.map(({ transfer }) => transfer.info.connects)).toEqual([1, 1, 0, 1])
  expect(multi.stats).toMatchObject({ connections: 1, pending: 0 })
  await bench.close()
})

describe('a request on a reused connection that dies unanswered', () => {
  async function second(options: { method?: string; body?: string | (() => string | null) }) {
    const bench = new SimulatedBench('', 1, {}, false)
    const server = serveScript(bench.simulation, 81, (connection) => {
      const { peer, number } = connection
      const heads = connection.received.split('\r\n\r\n').length - 1
      if (number === 1 && heads >= 2) peer.close()
      else peer.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    })
    const multi = bench.multi()
    await fetchOne(bench, multi, { url: server.url })
    const fetch = await fetchOne(bench, multi, { url: server.url, ...options })
    await bench.close()
    return { fetch, connections: server.connections.length }
  }

  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
    it(`is sent again when it is a ${method}`, async () => {
      const { fetch, connections } = await second(method === 'PUT' ? { method, body: 'x' } : { method })
      expect(fetch.outcome).toBe('OK')
      expect(fetch.transfer.info).toMatchObject({ retries: 1, connects: 1 })
      expect(connections).toBe(2)
    })
  }

  it('is not sent again when it is a POST that the peer may have seen', async () => {
    const { fetch, connections } = await second({ body: 'x' })
    expect(fetch.outcome).toBe('GOT_NOTHING')
    expect(fetch.transfer.info.retries).toBe(0)
    expect(connections).toBe(1)
  })

  it('is not sent again when its body came from a callback', async () => {
    let asked = 0
    const { fetch } = await second({ method: 'PUT', body: () => (asked++ === 0 ? 'x' : null) })
    expect(fetch.outcome).not.toBe('OK')
    expect(fetch.transfer.info.retries).toBe(0)
  })
})

it('gives up after some beginnings when every reused connection dies', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  let served = 0
  const server = serveScript(bench.simulation, 81, ({ peer }) => {
    served++
    if (served === 1) peer.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    else peer.close()
  })
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: server.url })
  const fetch = await fetchOne(bench, multi, { url: server.url })
  expect(fetch.outcome).toBe('GOT_NOTHING')
  expect(served).toBeLessThanOrEqual(7)
  await bench.close()
})

it('does not send a request again whose answer had begun', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, (connection) => {
    const heads = connection.received.split('\r\n\r\n').length - 1
    connection.peer.write(heads >= 2 ? 'HTTP' : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    if (heads >= 2) connection.peer.end()
  })
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: server.url })
  const fetch = await fetchOne(bench, multi, { url: server.url })
  expect(fetch.outcome).not.toBe('OK')
  expect(server.connections.length).toBe(1)
  await bench.close()
})

it('closes the oldest idle connection when another origin needs the room', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
  const servers = [81, 82, 83, 84].map((port) => serveScript(bench.simulation, port, ({ peer }) => peer.write(answer)))
  const multi = bench.multi({ maxIdleConnections: 3 })
  for (const { url } of servers) {
    await fetchOne(bench, multi, { url })
    await bench.pass(multi, 10)
  }
  expect(servers.map(({ connections }) => connections[0]?.hasEnded)).toEqual([true, false, false, false])
  await bench.close()
})

it('closes an idle connection of another origin when the total is reached', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
  const servers = [81, 82, 83].map((port) => serveScript(bench.simulation, port, ({ peer }) => peer.write(answer)))
  const multi = bench.multi({ maxTotalConnections: 2 })
  for (const { url } of [...servers, ...servers]) {
    expect((await fetchOne(bench, multi, { url })).outcome).toBe('OK')
    expect(multi.stats.connections).toBeLessThanOrEqual(2)
  }
  await bench.close()
})

it('lets one origin not starve another when the total is short', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const order: string[] = []
  const serve = (port: number): string =>
    serveScript(bench.simulation, port, ({ peer }, fresh) => {
      order.push(`${port}${/GET (\S+)/.exec(fresh)?.[1]}`)
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    }).url
  const [many, few] = [serve(81), serve(82)]
  const multi = bench.multi({ maxTotalConnections: 2 })
  const list = Array.from({ length: 10 }, (_, index) => ({ url: `${many}/${index}` }))
  const fetches = await fetchAll(bench, multi, [...list.slice(0, 4), { url: `${few}/0` }, ...list.slice(4)])
  for (const fetch of fetches) expect(fetch.outcome).toBe('OK')
  expect(order.indexOf('82/0')).toBeLessThanOrEqual(6)
  await bench.close()
})

it('drops a connection that was idle for too long, by a timer', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: bench.url('/bytes/1') })
  await bench.pass(multi, 117_000)
  expect(multi.stats.idleConnections).toBe(1)
  await bench.pass(multi, 2000)
  expect(multi.stats.idleConnections).toBe(0)
  expect(multi.timeout()).toBe(-1)
  await bench.close()
})

describe('a transfer is removed', () => {
  type Moment = { name: string; url(bench: Bench): string; until(transfer: Transfer, bench: Bench): boolean }
  const moments: readonly Moment[] = [
    { name: 'at once', url: (bench) => bench.url('/bytes/9'), until: () => true },
    {
      name: 'while resolving',
      url: () => 'http://slow.test/',
      until: (_transfer, bench) => (bench.simulation?.resolver.outstanding ?? 0) > 0,
    },
    {
      name: 'while connecting',
      url: () => 'http://10.0.0.1/',
      until: (_transfer, bench) => (bench.simulation?.kernel.calls['connect'] ?? 0) > 0,
    },
    {
      name: 'after sending',
      url: (bench) => bench.url('/hang'),
      until: (_transfer, bench) => (bench.simulation?.origin.requests.length ?? 0) > 0,
    },
    { name: 'in the body', url: (bench) => bench.url('/stall/1000'), until: ({ info }) => info.bytesReceived > 0 },
    { name: 'when done', url: (bench) => bench.url('/bytes/9'), until: ({ info }) => info.bytesReceived === 9 },
  ]
  for (const moment of moments) {
    it(moment.name, async () => {
      for (const fuzzed of [false, true]) {
        const bench = new SimulatedBench('', 3, {}, fuzzed)
        bench.simulation.resolver.set('slow.test', { addresses: ['127.0.0.1'], delayMs: 1000 })
        bench.simulation.kernel.network.setRoute('10.0.0.1', 'blackhole')
        const multi = bench.multi({ maxHostConnections: 1 })
        const fetch = new Fetch({ url: moment.url(bench) })
        const next = new Fetch({ url: bench.url('/bytes/7') })
        multi.add(fetch.transfer)
        multi.add(next.transfer)
        // So that the moment is looked for now and then.
        const { world } = bench.simulation
        for (let tick = 0; tick < 20; tick++) world.plan(world.now + tick, () => {})
        await bench.drive(multi, () => moment.until(fetch.transfer, bench))
        multi.remove(fetch.transfer)
        multi.remove(fetch.transfer)
        await bench.drive(multi)
        const messages = readMessages(multi, [next])
        expect(messages.length).toBe(1)
        expectBody(next, '/bytes/7')
        expect(bench.simulation.resolver.outstanding).toBe(0)
        expect(multi.stats).toMatchObject({ running: 0, pending: 0, done: 1 })
        await bench.close()
      }
    })
  }

  it('while pending, and then the one that ran', async () => {
    const bench = new SimulatedBench('', 1, {}, false)
    const multi = bench.multi({ maxHostConnections: 1 })
    const fetches = [1, 2, 3].map((count) => new Fetch({ url: bench.url(`/slow/50/${count}`) }))
    for (const { transfer } of fetches) multi.add(transfer)
    await bench.pass(multi, 10)
    expect(multi.stats).toMatchObject({ pending: 2, running: 1 })
    multi.remove(fetches[1]!.transfer)
    expect(multi.stats).toMatchObject({ pending: 1, running: 1 })
    multi.remove(fetches[0]!.transfer)
    await bench.drive(multi)
    readMessages(multi, fetches)
    expect(fetches.map(({ outcome }) => outcome)).toEqual(['running', 'running', 'OK'])
    await bench.close()
  })
})

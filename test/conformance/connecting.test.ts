import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { kernel, Multi, type MultiError, runPollLoop, Transfer, WOULD_BLOCK } from '../../lib/index.ts'
import { Family } from '../../lib/sys/kernel.ts'
import { serveEcho } from '../sim/echo.ts'
import { SimOrigin } from '../sim/origin.ts'
import { describeWhen } from '../support/peers.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'

const directory = mkdtempSync(join(tmpdir(), 'sockmux-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

scenario(
  'goes over a unix socket, with the host of the URL in its request',
  async (bench) => {
    const multi = bench.multi()
    for (let i = 0; i < 3; i++) {
      const url = 'http://inside.test/bytes/100'
      const fetch = await fetchOne(bench, multi, { url, unixSocketPath: bench.address })
      expectBody(fetch, '/bytes/100')
      expect(fetch.transfer.info.primaryAddress).toBe(bench.address)
    }
    const { requests, connections } = await bench.look()
    expect(requests[0]?.headers.get('host')).toBe('inside.test')
    expect(connections).toBe(1)
  },
  { origin: { address: join(directory, 'socket') } },
)

scenario(
  'goes over an abstract unix socket',
  async (bench) => {
    const url = 'http://inside.test/bytes/100'
    expectBody(await fetchOne(bench, bench.multi(), { url, unixSocketPath: bench.address }), '/bytes/100')
  },
  { origin: { address: '\0sockmux-conformance' }, on: 'simulated' },
)

describeWhen(process.platform === 'linux', 'an abstract unix socket', 'abstract names are of Linux', () => {
  // node:net of Node 20 pads such names with NUL, so the peer is a listener of this library's kernel.
  it.each(['sockmux', 'n', 'x'.repeat(100)])('is reached by its exact name: %s', (name) => {
    const path = `\0${name}-${process.pid}`
    const listener = kernel.socket(Family.UNIX)
    expect(kernel.bind(listener, Family.UNIX, path, 0)).toBe(0)
    expect(kernel.listen(listener, 5)).toBe(0)
    const multi = new Multi()
    const transfer = new Transfer({ url: 'tcp://x.test:1', connectOnly: true, unixSocketPath: path })
    multi.add(transfer)
    runPollLoop(multi)
    expect(multi.infoRead()).toMatchObject({ code: 0, error: null })
    const accepted = kernel.accept(listener)
    expect(accepted).toBeGreaterThanOrEqual(0)
    expect(transfer.send(Buffer.from('hello'))).toBe(5)
    multi.close()
    kernel.close(accepted)
    kernel.close(listener)
  })
})

scenario('says that a unix socket is not there', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), { url: 'http://x.test/', unixSocketPath: '/nowhere/at/all' })
  expect(fetch.outcome).toBe('COULDNT_CONNECT')
  expect(fetch.error).toMatchObject({ syscall: 'connect' })
  expect(fetch.error.cause).toMatchObject({ code: 'ENOENT' })
})

scenario('asks no resolver for what the resolve option says', async (bench) => {
  const multi = bench.multi()
  for (const resolve of [
    [`nowhere.invalid:${bench.port}:${bench.address}`],
    [`*:${bench.port}:${bench.address}`],
    [`nowhere.invalid:${bench.port}:192.0.2.1`, `nowhere.invalid:${bench.port}:${bench.address}`],
  ]) {
    const fetch = await fetchOne(bench, multi, { url: `http://nowhere.invalid:${bench.port}/bytes/5`, resolve })
    expectBody(fetch, '/bytes/5')
  }
  expect(bench.simulation?.resolver.lookups.size ?? 0).toBe(0)
})

scenario('resolves localhost, once for many', async (bench) => {
  bench.simulation?.resolver.set('localhost', { addresses: ['127.0.0.1'] })
  const multi = bench.multi()
  const url = `http://localhost:${bench.port}/bytes/5`
  const fetches = await fetchAll(
    bench,
    multi,
    Array.from({ length: 10 }, () => ({ url, ipVersion: 4 as const })),
  )
  for (const fetch of fetches) expectBody(fetch, '/bytes/5')
  if (bench.simulation !== null) expect([...bench.simulation.resolver.lookups.values()]).toEqual([1])
})

scenario('fails a host that does not exist, and all who wait for it', async (bench) => {
  bench.simulation?.resolver.set('nowhere.invalid', { error: 'ENOTFOUND' })
  const multi = bench.multi()
  const fetches = await fetchAll(
    bench,
    multi,
    [1, 2, 3].map(() => ({ url: 'http://nowhere.invalid/' })),
  )
  for (const fetch of fetches) {
    expect(fetch.outcome).toBe('COULDNT_RESOLVE_HOST')
    expect(fetch.error.message).toContain('nowhere.invalid')
  }
  expect(multi.stats.connections).toBe(0)
})

scenario('closes with a lookup under way, without waiting for it', async (bench) => {
  bench.simulation?.resolver.set('slow.invalid', { addresses: ['127.0.0.1'], delayMs: 5000 })
  const multi = bench.multi()
  multi.add(new Transfer({ url: 'http://slow.invalid/' }))
  const removed = new Transfer({ url: 'http://slow.invalid/' })
  multi.add(removed)
  let turns = 0
  await bench.drive(multi, () => turns++ > 1)
  multi.remove(removed)
})

scenario('says refused, with address and port', async (bench) => {
  await bench.shutOrigin()
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/') })
  expect(fetch.outcome).toBe('COULDNT_CONNECT')
  expect(fetch.error).toMatchObject({ number: 7, syscall: 'connect', address: '127.0.0.1', port: bench.port })
  expect(fetch.error.cause).toMatchObject({ code: 'ECONNREFUSED' })
})

describe('of two families', () => {
  const six = '2001:db8::1'
  function world() {
    const bench = new SimulatedBench('', 1, {}, false)
    const { network } = bench.simulation.kernel
    bench.simulation.resolver.set('both.test', { addresses: [six, '127.0.0.1'] })
    return { bench, network }
  }
  const url = 'http://both.test/bytes/10'

  it('the second is tried when the first is a black hole, after the head start', async () => {
    const { bench, network } = world()
    network.setRoute(six, 'blackhole')
    const begin = bench.now()
    const fetch = await fetchOne(bench, bench.multi(), { url, happyEyeballsDelayMs: 150 })
    expectBody(fetch, '/bytes/10')
    expect(fetch.transfer.info.primaryAddress).toBe('127.0.0.1')
    expect(bench.now() - begin).toBeGreaterThanOrEqual(150)
    expect(bench.now() - begin).toBeLessThan(170)
    await bench.close()
  })

  it('the second is tried at once when the first refuses or is unreachable', async () => {
    for (const route of ['up', 'unreachable'] as const) {
      const { bench, network } = world()
      network.setRoute(six, route)
      const begin = bench.now()
      expectBody(await fetchOne(bench, bench.multi(), { url }), '/bytes/10')
      expect(bench.now() - begin).toBeLessThan(100)
      await bench.close()
    }
  })

  it('the first wins when it answers, and the other is not left open', async () => {
    const { bench, network } = world()
    const origin6 = new SimOrigin(bench.simulation.world, network, { address: six })
    const fetch = await fetchOne(bench, bench.multi(), { url })
    expectBody(fetch, '/bytes/10')
    expect(fetch.transfer.info.primaryAddress).toBe(six)
    expect(origin6.requests.length).toBe(1)
    await bench.close()
  })

  it('both failures are told when both fail', async () => {
    const { bench, network } = world()
    network.setRoute(six, 'unreachable')
    bench.simulation.origin.close()
    const fetch = await fetchOne(bench, bench.multi(), { url })
    expect(fetch.outcome).toBe('COULDNT_CONNECT')
    const cause = (fetch.error.cause as Error).cause as AggregateError
    expect(cause.errors.length).toBe(2)
    await bench.close()
  })

  it('only the one that was asked for is used', async () => {
    const { bench, network } = world()
    network.setRoute(six, 'blackhole')
    const four = await fetchOne(bench, bench.multi(), { url, ipVersion: 4 })
    expectBody(four, '/bytes/10')
    const alone = await fetchOne(bench, bench.multi(), { url: 'http://127.0.0.1/', ipVersion: 6 })
    expect(alone.outcome).toMatch(/COULDNT_(CONNECT|RESOLVE_HOST)/)
    await bench.close()
  })

  it('both hang until the connect timeout, and both descriptors are closed', async () => {
    const { bench, network } = world()
    network.setRoute(six, 'blackhole')
    network.setRoute('127.0.0.1', 'blackhole')
    const fetch = await fetchOne(bench, bench.multi(), { url, connectTimeoutMs: 500 })
    expect(fetch.error.message).toBe('Connection timed out after 500 ms')
    await bench.close()
  })
})

scenario('gives a raw connection that ends with its message, and bytes both ways by hand', async (bench) => {
  const multi = bench.multi()
  const fetch = new Fetch({ url: `tcp://${bench.host}`, connectOnly: true })
  const { transfer } = fetch
  expect(() => transfer.send(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'BAD_EASY_HANDLE' }))
  multi.add(transfer)
  await bench.drive(multi)
  readMessages(multi, [fetch])
  expect(fetch.outcome).toBe('OK')
  expect(transfer.info.activeSocket).toBeGreaterThanOrEqual(0)
  expect(multi.waitFds(), 'the Multi does not watch it').toEqual([])
  await bench.pass(multi, 5)
  expect(multi.running).toBe(0)
  const request = Buffer.from('GET /bytes/3 HTTP/1.1\r\nhost: x\r\n\r\n')
  expect(transfer.send(request)).toBe(request.length)
  let received = ''
  const memory = new Uint8Array(10)
  for (let tries = 0; tries < 500 && !received.includes('\r\n\r\n'); tries++) {
    const count = transfer.receive(memory)
    if (count === WOULD_BLOCK) await bench.pass(multi, 1)
    else received += Buffer.from(memory.subarray(0, count)).toString('latin1')
  }
  expect(received).toMatch(/^HTTP\/1\.1 200/)
  transfer.shutdownWrite()
  for (let tries = 0; tries < 500; tries++) {
    const count = transfer.receive(memory)
    if (count === 0) break
    if (count === WOULD_BLOCK) await bench.pass(multi, 1)
    expect(tries).toBeLessThan(499)
  }
  multi.remove(transfer)
  expect(transfer.info.activeSocket).toBe(-1)
  expect(() => transfer.receive(memory)).toThrow(expect.objectContaining({ code: 'BAD_EASY_HANDLE' } as MultiError))
  expect(multi.stats.connections).toBe(0)
})

it('never gives a raw connection to another transfer, nor takes a used one', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const { world, kernel: simulated } = bench.simulation
  serveEcho(world, simulated.network, { family: Family.IPV4, address: '127.0.0.1', port: 7 })
  const multi = bench.multi({ maxHostConnections: 2 })
  const raws = [1, 2].map(() => new Fetch({ url: 'tcp://127.0.0.1:7', connectOnly: true }))
  for (const { transfer } of raws) multi.add(transfer)
  await bench.drive(multi)
  const third = new Fetch({ url: 'tcp://127.0.0.1:7', connectOnly: true })
  multi.add(third.transfer)
  await bench.pass(multi, 50)
  expect(multi.stats.pending, 'raw connections count against the limit').toBe(1)
  multi.remove(raws[0]!.transfer)
  await bench.drive(multi)
  readMessages(multi, [...raws, third])
  expect(third.outcome).toBe('OK')
  await bench.close()
})

it('connects only over http as well, for a protocol of the user', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: bench.url('/bytes/1') })
  const fetch = new Fetch({ url: bench.url('/'), connectOnly: true })
  multi.add(fetch.transfer)
  await bench.drive(multi)
  expect(fetch.transfer.info.connects).toBe(1)
  await bench.close()
})

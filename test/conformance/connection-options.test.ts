import { expect, it } from 'vitest'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchOne, readMessages } from './fetches.ts'

scenario('leads a request elsewhere, and says who was meant', async (bench) => {
  const multi = bench.multi()
  const connectTo = [`wanted.test:8080:${bench.address}:${bench.port}`]
  const fetch = await fetchOne(bench, multi, { url: 'http://wanted.test:8080/bytes/10', connectTo })
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.transfer.info.primaryPort).toBe(bench.port)
  const { requests } = await bench.look()
  expect(requests[0]?.headers.get('host')).toBe('wanted.test:8080')
})

scenario('connects from the address that it is given', async (bench) => {
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, {
    url: bench.url('/bytes/10'),
    localAddress: '127.0.0.1',
    keepAlive: true,
  })
  expectBody(fetch, '/bytes/10')
  expect(fetch.transfer.info.localAddress).toBe('127.0.0.1')
  const plain = await fetchOne(bench, multi, { url: bench.url('/bytes/10') })
  expect(plain.transfer.info.connects, 'a connection from elsewhere is another').toBe(1)
})

scenario(
  'says that an address is not its own',
  async (bench) => {
    const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/bytes/10'), localAddress: '192.0.2.1' })
    expect(fetch.outcome).toBe('INTERFACE_FAILED')
    expect(fetch.error.syscall).toBe('bind')
  },
  { on: 'real' },
)

scenario('connects from a device, an address, or both, as curl spells them', async (bench) => {
  const multi = bench.multi()
  const url = bench.url('/bytes/10')
  for (const from of ['lo', 'if!lo', '127.0.0.1', 'host!127.0.0.1', 'ifhost!lo!127.0.0.1']) {
    const fetch = await fetchOne(bench, multi, { url, interface: from })
    expectBody(fetch, '/bytes/10')
    expect(fetch.transfer.info.localAddress, from).toBe('127.0.0.1')
  }
  expect((await fetchOne(bench, multi, { url, interface: 'lo' })).transfer.info.connects).toBe(0)
  expect((await fetchOne(bench, multi, { url })).transfer.info.connects, 'from elsewhere').toBe(1)
})

scenario('says that there is no such device', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/bytes/10'), interface: 'nowhere7' })
  expect(fetch.outcome).toBe('INTERFACE_FAILED')
  expect(fetch.error).toMatchObject({ number: 45, syscall: 'bind', address: 'nowhere7' })
})

scenario('takes the first free port of a range, and says when there is none', async (bench) => {
  const multi = bench.multi()
  const localPort = 20_000 + Math.floor(bench.port / 2)
  const options = { url: bench.url('/hang'), localPort, localPortRange: 40 }
  const fetches = [1, 2, 3].map(() => new Fetch(options))
  for (const { transfer } of fetches) multi.add(transfer)
  const ports = (): number[] => fetches.map(({ transfer }) => transfer.info.localPort)
  await bench.drive(multi, () => ports().every((port) => port > 0))
  expect(new Set(ports()).size).toBe(3)
  for (const port of ports()) expect(port >= localPort && port < localPort + 40).toBe(true)
  const [taken = 0] = ports()
  const refused = new Fetch({ ...options, localPort: taken, localPortRange: 1 })
  multi.add(refused.transfer)
  await bench.drive(multi, () => multi.running === 3)
  readMessages(multi, [refused])
  expect(refused.outcome).toBe('INTERFACE_FAILED')
  expect(refused.error).toMatchObject({ syscall: 'bind', port: taken })
})

it('binds to an address of the device where it may not be held to it', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  bench.simulation.kernel.network.mayBindToDevice = false
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, { url: bench.url('/bytes/10'), interface: 'lo' })
  expectBody(fetch, '/bytes/10')
  expect(fetch.transfer.info.localAddress).toBe('127.0.0.1')
  await bench.close()
})

it('does not use what was idle, or lived, for longer than it may', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  const url = bench.url('/bytes/10')
  const connects = async (options: object = {}): Promise<number> =>
    (await fetchOne(bench, multi, { url, ...options })).transfer.info.connects
  expect(await connects()).toBe(1)
  await bench.pass(multi, 5000)
  expect(await connects({ maxConnectionAgeMs: 6000 })).toBe(0)
  await bench.pass(multi, 5000)
  expect(await connects({ maxConnectionAgeMs: 4000 }), 'idle for too long').toBe(1)
  await bench.pass(multi, 3000)
  expect(await connects({ maxConnectionLifetimeMs: 3500 })).toBe(0)
  await bench.pass(multi, 1000)
  expect(await connects({ maxConnectionLifetimeMs: 3500 }), 'lived for too long').toBe(1)
  await bench.close()
})

it('closes what is idle after the time of the transfer that used it last', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: bench.url('/bytes/10') })
  await fetchOne(bench, multi, { url: bench.url('/bytes/10'), maxConnectionAgeMs: 500 })
  await bench.pass(multi, 400)
  expect(multi.stats.idleConnections).toBe(1)
  await bench.pass(multi, 200)
  expect(multi.stats.idleConnections).toBe(0)
  await fetchOne(bench, multi, { url: bench.url('/bytes/10'), maxConnectionAgeMs: 200_000 })
  await bench.pass(multi, 150_000)
  expect(multi.stats.idleConnections).toBe(1)
  await bench.close()
})

it('asks for a name anew when it is older than it may be', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  const { resolver } = bench.simulation
  resolver.set('origin.test', { addresses: ['127.0.0.1'], delayMs: 10 })
  const lookupTime = async (options: object): Promise<number> => {
    const url = `http://origin.test:${bench.port}/bytes/10`
    const fetch = await fetchOne(bench, multi, { url, freshConnect: true, ...options })
    expect(fetch.outcome).toBe('OK')
    return fetch.transfer.info.nameLookupTime
  }
  expect(await lookupTime({})).toBeGreaterThanOrEqual(10_000)
  expect(await lookupTime({})).toBeLessThan(5000)
  expect(await lookupTime({ dnsCacheTimeoutMs: 0 })).toBeGreaterThanOrEqual(10_000)
  await bench.pass(multi, 70_000)
  expect(await lookupTime({ dnsCacheTimeoutMs: Number.POSITIVE_INFINITY })).toBeLessThan(5000)
  expect(await lookupTime({})).toBeGreaterThanOrEqual(10_000)
  await bench.close()
})

import { describe, expect, it } from 'vitest'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'

scenario(
  'ends a transfer that is not answered, and says how long it waited',
  async (bench) => {
    const begin = bench.now()
    const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/hang'), timeoutMs: 50 })
    expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
    expect(fetch.error.message).toMatch(/^Operation timed out after \d+ ms with 0 bytes received$/)
    expect(bench.now() - begin).toBeGreaterThanOrEqual(49)
  },
  { calm: true },
)

scenario(
  'ends a transfer whose body stands still, and says how much came',
  async (bench) => {
    const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/stall/1000'), timeoutMs: 60 })
    expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
    expect(fetch.error.message).toMatch(/^Operation timed out after \d+ ms with 500 out of 1000 bytes received$/)
  },
  { calm: true },
)

scenario(
  'ends a transfer on which nothing moves, and not one that drips',
  async (bench) => {
    const multi = bench.multi()
    const [still, dripping] = await fetchAll(bench, multi, [
      { url: bench.url('/stall/1000'), idleTimeoutMs: 60 },
      { url: bench.url('/drip/60'), idleTimeoutMs: 60 },
    ])
    expect(still?.outcome).toBe('OPERATION_TIMEDOUT')
    expect(still?.error.message).toContain('no byte moved for 60 ms')
    expectBody(dripping!, '/drip/60')
  },
  { calm: true },
)

scenario(
  'counts the time of waiting for a connection',
  async (bench) => {
    const multi = bench.multi({ maxHostConnections: 1 })
    const first = new Fetch({ url: bench.url('/hang') })
    const total = new Fetch({ url: bench.url('/bytes/1'), timeoutMs: 40 })
    const connect = new Fetch({ url: bench.url('/bytes/1'), connectTimeoutMs: 40 })
    for (const { transfer } of [first, total, connect]) multi.add(transfer)
    await bench.drive(multi, () => multi.running === 1)
    readMessages(multi, [first, total, connect])
    for (const fetch of [total, connect]) {
      expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
      expect(fetch.error.message).toMatch(/^Connection timed out after \d+ ms while waiting for a free connection$/)
    }
    expect(multi.stats.pending).toBe(0)
    multi.remove(first.transfer)
  },
  { calm: true },
)

scenario(
  'forgets the connect timeout once connected',
  async (bench) => {
    const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/slow/120/10'), connectTimeoutMs: 60 })
    expectBody(fetch, '/slow/120/10')
  },
  { calm: true },
)

scenario(
  'tells progress while nothing moves, and once at the end',
  async (bench) => {
    const multi = bench.multi()
    let told = 0
    let last = { bytesReceived: -1, bytesToReceive: -2 }
    const fetch = await fetchOne(bench, multi, {
      url: bench.url('/slow/100/10'),
      progressIntervalMs: 20,
      onProgress: (progress) => {
        told++
        last = progress
      },
    })
    expectBody(fetch, '/slow/100/10')
    expect(told).toBeGreaterThanOrEqual(3)
    expect(told).toBeLessThanOrEqual(7)
    expect(last).toMatchObject({ bytesReceived: 10, bytesToReceive: 10 })
  },
  { calm: true },
)

describe('on a black hole every timeout option ends the transfer at its time', () => {
  const options = {
    timeoutMs: { timeoutMs: 700 },
    connectTimeoutMs: { connectTimeoutMs: 700 },
    'both, the earlier first': { timeoutMs: 700, connectTimeoutMs: 5000 },
    'fractions, rounded up': { timeoutMs: 699.5 },
  }
  for (const [name, timeouts] of Object.entries(options)) {
    it(name, async () => {
      const bench = new SimulatedBench('', 1, {}, false)
      bench.simulation.kernel.network.setRoute('10.0.0.1', 'blackhole')
      const begin = bench.now()
      const fetch = await fetchOne(bench, bench.multi(), { url: 'http://10.0.0.1/', ...timeouts })
      expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
      expect(fetch.error.message).toBe('Connection timed out after 700 ms')
      expect(bench.now() - begin).toBeGreaterThanOrEqual(699.5)
      expect(bench.now() - begin).toBeLessThanOrEqual(701)
      await bench.close()
    })
  }
})

it('says that it was resolving when the name did not come in time', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  bench.simulation.resolver.set('slow.test', { addresses: ['127.0.0.1'], delayMs: 10_000 })
  const multi = bench.multi()
  const [a, b] = await fetchAll(bench, multi, [
    { url: 'http://slow.test/', timeoutMs: 100 },
    { url: 'http://slow.test/', connectTimeoutMs: 100 },
  ])
  expect(a?.error.message).toBe('Resolving timed out after 100 ms')
  expect(b?.error.message).toBe('Resolving timed out after 100 ms')
  expect(bench.simulation.resolver.outstanding).toBe(0)
  await bench.close()
})

it('arms a fresh total time for each run of one transfer', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  const fetch = new Fetch({ url: bench.url('/slow/80/5'), timeoutMs: 100 })
  for (let run = 0; run < 3; run++) {
    multi.add(fetch.transfer)
    await bench.drive(multi)
    fetch.message = null
    readMessages(multi, [fetch])
    expect(fetch.outcome).toBe('OK')
    multi.remove(fetch.transfer)
  }
  expect(multi.timeout()).toBeGreaterThan(10_000)
  await bench.close()
})

it('rounds the time it tells up, and never asks to be called early', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const told: number[] = []
  const multi = bench.multi()
  multi.setTimerFunction((ms) => {
    told.push(ms)
  })
  multi.add(new Fetch({ url: 'http://10.0.0.1/', timeoutMs: 100.25 }).transfer)
  bench.simulation.kernel.network.setRoute('10.0.0.1', 'blackhole')
  multi.socketAction(-1)
  expect(told).toEqual([0, 101])
  expect(multi.timeout()).toBe(101)
  multi.close()
})

import { expect, it } from 'vitest'
import { systemCalls } from '../../lib/sys/native.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'

scenario(
  'receives no faster than it may, and gives every byte',
  async (bench) => {
    const begin = bench.now()
    const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/bytes/30000'), maxRecvSpeed: 100_000 })
    expectBody(fetch, '/bytes/30000')
    // What a tenth of a second brings may come at once.
    expect(bench.now() - begin).toBeGreaterThanOrEqual(199)
  },
  { calm: true },
)

scenario(
  'sends no faster than it may, whatever the body is',
  async (bench) => {
    const bytes = new Uint8Array(30_000).fill(7)
    const pieces = (): (() => Uint8Array | null) => {
      let at = 0
      return () => (at === 3 ? null : bytes.subarray(at * 10_000, ++at * 10_000))
    }
    const begin = bench.now()
    const fetches = await fetchAll(bench, bench.multi(), [
      { url: bench.url('/echo'), body: bytes, maxSendSpeed: 100_000 },
      { url: bench.url('/echo'), body: pieces(), bodyLength: 30_000, maxSendSpeed: 100_000 },
      { url: bench.url('/echo'), body: pieces(), maxSendSpeed: 100_000 },
    ])
    for (const fetch of fetches) {
      expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
      expect(fetch.body.equals(bytes)).toBe(true)
      expect(fetch.transfer.info.bytesSent).toBe(30_000)
    }
    expect(bench.now() - begin).toBeGreaterThanOrEqual(199)
  },
  { calm: true },
)

it('keeps to a rate over a long time, in few steps', async () => {
  for (const rate of [1000, 50_000, 5_000_000]) {
    const bench = new SimulatedBench('', 1, {}, false)
    const multi = bench.multi()
    const total = rate * 10
    const fetch = new Fetch({ url: bench.url(`/bytes/${total}`), maxRecvSpeed: rate })
    multi.add(fetch.transfer)
    const begin = bench.now()
    await bench.drive(multi)
    const seconds = (bench.now() - begin) / 1000
    readMessages(multi, [fetch])
    expect(fetch.outcome).toBe('OK')
    expect(seconds).toBeGreaterThan(9.8)
    expect(seconds).toBeLessThan(10.4)
    expect(fetch.chunks.length, 'pieces').toBeLessThan(rate > 1_000_000 ? 1200 : 450)
    multi.remove(fetch.transfer)
    await bench.close()
  }
})

it('wants nothing and has a deadline while the rate holds it', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  const fetch = new Fetch({ url: bench.url('/bytes/100000'), maxRecvSpeed: 1000 })
  multi.add(fetch.transfer)
  await bench.drive(multi, () => fetch.chunks.length >= 2)
  const before = fetch.chunks.length
  expect(multi.waitFds().map(({ fd }) => fd)).toEqual([])
  expect(multi.timeout()).toBeGreaterThan(0)
  expect(multi.timeout()).toBeLessThanOrEqual(51)
  await bench.pass(multi, 200)
  expect(fetch.chunks.length).toBeGreaterThan(before)
  multi.remove(fetch.transfer)
  await bench.close()
})

scenario(
  'asks the system for nothing while the rate holds it',
  async (bench) => {
    const multi = bench.multi()
    const fetch = new Fetch({ url: bench.url('/bytes/5000'), maxRecvSpeed: 200 })
    multi.add(fetch.transfer)
    await bench.drive(multi, () => fetch.transfer.info.headBytes > 0)
    const before = systemCalls()['recv'] ?? 0
    await bench.pass(multi, 200)
    // At 200 bytes a second, one read every 50 ms at the most.
    expect((systemCalls()['recv'] ?? 0) - before).toBeLessThanOrEqual(8)
    multi.remove(fetch.transfer)
  },
  { on: 'real' },
)

it('goes on at its rate after a pause, and counts no pause as credit', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  const fetch = new Fetch({ url: bench.url('/bytes/20000'), maxRecvSpeed: 10_000 })
  multi.add(fetch.transfer)
  await bench.drive(multi, () => fetch.transfer.info.bytesReceived > 2000)
  fetch.transfer.pause('receive')
  await bench.pass(multi, 10_000)
  const received = fetch.transfer.info.bytesReceived
  fetch.transfer.resume('receive')
  const begin = bench.now()
  await bench.drive(multi)
  expect(bench.now() - begin).toBeGreaterThanOrEqual(((20_000 - received - 1100) / 10_000) * 1000)
  readMessages(multi, [fetch])
  expectBody(fetch, '/bytes/20000')
  multi.remove(fetch.transfer)
  await bench.close()
})

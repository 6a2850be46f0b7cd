import { expect, it } from 'vitest'
import { contentText } from '../sim/content.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'
import { serveScript } from './scripted.ts'

scenario('takes a status of 400 and above for an error when told so', async (bench) => {
  const multi = bench.multi()
  const fetches = await fetchAll(
    bench,
    multi,
    [200, 204, 304, 399, 400, 404, 503].map((status) => ({ url: bench.url(`/status/${status}`), failOnError: true })),
  )
  expect(fetches.map(({ outcome }) => outcome)).toEqual([
    'OK',
    'OK',
    'OK',
    'OK',
    'HTTP_RETURNED_ERROR',
    'HTTP_RETURNED_ERROR',
    'HTTP_RETURNED_ERROR',
  ])
  const failed = fetches.at(-1) as Fetch
  expect(failed.error.message).toContain('503')
  expect(failed.error.number).toBe(22)
  expect(failed.heads.map(({ status }) => status)).toEqual([503])
  expect(failed.chunks).toEqual([])
  expect(failed.transfer.info.status).toBe(503)
})

scenario('stops a body that is longer than allowed, announced or not', async (bench) => {
  const multi = bench.multi()
  const [fits, announced, chunked, untilEnd, decoded] = await fetchAll(bench, multi, [
    { url: bench.url('/bytes/1000'), maxFileSize: 1000 },
    { url: bench.url('/bytes/1001'), maxFileSize: 1000 },
    { url: bench.url('/chunked/50000'), maxFileSize: 20_000 },
    { url: bench.url('/close/50000'), maxFileSize: 20_000 },
    { url: bench.url('/encoded/gzip/50000'), maxFileSize: 20_000, acceptEncoding: '' },
  ])
  expectBody(fits as Fetch, '/bytes/1000')
  for (const fetch of [announced, chunked, untilEnd, decoded]) {
    expect(fetch?.outcome).toBe('FILESIZE_EXCEEDED')
    expect(fetch?.error.message).toContain('maxFileSize')
    expect(fetch?.body.length).toBeLessThanOrEqual(20_000)
  }
  expect(announced?.chunks).toEqual([])
})

scenario(
  'waits for the head of a response no longer than it may',
  async (bench) => {
    const multi = bench.multi()
    const [late, inTime, slowBody] = await fetchAll(bench, multi, [
      { url: bench.url('/hang'), serverResponseTimeoutMs: 60 },
      { url: bench.url('/slow/5/100'), serverResponseTimeoutMs: 5000 },
      { url: bench.url('/drip/60'), serverResponseTimeoutMs: 60 },
    ])
    expect(late?.outcome).toBe('OPERATION_TIMEDOUT')
    expect(late?.error.message).toBe('no response head within 60 ms of the request')
    expectBody(inTime as Fetch, '/slow/5/100')
    expectBody(slowBody as Fetch, '/drip/60')
  },
  { calm: true },
)

scenario(
  'ends a transfer that is too slow, and not one that is paused',
  async (bench) => {
    const multi = bench.multi()
    const options = { lowSpeedLimit: 1000, lowSpeedTimeMs: 100 }
    const slow = await fetchOne(bench, multi, { url: bench.url('/stall/1000'), ...options })
    expect(slow.outcome).toBe('OPERATION_TIMEDOUT')
    expect(slow.error.message).toBe('Operation too slow. Less than 1000 bytes/sec transferred the last 0.1 seconds')
    const paused = new Fetch({ url: bench.url('/bytes/1000'), ...options })
    paused.transfer.pause('receive')
    multi.add(paused.transfer)
    await bench.pass(multi, 350)
    expect(multi.running).toBe(1)
    paused.transfer.resume('receive')
    await bench.drive(multi)
    readMessages(multi, [paused])
    expectBody(paused, '/bytes/1000')
  },
  { calm: true },
)

it('ends a trickle below the limit after exactly that time, looking once a second', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const { world } = bench.simulation
  const server = serveScript(bench.simulation, 81, ({ peer }) => {
    peer.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')
    for (let second = 0; second < 60; second++) {
      world.after(second * 1000, () => peer.write(Buffer.alloc(second < 10 ? 500 : 50)))
    }
  })
  const begin = bench.now()
  const fetch = await fetchOne(bench, bench.multi(), { url: server.url, lowSpeedLimit: 100, lowSpeedTimeMs: 5000 })
  expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
  expect(fetch.error.message).toContain('Less than 100 bytes/sec transferred the last 5 seconds')
  expect(bench.now() - begin).toBeGreaterThanOrEqual(14_000)
  expect(bench.now() - begin).toBeLessThanOrEqual(16_100)
  await bench.close()
})

it('gives a body within its limits whole, and keeps its connection', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  for (let round = 0; round < 3; round++) {
    const fetch = await fetchOne(bench, multi, {
      url: bench.url('/encoded/br/1000'),
      acceptEncoding: 'br',
      failOnError: true,
      maxFileSize: 1000,
      maxRecvSpeed: 1e9,
      lowSpeedLimit: 1,
      serverResponseTimeoutMs: 1000,
    })
    expect(fetch.body.equals(contentText(1000))).toBe(true)
  }
  expect((await bench.look()).connections).toBe(1)
  await bench.close()
})

import { expect } from 'vitest'
import { type Multi, PAUSE } from '../../lib/index.ts'
import { originBody, originBytes } from '../sim/origin.ts'
import type { Bench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, readMessages } from './fetches.ts'

async function finish(bench: Bench, multi: Multi, fetch: Fetch): Promise<void> {
  await bench.drive(multi)
  readMessages(multi, [fetch])
  multi.remove(fetch.transfer)
}

scenario('pauses in every data callback of a chunked body with trailers, and loses nothing', async (bench) => {
  const multi = bench.multi()
  const path = '/trailers/5000'
  let pauses = 0
  const fetch: Fetch = new Fetch({
    url: bench.url(path),
    onData: () => {
      pauses++
      fetch.transfer.pause('receive')
    },
  })
  multi.add(fetch.transfer)
  while (multi.running > 0) {
    const before = pauses
    await bench.drive(multi, () => multi.running === 0 || pauses > before)
    expect(pauses - before, 'told while paused').toBeLessThanOrEqual(1)
    fetch.transfer.resume()
  }
  await finish(bench, multi, fetch)
  expectBody(fetch, path)
  expect(fetch.trailers.length).toBe(1)
  expect(pauses).toBeGreaterThan(0)
})

scenario('pauses in the head callback, and tells the data after resume', async (bench) => {
  const multi = bench.multi()
  const fetch: Fetch = new Fetch({ url: bench.url('/bytes/100'), onHead: () => fetch.transfer.pause() })
  multi.add(fetch.transfer)
  await bench.drive(multi, () => fetch.heads.length > 0)
  await bench.pass(multi, 20)
  expect(fetch.chunks).toEqual([])
  expect(multi.running).toBe(1)
  fetch.transfer.resume()
  await finish(bench, multi, fetch)
  expectBody(fetch, '/bytes/100')
})

scenario('is paused before it is added, and begins with resume', async (bench) => {
  const multi = bench.multi()
  const fetch = new Fetch({ url: bench.url('/echo'), body: 'abc' })
  fetch.transfer.pause('receive')
  multi.add(fetch.transfer)
  await bench.pass(multi, 40)
  expect(fetch.heads).toEqual([])
  expect(multi.running).toBe(1)
  fetch.transfer.resume('receive')
  await finish(bench, multi, fetch)
  expect(fetch.body.toString()).toBe('abc')
})

scenario('watches nothing while both directions are paused', async (bench) => {
  const multi = bench.multi()
  const fetch: Fetch = new Fetch({ url: bench.url('/bytes/3000000'), onData: () => fetch.transfer.pause() })
  multi.add(fetch.transfer)
  await bench.drive(multi, () => fetch.chunks.length > 0)
  expect(multi.waitFds().length).toBe(0)
  await bench.pass(multi, 20)
  expect(fetch.chunks.length).toBe(1)
  let resumes = 0
  while (multi.running > 0) {
    resumes++
    fetch.transfer.resume()
    const before = fetch.chunks.length
    await bench.drive(multi, () => multi.running === 0 || fetch.chunks.length > before)
  }
  await finish(bench, multi, fetch)
  expectBody(fetch, '/bytes/3000000')
  expect(resumes).toBeGreaterThan(1)
})

scenario('pauses one transfer without holding up another', async (bench) => {
  const multi = bench.multi()
  const held: Fetch = new Fetch({ url: bench.url('/bytes/100000'), onData: () => held.transfer.pause('receive') })
  multi.add(held.transfer)
  await bench.drive(multi, () => held.chunks.length > 0)
  const free = new Fetch({ url: bench.url('/bytes/100000') })
  multi.add(free.transfer)
  await bench.drive(multi, () => multi.running === 1)
  readMessages(multi, [free])
  expectBody(free, '/bytes/100000')
  while (multi.running > 0) {
    held.transfer.resume()
    const before = held.chunks.length
    await bench.drive(multi, () => multi.running === 0 || held.chunks.length > before)
  }
  readMessages(multi, [held])
  expectBody(held, '/bytes/100000')
})

scenario('pauses sending and goes on, while the answer comes', async (bench) => {
  const multi = bench.multi()
  const body = originBytes('up', 400_000)
  let at = 0
  const fetch: Fetch = new Fetch({
    url: bench.url('/echo'),
    body: () => {
      const piece = body.subarray(at, at + 50_000)
      at += piece.length
      if (piece.length > 0) fetch.transfer.pause('send')
      return piece.length > 0 ? piece : null
    },
  })
  multi.add(fetch.transfer)
  let pauses = 0
  while (multi.running > 0) {
    const before = at
    await bench.drive(multi, () => multi.running === 0 || at > before)
    pauses++
    fetch.transfer.resume('send')
    if (at === body.length) await bench.drive(multi)
  }
  await finish(bench, multi, fetch)
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.body.equals(body)).toBe(true)
  expect(pauses).toBeGreaterThan(4)
})

scenario('pauses and resumes from outside at any moment without changing a byte', async (bench) => {
  const multi = bench.multi()
  const paths = ['/bytes/50000', '/chunked/50000', '/close/50000', '/slow/5/50000', '/drip/20']
  const fetches = paths.map((path) => new Fetch({ url: bench.url(path) }))
  for (const { transfer } of fetches) multi.add(transfer)
  for (let turn = 0; multi.running > 0; turn++) {
    for (const [index, { transfer }] of fetches.entries()) {
      const on = (turn + index) % 3
      if (on === 0) transfer.pause(turn % 2 === 0 ? 'receive' : 'both')
      else transfer.resume()
    }
    let turns = 0
    if (turn > 60) for (const { transfer } of fetches) transfer.resume()
    if (turn > 60) await bench.drive(multi)
    else await bench.drive(multi, () => turns++ > 2 || multi.timeout() < 0)
  }
  readMessages(multi, fetches)
  for (const [index, path] of paths.entries()) expectBody(fetches[index]!, path)
})

scenario('takes pause and resume in one callback for nothing', async (bench) => {
  const multi = bench.multi()
  const [fetch] = await fetchAll(bench, multi, [
    {
      url: bench.url('/chunked/20000'),
      onData: () => {
        fetchOf()?.pause()
        fetchOf()?.resume()
      },
    },
  ])
  function fetchOf() {
    return multi.transfers[0]
  }
  expect(fetch?.body.equals(originBody('/chunked/20000'))).toBe(true)
})

scenario(
  'fails a paused transfer when its total time is over',
  async (bench) => {
    const multi = bench.multi()
    const fetch: Fetch = new Fetch({
      url: bench.url('/bytes/100'),
      timeoutMs: 60,
      onHead: () => fetch.transfer.pause(),
    })
    multi.add(fetch.transfer)
    await finish(bench, multi, fetch)
    expect(['OPERATION_TIMEDOUT']).toContain(fetch.outcome)
  },
  { calm: true },
)

scenario(
  'lets a paused transfer rest beyond its idle time',
  async (bench) => {
    const multi = bench.multi()
    const options = { url: bench.url('/bytes/100'), idleTimeoutMs: 25 }
    const fetch: Fetch = new Fetch({ ...options, onHead: () => fetch.transfer.pause() })
    multi.add(fetch.transfer)
    await bench.drive(multi, () => fetch.heads.length > 0)
    await bench.pass(multi, 120)
    expect(multi.running).toBe(1)
    fetch.transfer.resume()
    await finish(bench, multi, fetch)
    expectBody(fetch, '/bytes/100')
  },
  { calm: true },
)

scenario(
  'starves for a body beyond its idle time only by its own pause',
  async (bench) => {
    const multi = bench.multi()
    let wanted = false
    const fetch: Fetch = new Fetch({
      url: bench.url('/echo'),
      idleTimeoutMs: 25,
      body: () => {
        if (wanted) return null
        fetch.transfer.pause('receive')
        fetch.transfer.pause('send')
        return 'x'
      },
    })
    multi.add(fetch.transfer)
    await bench.pass(multi, 100)
    expect(multi.running).toBe(1)
    wanted = true
    fetch.transfer.resume()
    await finish(bench, multi, fetch)
    expect(fetch.body.toString()).toBe('x')
  },
  { calm: true },
)

scenario(
  'waits for the body that the user owes beyond the idle time',
  async (bench) => {
    const multi = bench.multi()
    const script = ['x', PAUSE, 'y', null] as const
    let at = 0
    const fetch: Fetch = new Fetch({ url: bench.url('/echo'), idleTimeoutMs: 25, body: () => script[at++] ?? null })
    multi.add(fetch.transfer)
    await bench.pass(multi, 110)
    expect(multi.running).toBe(1)
    fetch.transfer.resume()
    await finish(bench, multi, fetch)
    expect(fetch.body.toString(), fetch.message?.error?.message).toBe('xy')
  },
  { calm: true },
)

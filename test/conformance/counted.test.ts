import { expect, it } from 'vitest'
import { attachToNodeLoop, Multi, Poller, Transfer } from '../../lib/index.ts'
import { systemCalls } from '../../lib/sys/native.ts'
import { simulate } from '../sim/simulation.ts'
import { SimulatedBench } from './bench.ts'
import { originThread, scenario } from './drivers.ts'
import { Fetch, fetchAll, fetchOne } from './fetches.ts'
import { HandLoop } from './hand-loop.ts'

/** Calls since an earlier look, without those that were not made. */
function callsSince(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>) {
  const calls: Record<string, number> = {}
  for (const [name, count] of Object.entries(now)) {
    const made = count - (before[name] ?? 0)
    if (made > 0) calls[name] = made
  }
  return calls
}

it('spends one send and one recv on a request over a warm connection, and tells nobody', () => {
  const simulation = simulate(1)
  const loop = new HandLoop(simulation)
  const { multi } = loop
  const { kernel, origin, world } = simulation
  const url = `http://${origin.host}/bytes/100`
  for (let i = 0; i < 3; i++) {
    multi.add(new Transfer({ url }))
    loop.run()
  }
  const before = { ...kernel.calls }
  loop.told.length = 0
  for (let i = 0; i < 50; i++) {
    multi.add(new Transfer({ url }))
    loop.run()
  }
  expect(callsSince(before, kernel.calls)).toEqual({ send: 50, recv: 50 })
  expect(loop.told.filter((line) => !line.startsWith('timer'))).toEqual([])
  // The add asks for now; when it is served the connection's own deadline is told again.
  expect(loop.told.length / 50).toBeLessThanOrEqual(2)
  expect(world.now).toBeLessThan(3000)
  multi.close()
  simulation.assertQuiescent()
})

it('spends no more than that on the real kernel, however Node is asked to wait', async () => {
  const view = await originThread().open({})
  const multi = new Multi()
  const loop = attachToNodeLoop(multi)
  const url = `http://127.0.0.1:${view.port}/bytes/100`
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      multi.setNotifyFunction((kind) => {
        if (kind === 'done') setImmediate(resolve)
      })
      multi.add(new Transfer({ url }))
    })
  await one()
  await one()
  const before = systemCalls()
  for (let i = 0; i < 50; i++) await one()
  const calls = callsSince(before, systemCalls())
  const { send = 0, recv = 0, epoll_ctl = 0 } = calls
  expect({ send, recv, epoll_ctl }).toEqual({ send: 50, recv: 50, epoll_ctl: 0 })
  const others = Object.entries(calls).filter(([name]) => !['send', 'recv'].includes(name))
  expect(others.filter(([name]) => !/epoll_wait|epoll_pwait/.test(name))).toEqual([])
  loop.detach()
  multi.close()
})

it('makes no system call over a second with idle, paused and pending transfers', async () => {
  const view = await originThread().open({})
  const multi = new Multi({ maxHostConnections: 3 })
  const loop = attachToNodeLoop(multi)
  const base = `http://127.0.0.1:${view.port}`
  const paused: Transfer = new Transfer({ url: `${base}/bytes/2000000`, onData: () => paused.pause() })
  multi.add(new Transfer({ url: `${base}/bytes/1` }))
  multi.add(paused)
  multi.add(new Transfer({ url: `${base}/hang` }))
  multi.add(new Transfer({ url: `${base}/hang` }))
  multi.add(new Transfer({ url: `${base}/hang` }))
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(multi.stats).toMatchObject({ pending: 1, connections: 3 })
  const before = systemCalls()
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(callsSince(before, systemCalls())).toEqual({})
  loop.detach()
  multi.close()
})

it('makes no system call over an hour of simulated idling', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  const fetch: Fetch = new Fetch({ url: bench.url('/bytes/500000'), onData: () => fetch.transfer.pause() })
  multi.add(fetch.transfer)
  multi.add(new Fetch({ url: bench.url('/hang') }).transfer)
  await bench.pass(multi, 1000)
  const before = bench.simulation.kernel.totalCalls
  await bench.pass(multi, 3_600_000)
  expect(bench.simulation.kernel.totalCalls - before).toBe(0)
  await bench.close()
})

/** Work of the loop and the kernel for that many transfers over six connections. */
async function workFor(count: number): Promise<{ steps: number; calls: number }> {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi({ maxHostConnections: 6 })
  const url = bench.url('/bytes/10')
  const fetches = Array.from({ length: count }, () => new Transfer({ url }))
  for (const transfer of fetches) multi.add(transfer)
  await bench.drive(multi)
  let ended = 0
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    expect(message.code).toBe(0)
    ended++
  }
  expect(ended).toBe(count)
  expect(bench.simulation.origin.connections).toBe(6)
  const work = { steps: bench.simulation.loops[0]?.steps ?? 0, calls: bench.simulation.kernel.totalCalls }
  await bench.close()
  return work
}

it('runs ten thousand transfers over six connections with work that grows in line', async () => {
  const small = await workFor(1000)
  const large = await workFor(10_000)
  expect(large.steps / small.steps).toBeLessThan(10.5)
  expect(large.calls / small.calls).toBeLessThan(10.5)
  expect(large.calls).toBeLessThan(10_000 * 2.1)
})

it('ends those of ten thousand that wait too long, each at its time', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi({ maxHostConnections: 6 })
  const url = bench.url('/slow/10/1')
  const transfers = Array.from({ length: 10_000 }, (_, index) => new Transfer({ url, timeoutMs: 100 + (index % 100) }))
  for (const transfer of transfers) multi.add(transfer)
  await bench.drive(multi)
  const ends = { done: 0, timedOut: 0 }
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    if (message.code === 0) ends.done++
    else if (message.error?.code === 'OPERATION_TIMEDOUT') ends.timedOut++
  }
  expect(ends.done + ends.timedOut).toBe(10_000)
  expect(ends.done).toBeGreaterThanOrEqual(60)
  expect(ends.done).toBeLessThanOrEqual(200)
  for (const { info } of transfers) expect(info.totalTime).toBeLessThanOrEqual(202_000)
  expect(multi.stats).toMatchObject({ pending: 0, running: 0 })
  await bench.close()
})

scenario(
  'runs three thousand transfers over six connections',
  async (bench) => {
    const multi = bench.multi({ maxHostConnections: 6 })
    const url = bench.url('/bytes/10')
    const fetches = await fetchAll(
      bench,
      multi,
      Array.from({ length: 3000 }, () => ({ url })),
    )
    expect(fetches.every(({ outcome }) => outcome === 'OK')).toBe(true)
    expect((await bench.look()).connections).toBe(6)
  },
  { calm: true, on: 'real' },
)

it('tells a loop of ten thousand idle watchers nothing that did not change', async () => {
  const bench = new SimulatedBench('', 1, { kernel: { descriptorLimit: 5000 } }, false)
  const multi = bench.multi({ maxHostConnections: 2000, maxIdleConnections: 2000 })
  const url = bench.url('/slow/50/1')
  await fetchAll(
    bench,
    multi,
    Array.from({ length: 1500 }, () => ({ url })),
  )
  expect(multi.stats.idleConnections).toBe(1500)
  const { kernel } = bench.simulation
  const before = { ...kernel.calls }
  for (let i = 0; i < 20; i++) await fetchOne(bench, multi, { url: bench.url('/bytes/1') })
  expect(callsSince(before, kernel.calls)).toEqual({ send: 20, recv: 20 })
  await bench.close()
})

it('nests its poller in another, and in none when it is of poll(2)', () => {
  const poller = new Poller()
  expect(poller.fd).toBeGreaterThanOrEqual(0)
  poller.close()
  const plain = new Poller({ backend: 'poll' })
  expect(plain.fd).toBe(-1)
  plain.close()
})

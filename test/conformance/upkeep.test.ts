import { expect, it } from 'vitest'
import { Multi } from '../../lib/index.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, fetchAll, fetchOne } from './fetches.ts'

scenario('closes idle connections whose server is gone, when nobody watches them', async (bench) => {
  const multi = bench.multi({ watchIdleConnections: false })
  expect(multi.upkeep()).toBe(0)
  await fetchAll(bench, multi, [{ url: bench.url('/bytes/20') }, { url: bench.url('/idle-fin/10') }])
  await bench.pass(multi, bench.simulation === null ? 200 : 5000)
  expect(multi.stats.idleConnections, 'nobody looked').toBe(2)
  expect(multi.upkeep()).toBe(1)
  expect(multi.stats).toMatchObject({ idleConnections: 1, connections: 1 })
  expect((await fetchOne(bench, multi, { url: bench.url('/bytes/20') })).transfer.info.connects).toBe(0)
  expect(multi.upkeep()).toBe(0)
})

scenario('is refused inside a callback and after the end', async (bench) => {
  const multi = bench.multi()
  const thrown: unknown[] = []
  const fetch = await fetchOne(bench, multi, {
    url: bench.url('/bytes/10'),
    onData: () => {
      try {
        multi.upkeep()
      } catch (error) {
        thrown.push(error)
      }
    },
  })
  expectBody(fetch, '/bytes/10')
  expect(thrown[0]).toMatchObject({ code: 'RECURSIVE_API_CALL' })
  const closed = new Multi()
  closed.close()
  expect(() => closed.upkeep()).toThrow(expect.objectContaining({ code: 'BAD_HANDLE' }))
})

it('needs no loop to close what is too old', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: bench.url('/bytes/10'), maxConnectionAgeMs: 500 })
  bench.simulation.world.jump(600)
  expect(multi.stats.idleConnections).toBe(1)
  expect(multi.upkeep()).toBe(1)
  await bench.close()
})

it('does not outlive its time while it is idle', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  await fetchOne(bench, multi, { url: bench.url('/bytes/10'), maxConnectionLifetimeMs: 1000 })
  await bench.pass(multi, 900)
  expect(multi.stats.idleConnections).toBe(1)
  await bench.pass(multi, 200)
  expect(multi.stats.idleConnections).toBe(0)
  await bench.close()
})

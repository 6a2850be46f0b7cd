import { expect } from 'vitest'
import { type AdmissionCounts, SharedCounts } from '../../../lib/index.ts'
import { LocalCounts } from '../../../lib/server/admission/admission-counts.ts'
import { scenario } from '../drivers.ts'
import { Stage } from './stage.ts'

/** As two threads have them. */
function shared(): [AdmissionCounts, AdmissionCounts] {
  const buffer = SharedCounts.allocate(2, 64)
  return [new SharedCounts({ buffer, slot: 0 }), new SharedCounts({ buffer, slot: 1 })]
}

scenario('servers that share counts share their limit, and wait for places that others give back', async (bench) => {
  const [ours, theirs] = shared()
  const multi = bench.multi()
  const first = Stage.start(bench, { counts: ours, limits: { connections: 2 } }, multi)
  const second = Stage.start(bench, { counts: theirs, limits: { connections: 2 } }, multi)
  const [one] = await first.connected(1)
  await second.connected(1)
  const late = second.connect()
  await second.pass(100)
  expect([second.count('accept'), late.isOver]).toEqual([1, false])
  one?.close()
  await first.until(() => first.server.stats().connections === 0)
  // Nobody left here: it looks again by itself.
  await second.until(() => second.count('connect') === 2)
  const early = first.connect()
  await first.pass(100)
  expect(first.count('accept')).toBe(1)
  early.close()
  await second.stop()
  await first.stop()
  expect(ours.connections).toBe(0)
})

scenario('servers that share counts turn away who is over their common limits', async (bench) => {
  for (const [ours, theirs] of [shared(), Array<AdmissionCounts>(2).fill(new LocalCounts())]) {
    const options = { overload: 'reject', limits: { connections: 3, perPrefix: 2 } } as const
    const multi = bench.multi()
    const first = Stage.start(bench, { ...options, counts: ours as AdmissionCounts }, multi)
    const second = Stage.start(bench, { ...options, counts: theirs as AdmissionCounts }, multi)
    const [one] = await first.connected(1)
    await second.connected(1)
    const third = second.connect()
    await second.until(() => third.isOver)
    expect(second.told.at(-1)).toBe('drop address')
    one?.close()
    await first.until(() => first.server.stats().connections === 0)
    await second.connected(1)
    await second.stop()
    await first.stop()
    expect(ours?.connections).toBe(0)
  }
})

scenario('a server that is given wrong counts says so', async (bench) => {
  expect(() => new Stage(bench, { counts: 3 as unknown as AdmissionCounts })).toThrow(/counts/)
})

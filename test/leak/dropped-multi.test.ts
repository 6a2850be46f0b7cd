/** A Multi that is dropped without `close`, and names that outlive the cache. */
import { expect, it } from 'vitest'
import { Transfer } from '../../lib/client/transfer.ts'
import { Multi } from '../../lib/multi/multi.ts'
import { attachLoop } from '../sim/loop.ts'
import { ORIGIN_HOST, type Simulation, simulate } from '../sim/simulation.ts'

function dropWithTransfers({ kernel, clock, resolver }: Simulation): WeakRef<object> {
  const multi = new Multi<Transfer>({ kernel, clock, resolver })
  for (let i = 0; i < 10; i++) multi.add(new Transfer({ url: `http://${ORIGIN_HOST}/hang` }))
  multi.perform()
  expect(multi.running).toBe(10)
  return new WeakRef(multi)
}

it('lets a Multi that was dropped with transfers under way be collected, and disturbs no other', async () => {
  const dropped = dropWithTransfers(simulate(1))
  const simulation = simulate(2)
  const { kernel, clock, resolver } = simulation
  const multi = new Multi<Transfer>({ kernel, clock, resolver })
  const loop = attachLoop(simulation, multi)
  multi.add(new Transfer({ url: `http://${ORIGIN_HOST}/bytes/1000` }))
  const collected = (): boolean => {
    globalThis.gc?.()
    return dropped.deref() === undefined
  }
  await expect.poll(collected, { timeout: 5000, interval: 10 }).toBe(true)
  loop.run()
  expect(multi.infoRead()?.code).toBe(0)
  multi.close()
})

it('keeps to a resolve entry however old, and asks nobody', () => {
  const simulation = simulate(3)
  const { kernel, clock, resolver, world, origin } = simulation
  const multi = new Multi<Transfer>({ kernel, clock, resolver })
  const loop = attachLoop(simulation, multi)
  for (let time = 0; time < 3; time++) {
    multi.add(
      new Transfer({
        url: `http://elsewhere.test:${origin.port}/bytes/5`,
        resolve: [`elsewhere.test:${origin.port}:${origin.address}`],
        dnsCacheTimeoutMs: 0,
        freshConnect: true,
      }),
    )
    loop.run()
    expect(multi.infoRead()?.code).toBe(0)
    world.advanceTo(world.now + 100_000)
  }
  expect(resolver.lookups.size).toBe(0)
  multi.close()
})

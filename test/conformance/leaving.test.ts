/** What a Multi owes nobody any more: a transfer that was taken back before it ran, and one that is removed while it runs. */
import { expect, it } from 'vitest'
import { Transfer } from '../../lib/client/transfer.ts'
import { Multi } from '../../lib/multi/multi.ts'
import { scenario } from './drivers.ts'

it('takes the timer of 0 back when what was added is removed before it ran', () => {
  const told: number[] = []
  using multi = new Multi<Transfer>({ timerFunction: (timeoutMs) => void told.push(timeoutMs) })
  const transfer = new Transfer({ url: 'http://127.0.0.1:1/' })
  multi.add(transfer)
  multi.remove(transfer)
  expect([told, multi.timeout()]).toEqual([[0, -1], -1])
})

it('calls no callback of a transfer that is removed, nor of one whose Multi is closed', () => {
  const calls: string[] = []
  const multi = new Multi<Transfer>()
  const options = {
    url: 'http://127.0.0.1:1/',
    onProgress: () => void calls.push('progress'),
    onDebug: () => void calls.push('debug'),
  }
  const [removed, closed] = [new Transfer(options), new Transfer(options)]
  multi.add(removed)
  multi.add(closed)
  multi.remove(removed)
  multi.close()
  expect(calls).toEqual([])
})

scenario(
  'finds junk that came onto an idle connection before it is used again, also when the timer is served first',
  async (bench) => {
    const simulation = bench.simulation
    if (simulation === null) return
    const { kernel, clock, resolver, origin } = simulation
    const multi = new Multi<Transfer>({ kernel, clock, resolver })
    const bodies: string[] = []
    const run = (): void => {
      const transfer = new Transfer({
        url: `http://${origin.address}:${origin.port}/stray/5`,
        onData: (chunk) => void bodies.push(Buffer.from(chunk).toString('hex')),
      })
      multi.add(transfer)
      for (let turn = 0; multi.running > 0 && turn < 1000; turn++) {
        multi.perform()
        multi.poll(1000)
      }
      expect(multi.infoRead()?.code).toBe(0)
      multi.remove(transfer)
    }
    run()
    simulation.world.advanceTo(simulation.world.now + 500)
    run()
    expect(bodies[1]).toBe(bodies[0])
    multi.close()
  },
  { on: 'simulated', calm: true },
)

/**
 * Names over HTTPS on the simulated kernel, beside names of the system: whatever the network, the server and the loop
 * do, each transfer ends, the errands leave nothing behind, and the same seed gives the same trace.
 */
import { describe, expect, it } from 'vitest'
import { Multi, Transfer } from '../../lib/index.ts'
import { address, answerFrom, type DohReply, serveDoh } from '../conformance/doh-in-world.ts'
import { drawFuzz } from '../support/fuzzed-loop.ts'
import { attachLoop } from './loop.ts'
import type { Random } from './random.ts'
import type { SimulationOptions } from './simulation.ts'
import { runSwarm, type Scenario, torture, traceTwice } from './swarm.ts'

const FILE = 'test/sim/names.test.ts'
const NAMES = ['a.test', 'b.test', 'localhost', '127.0.0.1']
const REPLIES: readonly DohReply[] = [null, '', 'HTTP/1.1 500 No\r\n\r\n', 'garbage, and no end']

function asking(isHonest: boolean): Scenario {
  return (simulation, random) => {
    const { kernel, clock, resolver, origin, world } = simulation
    resolver.set('localhost', { addresses: ['127.0.0.1'] })
    const doh = serveDoh(simulation, (query) => {
      if (!isHonest && random.chance(0.3)) return random.pick(REPLIES)
      return answerFrom(query, [address(query.name, '127.0.0.1', random.int(3))])
    })
    const multi = new Multi({ kernel, clock, resolver, debug: true })
    const loop = attachLoop(simulation, multi, drawFuzz(random))
    const transfers = Array.from({ length: random.between(1, 8) }, () => draw(random, origin.port, doh.url, isHonest))
    for (const transfer of transfers) world.plan(world.now + random.unit() * 200, () => multi.add(transfer))
    const leaving = isHonest ? undefined : transfers[0]
    if (leaving !== undefined) world.plan(world.now + random.unit() * 300, () => multi.remove(leaving))
    const codes: string[] = []
    loop.run({
      until: () => {
        for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
          codes.push(message.error?.message ?? 'OK')
          multi.remove(message.transfer)
        }
        return multi.stats.added === transfers.length && multi.running === 0
      },
    })
    expect(codes.length).toBeGreaterThanOrEqual(transfers.length - (isHonest ? 0 : 1))
    if (isHonest) expect([...new Set(codes)]).toEqual(['OK'])
    multi.close()
  }
}

function draw(random: Random, port: number, dohUrl: string, isHonest: boolean): Transfer {
  const url = `http://${random.pick(NAMES)}:${port}/bytes/${random.int(2000)}`
  const limits = isHonest ? {} : { connectTimeoutMs: 5000, timeoutMs: 20_000 }
  return new Transfer({ url, dohUrl, freshConnect: random.chance(0.5), ...limits })
}

const SWARM: SimulationOptions = { faults: 'swarm', links: 'random' }

describe('names over HTTPS on a simulated network', () => {
  it('are found when only survivable faults happen', () => {
    expect(runSwarm(asking(true), { faults: 'survivable', links: 'random' }, FILE)).toBeGreaterThan(0)
  })

  it('let every transfer end, whatever happens', () => {
    expect(runSwarm(asking(false), SWARM, FILE)).toBeGreaterThan(0)
  })

  it('survive the failure of every single call', () => {
    for (const seed of [1, 2, 3]) expect(torture(asking(false), { file: FILE, seed })).toBeGreaterThan(10)
  })

  it('leave the same trace for the same seed', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const [first, second] = traceTwice(asking(false), seed, SWARM)
      expect(second).toBe(first)
    }
  })
})

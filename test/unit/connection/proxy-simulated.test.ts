/**
 * Ways through proxies on the simulated kernel and a real Multi: whatever the network and the loop do, each one ends,
 * nothing stays open, and what a granted tunnel gives is what the destination sent, to the byte.
 */
import { describe, expect, it } from 'vitest'
import type { ProxyRoute } from '../../../lib/connection/proxy-route.ts'
import { PROXY_KINDS, parseProxy } from '../../../lib/connection/proxy-settings.ts'
import { Multi } from '../../../lib/multi/multi.ts'
import { attachLoop } from '../../sim/loop.ts'
import { originBytes } from '../../sim/origin.ts'
import type { Random } from '../../sim/random.ts'
import type { SimulationOptions } from '../../sim/simulation.ts'
import { runSwarm, type Scenario, torture, traceTwice } from '../../sim/swarm.ts'
import { drawFuzz } from '../../support/fuzzed-loop.ts'
import { ProxyClient } from './proxy-client.ts'
import { BANNER, PROXY_ADDRESS, PROXY_PORT, ProxyInWorld, type ProxyManner, type ProxyPlan } from './proxy-in-world.ts'

const FILE = 'test/unit/connection/proxy-simulated.test.ts'
const MANNERS: readonly ProxyManner[] = ['grant', 'grant', 'refuse', 'close', 'reset', 'garbage', 'hang']
const KINDS = PROXY_KINDS.filter((kind) => kind !== 'https')

function drawRoute(random: Random): ProxyRoute {
  const host = random.pick(['proxy.test', PROXY_ADDRESS])
  const kind = random.pick(KINDS)
  const user = kind === 'http' ? '' : 'u:p@'
  return {
    proxy: parseProxy('proxy', `${kind}://${user}${host}:${PROXY_PORT}`),
    host: random.pick(['destination.test', '192.0.2.7']),
    port: random.between(1, 65_535),
    tunnel: true,
  }
}

function passing(mustSucceed: boolean): Scenario {
  return (simulation, random) => {
    const { kernel, clock, resolver, world } = simulation
    resolver.set('proxy.test', { addresses: [PROXY_ADDRESS] })
    resolver.set('destination.test', { addresses: ['192.0.2.7'] })
    const proxy = new ProxyInWorld(
      simulation,
      (): ProxyPlan => ({
        manner: mustSucceed ? 'grant' : random.pick(MANNERS),
        wantsLogin: random.chance(0.5),
        closesAfterChallenge: random.chance(0.5),
        fragments: random.chance(0.5),
      }),
    )
    const multi = new Multi<ProxyClient>({ kernel, clock, resolver, debug: true })
    const loop = attachLoop(simulation, multi, drawFuzz(random))
    const clients = Array.from({ length: random.between(1, 6) }, (_, index) => {
      const route = drawRoute(random)
      const message = originBytes(`/${index}`, random.int(5000))
      return new ProxyClient(route, message, 'Basic dTpw', BANNER.length, mustSucceed ? 1_200_000 : 10_000)
    })
    for (const client of clients) world.plan(world.now + random.unit() * 200, () => multi.add(client))
    let ended = 0
    loop.run({
      until: () => {
        for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
          const { transfer, error } = message
          ended++
          check(transfer, error?.code ?? null)
          if (mustSucceed) expect(error?.message ?? 'OK').toBe('OK')
          multi.remove(transfer)
        }
        return ended === clients.length
      },
    })
    multi.close()
    expect(proxy.complaints).toEqual([])
    const wanted = new Set(clients.flatMap(({ route }) => [`192.0.2.7:${route.port}`, `${route.host}:${route.port}`]))
    for (const asked of proxy.asked) expect(wanted).toContain(asked)
  }
}

function check(client: ProxyClient, code: string | null): void {
  const received = Buffer.concat(client.received)
  const expected = Buffer.concat([Buffer.from(BANNER), client.message])
  expect(received.equals(expected.subarray(0, received.length))).toBe(true)
  if (code === null) expect(received.length).toBe(expected.length)
  expect(client.connects).toBeLessThanOrEqual(1 + client.retries)
}

const SWARM: SimulationOptions = { faults: 'swarm', links: 'random' }

describe('ways through proxies on a simulated network', () => {
  it('are found when only survivable faults happen', () => {
    expect(runSwarm(passing(true), { faults: 'survivable', links: 'random' }, FILE)).toBeGreaterThan(0)
  })

  it('end quietly whatever happens', () => {
    expect(runSwarm(passing(false), SWARM, FILE)).toBeGreaterThan(0)
  })

  it('survive the failure of every single call', () => {
    for (const seed of [1, 2, 3, 4]) expect(torture(passing(false), { file: FILE, seed })).toBeGreaterThan(10)
  })

  it('leave the same trace for the same seed', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const [first, second] = traceTwice(passing(false), seed, SWARM)
      expect(second).toBe(first)
    }
  })
})

import { expect, it } from 'vitest'
import { Multi, PAUSE, type Transfer } from '../../lib/index.ts'
import { attachLoop } from '../sim/loop.ts'
import { originBody } from '../sim/origin.ts'
import type { Random } from '../sim/random.ts'
import type { Simulation } from '../sim/simulation.ts'
import { runSwarm, type Scenario, torture, traceTwice } from '../sim/swarm.ts'
import { drawFuzz } from '../support/fuzzed-loop.ts'
import { Fetch } from './fetches.ts'

const FILE = 'test/conformance/swarm.test.ts'
const PATHS = [
  '/bytes/0', '/bytes/3000', '/chunked/5000', '/close/500', '/trailers/300', '/1xx/40', '/slow/30/200', '/drip/20',
  '/hang', '/stall/100', '/reset', '/reset/100', '/early-close', '/early-close/50', '/idle-fin/9',
  '/status/204', '/status/500', '/reject/413', '/echo',
] // biome-ignore format: a table
/** Of which all bytes are known. Behind junk that comes while the next request is sent, any answer may be the junk. */
const HONEST = /^\/(bytes|chunked|close|trailers|1xx|slow|drip|idle-fin)\//

/** Transfers of all kinds, paused, resumed, removed and added at random moments, on a network as bad as drawn. */
function mix(count: number): Scenario {
  return (simulation, random) => {
    const { kernel, clock, resolver, world } = simulation
    const multi = new Multi({
      kernel,
      clock,
      resolver,
      debug: true,
      maxHostConnections: random.between(1, 8),
      maxTotalConnections: random.between(1, 8),
      maxIdleConnections: random.int(5),
      watchIdleConnections: random.chance(0.7),
    })
    const loop = attachLoop(simulation, multi, drawFuzz(random))
    const fetches = Array.from({ length: count }, () => drawFetch(simulation, random, multi))
    for (const fetch of fetches) world.plan(world.now + random.unit() * 200, () => start(fetch, random, multi, world))
    loop.run({ until: () => multi.running === 0 && world.nextPlanAt === Number.POSITIVE_INFINITY })
    for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
      const fetch = fetches.find(({ transfer }) => transfer === message.transfer)
      if (fetch !== undefined) fetch.message = message
    }
    for (const fetch of fetches) expectHonest(fetch)
    multi.close()
  }
}

function expectHonest(fetch: Fetch): void {
  const path = new URL(fetch.transfer.info.effectiveUrl).pathname
  if (fetch.outcome !== 'OK' || !HONEST.test(path) || fetch.transfer.info.effectiveMethod === 'HEAD') return
  if (!fetch.body.equals(originBody(path))) throw new Error(`${path} gave other bytes`)
}

function drawFetch(simulation: Simulation, random: Random, multi: Multi): Fetch {
  const path = random.pick(PATHS)
  const host = random.chance(0.3) ? 'origin.test' : simulation.origin.host
  const touch = (): void => {
    if (random.chance(0.05)) meddle(fetch.transfer, random, multi)
    if (random.chance(0.01)) throw new Error('drawn')
  }
  let left = random.int(5)
  const fetch: Fetch = new Fetch({
    url: `http://${host}${path}`,
    timeoutMs: 20_000,
    ...(random.chance(0.2) ? { idleTimeoutMs: 500 } : {}),
    ...(random.chance(0.2) ? { freshConnect: true } : {}),
    ...(random.chance(0.2) ? { forbidReuse: true } : {}),
    ...(path === '/echo'
      ? { body: () => (random.chance(0.2) ? PAUSE : left-- > 0 ? 'x'.repeat(random.int(900)) : null) }
      : {}),
    ...(random.chance(0.1) && path !== '/echo' ? { method: 'HEAD' } : {}),
    onHead: () => {
      // It may be another run of the same transfer.
      fetch.chunks.length = 0
      touch()
    },
    onData: touch,
    onTrailers: touch,
    onProgress: touch,
    progressIntervalMs: random.between(1, 100),
  })
  return fetch
}

function meddle(transfer: Transfer, random: Random, multi: Multi): void {
  const roll = random.unit()
  if (roll < 0.4) transfer.pause(random.pick(['receive', 'send', 'both']))
  else if (roll < 0.8) transfer.resume()
  else if (roll < 0.9) multi.remove(transfer)
  else if (!multi.transfers.includes(transfer)) multi.add(transfer)
}

function start(fetch: Fetch, random: Random, multi: Multi, world: Simulation['world']): void {
  const { transfer } = fetch
  if (!multi.transfers.includes(transfer)) multi.add(transfer)
  for (let i = random.int(4); i > 0; i--) {
    world.plan(world.now + random.unit() * 2000, () => meddleOutside(fetch, random, multi))
  }
  world.plan(world.now + 2500, () => transfer.resume())
}

function meddleOutside(fetch: Fetch, random: Random, multi: Multi): void {
  const { transfer } = fetch
  const roll = random.unit()
  if (roll < 0.3) transfer.pause()
  else if (roll < 0.8) transfer.resume()
  else {
    multi.remove(transfer)
    fetch.chunks.length = 0
    // Its last progress may have added it already.
    if (random.chance(0.5) && !multi.transfers.includes(transfer)) multi.add(transfer)
  }
}

it('ends every transfer on any network, with the right bytes or an error', { timeout: 120_000 }, () => {
  expect(runSwarm(mix(20), { faults: 'swarm', links: 'random' }, FILE)).toBeGreaterThan(0)
})

it('ends every transfer whichever system call fails', { timeout: 120_000 }, () => {
  expect(torture(mix(4), { seed: 7, stride: 1, file: FILE })).toBeGreaterThan(20)
})

it('leaves the same trace for the same seed', () => {
  for (const seed of [1, 2, 3]) {
    const [first, second] = traceTwice(mix(10), seed, { faults: 'swarm', links: 'random' })
    expect(second).toBe(first)
  }
})

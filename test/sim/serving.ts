/**
 * A server among random clients, with random limits, steered by random verbs, under whatever faults the simulation
 * has. What must hold whatever happens: everybody who was told of is parted from exactly once, the counts agree, what
 * an echo brings back is a beginning of what was sent, and after the stop nothing is left.
 */
import { expect } from 'vitest'
import { Multi, Server, ServerError, type ServerOptions, SystemError } from '../../lib/index.ts'
import { drawFuzz } from '../support/fuzzed-loop.ts'
import { connectClient, type LocalClient } from '../support/local-client.ts'
import { attachLoop } from './loop.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'
import type { Scenario } from './swarm.ts'

const LIFE_MS = 2000

interface Tally {
  accepted: number
  ended: number
  dropped: number
}

function drawOptions(random: Random, tally: Tally): ServerOptions {
  const strategy: NonNullable<ServerOptions['strategy']> = {
    callback: (connection) => {
      const bytes = new Uint8Array(random.between(1, 2000))
      const count = connection.read(bytes)
      if (count > 0) connection.write(bytes.subarray(0, count))
      if (random.chance(0.02)) connection.close()
      if (random.chance(0.02)) connection.abort()
      if (random.chance(0.02)) throw new Error('of the program')
    },
  }
  return {
    listen: Array.from({ length: random.between(1, 3) }, () => ({ host: '127.0.0.1', port: 0 })),
    strategy,
    limits: {
      connections: random.between(1, 8),
      ...(random.chance(0.3) ? { perPrefix: random.between(1, 6) } : {}),
      ...(random.chance(0.3) ? { rate: { minIntervalMs: random.between(1, 50), burst: random.between(1, 4) } } : {}),
    },
    overload: random.pick(['pause', 'reject']),
    rejection: random.pick(['close', 'reset', Buffer.from('go away')]),
    policy: () => random.chance(0.9),
    timeouts: { idleMs: random.between(50, 1000), lingerMs: random.between(0, 100), writeStallMs: 500 },
    onAccept: () => void tally.accepted++,
    onDisconnect: () => void tally.ended++,
    onDrop: () => void tally.dropped++,
    onError: () => {},
  }
}

/** Verbs that may be refused for the state the server is in, and for nothing else. */
function steer(server: Server, random: Random, { kernel }: Simulation): void {
  try {
    switch (random.int(9)) {
      case 0:
        return server.suspend({ pending: random.pick(['queue', 'reject', 'reset']), forMs: random.between(1, 100) })
      case 1:
        return server.resume()
      case 2:
        server.throttle({ connections: random.between(1, 8) })
        return
      case 3:
        return void server.restart({ graceMs: random.between(0, 50), keepListener: random.chance(0.7) }).catch(() => {})
      case 4:
        server.broadcast('x', { slow: random.pick(['skip', 'queue', 'disconnect']) })
        return
      case 5:
        for (const { id } of server.clients()) if (random.chance(0.3)) server.disconnect(id)
        return
      case 6:
        return void server.drain({ deadlineMs: random.between(0, 100) })
      case 7:
        for (const { fd, generation } of server.quiesce({ drainQueue: random.chance(0.5) }))
          kernel.close(fd, generation)
        return
      default:
        if (!server.active) server.start()
    }
  } catch (error) {
    if (!(error instanceof ServerError || error instanceof SystemError)) throw error
  }
}

function visit(simulation: Simulation, server: Server, random: Random): LocalClient | null {
  const { listeners } = server
  if (listeners.length === 0) return null
  const client = connectClient(simulation, random.pick(listeners).address)
  const { world } = simulation
  if (random.chance(0.8)) client.write('hello '.repeat(random.between(1, 500)))
  world.plan(world.now + random.unit() * 400, () => {
    random.pick([client.end, client.reset, client.close]).call(client)
  })
  return client
}

export const serving: Scenario = (simulation, random) => {
  const { world, kernel, clock, resolver } = simulation
  const multi = new Multi({ kernel, clock, resolver })
  const loop = attachLoop(simulation, multi, drawFuzz(random))
  const tally: Tally = { accepted: 0, ended: 0, dropped: 0 }
  const server = new Server(multi, drawOptions(random, tally))
  const clients: LocalClient[] = []
  try {
    server.start()
  } catch (error) {
    expect(error).toBeInstanceOf(SystemError)
  }
  const count = random.between(1, 15)
  for (let i = 0; i < count; i++) {
    world.plan(world.now + random.unit() * LIFE_MS, () => {
      const client = visit(simulation, server, random)
      if (client !== null) clients.push(client)
    })
  }
  const verbs = random.between(0, 6)
  for (let i = 0; i < verbs; i++) {
    world.plan(world.now + random.unit() * LIFE_MS, () => steer(server, random, simulation))
  }
  const end = world.now + LIFE_MS
  world.plan(end, () => {})
  loop.run({ until: () => world.now >= end })
  void server.stop({ reset: random.chance(0.5) })
  expect(server.active).toBe(false)
  for (const client of clients) client.close()
  // Peers that are turned away with a word linger without being counted.
  const quiet = world.now + 10_000
  world.plan(quiet, () => {})
  loop.run({ until: () => world.now >= quiet })
  const { accepted, connections, dropped, ended } = server.stats()
  expect(connections).toBe(0)
  expect([tally.accepted, tally.ended]).toEqual([accepted, accepted])
  expect(Object.values(ended).reduce((sum, one) => sum + one)).toBe(accepted)
  expect(Object.values(dropped).reduce((sum, one) => sum + one)).toBe(tally.dropped)
  expect(multi.active).toBe(false)
  multi.close()
}

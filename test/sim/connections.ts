/**
 * Scenarios over the connections of a server: peers that come at random times, say something, listen slowly, go early
 * or never, while the server echoes in one of the styles that users have and ends some connections itself. What comes
 * back must be a beginning of what was sent, and all of it when nothing but survivable faults happens.
 */
import { expect } from 'vitest'
import { SystemError } from '../../lib/base/errors.ts'
import type { Transfer } from '../../lib/client/transfer.ts'
import { Multi } from '../../lib/multi/multi.ts'
import type { CloseReason } from '../../lib/server/connection/close-reason.ts'
import type { Connection } from '../../lib/server/connection/connection.ts'
import { Server } from '../../lib/server/server.ts'
import { Family } from '../../lib/sys/kernel.ts'
import { encodeProxyHeader } from '../../lib/wire/proxy-protocol.ts'
import { drawFuzz } from '../support/fuzzed-loop.ts'
import { attachLoop } from './loop.ts'
import { Peer } from './peer.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'
import type { Scenario } from './swarm.ts'

export interface ConnectionScenarioOptions {
  /** Every peer must get all that it sent, and every connection end as it should. */
  readonly mustSucceed?: boolean
  readonly most?: number
}

const HEADER = encodeProxyHeader({
  version: 2,
  command: 'proxy',
  transport: 'tcp4',
  source: { address: '203.0.113.7', port: 4711 },
  destination: { address: '198.51.100.1', port: 80 },
  tlvs: [],
})
/** Long enough for the slowest link that a swarm draws. */
const GIVE_UP_MS = 1_200_000
const BYTES_MOST = 40_000

/** Somebody who comes to the server. */
class Visitor {
  readonly sent: Buffer
  readonly received: Buffer[] = []
  isDone = false
  /** null while it is being made: it may fail at once. */
  #peer: Peer | null = null
  readonly #simulation: Simulation

  constructor(simulation: Simulation, random: Random, port: number, options: { behaves: boolean; proxied: boolean }) {
    this.#simulation = simulation
    this.sent = Buffer.alloc(random.int(BYTES_MOST), 'The quick brown fox jumps over the lazy dog. ')
    const target = { family: Family.IPV4, address: '127.0.0.1', port }
    const events = {
      data: (bytes: Uint8Array) => void this.received.push(Buffer.from(bytes)),
      ended: () => this.#leave(),
      failed: () => this.#leave(),
    }
    const peer = Peer.connect(simulation.world, simulation.kernel.network, target, events, random.chance(0.5))
    this.#peer = peer
    if (options.proxied) peer.write(HEADER)
    peer.write(this.sent)
    if (options.behaves) peer.end()
    else this.#misbehave(random, peer)
    if (random.chance(0.3)) this.#pause(random, peer)
  }

  #misbehave(random: Random, peer: Peer): void {
    const deed = random.pick(['end', 'close', 'reset', 'hang', 'later'] as const)
    if (deed === 'end') peer.end()
    else if (deed !== 'hang') {
      this.#after(random.unit() * 300, () => {
        if (deed === 'later') return peer.end()
        this.isDone = true
        peer[deed]()
      })
    }
  }

  #pause(random: Random, peer: Peer): void {
    peer.pauseReading()
    this.#after(random.unit() * 200, () => peer.resumeReading())
  }

  #after(ms: number, action: () => void): void {
    this.#simulation.world.plan(this.#simulation.world.now + ms, () => {
      if (!this.isDone) action()
    })
  }

  #leave(): void {
    this.isDone = true
    this.#peer?.close()
  }

  /** Goes, whatever state it is in. */
  leave(): void {
    if (!this.isDone) this.#leave()
  }
}

export function visiting(options: ConnectionScenarioOptions = {}): Scenario {
  return (simulation, random) => {
    const { kernel, clock, resolver, world } = simulation
    const mustSucceed = options.mustSucceed ?? false
    const multi = new Multi<Transfer>({ kernel, clock, resolver, debug: true })
    const loop = attachLoop(simulation, multi, drawFuzz(random))
    const proxied = random.chance(0.3)
    const required = random.chance(0.5)
    const ends = new Map<Connection, CloseReason>()
    let came = 0
    const some = (): number => (mustSucceed ? 0 : random.between(20, 3_000))
    const server = new Server(multi, {
      listen: { host: '127.0.0.1', port: 0 },
      proxyProtocol: proxied ? { from: ['127.0.0.0/8'], required } : null,
      timeouts: {
        idleMs: some(),
        writeStallMs: some(),
        // A header that comes after it was given up is data.
        proxyHeaderMs: required ? some() : 0,
        lingerMs: mustSucceed ? 60_000 : some(),
      },
      onError: () => {},
      onConnect: (connection) => {
        came++
        echo(simulation, random, connection)
        if (!mustSucceed) meddle(simulation, random, connection)
      },
      onDisconnect: (connection, reason) => {
        expect(ends.has(connection)).toBe(false)
        ends.set(connection, reason)
      },
    })
    const visitors: Visitor[] = []
    const count = random.between(1, options.most ?? 8)
    let isOver = !started(server)
    for (let i = 0; i < count; i++) {
      world.plan(world.now + random.unit() * 500, () => {
        const port = server.listeners[0]?.address.port ?? 1
        visitors.push(new Visitor(simulation, random, port, { behaves: mustSucceed, proxied }))
      })
    }
    world.plan(world.now + GIVE_UP_MS, () => {
      isOver = true
    })
    loop.run({
      until: () =>
        isOver || (visitors.length === count && visitors.every((one) => one.isDone) && !server.stats().connections),
    })
    for (const visitor of visitors) check(visitor, mustSucceed)
    if (mustSucceed) expect([came, [...ends.values()]]).toEqual([count, new Array(count).fill('peer')])
    for (const visitor of visitors) visitor.leave()
    void server.stop()
    multi.close()
  }
}

/** False when the system refused, which it may when calls fail. */
function started(server: Server): boolean {
  try {
    server.start()
    return true
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return false
  }
}

function echo(simulation: Simulation, random: Random, connection: Connection): void {
  const style = random.pick(['data', 'read', 'view', 'held'] as const)
  connection.onWritable = (one) => one.resume()
  const pass = (chunk: Uint8Array): void => {
    if (!connection.write(chunk)) connection.pause()
  }
  if (style === 'data' || style === 'held') connection.onData = (_, chunk) => pass(chunk)
  else if (style === 'read') {
    const into = new Uint8Array(random.between(1, 5_000))
    connection.onReadable = (one) => {
      const length = one.read(into)
      if (length > 0) pass(into.subarray(0, length))
    }
  } else {
    connection.onReadable = (one) => {
      const chunk = one.readView()
      if (typeof chunk !== 'number') pass(chunk)
    }
  }
  if (style !== 'held') return
  connection.pause()
  simulation.world.plan(simulation.world.now + random.unit() * 100, () => connection.resume())
}

/** Verbs from outside at some time, or from inside. */
function meddle(simulation: Simulation, random: Random, connection: Connection): void {
  const deed = random.pick(['close', 'abort', 'shutdownWrite', 'throw', 'detach', 'none', 'none', 'none'] as const)
  const act = (): void => {
    if (deed === 'none' || !connection.open) return
    if (deed === 'throw') {
      connection.onData = () => {
        throw new Error('from a callback')
      }
    } else if (deed === 'detach') {
      if (connection.writableLength > 0) return connection.close()
      const { fd, generation } = connection.detach()
      simulation.kernel.close(fd, simulation.kernel.claim(fd, generation))
    } else connection[deed]()
  }
  if (random.chance(0.3)) act()
  else simulation.world.plan(simulation.world.now + random.unit() * 200, act)
}

function check(visitor: Visitor, mustSucceed: boolean): void {
  const received = Buffer.concat(visitor.received)
  expect(Buffer.compare(received, visitor.sent.subarray(0, received.length))).toBe(0)
  if (mustSucceed) expect(received.length).toBe(visitor.sent.length)
}

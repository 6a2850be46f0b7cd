/**
 * An HTTP server among clients that pipeline, dawdle, lie and leave, and transfers of the library's own, steered by
 * random verbs. What must hold whatever happens: every answer that is whole is the right one, every request ends once
 * and every body is closed once, and after the stop nothing is left.
 */
import { expect } from 'vitest'
import { HttpServer, ServerError, SystemError, Transfer } from '../../lib/index.ts'
import { Multi } from '../../lib/multi/multi.ts'
import { Family } from '../../lib/sys/kernel.ts'
import { drawFuzz } from '../support/fuzzed-loop.ts'
import { type AsyncScenario, turn } from './async-swarm.ts'
import { type Ask, BODIES, checkAnswers, drawAsk, MODES } from './http-asks.ts'
import { HttpProgram } from './http-program.ts'
import { attachLoop } from './loop.ts'
import { originBytes } from './origin.ts'
import { Peer } from './peer.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'

export interface HttpScenarioOptions {
  /** Nobody misbehaves, and every answer must come. */
  readonly mustSucceed?: boolean
  /** Clients. */
  readonly most?: number
}

const LIFE_MS = 2000
/** Long enough for the slowest link that a swarm draws. */
const GIVE_UP_MS = 1_200_000
const QUIET_MS = 20_000

/** Sends some requests at once and keeps what comes. */
class Visitor {
  readonly asks: Ask[] = []
  readonly received: Buffer[] = []
  /** FIN came, after everything. */
  isEnded = false
  isDone = false
  #peer: Peer | null = null
  readonly #simulation: Simulation

  constructor(simulation: Simulation, random: Random, port: number, isWell: boolean) {
    this.#simulation = simulation
    const count = random.between(1, 5)
    while (this.asks.length < count) {
      const ask = drawAsk(random, this.asks.length, { isWell, isLast: this.asks.length === count - 1 })
      this.asks.push(ask)
      if (ask.isLast) break
    }
    const target = { family: Family.IPV4, address: '127.0.0.1', port }
    const events = {
      data: (bytes: Uint8Array) => void this.received.push(Buffer.from(bytes)),
      ended: () => {
        // One that was reset as well may have lost what had arrived.
        this.isEnded = this.#peer?.socket.wasReset === false
        this.#over()
      },
      failed: () => this.#over(),
    }
    const peer = Peer.connect(simulation.world, simulation.kernel.network, target, events, random.chance(0.5))
    this.#peer = peer
    for (const { text } of this.asks) peer.write(text)
    if (isWell && this.asks.at(-1)?.kind === 'raw') this.#after(GIVE_UP_MS / 2, () => peer.end())
    if (!isWell) this.#misbehave(random, peer)
    if (random.chance(0.3)) {
      peer.pauseReading()
      this.#after(random.unit() * 1000, () => peer.resumeReading())
    }
  }

  leave(): void {
    if (!this.isDone) this.#over()
  }

  #misbehave(random: Random, peer: Peer): void {
    const deed = random.pick(['end', 'close', 'reset', 'stay', 'stay'] as const)
    if (deed === 'stay') return
    this.#after(random.unit() * 500, () => {
      if (deed === 'end') return peer.end()
      this.isDone = true
      peer[deed]()
    })
  }

  #after(ms: number, action: () => void): void {
    this.#simulation.world.plan(this.#simulation.world.now + ms, () => {
      if (!this.isDone) action()
    })
  }

  #over(): void {
    this.isDone = true
    this.#peer?.close()
  }
}

interface Fetch {
  readonly transfer: Transfer
  readonly expected: Uint8Array
  readonly received: Uint8Array[]
  code: number | null
}

function newFetch(random: Random, port: number): Fetch {
  const [kind, size] = [random.pick(BODIES), random.int(20_000)]
  const received: Uint8Array[] = []
  const transfer = new Transfer({
    url: `http://127.0.0.1:${port}/0/${random.pick(MODES)}/${kind}/${size}`,
    timeoutMs: GIVE_UP_MS,
    onData: (chunk) => received.push(chunk.slice()),
  })
  return { transfer, expected: originBytes(kind, size), received, code: null }
}

function collect(multi: Multi<Transfer>, fetches: readonly Fetch[]): void {
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    const { transfer, code } = message
    const fetch = fetches.find((one) => one.transfer === transfer)
    if (fetch === undefined) continue
    fetch.code = code
    const body = Buffer.concat(fetch.received)
    // A server that was full, or took leave, answered for itself.
    if (transfer.info.status === 200) {
      expect(Buffer.compare(body, fetch.expected.subarray(0, body.length))).toBe(0)
      if (code === 0) expect(body.length).toBe(fetch.expected.length)
    }
    multi.remove(transfer)
  }
}

function drawServer(multi: Multi<Transfer>, random: Random, program: HttpProgram, isWell: boolean): HttpServer {
  const some = (): number => (isWell ? 0 : random.between(20, 3000))
  return new HttpServer(multi, {
    listen: { host: '127.0.0.1', port: 0 },
    date: random.chance(0.5),
    ...program.options,
    timeouts: {
      firstByteMs: some(),
      headersMs: some(),
      requestMs: some(),
      handlerMs: random.chance(0.3) ? some() : 0,
      idleMs: some(),
      keepAliveMs: isWell ? GIVE_UP_MS : some(),
      writeStallMs: some(),
      lingerMs: isWell ? 60_000 : random.between(0, 500),
    },
    limits: {
      bodyMinRate: 0,
      ...(random.chance(0.3) ? { pipelineBytes: random.between(1, 2000) } : {}),
      ...(isWell ? {} : { discardBytes: random.int(40_000), connections: random.between(2, 20) }),
    },
    halfClose: random.pick(['abort', 'answer']),
    onDrainRequest: random.pick(['serve', 503]),
    drainIdleMs: random.int(200),
    onError: () => {},
  })
}

/** Verbs that may be refused for the state the server is in, and for nothing else. */
function steer(server: HttpServer, random: Random): void {
  try {
    switch (random.int(7)) {
      case 0:
        return server.suspend({ pending: random.pick(['queue', 'reject', 'reset']), forMs: random.between(1, 100) })
      case 1:
        return void server.restart({ graceMs: random.between(0, 50), keepListener: random.chance(0.7) }).catch(() => {})
      case 2:
        for (const { id } of server.clients()) if (random.chance(0.3)) server.disconnect(id)
        return
      case 3:
        return void server.drain({
          deadlineMs: random.between(0, 100),
          idle: random.pick(['close', 'last-response']),
        })
      case 4:
        return void server.stop({ graceMs: random.int(50), reset: random.chance(0.5) })
      case 5:
        return server.resume()
      default:
        if (!server.active) server.start()
    }
  } catch (error) {
    if (!(error instanceof ServerError || error instanceof SystemError)) throw error
  }
}

export function httpServing(options: HttpScenarioOptions = {}): AsyncScenario {
  return async (simulation, random) => {
    const { world, kernel, clock, resolver, files } = simulation
    const isWell = options.mustSucceed ?? false
    const multi = new Multi<Transfer>({ kernel, clock, resolver, files, debug: true })
    const loop = attachLoop(simulation, multi, drawFuzz(random))
    const program = new HttpProgram(simulation, random)
    const server = drawServer(multi, random, program, isWell)
    program.server = server
    const visitors: Visitor[] = []
    const fetches: Fetch[] = []
    let awaited = 0
    const come = (action: (port: number) => void): void => {
      awaited++
      world.plan(world.now + random.unit() * LIFE_MS, () => {
        awaited--
        action(server.listeners[0]?.address.port ?? 1)
      })
    }
    if (started(server)) {
      const count = random.between(1, options.most ?? 8)
      for (let i = 0; i < count; i++) come((port) => visitors.push(new Visitor(simulation, random, port, isWell)))
      for (let i = random.int(3); i > 0; i--) {
        come((port) => {
          const fetch = newFetch(random, port)
          fetches.push(fetch)
          multi.add(fetch.transfer)
        })
      }
      for (let i = isWell ? 0 : random.int(10); i > 0; i--) come(() => steer(server, random))
      const end = world.now + (isWell ? GIVE_UP_MS : LIFE_MS * 1.5)
      world.plan(end, () => {})
      const isOver = (): boolean =>
        awaited === 0 && visitors.every((one) => one.isDone) && fetches.every((one) => one.code !== null)
      await turn(simulation, loop, () => {
        collect(multi, fetches)
        return isOver() || world.now >= end
      })
    }
    void server.stop({ reset: random.chance(0.3) })
    expect(server.active).toBe(false)
    for (const { transfer, code } of fetches) if (code === null) multi.remove(transfer)
    const quiet = world.now + QUIET_MS
    world.plan(quiet, () => {})
    await turn(simulation, loop, () => world.now >= quiet)
    for (const visitor of visitors) visitor.leave()
    for (const { asks, received, isEnded } of visitors) checkAnswers(Buffer.concat(received), asks, isEnded, isWell)
    if (isWell) expect(fetches.map(({ code }) => code)).toEqual(fetches.map(() => 0))
    expect(server.stats().connections).toBe(0)
    program.check()
    multi.close()
  }
}

/** False when the system refused, which it may when calls fail. */
function started(server: HttpServer): boolean {
  try {
    server.start()
    return true
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return false
  }
}

import { describe, expect, it } from 'vitest'
import { Transfer } from '../../lib/client/transfer.ts'
import type { TransferOptions } from '../../lib/client/transfer-options.ts'
import { Multi } from '../../lib/multi/multi.ts'
import type { FuzzedLoop } from '../support/fuzzed-loop.ts'
import { wholeStack } from './layers.ts'
import { attachLoop } from './loop.ts'
import { originBytes } from './origin.ts'
import { Random } from './random.ts'
import { type Simulation, simulate } from './simulation.ts'

const SECONDS = 10

/** A transfer through TLS, or through TLS within TLS, on a network without faults. */
class Bench {
  readonly simulation: Simulation = simulate(1)
  readonly multi: Multi<Transfer>
  readonly loop: FuzzedLoop
  readonly chunks: Uint8Array[] = []
  readonly #layers: ReturnType<typeof wholeStack>

  constructor(behindTls: boolean) {
    const { simulation } = this
    this.#layers = wholeStack(simulation, new Random(1), behindTls)
    const { kernel, clock, resolver } = simulation
    this.multi = new Multi<Transfer>({ kernel, clock, resolver, debug: true, ...this.#layers.multi })
    this.loop = attachLoop(simulation, this.multi)
  }

  get now(): number {
    return this.simulation.world.now
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }

  start(path: string, options: Partial<TransferOptions> = {}): Transfer {
    const { origin, options: way } = this.#layers.next()
    const onData = (chunk: Uint8Array): void => void this.chunks.push(chunk.slice())
    const transfer = new Transfer({ ...way, ...options, url: `${origin}${path}`, onData })
    this.multi.add(transfer)
    return transfer
  }

  /** To the end of all transfers. */
  finish(): void {
    this.loop.run({ until: () => this.multi.running === 0 })
    expect(this.multi.infoRead()?.error ?? null).toBeNull()
    this.multi.close()
    this.simulation.assertQuiescent()
    expect(this.#layers.complaints()).toEqual([])
  }
}

describe.each([
  ['TLS', false],
  ['TLS within TLS', true],
])('the flow through %s', (_name, behindTls) => {
  it.each([1000, 50_000, 500_000])('keeps to a rate of %i bytes a second while receiving', (rate) => {
    const bench = new Bench(behindTls)
    const path = `/bytes/${rate * SECONDS}`
    bench.start(path, { maxRecvSpeed: rate })
    const begin = bench.now
    bench.finish()
    expect((bench.now - begin) / 1000).toBeGreaterThan(SECONDS - 0.2)
    expect((bench.now - begin) / 1000).toBeLessThan(SECONDS + 0.6)
    expect(bench.received.equals(originBytes(path, rate * SECONDS))).toBe(true)
  })

  it.each([1000, 50_000])('keeps to a rate of %i bytes a second while sending', (rate) => {
    const bench = new Bench(behindTls)
    const body = originBytes('sent', rate * SECONDS)
    bench.start('/echo', { method: 'PUT', body, expect100: false, maxSendSpeed: rate })
    const begin = bench.now
    bench.finish()
    expect((bench.now - begin) / 1000).toBeGreaterThan(SECONDS - 0.2)
    expect((bench.now - begin) / 1000).toBeLessThan(SECONDS + 0.6)
    expect(bench.received.equals(Buffer.from(body))).toBe(true)
  })

  it('asks the system for nothing while the rate holds it, though decrypted bytes wait', () => {
    const bench = new Bench(behindTls)
    bench.start('/bytes/100000', { maxRecvSpeed: 100 })
    bench.loop.run({ until: () => bench.chunks.length >= 2 })
    const calls = bench.simulation.kernel.gate.calls['recv'] ?? 0
    const end = bench.now + 1000
    bench.loop.run({ until: () => bench.now >= end })
    expect(bench.multi.waitFds()).toEqual([])
    expect((bench.simulation.kernel.gate.calls['recv'] ?? 0) - calls).toBe(0)
    bench.multi.close()
  })

  it('stands still while receiving is paused, and goes on with what waits', () => {
    const bench = new Bench(behindTls)
    const transfer = bench.start('/bytes/200000')
    for (let pauses = 1; pauses <= 5; pauses++) {
      bench.loop.run({ until: () => bench.received.length >= pauses * 20_000 })
      transfer.pause('receive')
      const { length } = bench.received
      const end = bench.now + 1000
      bench.simulation.world.plan(end, () => transfer.resume('receive'))
      bench.loop.run({ until: () => bench.now >= end })
      expect(bench.received.length - length).toBeLessThanOrEqual(200_000)
    }
    bench.finish()
    expect(bench.received.equals(originBytes('/bytes/200000', 200_000))).toBe(true)
  })

  it('stands still while sending is paused, and goes on where it was', () => {
    const bench = new Bench(behindTls)
    const body = originBytes('sent', 300_000)
    let at = 0
    const pull = (): Uint8Array | null => {
      if (at === 100_000 || at === 200_000) transfer.pause('send')
      const piece = body.subarray(at, at + 20_000)
      at += piece.length
      return piece.length === 0 ? null : piece
    }
    const transfer = bench.start('/echo', { method: 'PUT', body: pull, expect100: false })
    for (const half of [100_000, 200_000]) {
      bench.loop.run({ until: () => at >= half + 20_000 })
      const sent = at
      const end = bench.now + 1000
      bench.simulation.world.plan(end, () => transfer.resume('send'))
      bench.simulation.world.plan(end - 1, () => expect(at).toBe(sent))
      bench.loop.run({ until: () => bench.now >= end })
    }
    bench.finish()
    expect(bench.received.equals(Buffer.from(body))).toBe(true)
  })
})

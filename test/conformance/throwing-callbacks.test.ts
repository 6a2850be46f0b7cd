import { describe, expect, it } from 'vitest'
import { Interest, Multi, type TransferOptions } from '../../lib/index.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'

const bang = new Error('bang')
function throwIt(): never {
  throw bang
}

/** Each kind of callback, and a request that leads to it. */
const throwing: Readonly<Record<string, { path: string; options: Omit<TransferOptions, 'url'> }>> = {
  onHead: { path: '/bytes/100', options: { onHead: throwIt } },
  onInformational: { path: '/1xx/100', options: { onInformational: throwIt } },
  onData: { path: '/bytes/100', options: { onData: throwIt } },
  onTrailers: { path: '/trailers/100', options: { onTrailers: throwIt } },
  body: { path: '/echo', options: { body: throwIt } },
  requestTrailers: { path: '/echo', options: { body: () => null, requestTrailers: throwIt } },
  'onProgress at the end': { path: '/bytes/100', options: { onProgress: throwIt } },
  'onProgress on its timer': { path: '/hang', options: { onProgress: throwIt, progressIntervalMs: 5 } },
  'onDebug always': { path: '/bytes/100', options: { onDebug: throwIt } },
  'onDebug of head bytes': { path: '/bytes/100', options: { onDebug: throwAt('headIn') } },
  'onDebug of data': { path: '/bytes/100', options: { onDebug: throwAt('dataIn') } },
  'onDebug of what is sent': { path: '/echo', options: { body: 'x', onDebug: throwAt('dataOut') } },
  'onDebug at the end': {
    path: '/bytes/100',
    options: {
      onDebug: (_kind, content) => {
        if (content === 'done' || String(content).startsWith('failed')) throwIt()
      },
    },
  },
}

function throwAt(wanted: string): (kind: string) => void {
  return (kind) => {
    if (kind === wanted) throwIt()
  }
}

for (const [name, { path, options }] of Object.entries(throwing)) {
  scenario(`fails only its own transfer when ${name} throws, and keeps the cause`, async (bench) => {
    const multi = bench.multi()
    const [bad, good] = await fetchAll(bench, multi, [
      { url: bench.url(path), timeoutMs: 3000, ...options },
      { url: bench.url('/chunked/2000') },
    ])
    expect(bad?.outcome).toBe('ABORTED_BY_CALLBACK')
    expect(bad?.message?.code).toBe(42)
    expect(bad?.error.cause).toBe(bang)
    expectBody(good!, '/chunked/2000')
    expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/10') }), '/bytes/10')
    expect(multi.running).toBe(0)
  })
}

describe('a transfer whose onDebug and onProgress always throw', () => {
  it('can be removed in any state, and its Multi closed', async () => {
    const options = { onDebug: throwIt, onProgress: throwIt }
    for (const close of [false, true]) {
      const bench = new SimulatedBench('', 1, {}, false)
      const multi = bench.multi({ maxHostConnections: 1 })
      const fetches = [1, 2].map(() => new Fetch({ url: bench.url('/hang'), ...options }))
      for (const { transfer } of fetches) multi.add(transfer)
      if (!close) for (const { transfer } of fetches) multi.remove(transfer)
      else multi.close()
      await bench.close()
    }
  })
})

it('throws what notifyFunction throws out of the call on the stack, and goes on', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  multi.setNotifyFunction(throwIt)
  const fetches = ['/bytes/1', '/bytes/2'].map((path) => new Fetch({ url: bench.url(path) }))
  for (const { transfer } of fetches) multi.add(transfer)
  let caught = 0
  while (multi.running > 0) {
    try {
      await bench.drive(multi)
    } catch (error) {
      expect(error).toBe(bang)
      caught++
    }
  }
  expect(caught).toBeGreaterThan(0)
  readMessages(multi, fetches)
  expect(fetches.map(({ outcome }) => outcome)).toEqual(['OK', 'OK'])
  multi.setNotifyFunction(null)
  await bench.close()
})

/** A loop on the simulated poller whose functions fail at a given call. */
class FailingLoop {
  readonly multi: Multi
  readonly interests = new Map<number, number>()
  calls = 0
  isArmed = true
  deadline = Number.POSITIVE_INFINITY
  readonly #simulation: Simulation

  constructor(simulation: Simulation, which: 'socket' | 'timer', failing: number, how: 'throws' | 'returns -1') {
    this.#simulation = simulation
    const { kernel, clock, resolver, poller } = simulation
    const fail = (kind: string): undefined | -1 => {
      if (kind !== which || !this.isArmed) return
      this.calls++
      if (this.calls !== failing) return
      if (how === 'throws') throw bang
      return -1
    }
    this.multi = new Multi({
      kernel,
      clock,
      resolver,
      socketFunction: (fd, interest) => {
        if (interest === Interest.REMOVE) {
          expect(this.interests.has(fd)).toBe(true)
          this.interests.delete(fd)
          poller.remove(fd)
        } else {
          this.interests.set(fd, interest)
          poller.modify(fd, interest)
        }
        return fail('socket')
      },
      timerFunction: (ms) => {
        this.deadline = ms < 0 ? Number.POSITIVE_INFINITY : clock.now() + ms
        return fail('timer')
      },
    })
  }

  run(): void {
    const { poller, clock } = this.#simulation
    for (let steps = 0; this.multi.running > 0; steps++) {
      if (steps > 1000) throw new Error('does not end')
      const wait = this.deadline === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(this.deadline - clock.now()))
      const count = poller.wait(wait)
      for (let i = 0; i < count; i++) this.multi.socketAction(poller.ready[2 * i] ?? -1, poller.ready[2 * i + 1])
      if (clock.now() >= this.deadline) this.multi.socketAction(-1)
    }
  }
}

describe.each(['socket', 'timer'] as const)('a %s function that fails', (which) => {
  describe.each(['throws', 'returns -1'] as const)('because it %s', (how) => {
    for (let failing = 1; failing <= 8; failing++) {
      it(`at call ${failing}: every transfer fails, and the Multi is as new once it is empty`, () => {
        const simulation = simulate(1)
        const loop = new FailingLoop(simulation, which, failing, how)
        const { multi } = loop
        const { host } = simulation.origin
        const urls = [`http://${host}/slow/20/5`, `http://${host}/chunked/500`, 'http://origin.test/slow/30/1']
        const fetches = urls.map((url) => new Fetch({ url }))
        const refused = addAll(multi, fetches)
        loop.run()
        readMessages(multi, fetches)
        if (loop.calls < failing) {
          // It was not called that often: the fetches must have ended well then.
          for (const fetch of fetches) expect(fetch.outcome).toBe('OK')
        } else expectDead(multi, fetches, refused, how)
        for (const { transfer } of fetches) multi.remove(transfer)
        expect(multi.stats).toMatchObject({ running: 0, pending: 0, done: 0 })
        loop.isArmed = false
        const again = new Fetch({ url: `http://origin.test/bytes/7` })
        multi.add(again.transfer)
        loop.run()
        readMessages(multi, [again])
        expectBody(again, '/bytes/7')
        multi.close()
        expect(loop.interests.size).toBe(0)
        simulation.assertQuiescent()
      })
    }
  })
})

/** Those that a Multi refused, being dead already. */
function addAll(multi: Multi, fetches: readonly Fetch[]): Set<Fetch> {
  const refused = new Set<Fetch>()
  for (const fetch of fetches) {
    try {
      multi.add(fetch.transfer)
    } catch (error) {
      expect(error).toMatchObject({ code: 'ABORTED_BY_CALLBACK' })
      refused.add(fetch)
    }
  }
  return refused
}

function expectDead(multi: Multi, fetches: readonly Fetch[], refused: Set<Fetch>, how: string): void {
  let aborted = 0
  for (const fetch of fetches) {
    if (refused.has(fetch)) expect(fetch.outcome).toBe('running')
    else if (fetch.outcome !== 'OK') {
      aborted++
      expect(fetch.outcome).toBe('ABORTED_BY_CALLBACK')
      if (how === 'throws') expect(fetch.error.cause).toBe(bang)
      else expect(String(fetch.error.cause)).toContain('returned -1')
    }
  }
  if (aborted > 0) expect(() => multi.add(new Fetch({ url: 'http://x.test/' }).transfer)).toThrow(/failed/)
}

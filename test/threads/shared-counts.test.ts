import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SharedCounts } from '../../lib/index.ts'
import { LocalCounts } from '../../lib/server/admission/admission-counts.ts'
import { SharedLock } from '../../lib/threads/shared-lock.ts'
import { moduleFile } from './support.ts'

const KEYS = [0x7f000001, 0x0a000001, -1, 'uid 1000', 'abcdefgh', '\x00\x01', 7, '7'] as const

interface RaceReport {
  readonly entered: number
  readonly high: { readonly connections: number; readonly prefix: number }
}

describe('shared counts', () => {
  it('answer as those of one thread do, whatever is entered and left', () => {
    const step = fc.record({
      key: fc.constantFrom(...KEYS),
      enters: fc.boolean(),
      most: fc.integer({ min: 0, max: 4 }),
    })
    const program = fc.array(step, { maxLength: 200 })
    fc.assert(
      fc.property(program, fc.constantFrom(8, 9, 16), (steps, prefixes) => {
        const shared = new SharedCounts({ buffer: SharedCounts.allocate(2, prefixes), slot: 1 })
        const local = new LocalCounts()
        for (const { key, enters, most } of steps) {
          if (enters) {
            expect(shared.enterPrefix(key, most)).toBe(local.enterPrefix(key, most))
            expect(shared.enter(most)).toBe(local.enter(most))
          } else if (local.ofPrefix(key) > 0) {
            shared.leavePrefix(key)
            local.leavePrefix(key)
          }
          for (const other of KEYS) expect(shared.ofPrefix(other)).toBe(local.ofPrefix(other))
          expect(shared.connections).toBe(local.connections)
        }
      }),
    )
  })

  it('turn away prefixes that there is no room for', () => {
    const counts = new SharedCounts({ buffer: SharedCounts.allocate(1, 2), slot: 0 })
    expect([1, 2, 3].map((key) => counts.enterPrefix(key, 9))).toEqual([true, true, false])
    counts.leavePrefix(1)
    expect(counts.enterPrefix(3, 9)).toBe(true)
  })

  it('give back what a thread held that has ended, and nothing else', () => {
    const buffer = SharedCounts.allocate(3)
    const [first, second] = [0, 1].map((slot) => new SharedCounts({ buffer, slot })) as [SharedCounts, SharedCounts]
    for (const counts of [first, first, second]) {
      counts.enter(9)
      counts.enterPrefix(5, 9)
    }
    second.enterPrefix('alone', 9)
    // It ended in the middle of a step.
    const words = new Int32Array(buffer)
    expect(new SharedLock(words, 5, 1).acquire()).toBe(true)
    expect(first.enterPrefix(5, 9)).toBe(false)
    first.leavePrefix(5)
    first.reclaim(1)
    expect([first.connections, first.ofPrefix('alone')]).toEqual([2, 0])
    // What could not be given back meanwhile is with the next step.
    expect(first.enterPrefix(5, 9)).toBe(true)
    expect(first.ofPrefix(5)).toBe(2)
  })

  it('say what is wrong with their options', () => {
    expect(() => SharedCounts.allocate(0)).toThrow(/slots.*0/)
    expect(() => SharedCounts.allocate(1, 0)).toThrow(/prefixes.*0/)
    expect(() => new SharedCounts({ buffer: SharedCounts.allocate(2), slot: 2 })).toThrow(/slot.*2/)
  })

  it('hold exactly while threads race, for the rate as well, and survive the end of one', async () => {
    const buffer = SharedCounts.allocate(5, 64)
    const workers = Array.from({ length: 4 }, (_, slot) => {
      const workerData = { handle: { buffer, slot }, rounds: 5_000, most: 3, prefixes: 7, perPrefix: 2, keeps: 5 }
      return new Worker(moduleFile('racing.mjs'), { workerData })
    })
    const answers = <T>(): Promise<T[]> =>
      Promise.all(workers.map((worker) => new Promise<T>((resolve) => worker.once('message', resolve))))
    const reports = await answers<RaceReport>()
    for (const { entered, high } of reports) {
      expect(entered).toBe(5_000)
      expect(high.connections).toBeLessThanOrEqual(3)
      expect(high.prefix).toBeLessThanOrEqual(2)
    }
    const counts = new SharedCounts({ buffer, slot: 4 })
    expect(counts.connections).toBe(0)
    for (const worker of workers) worker.postMessage('keep')
    const taken = await answers<number>()
    expect(taken.reduce((sum, count) => sum + count)).toBe(100)
    expect([counts.connections, counts.ofPrefix(3), counts.ofPrefix('kept 4')]).toEqual([20, 0, 4])
    await Promise.all(workers.map((worker) => worker.terminate()))
    counts.reclaim(2)
    expect([counts.connections, counts.ofPrefix('kept 4')]).toEqual([15, 3])
    for (const slot of [0, 1, 3]) counts.reclaim(slot)
    expect([counts.connections, counts.ofPrefix('kept 4')]).toEqual([0, 0])
  })
})

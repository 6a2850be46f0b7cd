import { describe, expect, it } from 'vitest'
import { SendBatch } from '../../../lib/multi/send-batch.ts'
import { BATCH_STRIDE, type Kernel } from '../../../lib/sys/kernel.ts'

class Bench {
  /** Sends per crossing. */
  crossings: number[] = []
  readonly batch: SendBatch

  constructor() {
    const kernel = {
      allocate: (length: number) => ({ id: 1, bytes: new Uint8Array(length) }),
      release: () => {},
      sendBatch: (_id: number, operations: Int32Array, count: number) => {
        for (let at = 0; at < count * BATCH_STRIDE; at += BATCH_STRIDE)
          operations[at + 3] = operations[at + 2] as number
        this.crossings.push(count)
        return count
      },
    }
    this.batch = new SendBatch(kernel as unknown as Kernel)
  }

  /** The crossings of an entry that takes so long with so many sends. */
  enter(now: number, sends: number): number[] {
    this.crossings = []
    this.batch.begin(now)
    for (let send = 0; send < sends; send++) this.batch.add({ departed: () => {} }, send, this.batch.end, 10)
    this.batch.flush()
    return this.crossings
  }
}

describe('sends that are put off', () => {
  it('are few to begin with, and more as long as they come quickly one after the other', () => {
    const bench = new Bench()
    let now = 0
    const most = Array.from({ length: 9 }, () => Math.max(...bench.enter((now += 2), 100)))
    expect(most).toEqual([1, 2, 4, 8, 16, 32, 64, 64, 64])
  })

  it('do not wait for each other where the work between them takes long', () => {
    const bench = new Bench()
    let now = 0
    for (let entry = 0; entry < 9; entry++) bench.enter((now += 2), 100)
    const most = Array.from({ length: 8 }, () => Math.max(...bench.enter((now += 100), 100)))
    expect(most).toEqual([32, 16, 8, 4, 2, 1, 1, 1])
  })

  it('tell each of them what became of its bytes, in order', () => {
    const bench = new Bench()
    for (let entry = 0; entry < 5; entry++) bench.enter(entry, 100)
    const told: number[][] = []
    bench.batch.begin(5)
    for (const length of [3, 5]) {
      const departed = (result: number, _bytes: Uint8Array, start: number, end: number): void =>
        void told.push([result, start, end])
      bench.batch.add({ departed }, 7, bench.batch.end, length)
    }
    expect([told, bench.batch.end]).toEqual([[], 8])
    bench.batch.flush()
    expect([told, bench.batch.end]).toEqual([
      [
        [3, 0, 3],
        [5, 3, 8],
      ],
      0,
    ])
  })
})

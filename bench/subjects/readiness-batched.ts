/** A loop over `Poller` with three crossings per batch: wait, read everything that is ready, write everything. */
import { BATCH_STRIDE } from '../../lib/sys/kernel.ts'
import { kernel, Poller } from '../../lib/sys/native.ts'
import type { PollerBackend } from '../../lib/sys/poller.ts'
import { Interest } from '../../lib/sys/readiness.ts'
import { eventsPerRound, PipeRing, type ReadinessShape, type ReadinessSubject, refuseSilence } from '../pipe-ring.ts'

class BatchedLoop implements ReadinessSubject {
  readonly description: string
  readonly #ring: PipeRing
  readonly #poller: Poller
  readonly #reads: Int32Array
  readonly #writes: Int32Array

  constructor(shape: ReadinessShape, backend: PollerBackend) {
    this.#ring = new PipeRing(kernel, shape)
    this.#poller = new Poller({ backend })
    this.description = `Poller (${this.#poller.backend}), one readBatch and one writeBatch per wait`
    for (const fd of this.#ring.readFds) this.#poller.add(fd, Interest.READABLE)
    this.#reads = newBatch(shape.pipes)
    this.#writes = newBatch(shape.pipes)
  }

  begin(): void {
    this.#ring.begin()
  }

  run(): void {
    const { nextWriteFds, shape, buffer } = this.#ring
    const poller = this.#poller
    const { ready } = poller
    const reads = this.#reads
    const writes = this.#writes
    let readsLeft = eventsPerRound(shape)
    let writesLeft = shape.writes
    while (readsLeft > 0) {
      const count = poller.wait(0)
      refuseSilence(count)
      for (let i = 0; i < count; i++) reads[i * BATCH_STRIDE] = ready[2 * i] as number
      if (kernel.readBatch(buffer.id, reads, count) !== count) throw new Error('a pipe that was ready gave no byte')
      readsLeft -= count
      const following = Math.min(count, writesLeft)
      writesLeft -= following
      for (let i = 0; i < following; i++) writes[i * BATCH_STRIDE] = nextWriteFds[ready[2 * i] as number] as number
      if (kernel.writeBatch(buffer.id, writes, following) !== following) throw new Error('a pipe took no byte')
    }
  }

  close(): void {
    this.#poller.close()
    this.#ring.close()
  }
}

/** One byte per operation; only the descriptors change. */
function newBatch(count: number): Int32Array {
  const operations = new Int32Array(count * BATCH_STRIDE)
  for (let i = 0; i < count; i++) {
    operations[i * BATCH_STRIDE + 1] = i
    operations[i * BATCH_STRIDE + 2] = 1
  }
  return operations
}

export function open(shape: ReadinessShape, backend: PollerBackend): ReadinessSubject {
  return new BatchedLoop(shape, backend)
}

/** A loop over `Poller` with one call per read and per write: the way a program begins. */
import { kernel, Poller } from '../../lib/sys/native.ts'
import type { PollerBackend } from '../../lib/sys/poller.ts'
import { Interest } from '../../lib/sys/readiness.ts'
import { eventsPerRound, PipeRing, type ReadinessShape, type ReadinessSubject, refuseSilence } from '../pipe-ring.ts'

class PlainLoop implements ReadinessSubject {
  readonly description: string
  readonly #ring: PipeRing
  readonly #poller: Poller

  constructor(shape: ReadinessShape, backend: PollerBackend) {
    this.#ring = new PipeRing(kernel, shape)
    this.#poller = new Poller({ backend })
    this.description = `Poller (${this.#poller.backend}), one call per read and per write`
    for (const fd of this.#ring.readFds) this.#poller.add(fd, Interest.READABLE)
  }

  begin(): void {
    this.#ring.begin()
  }

  run(): void {
    const ring = this.#ring
    const { nextWriteFds, shape } = ring
    const poller = this.#poller
    const { ready } = poller
    let readsLeft = eventsPerRound(shape)
    let writesLeft = shape.writes
    while (readsLeft > 0) {
      const count = poller.wait(0)
      refuseSilence(count)
      for (let i = 0; i < count; i++) {
        const fd = ready[2 * i] as number
        ring.read(fd)
        readsLeft--
        if (writesLeft === 0) continue
        writesLeft--
        ring.write(nextWriteFds[fd] as number)
      }
    }
  }

  close(): void {
    this.#poller.close()
    this.#ring.close()
  }
}

export function open(shape: ReadinessShape, backend: PollerBackend): ReadinessSubject {
  return new PlainLoop(shape, backend)
}

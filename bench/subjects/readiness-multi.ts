/** Through a `Multi`: a machine per pipe on its engine, interest told to a `Poller`, readiness told back in batches. */
import type { TimerTable } from '../../lib/base/timer-table.ts'
import type { Engine } from '../../lib/multi/engine.ts'
import { type InterestSet, type Machine, MachineKind } from '../../lib/multi/machine.ts'
import { engineOf, Multi } from '../../lib/multi/multi.ts'
import type { Task } from '../../lib/multi/task.ts'
import { kernel, Poller } from '../../lib/sys/native.ts'
import type { PollerBackend } from '../../lib/sys/poller.ts'
import { Interest, SOCKET_TIMEOUT } from '../../lib/sys/readiness.ts'
import {
  eventsPerRound,
  PipeRing,
  type ReadinessShape,
  type ReadinessSubject,
  refuseSilence,
  succeed,
} from '../pipe-ring.ts'

class Round {
  readsLeft = 0
  writesLeft = 0
}

class PipeMachine implements Machine {
  readonly kind = MachineKind.SERVER
  readonly subject: object | null = null
  readonly timers: TimerTable | null = null
  readonly dormant = false
  readonly #engine: Engine
  readonly #task: Task
  readonly #ring: PipeRing
  readonly #round: Round
  readonly #fd: number
  readonly #nextFd: number

  constructor(engine: Engine, ring: PipeRing, round: Round, fd: number) {
    this.#engine = engine
    this.#ring = ring
    this.#round = round
    this.#fd = fd
    this.#nextFd = ring.nextWriteFds[fd] as number
    this.#task = engine.spawn(this)
  }

  start(): void {}

  expired(): void {}

  run(_now: number, readiness: number): void {
    if (readiness === 0) return
    const round = this.#round
    const result = kernel.read(this.#fd, this.#ring.buffer.id, 0, 1)
    if (result === -kernel.errno.EAGAIN) return
    if (succeed(result, 'read') === 0) throw new Error('a pipe was closed')
    round.readsLeft--
    if (round.writesLeft === 0) return
    round.writesLeft--
    this.#ring.write(this.#nextFd)
  }

  interest(into: InterestSet): void {
    into.add(this.#fd, Interest.READABLE)
  }

  abort(): void {
    this.#engine.retire(this.#task)
  }
}

class MultiLoop implements ReadinessSubject {
  readonly description: string
  readonly #ring: PipeRing
  readonly #round = new Round()
  readonly #poller: Poller
  readonly #multi: Multi<object>

  constructor(shape: ReadinessShape, backend: PollerBackend) {
    this.#ring = new PipeRing(kernel, shape)
    const poller = new Poller({ backend })
    this.#poller = poller
    this.description = `Multi over Poller (${poller.backend}), a machine per pipe`
    this.#multi = new Multi<object>({
      socketFunction(fd, interest) {
        if (interest === Interest.REMOVE) poller.remove(fd)
        else poller.modify(fd, interest)
      },
      timerFunction() {},
    })
    const engine = engineOf(this.#multi)
    for (const fd of this.#ring.readFds) new PipeMachine(engine, this.#ring, this.#round, fd)
    this.#multi.socketAction(SOCKET_TIMEOUT)
  }

  begin(): void {
    this.#ring.begin()
    this.#round.readsLeft = eventsPerRound(this.#ring.shape)
    this.#round.writesLeft = this.#ring.shape.writes
  }

  run(): void {
    const round = this.#round
    const multi = this.#multi
    const poller = this.#poller
    while (round.readsLeft > 0) {
      const count = poller.wait(0)
      refuseSilence(count)
      multi.socketActionBatch(poller.ready, count)
    }
  }

  close(): void {
    this.#multi.close()
    this.#poller.close()
    this.#ring.close()
  }
}

export function open(shape: ReadinessShape, backend: PollerBackend): ReadinessSubject {
  return new MultiLoop(shape, backend)
}

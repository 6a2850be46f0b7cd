/**
 * What comes out of a pipe or socket, until its end. The descriptor is taken over from whoever opened it. While it has
 * nothing, a machine of its own waits for it, so that the connection stays free to wait for its peer.
 */
import { SystemError } from '../../../base/errors.ts'
import { wrongType } from '../../../base/options.ts'
import type { Host } from '../../../multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../../../multi/machine.ts'
import type { Task } from '../../../multi/task.ts'
import type { RegisteredBuffer } from '../../../sys/kernel.ts'
import { Interest } from '../../../sys/readiness.ts'
import { errnoName, systemError } from '../../../sys/system-error.ts'
import { type BodySource, NO_BYTES, PieceStatus, type SourceOwner } from './body-source.ts'
import type { PipeBody } from './response.ts'

const READ_BYTES = 64 * 1024

export class PipeSource implements BodySource, Machine {
  readonly kind: MachineKind = MachineKind.SERVER
  readonly subject = null
  readonly timers = null
  readonly length: number = -1
  piece: Uint8Array = NO_BYTES
  readonly #host: Host
  readonly #owner: SourceOwner
  readonly #fd: number
  readonly #generation: number
  #buffer: RegisteredBuffer | null = null
  #task: Task | null = null
  #waiting = false
  #closed = false

  constructor(host: Host, owner: SourceOwner, { pipe }: PipeBody) {
    if (!Number.isInteger(pipe)) throw wrongType('body.pipe', 'a descriptor', pipe)
    const { kernel } = host
    const known = kernel.generation(pipe)
    const generation = known > 0 ? known : kernel.adopt(pipe)
    if (generation < 0) throw new SystemError(errnoName(kernel, generation), generation, 'adopt')
    this.#host = host
    this.#owner = owner
    this.#fd = pipe
    this.#generation = generation
  }

  next(_position: number, bytesMax: number): PieceStatus {
    const { kernel } = this.#host
    this.#buffer ??= kernel.allocate(READ_BYTES)
    const count = kernel.read(this.#fd, this.#buffer.id, 0, Math.min(bytesMax, READ_BYTES))
    if (count === -kernel.errno.EAGAIN) {
      this.#wait()
      return PieceStatus.WAIT
    }
    if (count < 0) throw systemError(kernel, count, 'read')
    if (count === 0) return PieceStatus.END
    this.piece = this.#buffer.bytes.subarray(0, count)
    return PieceStatus.PIECE
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.piece = NO_BYTES
    if (this.#buffer !== null) this.#host.kernel.release(this.#buffer.id)
    this.#host.closeFd(this.#fd, this.#generation)
    if (this.#task !== null) this.#host.retire(this.#task)
  }

  // What the engine asks for

  get dormant(): boolean {
    return !this.#waiting
  }

  start(): void {}

  run(_now: number, readiness: number): void {
    if (readiness === 0 || !this.#waiting) return
    this.#waiting = false
    this.#owner.wake()
  }

  expired(): void {}

  interest(into: InterestSet): void {
    if (this.#waiting) into.add(this.#fd, Interest.READABLE)
  }

  abort(): void {
    this.close()
  }

  #wait(): void {
    this.#waiting = true
    if (this.#task === null) this.#task = this.#host.spawn(this)
    else this.#host.markDirty(this.#task)
  }
}

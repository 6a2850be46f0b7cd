/**
 * The shape of libevent's readiness benchmark: a ring of pipes, a few of them active. A round writes one byte to each
 * active pipe; every event reads one byte and, while writes remain, writes one byte to the next pipe of the ring. So a
 * round has active + writes events, and `active` pipes are ready at any time.
 */
import type { Kernel, RegisteredBuffer } from '../lib/sys/kernel.ts'

export interface ReadinessShape {
  readonly pipes: number
  readonly active: number
  readonly writes: number
}

export function eventsPerRound(shape: ReadinessShape): number {
  return shape.active + shape.writes
}

/** What turns the ring: the thing that is measured. */
export interface ReadinessSubject {
  readonly description: string
  /** Fills the pipes; not timed. */
  begin(): void
  run(): void
  close(): void
}

export class PipeRing {
  readonly shape: ReadinessShape
  readonly kernel: Kernel
  /** Room for one byte per pipe; all of them are zero. */
  readonly buffer: RegisteredBuffer
  readonly readFds: Int32Array
  readonly writeFds: Int32Array
  /** By read end: the write end of the next pipe. */
  readonly nextWriteFds: Int32Array

  constructor(kernel: Kernel, shape: ReadinessShape) {
    this.kernel = kernel
    this.shape = shape
    this.buffer = kernel.allocate(shape.pipes)
    this.readFds = new Int32Array(shape.pipes)
    this.writeFds = new Int32Array(shape.pipes)
    const pair = new Int32Array(2)
    for (let i = 0; i < shape.pipes; i++) {
      succeed(kernel.pipe(pair), 'pipe')
      this.readFds[i] = pair[0] as number
      this.writeFds[i] = pair[1] as number
    }
    this.nextWriteFds = new Int32Array(Math.max(...this.readFds) + 1)
    for (let i = 0; i < shape.pipes; i++) {
      this.nextWriteFds[this.readFds[i] as number] = this.writeFds[(i + 1) % shape.pipes] as number
    }
  }

  /** The first bytes of a round. */
  begin(): void {
    const { active, pipes } = this.shape
    const stride = Math.floor(pipes / active)
    for (let i = 0; i < active; i++) this.write(this.writeFds[i * stride] as number)
  }

  read(fd: number): void {
    if (this.kernel.read(fd, this.buffer.id, 0, 1) !== 1) throw new Error(`reading from ${fd} gave no byte`)
  }

  write(fd: number): void {
    if (this.kernel.write(fd, this.buffer.id, 0, 1) !== 1) throw new Error(`writing to ${fd} took no byte`)
  }

  close(): void {
    for (const fd of this.readFds) this.kernel.close(fd)
    for (const fd of this.writeFds) this.kernel.close(fd)
    this.kernel.release(this.buffer.id)
  }
}

/** Throws for -errno. */
export function succeed(result: number, call: string): number {
  if (result < 0) throw new Error(`${call} failed with errno ${-result}`)
  return result
}

/** While a round lasts some pipe is ready, always: a wait that reports none would be repeated for ever. */
export function refuseSilence(count: number): void {
  if (count === 0) throw new Error('nothing was ready although bytes are under way')
}

/**
 * Memory in which machines compose what they send, and sends that they put off: some of them together are one crossing
 * into the kernel, at the latest at the end of the pass. Called one after the other, with nothing in between, each
 * finds the caches as the last one left them. Who puts a send off may take it for done: when the kernel takes less, the
 * rest is given back, and its machine has to run again.
 */
import { BATCH_STRIDE, type Kernel, type RegisteredBuffer } from '../sys/kernel.ts'

export const COMPOSED_BYTES_MAX: number = 64 * 1024
/** Sends put off at a time; more would save nothing. */
const SENDS_MAX = 64
/** What comes between two of them takes no longer, or the first would wait for the others: then fewer are put off. */
const QUICK_MS = 0.1

export interface PutOff {
  /** The kernel took `result` of these bytes, or it is -errno. They are borrowed. Must call no callback. */
  departed(result: number, bytes: Uint8Array, start: number, end: number): void
}

/** Whoever has the memory. */
export interface Composer {
  /** Somebody else wants it: what is composed and not put off moves elsewhere. */
  spill(): void
}

export class SendBatch {
  readonly memory: RegisteredBuffer
  composer: Composer | null = null
  readonly #kernel: Kernel
  readonly #operations = new Int32Array(SENDS_MAX * BATCH_STRIDE)
  readonly #waiting: (PutOff | null)[] = new Array<null>(SENDS_MAX).fill(null)
  #count = 0
  #end = 0
  #limit = 1
  #begunAt = 0
  #sinceBegin = 0

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    this.memory = kernel.allocate(COMPOSED_BYTES_MAX)
  }

  /** Another entry begins: how long the last one took says how many may wait for each other in this one. */
  begin(now: number): void {
    const sends = this.#sinceBegin
    if (sends > 0) {
      const isQuick = now - this.#begunAt <= sends * QUICK_MS
      this.#limit = isQuick ? Math.min(this.#limit * 2, SENDS_MAX) : Math.max(this.#limit >> 1, 1)
      this.#sinceBegin = 0
    }
    this.#begunAt = now
  }

  /** Before it lie bytes that are put off. */
  get end(): number {
    return this.#end
  }

  /** Where in the memory there is room, for who composes and sends at once, with no callback in between. */
  claim(): number {
    this.composer?.spill()
    return this.#end
  }

  /** `length` bytes of the memory from `start` on, which is not before `end`. */
  add(waiting: PutOff, fd: number, start: number, length: number): void {
    const at = this.#count * BATCH_STRIDE
    this.#operations[at] = fd
    this.#operations[at + 1] = start
    this.#operations[at + 2] = length
    this.#waiting[this.#count++] = waiting
    this.#end = start + length
    this.#sinceBegin++
    if (this.#count >= this.#limit) this.flush()
  }

  flush(): void {
    const count = this.#count
    if (count === 0) return
    const operations = this.#operations
    const { id, bytes } = this.memory
    this.#count = 0
    this.#end = 0
    this.#kernel.sendBatch(id, operations, count)
    for (let index = 0; index < count; index++) {
      const at = index * BATCH_STRIDE
      const waiting = this.#waiting[index] as PutOff
      const start = operations[at + 1] as number
      this.#waiting[index] = null
      waiting.departed(operations[at + 3] as number, bytes, start, start + (operations[at + 2] as number))
    }
  }

  close(): void {
    this.#kernel.release(this.memory.id)
  }
}

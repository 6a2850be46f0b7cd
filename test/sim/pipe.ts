/** Both ends of a pipe. A write of no more than PIPE_ATOMIC bytes goes in whole or not at all. */
import { ByteQueue } from './byte-queue.ts'
import { fail, OpenFile, PollBit } from './open-file.ts'

const PIPE_CAPACITY = 65536
const PIPE_ATOMIC = 4096

export class PipeEnd extends OpenFile {
  readonly kind = 'pipe'
  readonly #queue: ByteQueue
  readonly #reads: boolean
  other: PipeEnd | null = null

  constructor(queue: ByteQueue, reads: boolean) {
    super()
    this.#queue = queue
    this.#reads = reads
  }

  poll(): number {
    if (this.#reads) return (this.#queue.length > 0 ? PollBit.READABLE : 0) | (this.other ? 0 : PollBit.HANGUP)
    if (!this.other) return PollBit.WRITABLE | PollBit.ERROR
    return PIPE_CAPACITY - this.#queue.length >= PIPE_ATOMIC ? PollBit.WRITABLE : 0
  }

  closed(): void {
    if (this.other) {
      this.other.other = null
      this.other.activity++
    }
    this.other = null
  }

  override read(into: Uint8Array): number {
    if (!this.#reads) return fail('EBADF')
    if (this.#queue.length === 0) return this.other && into.length > 0 ? fail('EAGAIN') : 0
    if (this.other) this.other.activity++
    return this.#queue.read(into)
  }

  override write(bytes: Uint8Array): number {
    if (this.#reads) return fail('EBADF')
    if (!this.other) return fail('EPIPE')
    const space = PIPE_CAPACITY - this.#queue.length
    if (bytes.length === 0) return 0
    if (space === 0 || (bytes.length <= PIPE_ATOMIC && space < bytes.length)) return fail('EAGAIN')
    const count = Math.min(space, bytes.length)
    this.#queue.push(bytes.subarray(0, count))
    this.other.activity++
    return count
  }
}

/** [read end, write end]. */
export function createPipe(): [PipeEnd, PipeEnd] {
  const queue = new ByteQueue()
  const reader = new PipeEnd(queue, true)
  const writer = new PipeEnd(queue, false)
  reader.other = writer
  writer.other = reader
  return [reader, writer]
}

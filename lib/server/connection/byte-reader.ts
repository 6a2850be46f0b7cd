/**
 * The reading side of a connection whose bytes go to the program: bytes that were read before and put back come first,
 * then what the stream has. Nothing is read that nobody asked for. The end and a failure are kept, and the driver
 * acts on them in its next run, so that no callback is called from inside a read.
 */
import { WOULD_BLOCK } from '../../sys/readiness.ts'
import { systemError } from '../../sys/system-error.ts'
import type { ConnectionMachine } from './connection-machine.ts'

export class ByteReader {
  /** The peer has said its last word, and all before it was read. */
  eof = false
  failure: Error | null = null
  /** How often somebody tried to read. */
  reads = 0
  readonly #machine: ConnectionMachine
  #head: Uint8Array | null

  /** `head`: bytes of this stream that somebody else read before. */
  constructor(machine: ConnectionMachine, head: Uint8Array | null) {
    this.#machine = machine
    this.#head = head === null || head.length === 0 ? null : head
  }

  /** Bytes wait here that no readiness will announce. */
  get hasPending(): boolean {
    return this.#head !== null || (!this.eof && this.#machine.stream.hasPending)
  }

  /** What was put back and not read since. */
  get head(): Uint8Array | null {
    return this.#head
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const head = this.#head
    const joined = new Uint8Array(bytes.length + (head?.length ?? 0))
    joined.set(bytes)
    if (head !== null) joined.set(head, bytes.length)
    this.#head = joined
  }

  /** Bytes copied into `into`, 0 at the end, or WOULD_BLOCK. */
  read(into: Uint8Array): number {
    if (into.length === 0) return 0
    const chunk = this.view(into.length)
    if (typeof chunk === 'number') return chunk
    into.set(chunk)
    return chunk.length
  }

  /** A view that is good until anything else is read on this Multi; 0 at the end, or WOULD_BLOCK. */
  view(lengthMax: number): Uint8Array | 0 | typeof WOULD_BLOCK {
    this.reads++
    if (this.#head !== null) return this.#takeHead(lengthMax)
    if (this.eof) return 0
    const { host } = this.#machine
    const { scratch } = host
    const received = this.#machine.recv(scratch.id, 0, Math.min(lengthMax, scratch.bytes.length))
    if (received > 0) return scratch.bytes.subarray(0, received)
    if (received === 0) {
      this.eof = true
      return 0
    }
    if (received !== -host.kernel.errno.EAGAIN) this.#fail(received)
    return WOULD_BLOCK
  }

  /**
   * Is the end here, or a failure, with nothing before it? One peek, which takes no byte. True when there are bytes
   * instead: what follows them is not to be seen.
   */
  lookForEnd(): boolean {
    const { host, stream } = this.#machine
    const seen = host.kernel.peek(stream.fd, host.scratch.id, 0, 1)
    if (seen > 0) return true
    if (seen === 0 && stream.top === stream.socket) this.eof = true
    // TLS has an end of its own: whoever reads it learns whether it was orderly.
    else if (seen === 0) this.view(1)
    else if (seen !== -host.kernel.errno.EAGAIN) this.#fail(seen)
    return false
  }

  #takeHead(lengthMax: number): Uint8Array {
    const head = this.#head as Uint8Array
    this.#head = head.length > lengthMax ? head.subarray(lengthMax) : null
    return head.subarray(0, lengthMax)
  }

  #fail(result: number): void {
    const { host, stream } = this.#machine
    this.failure = stream.failure ?? systemError(host.kernel, result, 'recv', stream.peer ?? undefined)
  }
}

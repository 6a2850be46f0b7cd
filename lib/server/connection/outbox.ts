/**
 * What a connection has to send. Small pieces are composed in memory that all connections of a Multi share, so that the
 * answers of one run leave in one send; large ones are sent from where they are, together with what stands before them.
 * What the kernel did not take waits in a queue. Whoever composes must `flush` before the run ends; when another
 * connection composes meanwhile, what is composed moves to the queue of its owner.
 */
import { COMPOSED_BYTES_MAX, type Composer, type PutOff, type SendBatch } from '../../multi/send-batch.ts'
import type { ConnectionMachine } from './connection-machine.ts'

/** A piece up to this size is copied at once: a gathered send costs about as much as the copy. */
export const COPIED_BYTES_MAX: number = 16 * 1024
/** Offsets into a piece are 32-bit integers below us. */
const PIECE_BYTES_MAX = 2 ** 30
/** What `Kernel.sendPieces` looks at. */
const PIECES_PER_SEND = 64
/** Sends of one flush, so that a fast receiver does not starve the other machines. */
const SENDS_PER_FLUSH = 16
/** Below it a loop writes text sooner than a call. */
const SHORT_TEXT = 16

const latin1Write = Buffer.prototype.latin1Write

export class Outbox implements Composer, PutOff {
  readonly #machine: ConnectionMachine
  readonly #batch: SendBatch
  /** Where in the shared memory our bytes begin. */
  #start = 0
  /** Bytes of ours in the shared memory; 0 while anything is in the queue. */
  #composed = 0
  #queue: Uint8Array[] | null = null
  /** The first of the queue that is not gone, and how much of it is. */
  #first = 0
  #firstSent = 0
  /** Bytes in the queue. */
  #queued = 0
  /** -errno of a send that was put off. */
  #failure = 0

  constructor(machine: ConnectionMachine) {
    this.#machine = machine
    this.#batch = machine.host.sends
  }

  /** Bytes that the kernel has not taken, as far as we know: not those that are put off. */
  get pending(): number {
    return this.#composed + this.#queued
  }

  /** Nothing waits, and nothing is put off. */
  get isEmpty(): boolean {
    return this.pending === 0 && !this.#machine.stream.socket.isPutOff
  }

  /** Some of them are where the program gave them. */
  get hasQueue(): boolean {
    return this.#queued > 0
  }

  /**
   * Where up to `length` bytes may be written at `composedEnd`; follow with `composed`. null: too many, or others wait
   * before them.
   */
  compose(length: number): Uint8Array | null {
    this.settle()
    if (this.#queued > 0) return null
    const batch = this.#batch
    if (batch.composer !== this) {
      batch.composer?.spill()
      batch.composer = this
      this.#start = batch.end
    }
    if (this.#start + this.#composed + length > COMPOSED_BYTES_MAX && !this.#makeRoom(length)) return null
    return batch.memory.bytes
  }

  /** Where in the memory the next byte goes. */
  get composedEnd(): number {
    return this.#start + this.#composed
  }

  composed(end: number): void {
    this.#composed = end - this.#start
  }

  text(latin1: string): void {
    const { length } = latin1
    const memory = this.compose(length)
    if (memory === null) {
      this.#push(Buffer.from(latin1, 'latin1'))
      return
    }
    const at = this.composedEnd
    if (length < SHORT_TEXT) for (let i = 0; i < length; i++) memory[at + i] = latin1.charCodeAt(i)
    else latin1Write.call(memory, latin1, at, length)
    this.#composed += length
  }

  /** `bytes` is how many it has in UTF-8. */
  utf8(text: string, bytes: number): void {
    if (bytes === text.length && bytes <= COPIED_BYTES_MAX) this.text(text)
    else this.bytes(Buffer.from(text, 'utf8'))
  }

  /** Large ones are kept by reference: they must not change until they are sent. */
  bytes(bytes: Uint8Array): void {
    this.settle()
    const { length } = bytes
    if (length <= COPIED_BYTES_MAX) {
      const memory = this.compose(length)
      if (memory !== null) {
        memory.set(bytes, this.composedEnd)
        this.#composed += length
        return
      }
    }
    this.#push(length <= COPIED_BYTES_MAX ? bytes.slice() : bytes)
  }

  /**
   * 0: all is gone. -EAGAIN: the rest waits for WRITABLE, or for the next run. Else -errno. `mayPutOff` when nothing
   * depends on the moment; should not all of it go then, the machine runs again.
   */
  flush(mayPutOff = false): number {
    this.settle()
    if (this.#failure !== 0) return this.#failure
    if (this.#composed > 0) {
      if (mayPutOff && this.#machine.stream.isPlain) return this.#putOff()
      const result = this.#flushComposed()
      if (result < 0) return result
    }
    return this.#queued > 0 ? this.#flushQueue() : 0
  }

  /** What was put off goes now. */
  settle(): void {
    this.#machine.stream.socket.settle()
  }

  departed(result: number, bytes: Uint8Array, start: number, end: number): void {
    const machine = this.#machine
    if (result === end - start) return
    const taken = Math.max(result, 0)
    machine.bytesWritten -= end - start - taken
    if (result < 0 && result !== -machine.host.kernel.errno.EAGAIN) this.#failure = result
    this.#push(bytes.slice(start + taken, end))
    machine.markDirty()
  }

  /** Our pieces leave the shared memory for the queue. */
  spill(): void {
    const { bytes } = this.#batch.memory
    const start = this.#start
    const end = this.composedEnd
    this.#yieldMemory()
    if (end > start) this.#push(bytes.slice(start, end))
  }

  /** Forgets all: the connection is gone. */
  clear(): void {
    this.#composed = 0
    if (this.#batch.composer === this) this.#batch.composer = null
    this.#forgetQueue()
    this.#queued = 0
  }

  /** At the beginning of the memory, if it is enough. */
  #makeRoom(length: number): boolean {
    if (this.#composed + length > COMPOSED_BYTES_MAX) return false
    this.#batch.flush()
    this.#batch.memory.bytes.copyWithin(0, this.#start, this.composedEnd)
    this.#start = 0
    return true
  }

  #yieldMemory(): void {
    this.#composed = 0
    this.#batch.composer = null
  }

  #putOff(): number {
    const machine = this.#machine
    const length = this.#composed
    machine.bytesWritten += length
    this.#yieldMemory()
    machine.stream.socket.putOff(this.#batch, this, this.#start, length)
    return 0
  }

  #flushComposed(): number {
    const { memory } = this.#batch
    const machine = this.#machine
    const start = this.#start
    const length = this.#composed
    const { stream } = machine
    // Layers in between know the bytes, not the kernel's number for them.
    const sent = stream.isPlain ? stream.send(memory.id, start, length) : stream.sendBytes(memory.bytes, start, length)
    this.#yieldMemory()
    if (sent > 0) machine.bytesWritten += sent
    if (sent < length) this.#push(memory.bytes.slice(start + Math.max(sent, 0), start + length))
    return sent < 0 ? sent : 0
  }

  #flushQueue(): number {
    const machine = this.#machine
    const { stream } = machine
    const again = -machine.host.kernel.errno.EAGAIN
    const most = machine.share(SENDS_PER_FLUSH)
    for (let sends = 0; sends < most; sends++) {
      const queue = this.#queue as Uint8Array[]
      const isAllOffered = stream.isPlain && queue.length - this.#first <= PIECES_PER_SEND
      const sent = stream.sendPieces(queue, this.#first, this.#firstSent)
      if (sent < 0) return sent
      machine.bytesWritten += sent
      this.#advance(sent)
      if (this.#queued === 0) return 0
      // A socket that took a part is full; layers above one take what suits them.
      if (isAllOffered) return again
    }
    machine.markDirty()
    return again
  }

  /** Pieces that are gone are let go at once, whoever waits for the others. */
  #advance(sent: number): void {
    const queue = this.#queue as (Uint8Array | undefined)[]
    this.#queued -= sent
    if (this.#queued === 0) {
      this.#forgetQueue()
      return
    }
    let left = sent + this.#firstSent
    while (left >= (queue[this.#first] as Uint8Array).length) {
      left -= (queue[this.#first] as Uint8Array).length
      queue[this.#first++] = undefined
    }
    this.#firstSent = left
  }

  #forgetQueue(): void {
    this.#queue = null
    this.#first = 0
    this.#firstSent = 0
  }

  #push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#composed > 0) this.spill()
    this.#queue ??= []
    for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
      this.#queue.push(bytes.length <= PIECE_BYTES_MAX ? bytes : bytes.subarray(at, at + PIECE_BYTES_MAX))
    }
    this.#queued += bytes.length
  }
}

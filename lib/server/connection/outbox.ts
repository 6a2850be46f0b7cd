/**
 * What a connection has to send. Small pieces are composed in memory that all connections of a Multi share, so that the
 * answers of one run leave in one send; large ones are sent from where they are, together with what stands before them.
 * What the kernel did not take waits in a queue. Whoever composes must `flush` before the run ends; when another
 * connection composes meanwhile, what is composed moves to the queue of its owner.
 */
import { Facility } from '../../multi/host.ts'
import type { RegisteredBuffer } from '../../sys/kernel.ts'
import type { ConnectionMachine } from './connection-machine.ts'

const OUTPUT_BYTES = 64 * 1024
/** A piece up to this size is copied: a gathered send costs about as much as the copy. */
const COPIED_BYTES_MAX = 16 * 1024
/** Offsets into a piece are 32-bit integers below us. */
const PIECE_BYTES_MAX = 2 ** 30
/** What `Kernel.sendPieces` looks at. */
const PIECES_PER_SEND = 64
/** Sends of one flush, so that a fast receiver does not starve the other machines. */
const SENDS_PER_FLUSH = 16
/** Below it a loop writes text sooner than a call. */
const SHORT_TEXT = 16

const latin1Write = Buffer.prototype.latin1Write

/** The memory, and whose pieces are in it. */
class Composition {
  readonly buffer: RegisteredBuffer
  readonly #release: () => void
  owner: Outbox | null = null

  constructor(buffer: RegisteredBuffer, release: () => void) {
    this.buffer = buffer
    this.#release = release
  }

  close(): void {
    this.#release()
  }
}

const compositions: Facility<Composition> = new Facility(
  ({ kernel }) => {
    const buffer = kernel.allocate(OUTPUT_BYTES)
    return new Composition(buffer, () => kernel.release(buffer.id))
  },
  (composition) => composition.close(),
)

export class Outbox {
  readonly #machine: ConnectionMachine
  readonly #composition: Composition
  /** Bytes of ours in the shared memory; 0 while anything is in the queue. */
  #composed = 0
  #queue: Uint8Array[] | null = null
  /** The first of the queue that is not gone, and how much of it is. */
  #first = 0
  #firstSent = 0
  /** Bytes in the queue. */
  #queued = 0

  constructor(machine: ConnectionMachine) {
    this.#machine = machine
    this.#composition = machine.host.facility(compositions)
  }

  /** Bytes that the kernel has not taken. */
  get pending(): number {
    return this.#composed + this.#queued
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
    if (this.#queued > 0) return null
    const composition = this.#composition
    if (composition.owner !== this) {
      composition.owner?.spill()
      composition.owner = this
    }
    if (this.#composed + length > OUTPUT_BYTES) return null
    return composition.buffer.bytes
  }

  /** Where in the memory the next byte goes. */
  get composedEnd(): number {
    return this.#composed
  }

  composed(end: number): void {
    this.#composed = end
  }

  text(latin1: string): void {
    const { length } = latin1
    const memory = this.compose(length)
    if (memory === null) {
      this.#push(Buffer.from(latin1, 'latin1'))
      return
    }
    const at = this.#composed
    if (length < SHORT_TEXT) for (let i = 0; i < length; i++) memory[at + i] = latin1.charCodeAt(i)
    else latin1Write.call(memory, latin1, at, length)
    this.#composed = at + length
  }

  /** `bytes` is how many it has in UTF-8. */
  utf8(text: string, bytes: number): void {
    if (bytes === text.length && bytes <= COPIED_BYTES_MAX) this.text(text)
    else this.bytes(Buffer.from(text, 'utf8'))
  }

  /** Large ones are kept by reference: they must not change until they are sent. */
  bytes(bytes: Uint8Array): void {
    const { length } = bytes
    if (length <= COPIED_BYTES_MAX) {
      const memory = this.compose(length)
      if (memory !== null) {
        memory.set(bytes, this.#composed)
        this.#composed += length
        return
      }
    }
    this.#push(bytes)
  }

  /** 0: all is gone. -EAGAIN: the rest waits for WRITABLE, or for the next run. Else -errno. */
  flush(): number {
    if (this.#composed > 0) {
      const result = this.#flushComposed()
      if (result < 0) return result
    }
    return this.#queued > 0 ? this.#flushQueue() : 0
  }

  /** Our pieces leave the shared memory for the queue. */
  spill(): void {
    const { bytes } = this.#composition.buffer
    const composed = this.#composed
    this.#composed = 0
    this.#composition.owner = null
    if (composed > 0) this.#push(bytes.slice(0, composed))
  }

  /** Forgets all: the connection is gone. */
  clear(): void {
    this.#composed = 0
    if (this.#composition.owner === this) this.#composition.owner = null
    this.#forgetQueue()
    this.#queued = 0
  }

  #flushComposed(): number {
    const { buffer } = this.#composition
    const machine = this.#machine
    const end = this.#composed
    const { stream } = machine
    // Layers in between know the bytes, not the kernel's number for them.
    const isPlain = stream.top === stream.socket
    const sent = isPlain ? stream.send(buffer.id, 0, end) : stream.sendBytes(buffer.bytes, 0, end)
    this.#composed = 0
    this.#composition.owner = null
    if (sent > 0) machine.bytesWritten += sent
    if (sent < end) this.#push(buffer.bytes.slice(Math.max(sent, 0), end))
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

/**
 * What a connection has to send. Small pieces are composed in memory that all connections of a Multi share, so that the
 * answers of one run leave in one send; large ones are sent from where they are. What the kernel did not take waits in a
 * queue. Whoever composes must `flush` before the run ends; a connection that composes meanwhile makes the other's
 * pieces wait in the queue of their own.
 */
import type { Facility } from '../multi/host.ts'
import type { RegisteredBuffer } from '../sys/kernel.ts'
import type { ConnectionMachine } from './connection-machine.ts'

const OUTPUT_BYTES = 64 * 1024
/** A piece up to this size is copied: one send is cheaper than none of the copy. */
const COPIED_BYTES_MAX = 16 * 1024
/** Sends of one flush, so that a fast receiver does not starve the other machines. */
const SENDS_PER_FLUSH = 16

/** The memory, and whose pieces are in it. */
class Composition {
  readonly buffer: RegisteredBuffer
  owner: Outbox | null = null

  constructor(buffer: RegisteredBuffer) {
    this.buffer = buffer
  }
}

const compositions: Facility<Composition> = {
  create: (host) => new Composition(host.kernel.allocate(OUTPUT_BYTES)),
  close: () => {},
}

export class Outbox {
  readonly #machine: ConnectionMachine
  readonly #composition: Composition
  /** Bytes of ours in the shared memory. */
  #composed = 0
  #queue: Uint8Array[] | null = null
  #queueAt = 0
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

  /** Where up to `length` bytes may be composed; follow with `composed`. null: too large, or others wait before it. */
  compose(length: number): Uint8Array | null {
    if (length > OUTPUT_BYTES || this.#queued > 0) return null
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
    const bytes = this.compose(latin1.length)
    if (bytes === null) {
      this.#push(Buffer.from(latin1, 'latin1'))
      return
    }
    for (let i = 0, at = this.#composed; i < latin1.length; i++) bytes[at++] = latin1.charCodeAt(i)
    this.#composed += latin1.length
  }

  /** Large ones are kept by reference: they must not change until they are sent. */
  bytes(bytes: Uint8Array): void {
    if (bytes.length <= COPIED_BYTES_MAX) {
      const memory = this.compose(bytes.length)
      if (memory !== null) {
        memory.set(bytes, this.#composed)
        this.#composed += bytes.length
        return
      }
    }
    this.#push(bytes)
  }

  /** 0: all is gone. -EAGAIN: the rest waits for WRITABLE, or for the next run. Else -errno. */
  flush(): number {
    const again = -this.#machine.host.kernel.errno.EAGAIN
    if (this.#composed > 0) {
      const sent = this.#flushComposed()
      if (sent < 0 && sent !== again) return sent
    }
    for (let sends = 0; this.#queued > 0; sends++) {
      if (sends === SENDS_PER_FLUSH) {
        this.#machine.markDirty()
        return again
      }
      const first = (this.#queue as Uint8Array[])[0] as Uint8Array
      const sent = this.#machine.stream.sendBytes(first, this.#queueAt, first.length - this.#queueAt)
      if (sent < 0) return sent
      this.#machine.bytesWritten += sent
      this.#queued -= sent
      this.#queueAt += sent
      if (this.#queueAt < first.length) return again
      this.#queueAt = 0
      this.#queue?.shift()
    }
    this.#queue = null
    return 0
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
    this.#queue = null
    this.#queued = 0
    this.#queueAt = 0
  }

  #flushComposed(): number {
    const { buffer } = this.#composition
    const end = this.#composed
    const sent = this.#queued > 0 ? 0 : this.#machine.stream.send(buffer.id, 0, end)
    this.#composed = 0
    this.#composition.owner = null
    if (sent === end) {
      this.#machine.bytesWritten += sent
      return 0
    }
    const gone = Math.max(sent, 0)
    this.#machine.bytesWritten += gone
    const rest = buffer.bytes.slice(gone, end)
    this.#queue = [rest, ...(this.#queue ?? [])]
    this.#queued += rest.length
    return sent
  }

  #push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#composed > 0) this.spill()
    this.#queue ??= []
    this.#queue.push(bytes)
    this.#queued += bytes.length
  }
}

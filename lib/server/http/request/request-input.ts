/**
 * The receiving half of an HTTP connection: into the memory that all machines share, through a reader that is borrowed
 * while bytes of a request are here. What a run leaves over is copied out, within a limit, so that a peer's end is seen
 * while its request is answered.
 */
import { RequestReader } from '../../../wire/http1/request-reader.ts'
import type { ConnectionMachine } from '../../connection/connection-machine.ts'
import type { HttpSettings } from '../http-options.ts'

/** Readers kept for reuse; more are in use only while more requests are under way at once. */
const IDLE_READERS_MAX = 256
const NOTHING = new Uint8Array(0)

/** The readers of one server. */
export class ReaderPool {
  readonly #idle: RequestReader[] = []
  readonly #settings: HttpSettings

  constructor(settings: HttpSettings) {
    this.#settings = settings
  }

  take(): RequestReader {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    const { limits, discipline } = this.#settings
    return new RequestReader({
      headBytesMax: limits.headBytes,
      trailerBytesMax: limits.trailerBytes,
      discipline,
    })
  }

  give(reader: RequestReader): void {
    if (this.#idle.length >= IDLE_READERS_MAX) return
    reader.recycle()
    reader.reset()
    this.#idle.push(reader)
  }
}

export class RequestInput {
  /** null while nothing of a request is here. */
  reader: RequestReader | null = null
  /** The peer sends nothing more. */
  eof = false
  readonly #machine: ConnectionMachine
  readonly #pool: ReaderPool
  /** What the reader was lent. */
  #bytes: Uint8Array = NOTHING
  /** They are in the shared memory. */
  #shared = false

  constructor(machine: ConnectionMachine, pool: ReaderPool) {
    this.#machine = machine
    this.#pool = pool
  }

  /** Bytes that are here and not used yet. */
  get unread(): number {
    return this.reader === null ? 0 : this.reader.unread()
  }

  /** Of the body so far. */
  get bodyReceived(): number {
    return this.reader === null ? 0 : this.reader.bodyReceived
  }

  /** Bytes received, 0 at the end of the stream, or -errno. */
  receive(bytesMax: number): number {
    const { scratch } = this.#machine.host
    const { bytes } = scratch
    const received = this.#machine.recv(scratch.id, 0, bytesMax < bytes.length ? bytesMax : bytes.length)
    if (received > 0) this.#lend(bytes, received)
    else if (received === 0) {
      this.eof = true
      this.reader?.receiveEof()
    }
    return received
  }

  /** Before the shared memory goes to somebody else. */
  keep(): void {
    if (!this.#shared) return
    this.#shared = false
    const reader = this.reader
    if (reader === null) return
    const unread = reader.unread()
    const rest =
      unread === 0 ? NOTHING : this.#machine.host.scratch.bytes.slice(reader.consumed, reader.consumed + unread)
    this.#bytes = rest
    reader.receive(rest, 0, unread)
  }

  /** The request is over, and no byte of another is here. */
  rest(): void {
    const reader = this.reader
    if (reader === null) return
    this.reader = null
    this.#shared = false
    this.#bytes = NOTHING
    this.#pool.give(reader)
  }

  /** A copy of what was received and not used, for another protocol. */
  takeRest(): Uint8Array {
    const reader = this.reader
    if (reader === null || reader.unread() === 0) return NOTHING
    const rest = this.#bytes.slice(reader.consumed, reader.consumed + reader.unread())
    this.rest()
    return rest
  }

  #lend(bytes: Uint8Array, length: number): void {
    const reader = this.reader ?? this.#borrow()
    const unread = reader.unread()
    if (unread === 0) {
      this.#bytes = bytes
      this.#shared = true
      reader.receive(bytes, 0, length)
      return
    }
    const all = new Uint8Array(unread + length)
    all.set(this.#bytes.subarray(reader.consumed, reader.consumed + unread))
    all.set(bytes.subarray(0, length), unread)
    this.#bytes = all
    this.#shared = false
    reader.receive(all, 0, all.length)
  }

  #borrow(): RequestReader {
    const reader = this.#pool.take()
    this.reader = reader
    return reader
  }
}

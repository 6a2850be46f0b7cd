/**
 * The bottom of every stream: one connected descriptor, known by number and generation. Bytes go straight to the
 * kernel. The descriptor is closed through the engine, which tells `socketFunction` first. After `close` every verb
 * answers -EBADF, as the kernel does for descriptor -1.
 */
import type { SystemError } from '../base/errors.ts'
import { Facility, type Host } from '../multi/host.ts'
import type { InterestSet } from '../multi/machine.ts'
import type { PutOff, SendBatch } from '../multi/send-batch.ts'
import type { Kernel, RegisteredBuffer, SocketAddress } from '../sys/kernel.ts'
import { type Filter, FilterStatus } from './filter.ts'

export type SocketEngine = Pick<Host, 'kernel' | 'closeFd' | 'facility'>

/** One byte per Multi, for peeking: what is peeked at is never looked at. */
class PeekBuffer {
  readonly #kernel: Kernel
  readonly #buffer: RegisteredBuffer

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    this.#buffer = kernel.allocate(1)
  }

  peek(fd: number): number {
    return this.#kernel.peek(fd, this.#buffer.id, 0, 1)
  }

  close(): void {
    this.#kernel.release(this.#buffer.id)
  }
}

const peekBuffer: Facility<PeekBuffer> = new Facility(
  (engine) => new PeekBuffer(engine.kernel),
  (buffer) => buffer.close(),
)

export class SocketFilter implements Filter, PutOff {
  readonly generation: number
  #fd: number
  /** While a send is put off: it goes before everything that follows. */
  #batch: SendBatch | null = null
  #owner: PutOff | null = null
  readonly #kernel: Kernel
  readonly #engine: SocketEngine
  #peer: SocketAddress | null
  #local: SocketAddress | null = null

  /** `peer` when it is known already; else the kernel is asked at the first look. */
  constructor(engine: SocketEngine, fd: number, generation: number, peer: SocketAddress | null = null) {
    this.#engine = engine
    this.#kernel = engine.kernel
    this.#fd = fd
    this.generation = generation
    this.#peer = peer
  }

  // On the prototype: there are thousands of sockets.
  get failure(): SystemError | null {
    return null
  }

  /** A socket has no bytes that readiness does not announce. */
  get hasPending(): boolean {
    return false
  }

  /** -1 once closed or released. */
  get fd(): number {
    return this.#fd
  }

  /** null when the kernel no longer knows it (the peer is gone) and nobody looked before. */
  get peer(): SocketAddress | null {
    if (this.#peer === null && this.#fd >= 0) {
      const answer = this.#kernel.peerAddress(this.#fd)
      if (typeof answer !== 'number') this.#peer = answer
    }
    return this.#peer
  }

  get local(): SocketAddress | null {
    if (this.#local === null && this.#fd >= 0) {
      const answer = this.#kernel.localAddress(this.#fd)
      if (typeof answer !== 'number') this.#local = answer
    }
    return this.#local
  }

  connect(_now: number): FilterStatus {
    return this.#fd >= 0 ? FilterStatus.DONE : FilterStatus.FAILED
  }

  interest(wants: number, into: InterestSet): void {
    if (wants !== 0 && this.#fd >= 0) into.add(this.#fd, wants)
  }

  recv(bufferId: number, offset: number, length: number): number {
    return this.#kernel.recv(this.#fd, bufferId, offset, length)
  }

  send(bufferId: number, offset: number, length: number): number {
    this.#batch?.flush()
    return this.#kernel.send(this.#fd, bufferId, offset, length)
  }

  /** A send out of the memory of a batch, before anything else of this socket; `owner` hears what became of it. */
  putOff(batch: SendBatch, owner: PutOff, start: number, length: number): void {
    this.#batch?.flush()
    this.#batch = batch
    this.#owner = owner
    batch.add(this, this.#fd, start, length)
  }

  departed(result: number, bytes: Uint8Array, start: number, end: number): void {
    const owner = this.#owner as PutOff
    this.#batch = null
    this.#owner = null
    owner.departed(result, bytes, start, end)
  }

  /** What is put off goes now. */
  settle(): void {
    this.#batch?.flush()
  }

  get isPutOff(): boolean {
    return this.#batch !== null
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    this.#batch?.flush()
    return this.#kernel.sendBytes(this.#fd, bytes, offset, length)
  }

  sendPieces(pieces: readonly Uint8Array[], first: number, sent: number): number {
    this.#batch?.flush()
    return this.#kernel.sendPieces(this.#fd, pieces, first, sent)
  }

  /** A part of a regular file, which never passes through JavaScript. */
  sendFile(fileFd: number, position: number, length: number): number {
    this.#batch?.flush()
    return this.#kernel.sendfile(this.#fd, fileFd, position, length)
  }

  shutdownWrite(): number {
    this.#batch?.flush()
    return this.#kernel.shutdownWrite(this.#fd)
  }

  checkIdle(): boolean {
    if (this.#fd < 0) return false
    return this.#engine.facility(peekBuffer).peek(this.#fd) === -this.#kernel.errno.EAGAIN
  }

  close(): void {
    const fd = this.#fd
    if (fd < 0) return
    this.#batch?.flush()
    // Forgotten before it is closed: the number may belong to somebody else as soon as closeFd returns.
    this.#fd = -1
    this.#engine.closeFd(fd, this.generation)
  }

  /** Lets the descriptor go without closing it, for another owner. The machine that watches it must retire. */
  release(): number {
    this.#batch?.flush()
    const fd = this.#fd
    this.#fd = -1
    return fd
  }
}

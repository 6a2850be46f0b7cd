/**
 * One byte stream: a stack of filters with a socket at the bottom. Owners talk to the stream; which layers it has is
 * decided once, by whoever builds it, with `push`. Its id is never used again within a Multi, unlike its descriptor.
 */
import { Facility } from '../multi/host.ts'
import type { InterestSet } from '../multi/machine.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { Filter, FilterStatus } from './filter.ts'
import type { SocketEngine, SocketFilter } from './socket-filter.ts'

class StreamIds {
  last = 0
}
const streamIds: Facility<StreamIds> = new Facility(() => new StreamIds())

export class ByteStream {
  readonly id: number
  /** When it was built, by the engine's clock. */
  readonly createdAt: number
  readonly socket: SocketFilter
  #top: Filter

  constructor(engine: SocketEngine, socket: SocketFilter, now: number) {
    this.id = ++engine.facility(streamIds).last
    this.createdAt = now
    this.socket = socket
    this.#top = socket
  }

  /** The layer that the next one is built on. */
  get top(): Filter {
    return this.#top
  }

  /** `filter` was built on the present top and takes its place. */
  push(filter: Filter): void {
    this.#top = filter
  }

  /** -1 once closed. */
  get fd(): number {
    return this.socket.fd
  }

  /** The other end of the socket: with a proxy, the proxy. */
  get peer(): SocketAddress | null {
    return this.socket.peer
  }

  get local(): SocketAddress | null {
    return this.socket.local
  }

  get hasPending(): boolean {
    return this.#top.hasPending
  }

  get failure(): Error | null {
    return this.#top.failure
  }

  connect(now: number): FilterStatus {
    return this.#top.connect(now)
  }

  interest(wants: number, into: InterestSet): void {
    this.#top.interest(wants, into)
  }

  // The three verbs of the hot path name the socket when it is the whole stack: that call site then sees one shape for
  // ever, even when other streams of the process carry TLS.

  recv(bufferId: number, offset: number, length: number): number {
    if (this.#top === this.socket) return this.socket.recv(bufferId, offset, length)
    return this.#top.recv(bufferId, offset, length)
  }

  send(bufferId: number, offset: number, length: number): number {
    if (this.#top === this.socket) return this.socket.send(bufferId, offset, length)
    return this.#top.send(bufferId, offset, length)
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    if (this.#top === this.socket) return this.socket.sendBytes(bytes, offset, length)
    return this.#top.sendBytes(bytes, offset, length)
  }

  /** The first pieces from `first` on, `sent` bytes of that one left out; the socket takes many of them in one call. */
  sendPieces(pieces: readonly Uint8Array[], first: number, sent: number): number {
    if (this.#top === this.socket) return this.socket.sendPieces(pieces, first, sent)
    const piece = pieces[first] as Uint8Array
    return this.#top.sendBytes(piece, sent, piece.length - sent)
  }

  /** Nothing but a socket: bytes of a file may go past us. */
  get isPlain(): boolean {
    return this.#top === this.socket
  }

  shutdownWrite(): number {
    return this.#top.shutdownWrite()
  }

  checkIdle(): boolean {
    return this.#top.checkIdle()
  }

  close(): void {
    this.#top.close()
  }
}

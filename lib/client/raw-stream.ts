/**
 * The connected stream of a raw transfer, from its completion until it is removed: bytes out and in, on the user's call
 * (curl_easy_send, curl_easy_recv). It is never used by another transfer. The Multi does not watch it; whoever wants to
 * wait watches `info.activeSocket`.
 */
import type { ByteStream } from '../connection/stream.ts'
import { streamError } from '../connection/stream-error.ts'
import type { Host } from '../multi/host.ts'
import { WOULD_BLOCK } from '../sys/readiness.ts'
import { connectionPool } from './connection-pool.ts'
import type { Lease } from './lease.ts'

export class RawStream {
  readonly #host: Host
  readonly #lease: Lease
  readonly #stream: ByteStream

  constructor(host: Host, lease: Lease) {
    this.#host = host
    this.#lease = lease
    this.#stream = lease.connection?.stream as ByteStream
  }

  get hasPending(): boolean {
    return this.#stream.hasPending
  }

  send(bytes: Uint8Array): number {
    this.#host.refuseInside('send')
    if (bytes.length === 0) return 0
    return this.#judge(this.#stream.sendBytes(bytes, 0, bytes.length), 'SEND_ERROR', 'send')
  }

  receive(into: Uint8Array): number {
    this.#host.refuseInside('receive')
    if (into.length === 0) return 0
    const { scratch } = this.#host
    const received = this.#stream.recv(scratch.id, 0, Math.min(into.length, scratch.bytes.length))
    if (received > 0) into.set(scratch.bytes.subarray(0, received))
    return this.#judge(received, 'RECV_ERROR', 'recv')
  }

  shutdownWrite(): void {
    this.#host.refuseInside('shutdownWrite')
    this.#judge(this.#stream.shutdownWrite(), 'SEND_ERROR', 'shutdown')
  }

  close(): void {
    this.#host.facility(connectionPool).cancel(this.#lease, this.#host.now)
  }

  #judge(result: number, code: 'SEND_ERROR' | 'RECV_ERROR', syscall: string): number {
    if (result >= 0) return result
    const { kernel } = this.#host
    if (result === -kernel.errno.EAGAIN) return WOULD_BLOCK
    throw streamError(kernel, this.#stream, result, code, syscall)
  }
}

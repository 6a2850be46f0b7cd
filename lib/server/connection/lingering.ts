/**
 * The last of a connection on which we have no more to say: FIN, once what TLS has to say before it can be sent; then
 * the peer's bytes are read out, without being decrypted, until it has said its last as well. Closed sooner, the kernel
 * would answer them with a reset that may overtake what we sent.
 */
import type { ByteStream } from '../../connection/stream.ts'
import type { Host } from '../../multi/host.ts'

/** What sends more than that after our last word is not worth waiting for. */
const LINGER_BYTES_MAX = 1024 * 1024
/** Reads of one run, so that a fast sender does not starve the other machines. */
const READS_PER_RUN = 10

export const LingerStatus = { WAITING: 0, MORE: 1, OVER: 2 } as const
export type LingerStatus = (typeof LingerStatus)[keyof typeof LingerStatus]

export class Lingering {
  readonly deadline: number
  readonly #host: Host
  readonly #stream: ByteStream
  #bytes = 0
  #finSent = false

  constructor(host: Host, stream: ByteStream, milliseconds: number) {
    this.deadline = host.now + milliseconds
    this.#host = host
    this.#stream = stream
  }

  /** False: there is nothing to wait for any more. */
  sendFin(): boolean {
    const stream = this.#stream
    let result = stream.shutdownWrite()
    if (result === -this.#host.kernel.errno.EAGAIN) return true
    // TLS that failed has no more to say; its alert is out.
    if (result < 0) result = stream.socket.shutdownWrite()
    this.#finSent = true
    return result >= 0
  }

  advance(): LingerStatus {
    if (!this.#finSent && !this.sendFin()) return LingerStatus.OVER
    const { scratch, kernel } = this.#host
    for (let reads = 0; reads < READS_PER_RUN; reads++) {
      const received = this.#stream.socket.recv(scratch.id, 0, scratch.bytes.length)
      if (received === -kernel.errno.EAGAIN) return LingerStatus.WAITING
      this.#bytes += Math.max(received, 0)
      if (received <= 0 || this.#bytes > LINGER_BYTES_MAX) return LingerStatus.OVER
    }
    return LingerStatus.MORE
  }
}

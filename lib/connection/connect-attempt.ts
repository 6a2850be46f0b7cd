/**
 * One attempt to connect one descriptor to one address. It owns the descriptor until `take`. Readiness is never
 * believed: SO_ERROR is 0 both for a finished connect and for one still under way, so after a writable report the
 * peer's address is asked, and -ENOTCONN means "not yet". A second connect() would tell as well, but on BSD it starts
 * anew when the first has just failed; asking changes nothing, and the answer is the address that is wanted anyway.
 */
import type { SystemError } from '../base/errors.ts'
import { Family, type Kernel, type SocketAddress, SocketOption } from '../sys/kernel.ts'
import { systemError } from '../sys/system-error.ts'
import { FilterStatus } from './filter.ts'
import { bindLocalEnd, type LocalEnd } from './local-end.ts'
import { type SocketEngine, SocketFilter } from './socket-filter.ts'

export interface KeepAliveOptions {
  /** Seconds of silence before the first probe; the platform's default when left out. */
  readonly idleSeconds?: number
  readonly intervalSeconds?: number
  readonly count?: number
}

export interface SocketOptions {
  /** TCP_NODELAY. Default true. */
  readonly noDelay?: boolean
  /** TCP probes for a silent peer. Default none. */
  readonly keepAlive?: KeepAliveOptions | null
  /** Where it begins; null or left out: wherever the system likes. */
  readonly local?: LocalEnd | null
}

export class ConnectAttempt {
  readonly address: SocketAddress
  failure: SystemError | null = null
  /** The process has no descriptor or memory left: other addresses would fail alike. */
  isExhausted = false
  /** A unix listener's queue is full: nothing is under way and no readiness will come, connect must be called again. */
  needsRetry = false
  readonly #engine: SocketEngine
  readonly #kernel: Kernel
  readonly #options: SocketOptions
  #fd = -1
  #generation = 0
  #peer: SocketAddress | null = null

  constructor(engine: SocketEngine, address: SocketAddress, options: SocketOptions) {
    this.#engine = engine
    this.#kernel = engine.kernel
    this.address = address
    this.#options = options
  }

  get fd(): number {
    return this.#fd
  }

  open(): FilterStatus {
    const kernel = this.#kernel
    const fd = kernel.socket(this.address.family)
    if (fd < 0) {
      const { EMFILE, ENFILE, ENOBUFS, ENOMEM } = kernel.errno
      this.isExhausted = fd === -EMFILE || fd === -ENFILE || fd === -ENOBUFS || fd === -ENOMEM
      return this.#fail(fd, 'socket', this.address)
    }
    this.#fd = fd
    this.#generation = kernel.generation(fd)
    if (this.address.family !== Family.UNIX) {
      this.#setOptions()
      const { local } = this.#options
      const problem = local ? bindLocalEnd(kernel, fd, this.address.family, local) : null
      if (problem !== null) {
        this.failure = problem
        this.close()
        return FilterStatus.FAILED
      }
    }
    return this.#connect()
  }

  /** Looks whether the connect has finished. Cheap enough to be called without cause. */
  check(): FilterStatus {
    if (this.needsRetry) return this.#connect()
    const pending = this.#kernel.getOption(this.#fd, SocketOption.ERROR)
    if (pending !== 0) return this.#fail(pending > 0 ? -pending : pending, 'connect', this.address)
    const peer = this.#kernel.peerAddress(this.#fd)
    if (typeof peer !== 'number') {
      this.#peer = peer
      return FilterStatus.DONE
    }
    // Failing between the two questions also reads -ENOTCONN; readiness is reported again and SO_ERROR then tells.
    if (peer === -this.#kernel.errno.ENOTCONN) return FilterStatus.PENDING
    return this.#fail(peer, 'connect', this.address)
  }

  /** The connected socket; it owns the descriptor from now on. */
  take(): SocketFilter {
    const socket = new SocketFilter(this.#engine, this.#fd, this.#generation, this.#peer)
    this.#fd = -1
    return socket
  }

  close(): void {
    const fd = this.#fd
    if (fd < 0) return
    this.#fd = -1
    this.#engine.closeFd(fd, this.#generation)
  }

  #connect(): FilterStatus {
    const { family, address, port } = this.address
    const errno = this.#kernel.errno
    const result = this.#kernel.connect(this.#fd, family, address, port)
    this.needsRetry = false
    if (result === 0 || result === -errno.EISCONN) {
      this.#peer = this.address
      return FilterStatus.DONE
    }
    // An interrupted connect goes on by itself (POSIX), as one that was begun earlier does.
    if (result === -errno.EINPROGRESS || result === -errno.EALREADY || result === -errno.EINTR)
      return FilterStatus.PENDING
    if (result === -errno.EAGAIN && family === Family.UNIX) {
      this.needsRetry = true
      return FilterStatus.PENDING
    }
    return this.#fail(result, 'connect', this.address)
  }

  /** Failures are ignored: a connection without these is slower or less watched, not wrong. */
  #setOptions(): void {
    const kernel = this.#kernel
    const fd = this.#fd
    if (this.#options.noDelay !== false) kernel.setOption(fd, SocketOption.NO_DELAY, 1)
    const keepAlive = this.#options.keepAlive
    if (!keepAlive) return
    kernel.setOption(fd, SocketOption.KEEP_ALIVE, 1)
    const { idleSeconds, intervalSeconds, count } = keepAlive
    if (idleSeconds !== undefined) kernel.setOption(fd, SocketOption.KEEP_ALIVE_IDLE, idleSeconds)
    if (intervalSeconds !== undefined) kernel.setOption(fd, SocketOption.KEEP_ALIVE_INTERVAL, intervalSeconds)
    if (count !== undefined) kernel.setOption(fd, SocketOption.KEEP_ALIVE_COUNT, count)
  }

  #fail(result: number, syscall: string, address: SocketAddress): FilterStatus {
    this.failure = systemError(this.#kernel, result, syscall, address)
    this.close()
    return FilterStatus.FAILED
  }
}

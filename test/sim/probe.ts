/**
 * A miniature client with the outward shape of a Multi, for testing the simulation itself: one request per connection,
 * closed by the origin. With a `flaw` it is wrong in one known way, which the simulation must notice: canaries.
 */
import type { Clock } from '../../lib/sys/clock.ts'
import { Family, type Kernel, type RegisteredBuffer, SocketOption } from '../../lib/sys/kernel.ts'
import { Interest } from '../../lib/sys/readiness.ts'
import type { DrivenMulti } from '../support/fuzzed-loop.ts'

export type Flaw =
  | 'closes before REMOVE'
  | 'leaks what failed'
  | 'takes EAGAIN for an error'
  | 'believes readiness'
  | 'expects whole sends'
  | 'keeps views'
  | 'knows errno numbers'
  | 'has no timeout'
  | 'forgets to wait for writing'
  | 'announces every time'
  | 'closes twice'
  | 'spins'

export interface Fetch {
  readonly path: string
  readonly target: { address: string; port: number }
  readonly received: Uint8Array[]
  outcome: 'running' | 'done' | 'failed'
  reason: string
}

interface Running extends Fetch {
  fd: number
  stage: 'connecting' | 'sending' | 'receiving'
  request: Buffer
  sent: number
  told: number
  deadline: number
}

const TIMEOUT_MS = 900_000
const BUFFER_SIZE = 16384

export class Probe implements DrivenMulti {
  readonly fetches: Fetch[] = []
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #flaw: Flaw | null
  readonly #buffer: RegisteredBuffer
  readonly #byFd = new Map<number, Running>()
  #announce: ((fd: number, interest: number) => undefined | -1) | null = null
  #arm: ((timeoutMs: number) => undefined | -1) | null = null
  #toldDeadline = Number.POSITIVE_INFINITY

  constructor(kernel: Kernel, clock: Clock, flaw: Flaw | null = null) {
    this.#kernel = kernel
    this.#clock = clock
    this.#flaw = flaw
    this.#buffer = kernel.allocate(BUFFER_SIZE)
  }

  get running(): number {
    return this.#byFd.size
  }

  setSocketFunction(announce: ((fd: number, interest: number) => undefined | -1) | null): void {
    this.#announce = announce
  }

  setTimerFunction(arm: ((timeoutMs: number) => undefined | -1) | null): void {
    this.#arm = arm
  }

  fetch(target: { address: string; port: number }, path: string): Fetch {
    const fetch: Running = {
      path,
      target,
      received: [],
      outcome: 'running',
      reason: '',
      fd: -1,
      stage: 'connecting',
      request: Buffer.from(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
      sent: 0,
      told: -1,
      deadline: this.#clock.now() + TIMEOUT_MS,
    }
    this.fetches.push(fetch)
    this.#start(fetch)
    this.#tellTimer()
    return fetch
  }

  socketAction(fd: number, readiness = 0): number {
    const fetch = this.#byFd.get(fd)
    if (fetch !== undefined) this.#run(fetch, readiness)
    if (this.#flaw !== 'has no timeout') {
      for (const other of [...this.#byFd.values()]) {
        if (other.deadline <= this.#clock.now()) this.#end(other, 'timeout')
      }
    }
    this.#tellTimer()
    return this.running
  }

  close(): void {
    for (const fetch of [...this.#byFd.values()]) this.#end(fetch, 'closed')
    this.#tellTimer()
    this.#kernel.release(this.#buffer.id)
  }

  #start(fetch: Running): void {
    const { errno } = this.#kernel
    const fd = this.#kernel.socket(Family.IPV4)
    fetch.fd = fd
    if (fd < 0) return this.#finish(fetch, `socket ${fd}`)
    this.#byFd.set(fd, fetch)
    const result = this.#kernel.connect(fd, Family.IPV4, fetch.target.address, fetch.target.port)
    const inProgress = this.#flaw === 'knows errno numbers' ? -115 : -errno.EINPROGRESS
    if (result === inProgress) this.#tell(fetch, Interest.WRITABLE)
    else if (result < 0) this.#end(fetch, `connect ${result}`)
    else this.#connected(fetch)
  }

  #connected(fetch: Running): void {
    fetch.stage = 'sending'
    this.#send(fetch)
  }

  #run(fetch: Running, readiness: number): void {
    if (this.#flaw === 'spins') return
    if (fetch.stage === 'connecting') this.#checkConnect(fetch, readiness)
    else if (fetch.stage === 'sending') this.#send(fetch)
    else this.#receive(fetch)
  }

  #checkConnect(fetch: Running, readiness: number): void {
    const error = this.#kernel.getOption(fetch.fd, SocketOption.ERROR)
    if (error !== 0) return this.#end(fetch, `connect ${error}`)
    const isThere = typeof this.#kernel.peerAddress(fetch.fd) !== 'number'
    if (isThere || (this.#flaw === 'believes readiness' && readiness !== 0)) this.#connected(fetch)
    else this.#tell(fetch, Interest.WRITABLE)
  }

  #send(fetch: Running): void {
    const rest = fetch.request.subarray(fetch.sent)
    const result = this.#kernel.sendBytes(fetch.fd, rest, 0, rest.length)
    if (result === -this.#kernel.errno.EAGAIN) {
      if (this.#flaw === 'believes readiness') return this.#end(fetch, 'send blocked')
      return this.#tell(fetch, this.#flaw === 'forgets to wait for writing' ? Interest.READABLE : Interest.WRITABLE)
    }
    if (result < 0) return this.#end(fetch, `send ${result}`)
    fetch.sent += this.#flaw === 'expects whole sends' ? rest.length : result
    if (fetch.sent < fetch.request.length) return this.#tell(fetch, Interest.WRITABLE)
    fetch.stage = 'receiving'
    this.#tell(fetch, Interest.READABLE)
  }

  #receive(fetch: Running): void {
    const { errno } = this.#kernel
    const count = this.#kernel.recv(fetch.fd, this.#buffer.id, 0, BUFFER_SIZE)
    if (count > 0) {
      const view = this.#buffer.bytes.subarray(0, count)
      fetch.received.push(this.#flaw === 'keeps views' ? view : view.slice())
      this.#tell(fetch, Interest.READABLE)
    } else if (count === -errno.EAGAIN && this.#flaw !== 'takes EAGAIN for an error') {
      this.#tell(fetch, Interest.READABLE)
    } else this.#end(fetch, count === 0 ? null : `recv ${count}`)
  }

  #tell(fetch: Running, interest: number): void {
    if (fetch.told === interest && this.#flaw !== 'announces every time') return
    fetch.told = interest
    this.#announce?.(fetch.fd, interest)
  }

  #end(fetch: Running, reason: string | null): void {
    const { fd } = fetch
    this.#byFd.delete(fd)
    if (this.#flaw === 'closes before REMOVE') this.#kernel.close(fd)
    if (fetch.told !== -1) this.#announce?.(fd, Interest.REMOVE)
    const isForgotten = this.#flaw === 'leaks what failed' && reason !== null
    if (this.#flaw !== 'closes before REMOVE' && !isForgotten) this.#kernel.close(fd)
    if (this.#flaw === 'closes twice') this.#kernel.close(fd)
    this.#finish(fetch, reason)
  }

  #finish(fetch: Running, reason: string | null): void {
    fetch.outcome = reason === null ? 'done' : 'failed'
    fetch.reason = reason ?? ''
  }

  #tellTimer(): void {
    let earliest = Number.POSITIVE_INFINITY
    if (this.#flaw !== 'has no timeout') {
      for (const fetch of this.#byFd.values()) earliest = Math.min(earliest, fetch.deadline)
    }
    // A timer that fired early must be armed again: nothing tells whether it was.
    const isPast = this.#toldDeadline !== Number.POSITIVE_INFINITY
    if (earliest === Number.POSITIVE_INFINITY) {
      if (isPast) this.#arm?.(-1)
    } else this.#arm?.(Math.max(0, Math.ceil(earliest - this.#clock.now())))
    this.#toldDeadline = earliest
  }
}

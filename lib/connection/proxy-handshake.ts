/**
 * What all layers share that say something to a proxy before bytes may flow: bytes to send, possibly in pieces, then
 * whatever `advance` reads. Once DONE they are transparent. They hold no bytes of the layer above, because they never
 * read further than their own protocol goes; what they read lies in the host's scratch memory until they have used it.
 */
import type { TransferError } from '../base/errors.ts'
import type { Host } from '../multi/host.ts'
import type { InterestSet } from '../multi/machine.ts'
import { Interest } from '../sys/readiness.ts'
import { systemError } from '../sys/system-error.ts'
import { type Filter, FilterStatus } from './filter.ts'

export type HandshakeEngine = Pick<Host, 'kernel' | 'scratch'>

const NO_BYTES = new Uint8Array(0)

export abstract class ProxyHandshake implements Filter {
  protected readonly engine: HandshakeEngine
  protected readonly below: Filter
  #status: FilterStatus = FilterStatus.PENDING
  #failure: Error | null = null
  #output: Uint8Array = NO_BYTES
  #outputAt = 0
  #isCut = false

  constructor(engine: HandshakeEngine, below: Filter) {
    this.engine = engine
    this.below = below
  }

  get failure(): Error | null {
    return this.#failure ?? this.below.failure
  }

  get hasPending(): boolean {
    return this.#isCut || this.below.hasPending
  }

  connect(now: number): FilterStatus {
    if (this.#status !== FilterStatus.PENDING) return this.#status
    const below = this.below.connect(now)
    this.#isCut = false
    this.#status = below === FilterStatus.DONE ? this.advance(now) : below
    return this.#status
  }

  interest(wants: number, into: InterestSet): void {
    if (this.#status === FilterStatus.PENDING) this.below.interest(this.handshakeInterest(), into)
    else this.below.interest(this.#status === FilterStatus.DONE ? wants : Interest.NONE, into)
  }

  recv(bufferId: number, offset: number, length: number): number {
    return this.below.recv(bufferId, offset, length)
  }

  send(bufferId: number, offset: number, length: number): number {
    return this.below.send(bufferId, offset, length)
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    return this.below.sendBytes(bytes, offset, length)
  }

  shutdownWrite(): number {
    return this.below.shutdownWrite()
  }

  checkIdle(): boolean {
    return this.#status === FilterStatus.DONE && this.below.checkIdle()
  }

  close(): void {
    if (this.#status === FilterStatus.PENDING) this.#status = FilterStatus.FAILED
    this.#output = NO_BYTES
    this.#outputAt = 0
    this.below.close()
  }

  /** Moves the handshake as far as it goes; the layer below is connected. */
  protected abstract advance(now: number): FilterStatus

  /** Sending goes before reading. */
  protected handshakeInterest(): number {
    return this.hasOutput ? Interest.WRITABLE : Interest.READABLE
  }

  protected get hasOutput(): boolean {
    return this.#outputAt < this.#output.length
  }

  protected offer(output: Uint8Array): void {
    this.#output = output
    this.#outputAt = 0
  }

  /** Sends what was offered. 1 when it is all out, 0 when it must wait, else -errno. */
  protected flush(): number {
    while (this.hasOutput) {
      const left = this.#output.length - this.#outputAt
      const sent = this.below.sendBytes(this.#output, this.#outputAt, left)
      if (sent === -this.engine.kernel.errno.EAGAIN) return 0
      if (sent < 0) return sent
      this.#outputAt += sent
      if (sent < left) return 0
    }
    return 1
  }

  /** The budget of this run is used up: the owner sees `hasPending` and runs again. */
  protected cut(): FilterStatus {
    this.#isCut = true
    return FilterStatus.PENDING
  }

  /** After a failure that the owner knows how to answer. */
  protected restart(): void {
    this.#status = FilterStatus.PENDING
    this.#failure = null
  }

  protected fail(failure: Error): FilterStatus {
    this.#failure = failure
    return FilterStatus.FAILED
  }

  /** A verb of the layer below failed. What that layer says about itself is the better reason. */
  protected failBelow(
    result: number,
    syscall: 'send' | 'recv',
    describe: (cause: Error) => TransferError,
  ): FilterStatus {
    if (this.below.failure !== null) return FilterStatus.FAILED
    return this.fail(describe(systemError(this.engine.kernel, result, syscall)))
  }
}

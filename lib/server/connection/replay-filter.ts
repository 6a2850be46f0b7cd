/**
 * A layer that gives bytes which somebody read too early, then what is below. It stays in the stack when it is empty:
 * only connections that needed it carry it.
 */
import type { Filter, FilterStatus } from '../../connection/filter.ts'
import { tlsService } from '../../connection/tls-service.ts'
import type { Host } from '../../multi/host.ts'
import type { InterestSet } from '../../multi/machine.ts'

export class ReplayFilter implements Filter {
  readonly #host: Host
  readonly #lower: Filter
  #head: Uint8Array

  /** The bytes are kept as they are. */
  constructor(host: Host, lower: Filter, head: Uint8Array) {
    this.#host = host
    this.#lower = lower
    this.#head = head
  }

  /** What nobody has read yet. */
  get head(): Uint8Array {
    return this.#head
  }

  get hasPending(): boolean {
    return this.#head.length > 0 || this.#lower.hasPending
  }

  get failure(): Error | null {
    return this.#lower.failure
  }

  connect(now: number): FilterStatus {
    return this.#lower.connect(now)
  }

  interest(wants: number, into: InterestSet): void {
    this.#lower.interest(wants, into)
  }

  recv(bufferId: number, offset: number, length: number): number {
    const head = this.#head
    if (head.length === 0) return this.#lower.recv(bufferId, offset, length)
    const count = Math.min(head.length, length)
    this.#bytesOf(bufferId).set(head.subarray(0, count), offset)
    this.#head = head.subarray(count)
    return count
  }

  send(bufferId: number, offset: number, length: number): number {
    return this.#lower.send(bufferId, offset, length)
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    return this.#lower.sendBytes(bytes, offset, length)
  }

  shutdownWrite(): number {
    return this.#lower.shutdownWrite()
  }

  checkIdle(): boolean {
    return this.#head.length === 0 && this.#lower.checkIdle()
  }

  close(): void {
    this.#lower.close()
  }

  /** TLS above reads into memory of its own. */
  #bytesOf(bufferId: number): Uint8Array {
    const { scratch } = this.#host
    return bufferId === scratch.id ? scratch.bytes : this.#host.facility(tlsService).bytesOf(bufferId)
  }
}

/**
 * A layer below a proxy's handshake that does what a test tells it: what it gives to read and in what pieces, how much
 * it takes, what fails. It keeps what was sent, and every read.
 */
import { type Filter, FilterStatus } from '../../../lib/connection/filter.ts'
import type { Host } from '../../../lib/multi/host.ts'
import type { InterestSet } from '../../../lib/multi/machine.ts'
import type { Kernel, RegisteredBuffer } from '../../../lib/sys/kernel.ts'
import { FakeEngine } from './fake-engine.ts'

export const SCRIPT_FD = 7

export class ScriptedLayer implements Filter {
  status: FilterStatus = FilterStatus.DONE
  failure: Error | null = null
  hasPending = false
  idle = true
  closed = 0
  /** Bytes per read and per send at most; 0: it must wait. */
  readsMost = Number.POSITIVE_INFINITY
  sendsMost = Number.POSITIVE_INFINITY
  /** Sends until it must wait once. */
  sendsUntilWait = Number.POSITIVE_INFINITY
  /** Errors, once; then as before. */
  readError = 0
  sendError = 0
  /** After what is there, FIN. */
  ended = false
  sent = ''
  /** Called with all that was sent, after every send. */
  onSend: ((sent: string) => void) | null = null
  readonly reads: number[] = []
  readonly log: string[] = []
  #incoming: Uint8Array = new Uint8Array(0)
  readonly #scratch: RegisteredBuffer
  readonly #kernel: Kernel

  constructor(kernel: Kernel, scratch: RegisteredBuffer) {
    this.#kernel = kernel
    this.#scratch = scratch
  }

  give(bytes: Uint8Array | string): void {
    const more = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    this.#incoming = new Uint8Array([...this.#incoming, ...more])
  }

  get left(): string {
    return Buffer.from(this.#incoming).toString('latin1')
  }

  connect(_now: number): FilterStatus {
    return this.status
  }

  interest(wants: number, into: InterestSet): void {
    if (wants !== 0) into.add(SCRIPT_FD, wants)
  }

  recv(bufferId: number, offset: number, length: number): number {
    this.reads.push(length)
    if (bufferId !== this.#scratch.id || length <= 0 || offset + length > this.#scratch.bytes.length) {
      throw new Error(`recv(${bufferId}, ${offset}, ${length}) is not in the scratch memory`)
    }
    const error = this.readError
    this.readError = 0
    if (error !== 0) return -error
    const count = Math.min(length, this.#incoming.length, this.readsMost)
    if (count === 0) return this.ended && this.#incoming.length === 0 ? 0 : -this.#kernel.errno.EAGAIN
    this.#scratch.bytes.fill(0xee)
    this.#scratch.bytes.set(this.#incoming.subarray(0, count), offset)
    this.#incoming = this.#incoming.slice(count)
    return count
  }

  send(_bufferId: number, _offset: number, length: number): number {
    this.log.push(`send ${length}`)
    return length
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    const error = this.sendError
    this.sendError = 0
    if (error !== 0) return -error
    const count = Math.min(length, this.sendsMost)
    if (count === 0 || this.sendsUntilWait-- <= 0) {
      this.sendsUntilWait = Number.POSITIVE_INFINITY
      return -this.#kernel.errno.EAGAIN
    }
    this.sent += Buffer.from(bytes.subarray(offset, offset + count)).toString('latin1')
    this.onSend?.(this.sent)
    return count
  }

  shutdownWrite(): number {
    this.log.push('shutdownWrite')
    return 0
  }

  checkIdle(): boolean {
    return this.idle
  }

  close(): void {
    this.closed++
  }
}

export interface ScriptedStack {
  readonly fake: FakeEngine
  readonly engine: Pick<Host, 'kernel' | 'scratch' | 'facility'>
  readonly below: ScriptedLayer
}

export function scriptedStack(): ScriptedStack {
  const fake = new FakeEngine()
  const scratch = { id: 41, bytes: new Uint8Array(65536) }
  const engine = {
    kernel: fake.kernel,
    scratch,
    facility: fake.facility.bind(fake),
  }
  return { fake, engine, below: new ScriptedLayer(fake.kernel, scratch) }
}

/** Runs it as an owner would: again and again while something is there for it, at most so often. */
export function runFilter(filter: Filter, runsMost = 1000): FilterStatus {
  for (let runs = 0; runs < runsMost; runs++) {
    const status = filter.connect(runs)
    if (status !== FilterStatus.PENDING) return status
  }
  return FilterStatus.PENDING
}

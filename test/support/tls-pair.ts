/**
 * Two TLS filters face to face over pipes in memory, and what they stand on: a host without an engine, and a layer
 * below that takes and gives as few bytes as a test wants.
 */

import { type Filter, FilterStatus } from '../../lib/connection/filter.ts'
import { TlsService } from '../../lib/connection/tls-service.ts'
import { Facilities } from '../../lib/multi/facility.ts'
import type { Facility, Host } from '../../lib/multi/host.ts'
import type { InterestSet } from '../../lib/multi/machine.ts'
import type { RegisteredBuffer } from '../../lib/sys/kernel.ts'
import { kernel } from '../../lib/sys/native.ts'
import { openTls } from '../../lib/sys/native-tls.ts'

const AGAIN = -kernel.errno.EAGAIN

export class TestHost {
  readonly kernel = kernel
  readonly scratch: RegisteredBuffer = kernel.allocate(64 * 1024)
  readonly limits = {
    maxIdleConnections: 4,
    maxHostConnections: 4,
    maxTotalConnections: 4,
    watchIdleConnections: true,
  }
  readonly tls: TlsService
  readonly #facilities = new Facilities()

  constructor() {
    this.tls = new TlsService(this, openTls)
  }

  facility<T>(facility: Facility<T>): T {
    return this.#facilities.get(facility, this as unknown as Host)
  }

  closeFd(fd: number, generation: number): void {
    kernel.close(fd, generation)
  }

  close(): void {
    this.tls.close()
    kernel.release(this.scratch.id)
  }
}

/** One direction: bytes in order, then an end. */
class Channel {
  readonly bytes: number[] = []
  ended = false
}

/** One end of a pair of channels. `most` says how many bytes the next call may move; 0 is EAGAIN. */
export class MemoryFilter implements Filter {
  failure: Error | null = null
  readonly hasPending = false
  /** Bits of Interest that were passed down last. */
  wanted = 0
  closed = false
  /** Calls of recv and send. */
  calls = 0
  /** As if the peer had reset the connection. */
  broken = 0
  readonly incoming: Channel
  readonly outgoing: Channel
  readonly #service: TlsService
  most: () => number

  constructor(service: TlsService, incoming: Channel, outgoing: Channel, most: () => number) {
    this.#service = service
    this.incoming = incoming
    this.outgoing = outgoing
    this.most = most
  }

  connect(): FilterStatus {
    return FilterStatus.DONE
  }

  interest(wants: number, _into: InterestSet): void {
    this.wanted = wants
  }

  recv(bufferId: number, offset: number, length: number): number {
    this.calls++
    if (this.broken !== 0) return this.broken
    const count = Math.min(length, this.most(), this.incoming.bytes.length)
    if (count === 0) return this.incoming.ended && this.incoming.bytes.length === 0 ? 0 : AGAIN
    this.#service.bytesOf(bufferId).set(this.incoming.bytes.splice(0, count), offset)
    return count
  }

  send(bufferId: number, offset: number, length: number): number {
    return this.sendBytes(this.#service.bytesOf(bufferId), offset, length)
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    this.calls++
    if (this.closed || this.outgoing.ended) return -kernel.errno.EPIPE
    if (this.broken !== 0) return this.broken
    const count = Math.min(length, this.most())
    if (count === 0) return AGAIN
    for (let at = offset; at < offset + count; at++) this.outgoing.bytes.push(bytes[at] as number)
    return count
  }

  shutdownWrite(): number {
    this.outgoing.ended = true
    return 0
  }

  checkIdle(): boolean {
    return this.incoming.bytes.length === 0 && !this.incoming.ended
  }

  close(): void {
    this.closed = true
    this.outgoing.ended = true
  }
}

export const asMuchAsThere = (): number => Number.POSITIVE_INFINITY

/** What a test stacks filters on: its `top` is what upgradeToTls and acceptTls build on. */
export class Stack {
  top: Filter
  readonly memory: MemoryFilter

  constructor(memory: MemoryFilter) {
    this.memory = memory
    this.top = memory
  }

  push(filter: Filter): void {
    this.top = filter
  }
}

export function memoryPair(service: TlsService, most: () => number = asMuchAsThere): [Stack, Stack] {
  const [there, back] = [new Channel(), new Channel()]
  return [
    new Stack(new MemoryFilter(service, back, there, most)),
    new Stack(new MemoryFilter(service, there, back, most)),
  ]
}

const STEPS_MAX = 100_000

/** Drives both handshakes until both have ended; [client, server]. */
export function shakeHands(client: Filter, server: Filter): [FilterStatus, FilterStatus] {
  for (let step = 0; step < STEPS_MAX; step++) {
    const statuses: [FilterStatus, FilterStatus] = [client.connect(0), server.connect(0)]
    if (statuses.every((status) => status !== FilterStatus.PENDING)) return statuses
    if (statuses[0] === FilterStatus.FAILED || statuses[1] === FilterStatus.FAILED) {
      return [client.connect(0), server.connect(0)]
    }
  }
  throw new Error('the handshake never ends')
}

/** Sends all of it and receives it on the other side, each as far as it goes, in turns. */
export function transport(host: TestHost, from: Filter, to: Filter, bytes: Uint8Array): Buffer {
  const received: Buffer[] = []
  let sent = 0
  let arrived = 0
  for (let step = 0; arrived < bytes.length; step++) {
    if (step > STEPS_MAX) throw new Error(`stuck after ${sent} sent and ${arrived} received of ${bytes.length}`)
    if (sent < bytes.length) sent += countOf(from.sendBytes(bytes, sent, bytes.length - sent))
    const count = countOf(to.recv(host.scratch.id, 0, host.scratch.bytes.length))
    arrived += count
    received.push(Buffer.from(host.scratch.bytes.subarray(0, count)))
  }
  return Buffer.concat(received)
}

function countOf(result: number): number {
  if (result === AGAIN) return 0
  if (result <= 0) throw new Error(`a transport failed with ${result}`)
  return result
}

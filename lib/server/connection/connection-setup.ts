/**
 * What stands between accept and the first byte of the protocol: the PROXY header of a proxy that is trusted, admission
 * once more with the address that it told, then TLS. Each step has a deadline of its own. Of the header's bytes none
 * beyond it are taken; when there is no header and none is required, what was read is given back to the stream.
 */
import { TransferError } from '../../base/errors.ts'
import { formatSocketAddress } from '../../connection/address.ts'
import { FilterStatus } from '../../connection/filter.ts'
import type { ByteStream } from '../../connection/stream.ts'
import { tlsService } from '../../connection/tls-service.ts'
import { acceptTls } from '../../connection/tls-upgrade.ts'
import type { Host } from '../../multi/host.ts'
import { Family, type SocketAddress } from '../../sys/kernel.ts'
import { systemError } from '../../sys/system-error.ts'
import {
  type ProxyEndpoint,
  type ProxyHeader,
  ProxyHeaderReader,
  ProxyHeaderStatus,
} from '../../wire/proxy-protocol.ts'
import { isTrustedProxy, type ProxyAcceptance } from '../admission/proxy-acceptance.ts'
import type { ConnectionSetup, SetupFailure } from './connection-machine.ts'
import { ReplayFilter } from './replay-filter.ts'
import type { ServerTls } from './server-tls.ts'

/** What connections of one server or listener go through. Shared by all of them. */
export interface SetupPlan {
  readonly proxy: ProxyAcceptance | null
  readonly tls: ServerTls | null
  /** From the accept on. 0: no limit. */
  readonly proxyHeaderMs: number
  /** From its begin on. 0: no limit. */
  readonly handshakeMs: number
  /** Admission with the address behind the proxy. null: it may come in. */
  readonly readmit: ((connection: SetupOwner, proxy: SocketAddress, peer: SocketAddress) => SetupFailure | null) | null
}

/** What the set-up learned of the ends. */
export interface SetupResult {
  readonly peer: SocketAddress
  readonly local: SocketAddress
  readonly header: ProxyHeader
}

/** The connection that is set up. */
export interface SetupOwner {
  found(result: SetupResult): void
}

const NOTHING = new Uint8Array(0)

const Step = { HEADER: 0, TLS: 1, DONE: 2 } as const
type Step = (typeof Step)[keyof typeof Step]

export class StreamSetup implements ConnectionSetup {
  deadline: number
  failure: SetupFailure | null = null
  readonly #host: Host
  readonly #stream: ByteStream
  readonly #plan: SetupPlan
  readonly #owner: SetupOwner
  #step: Step
  #reader: ProxyHeaderReader | null = null

  constructor(host: Host, stream: ByteStream, plan: SetupPlan, owner: SetupOwner) {
    this.#host = host
    this.#stream = stream
    this.#plan = plan
    this.#owner = owner
    const { proxy } = plan
    const awaitsHeader = proxy !== null && isTrustedProxy(proxy, stream.peer)
    this.#step = awaitsHeader ? Step.HEADER : Step.DONE
    this.deadline = deadlineAfter(stream.createdAt, plan.proxyHeaderMs)
    if (awaitsHeader) this.#reader = new ProxyHeaderReader()
  }

  /** Nothing to set up: the connection may open at once. */
  static isNeeded(plan: SetupPlan, peer: SocketAddress | null): boolean {
    return plan.tls !== null || (plan.proxy !== null && isTrustedProxy(plan.proxy, peer))
  }

  advance(now: number): FilterStatus {
    if (this.#step === Step.HEADER && !this.#readHeader()) {
      return this.failure === null ? FilterStatus.PENDING : FilterStatus.FAILED
    }
    if (this.#step !== Step.TLS && this.#plan.tls !== null && !this.#beginTls(this.#plan.tls, now)) {
      return FilterStatus.FAILED
    }
    if (this.#step === Step.DONE) return FilterStatus.DONE
    const status = this.#stream.connect(now)
    if (status === FilterStatus.FAILED) {
      // An alert says why, and must arrive.
      this.failure = { reason: 'error', error: this.#stream.failure, farewell: 'linger' }
    }
    return status
  }

  expired(now: number): void {
    const reader = this.#reader
    // One that waits for us to speak first will never send a header.
    if (this.#step === Step.HEADER && reader?.received.length === 0 && this.#plan.proxy?.required === false) {
      this.#step = Step.DONE
      this.#reader = null
      this.deadline = deadlineAfter(now, 0)
      return
    }
    const isHeader = this.#step === Step.HEADER
    const what = isHeader ? 'PROXY header' : 'TLS handshake'
    const milliseconds = isHeader ? this.#plan.proxyHeaderMs : this.#plan.handshakeMs
    const message = `${what} of ${this.#peerText()}: timed out after ${milliseconds} ms`
    this.failure = { reason: 'timeout', error: new TransferError('OPERATION_TIMEDOUT', message), farewell: 'close' }
  }

  #peerText(): string {
    const { peer } = this.#stream
    return peer === null ? 'a peer that is gone' : formatSocketAddress(peer)
  }

  /** True when there is nothing more to read of it. */
  #readHeader(): boolean {
    const reader = this.#reader as ProxyHeaderReader
    const { kernel, scratch } = this.#host
    let unused: Uint8Array = NOTHING
    while (reader.status === ProxyHeaderStatus.NEED_MORE) {
      const length = Math.min(reader.needed, scratch.bytes.length)
      const received = this.#stream.recv(scratch.id, 0, length)
      if (received === -kernel.errno.EAGAIN) return false
      if (received < 0) {
        const error = systemError(kernel, received, 'recv', this.#stream.peer ?? undefined)
        this.failure = { reason: 'error', error, farewell: 'close' }
        return false
      }
      if (received === 0) reader.receiveEof()
      else unused = scratch.bytes.subarray(reader.receive(scratch.bytes, 0, received), received)
    }
    this.#reader = null
    this.#step = Step.DONE
    return reader.status === ProxyHeaderStatus.COMPLETE ? this.#take(reader.header) : this.#goWithout(reader, unused)
  }

  #take(header: ProxyHeader | null): boolean {
    const peer = addressOf(header, header?.source)
    const local = addressOf(header, header?.destination)
    // A health check of the proxy's own, or it does not say: the ends of the socket are the real ones.
    if (header === null || peer === null || local === null) return true
    const proxy = this.#stream.peer ?? peer
    this.failure = this.#plan.readmit?.(this.#owner, proxy, peer) ?? null
    if (this.failure !== null) return false
    this.#owner.found({ peer, local, header })
    return true
  }

  /** `unused`: bytes that came along with the one that made clear that there is no header. */
  #goWithout(reader: ProxyHeaderReader, unused: Uint8Array): boolean {
    const { fault, received } = reader
    const isOptional = this.#plan.proxy?.required === false
    if (isOptional && fault?.kind === 'absent') {
      if (received.length > 0) this.#replay(Buffer.concat([received, unused]))
      return true
    }
    const message = `PROXY header of ${this.#peerText()}: ${fault?.message}`
    this.failure = { reason: 'error', error: new TransferError('PROXY', message), farewell: 'close' }
    return false
  }

  #replay(head: Uint8Array): void {
    this.#stream.push(new ReplayFilter(this.#host, this.#stream.top, head))
  }

  #beginTls(tls: ServerTls, now: number): boolean {
    this.#step = Step.TLS
    this.deadline = deadlineAfter(now, this.#plan.handshakeMs)
    const service = this.#host.facility(tlsService)
    const begun = acceptTls(service, this.#stream, tls.context, this.#peerText(), tls.onServerName)
    if (!(begun instanceof TransferError)) return true
    this.failure = { reason: 'error', error: begun, farewell: 'reset' }
    return false
  }
}

/** 0: none. */
function deadlineAfter(start: number, milliseconds: number): number {
  return milliseconds > 0 ? start + milliseconds : Number.POSITIVE_INFINITY
}

function addressOf(header: ProxyHeader | null, end: ProxyEndpoint | null | undefined): SocketAddress | null {
  if (header === null || end === null || end === undefined) return null
  const isUnix = header.transport === 'unix' || header.transport === 'unix-datagram'
  const family = isUnix ? Family.UNIX : header.transport.endsWith('6') ? Family.IPV6 : Family.IPV4
  return { family, address: end.address, port: end.port }
}

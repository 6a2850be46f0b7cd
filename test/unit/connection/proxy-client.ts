/**
 * The shortest owner that a way through a proxy can have, on a real Multi: it connects, answers a challenge once, sends
 * what it has and is content when the destination's banner and its own bytes have come back.
 */
import { TransferError } from '../../../lib/base/errors.ts'
import { TimerTable } from '../../../lib/base/timer-table.ts'
import { Connector } from '../../../lib/connection/connector.ts'
import { FilterStatus } from '../../../lib/connection/filter.ts'
import { TunnelError } from '../../../lib/connection/proxy-error.ts'
import { type ProxyRoute, proxyTarget, pushProxy } from '../../../lib/connection/proxy-route.ts'
import type { SocksFilter } from '../../../lib/connection/socks-filter.ts'
import { ByteStream } from '../../../lib/connection/stream.ts'
import { TunnelFilter } from '../../../lib/connection/tunnel-filter.ts'
import type { Host } from '../../../lib/multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../../../lib/multi/machine.ts'
import { Attachment, attachment, begin, release, type Subject } from '../../../lib/multi/subject.ts'
import type { Task } from '../../../lib/multi/task.ts'
import { Interest } from '../../../lib/sys/readiness.ts'

export class ProxyClient implements Subject {
  readonly [attachment]: Attachment = new Attachment()
  readonly route: ProxyRoute
  readonly message: Uint8Array
  readonly authorization: string
  readonly received: Uint8Array[] = []
  readonly expected: number
  readonly timeoutMs: number
  connects = 0
  retries = 0

  constructor(
    route: ProxyRoute,
    message: Uint8Array,
    authorization: string,
    bannerBytes: number,
    timeoutMs = 1_200_000,
  ) {
    this.timeoutMs = timeoutMs
    this.route = route
    this.message = message
    this.authorization = authorization
    this.expected = bannerBytes + message.length
  }

  [begin](host: Host): Machine {
    return new ProxyClientMachine(host, this)
  }

  [release](): void {}
}

const CONNECTOR = 0
const TOTAL = 1

class ProxyClientMachine implements Machine {
  readonly kind: MachineKind = MachineKind.TRANSFER
  readonly timers = new TimerTable(2)
  readonly dormant = false
  readonly subject: ProxyClient
  readonly #host: Host
  #connector: Connector | null = null
  #stream: ByteStream | null = null
  #layer: TunnelFilter | SocksFilter | null = null
  #authorization: string | null = null
  #established = false
  #sent = 0
  #received = 0
  #ended = false

  constructor(host: Host, subject: ProxyClient) {
    this.#host = host
    this.subject = subject
  }

  get #task(): Task {
    return this.subject[attachment].task as Task
  }

  start(now: number): void {
    this.timers.set(TOTAL, now + this.subject.timeoutMs)
    this.#connect(now)
  }

  run(now: number): void {
    if (this.#ended) return
    if (this.#connector !== null) this.#runConnector(this.#connector, now)
    if (this.#stream !== null && !this.#established) this.#shakeHands(this.#stream, now)
    if (this.#stream !== null && this.#established) this.#exchange(this.#stream)
  }

  expired(timer: number): void {
    if (timer === TOTAL) this.#end(new TransferError('OPERATION_TIMEDOUT', 'timed out'))
  }

  interest(into: InterestSet): void {
    this.#connector?.interest(into)
    const isSending = this.#established && this.#sent < this.subject.message.length
    this.#stream?.interest(isSending ? Interest.READABLE_WRITABLE : Interest.READABLE, into)
  }

  abort(cause: unknown): void {
    this.#end(new TransferError('ABORTED_BY_CALLBACK', 'aborted', cause))
  }

  #connect(now: number): void {
    this.subject.connects++
    this.#connector = new Connector(this.#host, this.#task, proxyTarget(this.subject.route.proxy))
    this.#connector.start(now)
  }

  #runConnector(connector: Connector, now: number): void {
    const status = connector.run(now)
    this.timers.set(CONNECTOR, connector.deadline())
    if (status === FilterStatus.PENDING) return
    if (status === FilterStatus.FAILED) {
      const isName = connector.failure?.error === 'COULDNT_RESOLVE_HOST'
      const code = isName ? 'COULDNT_RESOLVE_PROXY' : 'COULDNT_CONNECT'
      this.#end(new TransferError(code, 'no way to the proxy', connector.failure?.cause))
      return
    }
    this.#stream = new ByteStream(this.#host, connector.take(), now)
    this.#connector = null
    const route = { ...this.subject.route, authorization: this.#authorization }
    this.#layer = pushProxy(this.#host, this.#task, this.#stream, route)
  }

  #shakeHands(stream: ByteStream, now: number): void {
    const status = stream.connect(now)
    if (status === FilterStatus.DONE) this.#established = true
    else if (status === FilterStatus.FAILED) this.#answerChallenge(stream, now)
    else if (stream.hasPending) this.#host.markDirty(this.#task)
  }

  #answerChallenge(stream: ByteStream, now: number): void {
    const { failure } = stream
    const isChallenge = failure instanceof TunnelError && failure.challenges.includes('Basic')
    if (!isChallenge || (this.#authorization !== null && failure.message.endsWith('407'))) {
      this.#end(failure as TransferError)
      return
    }
    this.#authorization = this.subject.authorization
    this.subject.retries++
    if (failure.reusable && this.#layer instanceof TunnelFilter) {
      this.#layer.retry(this.#authorization)
      this.#shakeHands(stream, now)
      return
    }
    stream.close()
    this.#stream = null
    this.#connect(now)
    this.#host.markDirty(this.#task)
  }

  #exchange(stream: ByteStream): void {
    const { scratch, kernel } = this.#host
    const { message, expected, received } = this.subject
    while (this.#sent < message.length) {
      const count = stream.sendBytes(message, this.#sent, message.length - this.#sent)
      if (count === -kernel.errno.EAGAIN) break
      if (count < 0) return this.#end(new TransferError('SEND_ERROR', String(count)))
      this.#sent += count
    }
    for (;;) {
      const count = stream.recv(scratch.id, 0, scratch.bytes.length)
      if (count === -kernel.errno.EAGAIN) return
      if (count <= 0) return this.#end(new TransferError('RECV_ERROR', String(count)))
      received.push(scratch.bytes.slice(0, count))
      this.#received += count
      if (this.#received >= expected) return this.#end(null)
    }
  }

  #end(error: TransferError | null): void {
    if (this.#ended) return
    this.#ended = true
    this.timers.clearAll()
    this.#connector?.abort()
    this.#connector = null
    this.#stream?.close()
    this.#host.complete(this.subject, error)
  }
}

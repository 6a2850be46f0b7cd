/**
 * HTTP/1.1 over one connection of a server: reads requests one at a time, in order, and says what is waited for. The
 * answers of everything that one read brought leave in one send when the run ends. While an answer is awaited the
 * connection goes on listening for the peer's end, and keeps what comes within a limit. How a request is answered is
 * the exchange's, how it ends HttpEndings'.
 */
import { REPORTED } from '../../multi/machine.ts'
import { Interest } from '../../sys/readiness.ts'
import { RequestEvent, type RequestFault, type RequestReader } from '../../wire/http1/request-reader.ts'
import type { Driver } from '../connection/driver.ts'
import { Answer } from './answer.ts'
import { Exchange } from './exchange.ts'
import { HttpEndings, Phase } from './http-endings.ts'
import { WARM_MS } from './idle-connections.ts'

/** Of one run, so that a peer with much to ask or to send does not starve the other machines. */
const READS_PER_RUN = 10
const REQUESTS_PER_RUN = 256
/** A peer that pipelines and does not read: no request is begun while so much waits to be sent. */
const PENDING_BYTES_MAX = 32 * 1024
const ALL = Number.MAX_SAFE_INTEGER

export class HttpDriver extends HttpEndings implements Driver {
  /** Bytes of a body that nobody wants. */
  #discarded = 0
  #isRunning = false
  /** It has no exchange of its own yet. */
  #isResting = true
  /** The last run stopped with more to read. */
  #mayHaveMore = false

  /** An answer is awaited, and nothing of the peer is of interest. */
  get dormant(): boolean {
    return this.exchange.isWaiting
  }

  open(now: number): void {
    this.idleSince = now
    // The peer spoke first, most likely.
    this.#mayHaveMore = true
  }

  override fold(): number {
    return this.#mayHaveMore ? -1 : super.fold()
  }

  run(now: number, readiness: number): void {
    this.#isRunning = true
    const isReported = (readiness & REPORTED) !== 0
    const before = this.exchange
    if (before.reply.outbox.pending > 0) this.flush(now)
    if (this.isOurs) {
      if (!before.reply.isBlocked || isReported) before.run()
      this.advance(now)
      if (isReported || this.#mayHaveMore || this.machine.stream.hasPending) this.#receive(now)
    }
    this.#isRunning = false
    if (!this.isOurs) return
    this.input.keep()
    const exchange = this.exchange
    const isHeldBack = exchange.reply.outbox.pending > PENDING_BYTES_MAX && this.input.unread > 0
    this.flush(now)
    // All went at once, so nothing will announce that the next request may be read.
    if (isHeldBack && this.isOurs && exchange.reply.outbox.pending <= PENDING_BYTES_MAX) this.machine.markDirty()
    if (this.isBetween) this.book.idleConnections.rest(this, now)
  }

  wants(): number {
    const exchange = this.exchange
    const wantsWrite = exchange.reply.outbox.pending > 0 || exchange.reply.isBlocked
    return (this.#room() > 0 ? Interest.READABLE : 0) | (wantsWrite ? Interest.WRITABLE : 0)
  }

  /** Something changed: goes on at once when nothing of the engine is on the stack. */
  touch(): void {
    const machine = this.machine
    if (this.#isRunning || !this.isOurs) return
    const { host } = machine
    if (host.isInside) {
      machine.markDirty()
      return
    }
    host.enter('respond')
    try {
      this.run(host.now, 0)
      machine.settle()
    } finally {
      host.leave()
    }
  }

  protected override get isOurs(): boolean {
    return this.machine.open && this.machine.driver === this
  }

  // Reading

  /** How many bytes may be received now. */
  #room(): number {
    const input = this.input
    if (input.eof) return 0
    switch (this.phase) {
      case Phase.IDLE:
      case Phase.HEAD:
        return this.isClosing || this.exchange.reply.outbox.pending > PENDING_BYTES_MAX ? 0 : ALL
      case Phase.BODY:
        return this.#wantsBody() ? ALL : Math.max(0, this.settings.limits.pipelineBytes - input.unread)
      default:
        return Math.max(0, this.settings.limits.pipelineBytes - input.unread)
    }
  }

  #wantsBody(): boolean {
    const { body, reply } = this.exchange
    return reply.state === Answer.SENT || body?.wanted === true
  }

  #receive(now: number): void {
    this.#mayHaveMore = false
    if (this.#isResting) {
      this.#isResting = false
      this.exchange = new Exchange(this.machine, this.connection, this.book, this)
    }
    const { host, stream } = this.machine
    const most = this.machine.share(READS_PER_RUN)
    for (let reads = 0; this.machine.open; reads++) {
      const room = this.#room()
      if (room === 0) return
      if (reads === most) {
        this.#mayHaveMore = true
        this.machine.markDirty()
        return
      }
      const received = this.input.receive(room)
      if (received <= 0) {
        if (received === 0) this.endOfStream(now)
        else if (received !== -host.kernel.errno.EAGAIN) this.broken(received, 'recv')
        return
      }
      this.exchange.clock.bodyMovedAt = now
      this.advance(now)
      if (received < host.scratch.bytes.length && !stream.hasPending) return
    }
  }

  /** As far as what is here goes. */
  protected override advance(now: number): void {
    const most = this.machine.share(REQUESTS_PER_RUN)
    for (let requests = 0; this.machine.open; ) {
      switch (this.phase) {
        case Phase.IDLE:
        case Phase.HEAD:
          if (this.isClosing || this.input.unread === 0) return
          if (this.exchange.reply.outbox.pending > PENDING_BYTES_MAX) return
          if (requests++ === most) {
            this.machine.markDirty()
            return
          }
          if (!this.#readHead(now)) return
          break
        case Phase.BODY:
          if (!this.#readBody(now)) return
          break
        default:
          if (this.exchange.reply.state !== Answer.SENT || this.exchange.reply.upgrade !== null) return
          this.endRequest(now)
      }
    }
  }

  /** False: it is not here yet. */
  #readHead(now: number): boolean {
    const reader = this.input.reader as RequestReader
    if (this.phase === Phase.IDLE) {
      this.phase = Phase.HEAD
      this.exchange.clock.begin(now)
    }
    switch (reader.nextEvent()) {
      case RequestEvent.HEAD:
        this.#begin(reader, now)
        return true
      case RequestEvent.ERROR:
        this.fault(reader.error as RequestFault)
        return false
      default:
        return false
    }
  }

  #begin(reader: RequestReader, now: number): void {
    const { limits, requestLine, onDrainRequest } = this.settings
    const exchange = this.exchange
    this.exchange.clock.headAt = now
    this.exchange.clock.bodyMovedAt = now
    this.#discarded = 0
    this.isWarm = this.requests > 0 && now - this.idleSince < WARM_MS
    this.requests++
    if (reader.target.length > limits.targetBytes) return this.refuse(414, 'error', 'error', reader.method)
    if (requestLine !== null) exchange.tellLine(requestLine, reader.target)
    if (reader.unknownExpectation) return this.refuse(417, 'error', 'error', reader.method)
    if (this.isDraining && onDrainRequest === 503) return this.refuse(503, 'shutdown', 'shutdown', reader.method)
    this.phase = reader.contentLength === 0 ? Phase.WHOLE : Phase.BODY
    const stays = reader.keepAlive && !this.isDraining && this.requests < limits.requestsPerConnection
    exchange.begin(reader, stays && reader.method !== 'CONNECT')
  }

  /** False: nothing to go on with. */
  #readBody(now: number): boolean {
    const exchange = this.exchange
    if (!this.#wantsBody()) {
      this.exchange.clock.hold(now)
      return false
    }
    this.exchange.clock.goOn(now)
    const reader = this.input.reader as RequestReader
    if (exchange.reply.state === Answer.SENT && !exchange.reply.keepAlive) return this.giveUpBody()
    if (exchange.expectsContinue) {
      if (reader.unread() === 0 && !this.input.eof) exchange.sendContinue()
      exchange.expectsContinue = false
    }
    switch (reader.nextEvent()) {
      case RequestEvent.DATA:
        return this.#takeData(reader)
      case RequestEvent.TRAILERS:
        return true
      case RequestEvent.END:
        this.phase = Phase.WHOLE
        exchange.finish(reader.trailers)
        return true
      case RequestEvent.ERROR:
        this.fault(reader.error as RequestFault)
        return false
      default:
        return false
    }
  }

  #takeData(reader: RequestReader): boolean {
    const exchange = this.exchange
    const { body } = exchange
    if (exchange.reply.state !== Answer.SENT && body !== null && !body.discarded) {
      exchange.push(reader.dataBytes.subarray(reader.dataStart, reader.dataEnd))
      return true
    }
    this.#discarded += reader.dataEnd - reader.dataStart
    if (this.#discarded <= this.settings.limits.discardBytes) return true
    if (exchange.reply.state === Answer.SENT) return this.giveUpBody()
    // An answer is still to come: it says that the connection will be closed.
    exchange.reply.keepAlive = false
    return true
  }
}

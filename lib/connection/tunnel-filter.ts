/**
 * An HTTP proxy's tunnel as a layer: CONNECT, then transparent. A response head has no length in front, so it is read
 * in pieces that cannot reach beyond its end, one or two bytes mostly: then no byte of the destination is ever held
 * here, and a set-up costs some tens of short reads. A 407 leaves the connection usable: `failure.reusable` says
 * whether `retry` may ask again; what is above must not have been connected before.
 */
import { type TransferCodeName, TransferError } from '../base/errors.ts'
import type { HeaderPairs } from '../wire/http1/header-list.ts'
import { fieldLines, requestHead } from '../wire/http1/request-encoder.ts'
import { ResponseEvent, ResponseReader } from '../wire/http1/response-reader.ts'
import { isFieldValue } from '../wire/http1/syntax.ts'
import { formatHostPort } from './address.ts'
import { type Filter, FilterStatus } from './filter.ts'
import { TunnelError, type TunnelResponse } from './proxy-error.ts'
import { type HandshakeEngine, ProxyHandshake } from './proxy-handshake.ts'

export type HeadListener = (kind: 'headOut' | 'headIn', head: string | Uint8Array) => void

export interface TunnelOptions {
  /** Without brackets. */
  readonly host: string
  readonly port: number
  /** Value of Proxy-Authorization. */
  readonly authorization?: string | null
  /** Further fields for the proxy alone; one named Host takes the place of ours. */
  readonly headers?: HeaderPairs
  /** Default 300 KiB, as curl. */
  readonly headBytesMax?: number
  /** Hears each head, as it was sent and as it came. */
  readonly onHead?: HeadListener | null
}

/** No response head is shorter: 'HTTP/1.1 200' and two line feeds. */
const HEAD_BYTES_LEAST = 14
/** Reads of one run: a head of some hundred bytes, and an end for one that is endless. */
const READS_PER_RUN = 512
/** A refusal's body that is longer is not worth waiting for: a new connection costs less. */
const DRAIN_BYTES_MAX = 64 * 1024
const LF = 10
const CR = 13

const Stage = { HEAD: 0, DRAINING: 1 } as const
type Stage = (typeof Stage)[keyof typeof Stage]

export class TunnelFilter extends ProxyHandshake {
  /** The last answer to CONNECT. */
  response: TunnelResponse | null = null
  readonly #options: TunnelOptions
  readonly #reader: ResponseReader
  #stage: Stage = Stage.HEAD
  #headBytes = 0
  #lineIsEmpty = false
  #drained = 0
  #nextRequest: Uint8Array | null = null
  /** Of the request under way, until it is out. */
  #untold: Uint8Array | null = null

  constructor(engine: HandshakeEngine, below: Filter, options: TunnelOptions) {
    super(engine, below)
    this.#options = options
    this.#reader = new ResponseReader(options.headBytesMax === undefined ? {} : { headBytesMax: options.headBytesMax })
    this.#begin(this.#request(options.authorization ?? null))
  }

  /** `retry` was called and its request is not out: nobody has judged it. */
  get hasUnsentRetry(): boolean {
    return this.#nextRequest !== null
  }

  /** After a TunnelError that is reusable: asks again, behind what is left of the refusal. Then `connect` goes on. */
  retry(authorization: string): void {
    const { failure } = this
    if (!(failure instanceof TunnelError && failure.reusable)) throw new Error('TunnelFilter.retry: not possible now')
    this.#nextRequest = this.#request(authorization)
    this.#stage = Stage.DRAINING
    this.#drained = 0
    this.restart()
  }

  protected override advance(_now: number): FilterStatus {
    for (let reads = 0; reads < READS_PER_RUN; reads++) {
      if (this.#stage === Stage.HEAD) {
        const sent = this.flush()
        if (sent === 0) return FilterStatus.PENDING
        if (sent < 0) return this.#failSystem(sent, 'send', 'SEND_ERROR')
        this.#tellRequest()
      } else if (this.#reader.nextEvent() === ResponseEvent.END) {
        if (!this.#beginAgain()) return this.#failDrain('sent more than its answer to CONNECT')
        continue
      }
      const received = this.#receive()
      if (received === -this.engine.kernel.errno.EAGAIN) return FilterStatus.PENDING
      if (received < 0) return this.#failSystem(received, 'recv', 'RECV_ERROR')
      const status = this.#stage === Stage.HEAD ? this.#readHead() : this.#drain()
      if (status !== FilterStatus.PENDING) return status
    }
    return this.cut()
  }

  /** Bytes that are certainly the proxy's. */
  #receive(): number {
    const { scratch } = this.engine
    const isHead = this.#stage === Stage.HEAD
    const length = isHead ? this.#leastToCome() : scratch.bytes.length
    const received = this.below.recv(scratch.id, 0, length)
    if (received === 0) this.#reader.receiveEof()
    else if (received > 0) {
      this.#reader.receive(scratch.bytes, 0, received)
      if (isHead) this.#follow(scratch.bytes, received)
    }
    return received
  }

  /** Where the line is not empty, at least a line feed and another one are missing. */
  #leastToCome(): number {
    return Math.max(HEAD_BYTES_LEAST - this.#headBytes, this.#lineIsEmpty ? 1 : 2)
  }

  #follow(bytes: Uint8Array, length: number): void {
    this.#headBytes += length
    for (let at = 0; at < length; at++) {
      if (bytes[at] === LF) this.#lineIsEmpty = true
      else if (bytes[at] !== CR) this.#lineIsEmpty = false
    }
  }

  #readHead(): FilterStatus {
    const reader = this.#reader
    switch (reader.nextEvent()) {
      case ResponseEvent.NEED_MORE:
        return FilterStatus.PENDING
      case ResponseEvent.INFORMATIONAL:
        this.#options.onHead?.('headIn', reader.headText)
        this.#headBytes = 0
        this.#lineIsEmpty = false
        return FilterStatus.PENDING
      case ResponseEvent.HEAD:
        return this.#judge()
      default:
        return this.#failReader()
    }
  }

  #judge(): FilterStatus {
    const { status, reason, httpVersion, headers, headText, keepAlive, chunked, contentLength } = this.#reader
    this.response = { status, reason, httpVersion, headers, headText }
    this.#options.onHead?.('headIn', headText)
    if (status >= 200 && status < 300) return FilterStatus.DONE
    const isShort = chunked || (contentLength >= 0 && contentLength <= DRAIN_BYTES_MAX)
    const reusable = status === 407 && keepAlive && isShort
    return this.fail(new TunnelError(this.response, reusable, `CONNECT tunnel failed, response ${status}`))
  }

  #drain(): FilterStatus {
    const reader = this.#reader
    for (;;) {
      const event = reader.nextEvent()
      if (event === ResponseEvent.NEED_MORE || event === ResponseEvent.END) return FilterStatus.PENDING
      if (event === ResponseEvent.ERROR) return this.#failDrain('closed the connection or broke off its answer')
      if (event === ResponseEvent.DATA) this.#drained += reader.dataEnd - reader.dataStart
      if (this.#drained > DRAIN_BYTES_MAX) return this.#failDrain('sent too long an answer')
    }
  }

  /** False when something follows that nobody asked for. */
  #beginAgain(): boolean {
    if (this.#reader.unread() > 0) return false
    this.#begin(this.#nextRequest as Uint8Array)
    this.#nextRequest = null
    return true
  }

  #begin(request: Uint8Array): void {
    this.#reader.reset('CONNECT')
    this.#stage = Stage.HEAD
    this.#headBytes = 0
    this.#lineIsEmpty = false
    this.#untold = request
    this.offer(request)
  }

  #request(authorization: string | null): Uint8Array {
    if (authorization !== null && !isFieldValue(authorization)) {
      throw new TypeError('Proxy-Authorization must be a field value, without CR, LF and NUL')
    }
    const target = formatHostPort(this.#options.host, this.#options.port)
    const given = [...(this.#options.headers ?? [])]
    const fields: (readonly [string, string])[] = []
    if (!given.some(([name]) => /^host$/i.test(name))) fields.push(['Host', target])
    if (authorization !== null) fields.push(['Proxy-Authorization', authorization])
    for (const field of given) {
      if (authorization === null || !/^proxy-authorization$/i.test(field[0])) fields.push(field)
    }
    return Buffer.from(requestHead('CONNECT', target, fieldLines(fields)), 'latin1')
  }

  #tellRequest(): void {
    const head = this.#untold
    this.#untold = null
    if (head !== null) this.#options.onHead?.('headOut', head)
  }

  #failReader(): FilterStatus {
    const { code, message } = this.#reader.error ?? { code: 'RECV_ERROR', message: 'no answer' }
    // A proxy that closes instead of answering is curl's RECV_ERROR, unlike a server that does.
    const known: TransferCodeName = code === 'GOT_NOTHING' ? 'RECV_ERROR' : code
    return this.fail(new TransferError(known, `CONNECT tunnel failed: ${message}`))
  }

  /** The challenge is still good, on another connection. */
  #failDrain(problem: string): FilterStatus {
    const status = this.response?.status
    return this.fail(
      new TunnelError(this.response, false, `CONNECT tunnel failed, response ${status}, and the proxy ${problem}`),
    )
  }

  #failSystem(result: number, syscall: 'send' | 'recv', code: 'SEND_ERROR' | 'RECV_ERROR'): FilterStatus {
    return this.failBelow(
      result,
      syscall,
      (cause) => new TransferError(code, `CONNECT tunnel failed: ${cause.message}`, cause),
    )
  }
}

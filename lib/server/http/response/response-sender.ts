/**
 * Sends the responses of one connection, one after the other: the head and small bodies into the outbox, which the
 * driver flushes when its run ends, so that pipelined answers leave together; everything else as the socket takes it.
 * Whoever drives it acts on the status: `run` again when the descriptor is WRITABLE (BLOCKED), or in the next run of
 * the machine, which the sender asks for itself (WAITING, YIELDED). A response that FAILED was begun and cannot be
 * ended: the connection must be reset, so that the client sees the truncation.
 */
import { systemError } from '../../../sys/system-error.ts'
import type { CloseReason } from '../../connection/close-reason.ts'
import type { ConnectionMachine } from '../../connection/connection-machine.ts'
import type { Outbox } from '../../connection/outbox.ts'
import { type BodySource, bytesOf, PieceStatus, type SourceOwner } from './body-source.ts'
import { FileSource, shorter } from './file-body.ts'
import { discardResponse, openBody } from './open-body.ts'
import { PreparedResponse } from './prepared-response.ts'
import { PullSource } from './pull-body.ts'
import type { HttpResponse, HttpResponseBody, HttpResponseHeaders } from './response.ts'
import { Framing, type HeadTools, headTools, type ResponseContext, type ResponseSettings } from './response-head.ts'

export type { ResponseContext, ResponseSettings }

export const SendStatus = {
  /** All is with the outbox or the kernel. The outbox may still have to be flushed. */
  DONE: 0,
  /** The socket takes no more: wait for WRITABLE. */
  BLOCKED: 1,
  /** The producer has nothing now. It marks the machine dirty, or `resume` does. */
  WAITING: 2,
  /** The budget of this run is used up; the machine is marked dirty. */
  YIELDED: 3,
  /** See `failure`. */
  FAILED: 4,
} as const
export type SendStatus = (typeof SendStatus)[keyof typeof SendStatus]

const DEFAULT_RESPONSE_SETTINGS: ResponseSettings = { server: null, date: true }

/** Composed bytes from which on they are sent before more is asked for. */
const FLUSH_BYTES = 32 * 1024
/** What a pull function is asked for. */
const PULL_BYTES_MAX = 64 * 1024
/** Text of a body up to this size is put behind its head. */
const JOINED_TEXT_MAX = 1024
/** Pieces of one run, so that a fast producer does not starve the other machines. */
const PIECES_PER_RUN = 64

/** Files up to this size are read, and leave in one call with their head. */
const READ_FILE_BYTES_MAX = 16 * 1024
/** Of one sendfile, and how many of them a run makes: a fast receiver does not starve the other machines. */
const FILE_BYTES_PER_SEND = 1024 * 1024
const FILE_SENDS_PER_RUN = 4

export class ResponseSender implements SourceOwner {
  readonly #machine: ConnectionMachine
  readonly #outbox: Outbox
  readonly #settings: ResponseSettings
  readonly #tools: HeadTools
  /** After `start`: the connection may stay open. */
  keepAlive = false
  /** Why it FAILED, and how the connection is to be closed. */
  failure: Error | null = null
  failureReason: CloseReason = 'error'
  #source: BodySource | null = null
  #framing: Framing = Framing.NONE
  #position = 0
  /** Of a body of known length. */
  #remaining = 0
  #trailers: HttpResponse['trailers']

  constructor(machine: ConnectionMachine, outbox: Outbox, settings: ResponseSettings = DEFAULT_RESPONSE_SETTINGS) {
    this.#machine = machine
    this.#outbox = outbox
    this.#settings = settings
    this.#tools = machine.host.facility(headTools)
  }

  /** A response was begun and is not done. */
  get busy(): boolean {
    return this.#source !== null
  }

  /** Nothing but the end of the connection will tell the peer that it has all of this body, and it has not. */
  get isOpenEnded(): boolean {
    return this.#framing === Framing.UNTIL_CLOSE && (this.busy || this.#outbox.pending > 0)
  }

  /** Throws a TypeError or RangeError, or a SystemError of a file, when nothing of the response was sent. */
  start(response: HttpResponse, context: ResponseContext): SendStatus {
    if (response instanceof PreparedResponse && this.#prepared(response, context)) return SendStatus.DONE
    const { body = null } = response
    if (body === null || typeof body === 'string' || body instanceof Uint8Array || Array.isArray(body)) {
      this.#startWhole(
        response,
        context,
        Array.isArray(body) ? body.map(bytesOf) : (body as string | Uint8Array | null),
      )
      return SendStatus.DONE
    }
    const source = openBody(this.#machine.host, this, body as Exclude<HttpResponseBody, string | Uint8Array>)
    try {
      if (!this.#head(response, context, source.length, '')) {
        closeQuietly(source, null)
        return SendStatus.DONE
      }
    } catch (error) {
      closeQuietly(source, error as Error)
      throw error
    }
    this.#source = source
    this.#position = 0
    this.#trailers = response.trailers
    return this.run()
  }

  run(): SendStatus {
    const source = this.#source
    if (source === null) return SendStatus.DONE
    if (source instanceof FileSource && this.#goesByFile(source)) return this.#runFile(source)
    const most = this.#machine.share(PIECES_PER_RUN)
    for (let pieces = 0; pieces < most; pieces++) {
      // What the outbox keeps by reference must be gone before the producer may use its memory again.
      if (this.#outbox.hasQueue || this.#outbox.pending >= FLUSH_BYTES) {
        const flushed = this.#outbox.flush()
        if (flushed < 0) return this.#notSent(flushed, 'send')
      }
      if (this.#framing === Framing.LENGTH && this.#remaining === 0) return this.#finish()
      let status: PieceStatus
      try {
        status = source.next(this.#position, this.#bytesMax())
      } catch (error) {
        return this.#fail('aborted', error)
      }
      // The program may have closed the connection meanwhile.
      if (this.#source !== source) return SendStatus.FAILED
      if (status === PieceStatus.WAIT) return SendStatus.WAITING
      if (status === PieceStatus.END) return this.#finish()
      if (!this.#piece(source.piece)) return this.#fail('aborted', new RangeError(LONGER))
    }
    this.#machine.markDirty()
    return SendStatus.YIELDED
  }

  /** 100 to 199, before the response: 100 Continue, 103 Early Hints, 101 of an upgrade. Throws as `start`. */
  informational(status: number, headers: HttpResponseHeaders | null = null): void {
    this.#outbox.text(this.#tools.informational(status, headers ?? undefined))
  }

  /** Closes what a response holds that comes too late. */
  discard(response: HttpResponse): void {
    discardResponse(this.#machine.host, response)
  }

  /** A pull function that said PAUSE is asked again. From anywhere. */
  resume(): void {
    if (!(this.#source instanceof PullSource)) return
    this.#source.resume()
    this.wake()
  }

  wake(): void {
    const machine = this.#machine
    const { host } = machine
    if (host.closed || machine.ended) return
    if (host.isInside) {
      machine.markDirty()
      return
    }
    host.enter('resume')
    machine.markDirty()
    host.leave()
  }

  /** The connection has ended, or the response is given up: what it holds is closed. Idempotent. */
  close(error: Error | null): void {
    const source = this.#source
    if (source === null) return
    this.#source = null
    this.#trailers = undefined
    closeQuietly(source, error)
  }

  #bytesMax(): number {
    return this.#framing === Framing.LENGTH ? Math.min(this.#remaining, PULL_BYTES_MAX) : PULL_BYTES_MAX
  }

  /** Composes the head, with text of the body behind it. True when the body follows. */
  #head(response: HttpResponse, context: ResponseContext, size: number, text: string): boolean {
    const tools = this.#tools
    const head = tools.compose(response, context, this.#settings, size)
    this.keepAlive = tools.keepAlive
    this.#framing = tools.framing
    this.#remaining = tools.length
    if (tools.prefix !== null) this.#outbox.bytes(tools.prefix)
    this.#outbox.text(tools.framing === Framing.LENGTH && text !== '' ? head + text : head)
    return tools.framing !== Framing.NONE
  }

  /** A body that is there as a whole. */
  #startWhole(response: HttpResponse, context: ResponseContext, body: WholeBody): void {
    const outbox = this.#outbox
    const length = lengthOf(body)
    this.#trailers = response.trailers
    // Before the head: what is wrong with them must throw while nothing was sent.
    const trailers = this.#trailerLines()
    // Short and plain ones are written together with their head.
    const text = typeof body === 'string' && length === body.length && length <= JOINED_TEXT_MAX ? body : ''
    if (!this.#head(response, context, length, text)) return
    const isChunked = this.#framing === Framing.CHUNKED
    if (!isChunked && text !== '') return
    if (isChunked && length > 0) outbox.text(`${length.toString(16)}\r\n`)
    if (typeof body === 'string') outbox.utf8(body, length)
    else if (body instanceof Uint8Array) outbox.bytes(body)
    else if (body !== null) for (const piece of body) outbox.bytes(piece)
    if (isChunked) outbox.text(`${length > 0 ? '\r\n' : ''}0\r\n${trailers}\r\n`)
  }

  /** False when this request needs another head. */
  #prepared(response: PreparedResponse, { method, httpVersion, keepAlive }: ResponseContext): boolean {
    if (!keepAlive || httpVersion === '1.0' || method === 'HEAD' || method === 'CONNECT') return false
    const bytes = response.encoded(this.#settings, this.#tools)
    if (bytes === null) return false
    this.keepAlive = true
    this.#outbox.bytes(bytes)
    if (!response.isJoined) this.#outbox.bytes(response.body)
    return true
  }

  /** Past us: nothing but a socket below, and large enough not to leave together with its head. */
  #goesByFile(source: FileSource): boolean {
    return (
      !source.mustBeRead &&
      source.length > READ_FILE_BYTES_MAX &&
      this.#framing === Framing.LENGTH &&
      this.#machine.stream.isPlain
    )
  }

  #runFile(source: FileSource): SendStatus {
    const { stream, host } = this.#machine
    const { errno } = host.kernel
    const most = this.#machine.share(FILE_SENDS_PER_RUN)
    for (let sends = 0; sends < most; sends++) {
      const flushed = this.#outbox.flush()
      if (flushed < 0) return this.#notSent(flushed, 'send')
      if (this.#remaining === 0) return this.#finish()
      const wanted = Math.min(this.#remaining, FILE_BYTES_PER_SEND)
      const sent = stream.socket.sendFile(source.fd, source.offset + this.#position, wanted)
      if (sent === -errno.EINVAL || sent === -errno.ENOSYS) {
        // Not every file system can.
        source.mustBeRead = true
        return this.run()
      }
      if (sent < 0) return this.#notSent(sent, 'sendfile')
      if (sent === 0) return this.#fail('error', shorter())
      this.#machine.bytesWritten += sent
      this.#position += sent
      this.#remaining -= sent
    }
    this.#machine.markDirty()
    return SendStatus.YIELDED
  }

  /** False when the body grows beyond its length. */
  #piece(piece: Uint8Array): boolean {
    const outbox = this.#outbox
    this.#position += piece.length
    switch (this.#framing) {
      case Framing.LENGTH:
        if (piece.length > this.#remaining) return false
        this.#remaining -= piece.length
        outbox.bytes(piece)
        return true
      case Framing.CHUNKED:
        outbox.text(`${piece.length.toString(16)}\r\n`)
        outbox.bytes(piece)
        outbox.text('\r\n')
        return true
      default:
        outbox.bytes(piece)
        return true
    }
  }

  #finish(): SendStatus {
    if (this.#framing === Framing.LENGTH && this.#remaining > 0) {
      return this.#fail('aborted', new RangeError(`option body ended ${this.#remaining} bytes before its length`))
    }
    if (this.#framing === Framing.CHUNKED) {
      try {
        this.#outbox.text(`0\r\n${this.#trailerLines()}\r\n`)
      } catch (error) {
        return this.#fail('aborted', error)
      }
    }
    this.close(null)
    return SendStatus.DONE
  }

  #trailerLines(): string {
    const trailers = this.#trailers
    if (trailers === undefined) return ''
    return this.#tools.fields.readTrailers(typeof trailers === 'function' ? trailers() : trailers)
  }

  #notSent(result: number, syscall: string): SendStatus {
    const { stream, host } = this.#machine
    if (result === -host.kernel.errno.EAGAIN) return SendStatus.BLOCKED
    return this.#fail('error', stream.failure ?? systemError(host.kernel, result, syscall))
  }

  #fail(reason: CloseReason, cause: unknown): SendStatus {
    this.failure = cause instanceof Error ? cause : new Error(String(cause))
    this.failureReason = reason
    this.close(this.failure)
    return SendStatus.FAILED
  }
}

type WholeBody = string | Uint8Array | readonly Uint8Array[] | null

const LONGER = 'option body is longer than its length'

function lengthOf(body: WholeBody): number {
  if (body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body, 'utf8')
  if (body instanceof Uint8Array) return body.length
  let length = 0
  for (const piece of body) length += piece.length
  return length
}

/** The program's producer has no say in how a response ends any more. */
function closeQuietly(source: BodySource, error: Error | null): void {
  try {
    source.close(error)
  } catch {
    // Whoever would hear of it hears of the response itself.
  }
}

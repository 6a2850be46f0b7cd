/**
 * Sends one request: the head, with a small body in the same send; then a large body straight from the user's bytes, or
 * piece by piece from a callback, chunked when its length is not known. Stops when the socket is full, when the
 * callback pauses, or when its budget is used up, and goes on from there.
 */
import type { ByteStream } from '../connection/stream.ts'
import type { Host } from '../multi/host.ts'
import type { PutOff } from '../multi/send-batch.ts'
import {
  CHUNK_OVERHEAD_MAX,
  fieldLines,
  writeChunk,
  writeLastChunk,
  writeLatin1,
} from '../wire/http1/request-encoder.ts'
import { PAUSE } from './body-function.ts'
import { Expectation } from './expectation.ts'
import type { Flow } from './flow.ts'
import { headerPairs } from './header-pairs.ts'
import type { Pace } from './pace.ts'
import type { Principal, TransferCallbacks } from './principal.ts'
import type { RequestPlan } from './request-plan.ts'
import type { TransferInfo } from './transfer-info.ts'
import type { TransferSettings } from './transfer-settings.ts'

/** A body up to this size is copied behind the head: one send is cheaper than none of the copy. */
const BODY_WITH_HEAD_MAX = 16 * 1024
/** What a body callback is asked for at a time; curl's upload buffer. */
const PIECE_BYTES_MAX = 64 * 1024
/** Sends of one run, so that a fast receiver does not starve the other machines. */
const SENDS_PER_RUN = 10

export const SendStatus = {
  /** The socket is full. */
  BLOCKED: 0,
  DONE: 1,
  /** The body callback has nothing now. */
  PAUSED: 2,
  /** See `result`, or `misuse`. */
  FAILED: 3,
  /** The budget is used up; run again. */
  YIELDED: 4,
  /** The head is sent, and the body waits for 100 Continue. */
  WAITING: 5,
} as const
export type SendStatus = (typeof SendStatus)[keyof typeof SendStatus]

const Stage = { BODY: 0, LAST_CHUNK: 1, END: 2 } as const
type Stage = (typeof Stage)[keyof typeof Stage]

const NOTHING = new Uint8Array(0)

export class RequestSender {
  /** -errno of the send that failed. */
  result = 0
  /** What the body callback did wrong. What it throws goes through, and the host aborts the transfer with it. */
  misuse: Error | null = null
  /** The kernel took a byte of it: the peer may have seen the request. */
  touched = false
  /** The callback was asked: the body cannot be sent a second time. */
  pulled = false
  readonly #host: Host
  readonly #stream: ByteStream
  readonly #settings: TransferSettings
  readonly #plan: RequestPlan
  readonly #info: TransferInfo
  readonly #flow: Flow
  readonly #callbacks: TransferCallbacks
  readonly #pace: Pace | null
  #stage: Stage = Stage.BODY
  #pending: Uint8Array = NOTHING
  #pendingAt = 0
  /** How many body bytes are complete when `#pending` is sent; -1: each of its bytes is one. */
  #pendingBody = 0
  #bodyGiven = 0
  #chunk: Uint8Array = NOTHING

  constructor(
    host: Host,
    stream: ByteStream,
    settings: TransferSettings,
    plan: RequestPlan,
    principal: Principal,
    pace: Pace | null,
  ) {
    this.#host = host
    this.#stream = stream
    this.#settings = settings
    this.#plan = plan
    this.#info = principal.info
    this.#flow = principal.flow
    this.#callbacks = principal.callbacks
    this.#pace = pace
    settings.bodies.form?.rewind()
  }

  /** The first send, out of the memory in which machines compose. A whole request is put off. */
  start(owner: PutOff): SendStatus {
    const { head, body } = this.#plan
    const { sends } = this.#host
    let start = sends.claim()
    let end = this.#compose(start, head)
    if (end < 0 && start > 0) {
      sends.flush()
      start = 0
      end = this.#compose(start, head)
    }
    if (end < 0) {
      this.#pending = Buffer.from(head, 'latin1')
      this.#info.requestBytes += head.length
      this.#debug('headOut', this.#pending)
      return this.run()
    }
    this.#info.requestBytes += head.length
    const { bytes } = sends.memory
    const headEnd = end
    if (body === null) this.#stage = Stage.END
    else if (body instanceof Uint8Array && body.length <= BODY_WITH_HEAD_MAX && end + body.length <= bytes.length) {
      bytes.set(body, end)
      end += body.length
      this.#stage = Stage.END
    }
    this.#pendingBody = end - headEnd
    return this.#depart(owner, start, end)
  }

  /**
   * What of a whole request the kernel took, or -errno, and the bytes that it was. False: the rest waits for `run`, or
   * `result` says what broke.
   */
  departed(result: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (result > 0) this.touched = true
    if (result === end - start) {
      this.#info.bytesSent += this.#pendingBody
      return true
    }
    if (result < 0 && result !== -this.#host.kernel.errno.EAGAIN) this.result = result
    this.#pending = bytes.slice(start + Math.max(result, 0), end)
    return false
  }

  run(): SendStatus {
    for (let sends = 0; sends < SENDS_PER_RUN; sends++) {
      if (this.#pendingAt === this.#pending.length) {
        if (this.#stage === Stage.END) return SendStatus.DONE
        if (this.#pace !== null && this.#pace.expectation !== Expectation.NONE) return SendStatus.WAITING
        const status = this.#fill()
        if (status !== SendStatus.YIELDED) return status
        if (this.#pendingAt === this.#pending.length) continue
      }
      const left = this.#allowance(this.#pending.length - this.#pendingAt)
      if (left === 0) return SendStatus.BLOCKED
      const sent = this.#stream.sendBytes(this.#pending, this.#pendingAt, left)
      if (sent < 0) return sent === -this.#host.kernel.errno.EAGAIN ? SendStatus.BLOCKED : this.#fail(sent)
      this.touched = true
      this.#pendingAt += sent
      this.#pace?.sending?.spend(sent)
      if (this.#pendingBody < 0) this.#info.bytesSent += sent
      else if (this.#pendingAt === this.#pending.length) this.#info.bytesSent += this.#pendingBody
      if (sent < left) return SendStatus.BLOCKED
    }
    return SendStatus.YIELDED
  }

  /** The offset behind the head in the memory of sends; -1: it is too long, or goes another way. */
  #compose(start: number, head: string): number {
    if (this.#pace !== null || this.#callbacks.onDebug !== null) return -1
    return writeLatin1(this.#host.sends.memory.bytes, start, head)
  }

  #depart(owner: PutOff, start: number, end: number): SendStatus {
    const stream = this.#stream
    const { sends } = this.#host
    if (this.#stage === Stage.END && stream.isPlain) {
      this.#pendingAt = 0
      stream.socket.putOff(sends, owner, start, end - start)
      // A batch that was full has left, and may have come back.
      if (this.result !== 0) return SendStatus.FAILED
      return this.#pending.length > 0 ? SendStatus.BLOCKED : SendStatus.DONE
    }
    const { id, bytes } = sends.memory
    const length = end - start
    // Layers in between know the bytes, not the kernel's number for them.
    const sent = stream.isPlain ? stream.send(id, start, length) : stream.sendBytes(bytes, start, length)
    if (!this.departed(sent, bytes, start, end)) {
      return this.result !== 0 ? SendStatus.FAILED : SendStatus.BLOCKED
    }
    return this.#stage === Stage.END ? SendStatus.DONE : this.run()
  }

  /** How much the rate lets be sent. */
  #allowance(most: number): number {
    const sending = this.#pace?.sending ?? null
    return sending === null ? most : Math.min(most, sending.allowance(this.#host.now))
  }

  /** Lets go of what a form holds open. Idempotent. */
  close(): void {
    this.#settings.bodies.form?.close()
  }

  /** The next piece into `#pending`; YIELDED when there is something to send or the stage moved. */
  #fill(): SendStatus {
    const { body, bodyLength } = this.#plan
    if (this.#stage === Stage.LAST_CHUNK) return this.#fillLastChunk()
    if (body instanceof Uint8Array) {
      this.#stage = Stage.END
      this.#offer(body, -1)
      this.#debug('dataOut', body)
      return SendStatus.YIELDED
    }
    if (body === null || this.#bodyGiven === bodyLength) {
      this.#stage = Stage.END
      return SendStatus.YIELDED
    }
    // Paused inside the callback: it is not asked again, whatever the budget allows.
    if (this.#flow.sendPaused) return SendStatus.PAUSED
    const most = bodyLength < 0 ? PIECE_BYTES_MAX : Math.min(PIECE_BYTES_MAX, bodyLength - this.#bodyGiven)
    this.pulled = true
    const piece: unknown = body(most)
    if (piece === PAUSE) return SendStatus.PAUSED
    if (piece === null) {
      const failure = this.#settings.bodies.form?.failure ?? null
      return failure === null ? this.#endOfPieces() : this.#refuse(failure)
    }
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
    if (!(bytes instanceof Uint8Array)) {
      return this.#refuse(new TypeError('body callback must return bytes, a string, null or PAUSE'))
    }
    if (bytes.length > most) {
      return this.#refuse(
        new RangeError(`body callback gave ${bytes.length} bytes where at most ${most} were asked for`),
      )
    }
    return this.#fillPiece(bytes)
  }

  #fillPiece(bytes: Uint8Array): SendStatus {
    this.#bodyGiven += bytes.length
    if (bytes.length === 0) return SendStatus.YIELDED
    this.#debug('dataOut', bytes)
    if (this.#plan.bodyLength >= 0) {
      this.#offer(bytes, -1)
      return SendStatus.YIELDED
    }
    if (this.#chunk.length === 0) this.#chunk = new Uint8Array(PIECE_BYTES_MAX + CHUNK_OVERHEAD_MAX)
    this.#offer(this.#chunk.subarray(0, writeChunk(this.#chunk, 0, bytes)), bytes.length)
    return SendStatus.YIELDED
  }

  #endOfPieces(): SendStatus {
    const { bodyLength } = this.#plan
    if (bodyLength < 0) {
      this.#stage = Stage.LAST_CHUNK
      return SendStatus.YIELDED
    }
    return this.#refuse(new RangeError(`body callback ended after ${this.#bodyGiven} of ${bodyLength} bytes`))
  }

  #fillLastChunk(): SendStatus {
    const { requestTrailers } = this.#settings
    let lines = ''
    if (requestTrailers) {
      const pairs = headerPairs('requestTrailers', requestTrailers())
      lines = fieldLines(pairs.filter((pair): pair is readonly [string, string] => pair[1] !== null))
    }
    const bytes = new Uint8Array(lines.length + 8)
    this.#offer(bytes.subarray(0, writeLastChunk(bytes, 0, lines)), 0)
    this.#stage = Stage.END
    return SendStatus.YIELDED
  }

  #offer(bytes: Uint8Array, bodyBytes: number): void {
    this.#pending = bytes
    this.#pendingAt = 0
    this.#pendingBody = bodyBytes
  }

  #fail(result: number): SendStatus {
    this.result = result
    return SendStatus.FAILED
  }

  #refuse(misuse: Error): SendStatus {
    this.misuse = misuse
    return SendStatus.FAILED
  }

  #debug(kind: 'headOut' | 'dataOut', bytes: Uint8Array): void {
    this.#callbacks.onDebug?.(kind, bytes, this.#info)
  }
}

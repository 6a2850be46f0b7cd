/**
 * What one WebSocket connection has to send: whole messages, fragments and control frames become bytes in a queue that
 * is bounded. Of pings that come faster than they can be answered only the last is answered (RFC 6455 §5.5.3), so a
 * peer that reads nothing fills no memory.
 */
import { isUtf8 } from 'node:buffer'
import { wrongType } from '../base/options.ts'
import { type DeflateTerms, deflateMessage } from '../wire/websocket/deflate-extension.ts'
import { FrameQueue } from '../wire/websocket/frame-queue.ts'
import { MaskSource, type RandomSource } from '../wire/websocket/mask.ts'
import { COMPRESSED_BIT, FINAL_BIT, Opcode } from '../wire/websocket/protocol.ts'
import { Utf8Validator } from '../wire/websocket/utf8-validator.ts'
import type { ByteStream } from './stream.ts'

/** Shorter messages are not worth compressing. */
const COMPRESSED_BYTES_MIN = 1024
/** Pongs wait for their turn behind that much. */
const PONG_QUEUE_MAX = 64 * 1024
/** Sends of one run, so that a fast receiver does not starve the other machines. */
const SENDS_PER_RUN = 10

export type WebSocketType = 'text' | 'binary'

export interface WebSocketSenderSettings {
  readonly queuedBytesMax: number
  /** Of a client, which masks; null: of a server. */
  readonly random: RandomSource | null
}

export class WebSocketSender {
  /** A message found no room since `sent` looked last. */
  wasRefused = false
  readonly #queuedBytesMax: number
  readonly #queue: FrameQueue
  #terms: DeflateTerms | null = null
  #pong: Uint8Array | null = null
  /** Of the fragmented message that has begun. */
  #fragmented: WebSocketType | null = null
  readonly #text = new Utf8Validator()

  constructor({ queuedBytesMax, random }: WebSocketSenderSettings) {
    this.#queuedBytesMax = queuedBytesMax
    this.#queue = new FrameQueue(random === null ? null : new MaskSource(random))
  }

  open(terms: DeflateTerms | null): void {
    this.#terms = terms
  }

  /** Bytes that wait. */
  get queued(): number {
    return this.#queue.length
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0 && this.#pong === null
  }

  /** Whether a message of that length may be queued. */
  hasRoom(length: number): boolean {
    const hasRoom = this.#queue.length === 0 || this.#queue.length + length <= this.#queuedBytesMax
    if (!hasRoom) this.wasRefused = true
    return hasRoom
  }

  /** After a refusal, once: enough has gone for another message. */
  takeRoom(): boolean {
    if (!this.wasRefused || this.#queue.length > this.#queuedBytesMax / 2) return false
    this.wasRefused = false
    return true
  }

  /** There must be room. Throws TypeError for text that is none. */
  pushMessage(
    type: WebSocketType,
    data: Uint8Array,
    isFinal: boolean,
    mayCompress: boolean,
    isKnownText: boolean,
  ): void {
    if (this.#fragmented !== null || !isFinal) {
      this.#pushFragment(type, data, isFinal)
      return
    }
    if (type === 'text' && !isKnownText && !isUtf8(data)) throw wrongType('data', 'UTF-8', data)
    const opcode = type === 'text' ? Opcode.TEXT : Opcode.BINARY
    if (mayCompress && this.#terms !== null && data.length >= COMPRESSED_BYTES_MIN) {
      const deflated = deflateMessage(data, this.#terms)
      if (deflated !== null) {
        this.#queue.push(opcode, deflated, FINAL_BIT | COMPRESSED_BIT)
        return
      }
    }
    this.#queue.push(opcode, data)
  }

  pushControl(opcode: Opcode, payload: Uint8Array): void {
    this.#queue.push(opcode, payload)
  }

  /** The payload is copied when it has to wait. */
  answerPing(payload: Uint8Array): void {
    if (this.#queue.length <= PONG_QUEUE_MAX) this.#queue.push(Opcode.PONG, payload)
    else this.#pong = payload.slice()
  }

  /** Sends what the stream takes. Bytes sent, or -errno; EAGAIN is no failure and not told. */
  flush(stream: ByteStream, wouldBlock: number): number {
    const queue = this.#queue
    let total = 0
    for (let sends = 0; sends < SENDS_PER_RUN; sends++) {
      if (this.#pong !== null && queue.length <= PONG_QUEUE_MAX) {
        queue.push(Opcode.PONG, this.#pong)
        this.#pong = null
      }
      const length = queue.end - queue.start
      if (length === 0) return total
      const sent = stream.sendBytes(queue.chunk, queue.start, length)
      if (sent < 0) return sent === wouldBlock ? total : sent
      queue.sent(sent)
      total += sent
      if (sent < length) return total
    }
    return total
  }

  /** Nothing more will be sent. */
  clear(): void {
    this.#queue.clear()
    this.#pong = null
  }

  #pushFragment(type: WebSocketType, data: Uint8Array, isFinal: boolean): void {
    const isFirst = this.#fragmented === null
    const itsType = this.#fragmented ?? type
    if (itsType !== type) throw wrongType('type', `'${itsType}', as the message began`, type)
    if (isFirst) this.#text.reset()
    if (type === 'text' && !(this.#text.push(data, 0, data.length) && (!isFinal || this.#text.isComplete))) {
      throw wrongType('data', 'UTF-8', data)
    }
    const opcode = isFirst ? (type === 'text' ? Opcode.TEXT : Opcode.BINARY) : Opcode.CONTINUATION
    this.#queue.push(opcode, data, isFinal ? FINAL_BIT : 0)
    this.#fragmented = isFinal ? null : itsType
  }
}

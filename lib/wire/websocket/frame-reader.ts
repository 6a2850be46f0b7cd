/**
 * Bytes ⇄ frames (RFC 6455 §5), for either role. No I/O, no callback.
 *   receive(bytes, start, end)   lends bytes, unmasked where they lie; they must stay until NEED_MORE or ERROR
 *   nextEvent()                  PAYLOAD: a piece of a data frame, empty for an empty frame; CONTROL: a whole one
 * Control frames may stand between the frames of a message. To stop in the middle keep the bytes from `consumed` on and
 * lend them again later.
 */
import { maskBytes } from './mask.ts'
import {
  CloseCode,
  COMPRESSED_BIT,
  CONTROL_BYTES_MAX,
  FINAL_BIT,
  Opcode,
  RESERVED_BITS,
  type Role,
  type WebSocketFault,
} from './protocol.ts'

export const FrameEvent = { NEED_MORE: 0, PAYLOAD: 1, CONTROL: 2, ERROR: 3 } as const
export type FrameEvent = (typeof FrameEvent)[keyof typeof FrameEvent]

export interface FrameReaderOptions {
  /** Which end reads: a server wants masked frames, a client refuses them. */
  readonly role: Role
  /** Payload of one data frame; more is fault 1009. */
  readonly frameBytesMax: number
  /** Payload of all frames of a message that is not compressed, as far as they are announced; more is fault 1009. */
  readonly messageBytesMax: number
  /** The extension was negotiated: the first frame of a message may say that it is compressed. */
  readonly allowsCompressed: boolean
}

/** First byte, length byte, eight bytes of length, four of mask. */
const HEAD_BYTES_MAX = 14
const MASK_BIT = 0x80
const NOTHING = new Uint8Array(0)

const State = { HEAD: 0, PAYLOAD: 1, CONTROL: 2, FAILED: 3 } as const
type State = (typeof State)[keyof typeof State]

export class FrameReader {
  /** After PAYLOAD and CONTROL: of the frame. */
  opcode: Opcode = Opcode.CONTINUATION
  isFinal = false
  isCompressed = false
  payloadLength = 0
  /** After PAYLOAD: where the piece begins in its frame. */
  offset = 0
  /** After PAYLOAD and CONTROL. */
  data: Uint8Array = NOTHING
  dataStart = 0
  dataEnd = 0
  /** After ERROR. */
  fault: WebSocketFault | null = null
  /** Offset in the received bytes up to which they are used. */
  consumed = 0

  #state: State = State.HEAD
  #bytes: Uint8Array = NOTHING
  #end = 0
  readonly #head = new Uint8Array(HEAD_BYTES_MAX)
  #headLength = 0
  #headNeeds = 2
  #maskAt = -1
  #received = 0
  /** A message has begun that is not final. */
  #isInside = false
  #messageBytes = 0
  #isMessageCompressed = false
  readonly #control = new Uint8Array(CONTROL_BYTES_MAX)
  readonly #isMasked: boolean
  readonly #frameBytesMax: number
  readonly #messageBytesMax: number
  readonly #allowedBits: number

  constructor(options: FrameReaderOptions) {
    this.#isMasked = options.role === 'server'
    this.#frameBytesMax = options.frameBytesMax
    this.#messageBytesMax = options.messageBytesMax
    this.#allowedBits = options.allowsCompressed ? COMPRESSED_BIT : 0
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.consumed = start
    this.#end = end
  }

  /** How many bytes of the last `receive` are not used yet; they begin at `consumed`. */
  unread(): number {
    return this.#end - this.consumed
  }

  /** A copy of what is not used yet, to be lent again later. */
  takeRest(): Uint8Array {
    // Not `slice`, which on a Buffer copies nothing.
    return new Uint8Array(this.#bytes.subarray(this.consumed, this.#end))
  }

  nextEvent(): FrameEvent {
    for (;;) {
      switch (this.#state) {
        case State.HEAD:
          if (!this.#readHead()) return this.fault === null ? FrameEvent.NEED_MORE : FrameEvent.ERROR
          break
        case State.PAYLOAD:
          return this.#nextPiece()
        case State.CONTROL:
          return this.#nextControl()
        case State.FAILED:
          return FrameEvent.ERROR
      }
    }
  }

  /** True when the head is complete. Each rule is looked at as soon as its bytes are here. */
  #readHead(): boolean {
    const head = this.#head
    for (;;) {
      while (this.#headLength < this.#headNeeds) {
        if (this.consumed === this.#end) return false
        head[this.#headLength++] = this.#bytes[this.consumed++] as number
        if (this.#headLength === 1 && !this.#checkFirst(head[0] as number)) return false
      }
      if (this.#headLength > 2) return this.#headComplete()
      if (!this.#checkSecond(head[1] as number)) return false
      if (this.#headNeeds === 2) return this.#headComplete()
    }
  }

  #checkFirst(first: number): boolean {
    const opcode = first & 0x0f
    this.isFinal = (first & FINAL_BIT) !== 0
    this.isCompressed = (first & COMPRESSED_BIT) !== 0
    if ((opcode > Opcode.BINARY && opcode < Opcode.CLOSE) || opcode > Opcode.PONG) return this.#fail(`opcode ${opcode}`)
    this.opcode = opcode as Opcode
    const bits = first & (RESERVED_BITS | COMPRESSED_BIT)
    const isFirst = opcode === Opcode.TEXT || opcode === Opcode.BINARY
    if ((bits & ~(isFirst ? this.#allowedBits : 0)) !== 0) return this.#fail('reserved bits are set')
    if (opcode >= Opcode.CLOSE) return this.isFinal || this.#fail('a control frame is fragmented')
    if (isFirst && this.#isInside) return this.#fail('a message begins inside another')
    if (!isFirst && !this.#isInside) return this.#fail('a continuation frame continues nothing')
    return true
  }

  #checkSecond(second: number): boolean {
    const length = second & 0x7f
    const isMasked = (second & MASK_BIT) !== 0
    if (isMasked !== this.#isMasked)
      return this.#fail(isMasked ? 'a frame of a server is masked' : 'a frame of a client is not masked')
    if (this.opcode >= Opcode.CLOSE && length > CONTROL_BYTES_MAX) return this.#fail('a control frame is too long')
    if (this.opcode === Opcode.CLOSE && length === 1) return this.#fail('a close frame with half a code')
    this.#headNeeds = 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (isMasked ? 4 : 0)
    return true
  }

  #headComplete(): boolean {
    const head = this.#head
    const short = (head[1] as number) & 0x7f
    let length = short
    if (short === 126) {
      length = (head[2] as number) * 256 + (head[3] as number)
      if (length < 126) return this.#fail('a length is not in its shortest form')
    } else if (short === 127) {
      length = 0
      for (let i = 2; i < 10; i++) length = length * 256 + (head[i] as number)
      if (length >= 2 ** 63) return this.#fail('a length of 64 bits')
      if (length < 65536) return this.#fail('a length is not in its shortest form')
    }
    if (length > this.#frameBytesMax) {
      return this.#fail(`a frame of more than ${this.#frameBytesMax} bytes`, CloseCode.TOO_BIG)
    }
    this.#maskAt = this.#isMasked ? this.#headNeeds - 4 : -1
    this.payloadLength = length
    this.#received = 0
    if (this.opcode < Opcode.CLOSE) return this.#beginPayload()
    this.#state = State.CONTROL
    return true
  }

  #beginPayload(): boolean {
    if (this.opcode !== Opcode.CONTINUATION) {
      this.#messageBytes = 0
      this.#isMessageCompressed = this.isCompressed
    }
    this.#messageBytes += this.payloadLength
    // What a compressed one becomes is not known yet.
    if (this.#messageBytes > this.#messageBytesMax && !this.#isMessageCompressed) {
      return this.#fail(`a message of more than ${this.#messageBytesMax} bytes`, CloseCode.TOO_BIG)
    }
    this.#isInside = !this.isFinal
    this.#state = State.PAYLOAD
    return true
  }

  #nextPiece(): FrameEvent {
    const length = Math.min(this.payloadLength - this.#received, this.unread())
    if (length === 0 && this.payloadLength > 0) return FrameEvent.NEED_MORE
    this.offset = this.#received
    this.data = this.#bytes
    this.dataStart = this.consumed
    this.dataEnd = this.consumed + length
    this.consumed = this.dataEnd
    this.#unmask(this.data, this.dataStart, this.dataEnd)
    this.#received += length
    if (this.#received === this.payloadLength) this.#beginHead()
    return FrameEvent.PAYLOAD
  }

  #nextControl(): FrameEvent {
    const length = Math.min(this.payloadLength - this.#received, this.unread())
    const from = this.consumed
    for (let i = 0; i < length; i++) this.#control[this.#received + i] = this.#bytes[from + i] as number
    this.consumed += length
    this.#received += length
    if (this.#received < this.payloadLength) return FrameEvent.NEED_MORE
    this.#received = 0
    this.offset = 0
    this.data = this.#control
    this.dataStart = 0
    this.dataEnd = this.payloadLength
    this.#unmask(this.data, 0, this.dataEnd)
    this.#beginHead()
    return FrameEvent.CONTROL
  }

  #unmask(bytes: Uint8Array, start: number, end: number): void {
    if (this.#maskAt >= 0) maskBytes(bytes, start, end, this.#head, this.#maskAt, this.#received)
  }

  #beginHead(): void {
    this.#headLength = 0
    this.#headNeeds = 2
    this.#state = State.HEAD
  }

  #fail(message: string, closeCode: number = CloseCode.PROTOCOL_ERROR): false {
    this.fault = { closeCode, message }
    this.#state = State.FAILED
    return false
  }
}

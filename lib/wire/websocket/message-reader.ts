/**
 * Bytes ⇄ messages: frames are joined, decompressed and, when they are text, checked for UTF-8 as they come. Lending
 * bytes is as with FrameReader. MESSAGE: `type`, and the bytes in `data` until the next call, without a copy when the
 * message came in one piece. PING, PONG: `data`. CLOSE: `closeCode`, `closeReason`. With `frames` a FRAME is told for
 * each piece instead of messages, as it is on the wire, control frames included; `frame` says what it is.
 */
import { FrameEvent, FrameReader } from './frame-reader.ts'
import { MessageBuffer } from './message-buffer.ts'
import { InflateResult, type MessageInflater } from './message-inflater.ts'
import { CloseCode, isCloseCode, Opcode, type Role, type WebSocketFault } from './protocol.ts'
import { Utf8Validator } from './utf8-validator.ts'

export const MessageEvent = { NEED_MORE: 0, MESSAGE: 1, PING: 2, PONG: 3, CLOSE: 4, FRAME: 5, ERROR: 6 } as const
export type MessageEvent = (typeof MessageEvent)[keyof typeof MessageEvent]

/** Default limit of one frame, and of one message when it is whole and decompressed. */
export const MESSAGE_BYTES_MAX: number = 64 * 1024 * 1024

export interface MessageReaderOptions {
  readonly role: Role
  /** Default MESSAGE_BYTES_MAX. */
  readonly frameBytesMax?: number
  /** Default MESSAGE_BYTES_MAX. */
  readonly messageBytesMax?: number
  /** Where permessage-deflate was negotiated. */
  readonly inflater?: MessageInflater | null
  /** Tells frames. Not together with an inflater. */
  readonly frames?: boolean
}

const NOTHING = new Uint8Array(0)

export class MessageReader {
  readonly frame: FrameReader
  /** After MESSAGE. */
  type: typeof Opcode.TEXT | typeof Opcode.BINARY = Opcode.BINARY
  /** After MESSAGE, PING, PONG, FRAME. */
  data: Uint8Array = NOTHING
  /** After CLOSE: NO_STATUS when the frame had none. */
  closeCode = 0
  closeReason = ''
  /** After ERROR. */
  fault: WebSocketFault | null = null
  readonly #buffer: MessageBuffer
  readonly #messageBytesMax: number
  readonly #text = new Utf8Validator()
  readonly #inflater: MessageInflater | null
  readonly #tellsFrames: boolean
  #isInside = false
  #isCompressed = false
  /** How much of the message in the buffer is known to be text. */
  #checked = 0
  /** A CLOSE is to be told after its FRAME. */
  #owesClose = false

  constructor(options: MessageReaderOptions) {
    const { role, inflater = null, frameBytesMax = MESSAGE_BYTES_MAX, messageBytesMax = MESSAGE_BYTES_MAX } = options
    const { frames = false } = options
    const allowsCompressed = inflater !== null
    // Where frames are told nothing is put together, so there is no message to be too long.
    const framesBytesMax = frames ? Number.POSITIVE_INFINITY : messageBytesMax
    this.frame = new FrameReader({ role, frameBytesMax, messageBytesMax: framesBytesMax, allowsCompressed })
    this.#messageBytesMax = messageBytesMax
    this.#buffer = new MessageBuffer(messageBytesMax)
    this.#inflater = inflater
    this.#tellsFrames = frames
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.frame.receive(bytes, start, end)
  }

  /** A copy of what is not used yet, to be lent again later. */
  takeRest(): Uint8Array {
    return this.frame.takeRest()
  }

  nextEvent(): MessageEvent {
    for (;;) {
      if (this.fault !== null) return MessageEvent.ERROR
      if (this.#owesClose) return this.#tellClose()
      const event = this.frame.nextEvent()
      if (event === FrameEvent.NEED_MORE) return MessageEvent.NEED_MORE
      if (event === FrameEvent.ERROR) {
        this.fault = this.frame.fault
        continue
      }
      if (event === FrameEvent.CONTROL) return this.#tellControl()
      if (this.#tellsFrames) return this.#tellPiece()
      if (this.#takePiece()) return MessageEvent.MESSAGE
    }
  }

  /** Memory of the inflater; the reader is of no use afterwards. */
  close(): void {
    this.#inflater?.close()
  }

  #tellControl(): MessageEvent {
    const { frame } = this
    this.data = frame.data.subarray(frame.dataStart, frame.dataEnd)
    if (frame.opcode === Opcode.CLOSE) {
      if (!this.#readClose(this.data)) return MessageEvent.ERROR
      this.#owesClose = true
    }
    if (this.#tellsFrames) return MessageEvent.FRAME
    if (this.#owesClose) return this.#tellClose()
    return frame.opcode === Opcode.PING ? MessageEvent.PING : MessageEvent.PONG
  }

  #tellClose(): MessageEvent {
    this.#owesClose = false
    return MessageEvent.CLOSE
  }

  #readClose(payload: Uint8Array): boolean {
    this.closeCode = payload.length === 0 ? CloseCode.NO_STATUS : (payload[0] as number) * 256 + (payload[1] as number)
    if (payload.length > 0 && !isCloseCode(this.closeCode)) return this.#fail(`close code ${this.closeCode}`)
    const reason = new Utf8Validator()
    if (!reason.push(payload, 2, payload.length) || !reason.isComplete) {
      return this.#fail('a close reason is not UTF-8', CloseCode.INVALID_DATA)
    }
    this.closeReason = Buffer.from(payload.subarray(2)).toString()
    return true
  }

  #tellPiece(): MessageEvent {
    const { frame } = this
    this.data = frame.data.subarray(frame.dataStart, frame.dataEnd)
    const isFrameEnd = frame.offset + this.data.length === frame.payloadLength
    if (!this.#isInside) this.#beginMessage()
    this.#isInside = !(frame.isFinal && isFrameEnd)
    if (!this.#checkText(frame.data, frame.dataStart, frame.dataEnd, !this.#isInside)) return MessageEvent.ERROR
    return MessageEvent.FRAME
  }

  /** True when the message is complete. */
  #takePiece(): boolean {
    const { frame } = this
    const length = frame.dataEnd - frame.dataStart
    const isLast = frame.isFinal && frame.offset + length === frame.payloadLength
    if (!this.#isInside) {
      this.#beginMessage()
      if (isLast && !this.#isCompressed) return this.#takeWhole()
      this.#isInside = true
    }
    if (this.#isCompressed) {
      if (!this.#inflate(isLast)) return false
    } else if (!this.#collect(isLast)) return false
    if (!isLast) return false
    this.#isInside = false
    this.data = this.#buffer.bytes
    return true
  }

  #beginMessage(): void {
    this.type = this.frame.opcode === Opcode.TEXT ? Opcode.TEXT : Opcode.BINARY
    this.#isCompressed = this.frame.isCompressed
    this.#buffer.clear()
    this.#checked = 0
    this.#text.reset()
  }

  #takeWhole(): boolean {
    const { data, dataStart, dataEnd } = this.frame
    if (!this.#checkText(data, dataStart, dataEnd, true)) return false
    this.data = data.subarray(dataStart, dataEnd)
    return true
  }

  #collect(isLast: boolean): boolean {
    const { data, dataStart, dataEnd } = this.frame
    this.#buffer.append(data, dataStart, dataEnd)
    return this.#checkText(data, dataStart, dataEnd, isLast)
  }

  #inflate(isLast: boolean): boolean {
    const { data, dataStart, dataEnd } = this.frame
    const inflater = this.#inflater as MessageInflater
    const buffer = this.#buffer
    let result = inflater.push(data, dataStart, dataEnd, buffer)
    if (result === InflateResult.OK && isLast) result = inflater.finish(buffer)
    if (result === InflateResult.TOO_BIG) return this.#failSize()
    if (result !== InflateResult.OK) return this.#fail('a message cannot be decompressed', CloseCode.INVALID_DATA)
    const from = this.#checked
    this.#checked = buffer.length
    return this.#checkText(buffer.bytes, from, buffer.length, isLast)
  }

  #checkText(bytes: Uint8Array, start: number, end: number, isLast: boolean): boolean {
    if (this.type !== Opcode.TEXT) return true
    if (this.#text.push(bytes, start, end) && (!isLast || this.#text.isComplete)) return true
    return this.#fail('a text message is not UTF-8', CloseCode.INVALID_DATA)
  }

  #failSize(): false {
    return this.#fail(`a message of more than ${this.#messageBytesMax} bytes`, CloseCode.TOO_BIG)
  }

  #fail(message: string, closeCode: number = CloseCode.PROTOCOL_ERROR): false {
    this.fault = { closeCode, message }
    return false
  }
}

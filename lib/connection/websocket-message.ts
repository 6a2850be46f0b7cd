/**
 * What a WebSocket connection brings, as users see it. Each object is used again for what comes next: never keep it.
 */
import { Opcode } from '../wire/websocket/protocol.ts'

export type WebSocketFrameType = 'text' | 'binary' | 'continuation' | 'close' | 'ping' | 'pong'

const NOTHING = new Uint8Array(0)
const FRAME_TYPES: Readonly<Record<Opcode, WebSocketFrameType>> = {
  [Opcode.CONTINUATION]: 'continuation',
  [Opcode.TEXT]: 'text',
  [Opcode.BINARY]: 'binary',
  [Opcode.CLOSE]: 'close',
  [Opcode.PING]: 'ping',
  [Opcode.PONG]: 'pong',
}

export class WebSocketMessage {
  type: 'text' | 'binary' = 'binary'
  /** Borrowed. Of a text message it is valid UTF-8. */
  data: Uint8Array = NOTHING

  text(): string {
    return textOf(this.data)
  }
}

/** A piece of a frame, in order; a short frame is one piece. Text is checked across frames. */
export class WebSocketFrame {
  type: WebSocketFrameType = 'binary'
  /** The last frame of its message. */
  isFinal = true
  /** Where the piece begins in the frame. */
  offset = 0
  /** Bytes of the frame behind the piece. */
  bytesLeft = 0
  /** Borrowed. */
  data: Uint8Array = NOTHING

  text(): string {
    return textOf(this.data)
  }

  /** @internal */
  set(opcode: Opcode, isFinal: boolean, offset: number, bytesLeft: number, data: Uint8Array): this {
    this.type = FRAME_TYPES[opcode]
    this.isFinal = isFinal
    this.offset = offset
    this.bytesLeft = bytesLeft
    this.data = data
    return this
  }
}

function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString()
}

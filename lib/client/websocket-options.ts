/**
 * The options of a transfer whose url is ws: or wss:. A part of TransferOptions, refused for other urls. Bytes handed
 * to a callback are borrowed, valid until it returns, and so is the object that holds them. In a callback, or from
 * outside, `transfer.webSocket` sends and closes.
 */
import type { WebSocketFrame, WebSocketMessage } from '../connection/websocket-message.ts'
import type { WebSocketOpening } from '../connection/websocket-terms.ts'

export interface WebSocketOptions {
  /** Subprotocols to ask for, in order of preference. Default: none. */
  protocols?: readonly string[]
  /**
   * Ask for compression (RFC 7692). Default true with messages; frames are told as they are, so there it is not asked.
   */
  perMessageDeflate?: boolean
  /** The connection is open. What was sent before goes out now. */
  onOpen?: (opening: WebSocketOpening) => void
  /** A whole message. */
  onMessage?: (message: WebSocketMessage) => void
  /** A piece of a frame, control frames included, instead of messages. CURLWS_RAW_MODE, curl_ws_meta. */
  onFrame?: (frame: WebSocketFrame) => void
  /** A ping; it is answered all the same. */
  onPing?: (payload: Uint8Array) => void
  onPong?: (payload: Uint8Array) => void
  /** After a message was refused for want of room: there is room again. */
  onSendable?: () => void
  /** With connectOnly: `receive` gives pieces of frames instead of messages. Default false. */
  receiveFrames?: boolean
  /** Answer no ping: you do. Default false. CURLWS_NOAUTOPONG. */
  noAutoPong?: boolean
  /** Most bytes of a message, decompressed; more ends with TOO_LARGE and close code 1009. Default 64 MiB. */
  maxMessageBytes?: number
  /** Most bytes of one frame, in the same way. Default 64 MiB. */
  maxFrameBytes?: number
  /** Most bytes that wait to be sent, but for a single message that is longer. Default 16 MiB. */
  maxQueuedBytes?: number
  /** From our close frame to the peer's, and to the end of the connection. Default 5000. */
  closeTimeoutMs?: number
}

/** What a WebSocket session is told by its owner, client or server, and what it tells: shapes only. */
import type { TransferCodeName } from '../base/errors.ts'
import type { DeflateTerms } from '../wire/websocket/deflate-extension.ts'
import type { Role } from '../wire/websocket/protocol.ts'
import type { WebSocketFrame, WebSocketMessage } from './websocket-message.ts'
import type { WebSocketSenderSettings } from './websocket-sender.ts'

/** What the handshake came to. */
export interface Agreement {
  /** '' for none. */
  readonly protocol: string
  /** null: messages are not compressed. */
  readonly terms: DeflateTerms | null
}

export interface WebSocketFailure {
  readonly code: TransferCodeName
  readonly message: string
  readonly cause?: unknown
}

export interface WebSocketSessionSettings extends WebSocketSenderSettings {
  readonly role: Role
  /** Frames are told, not messages. */
  readonly tellsFrames: boolean
  /** Once open it is the user's, who sends and receives by calls. */
  readonly isManual: boolean
  readonly answersPings: boolean
  readonly messageBytesMax: number
  readonly frameBytesMax: number
  readonly closeTimeoutMs: number
  readonly onOpen: ((opening: WebSocketOpening) => void) | null
  readonly onMessage: ((message: WebSocketMessage) => void) | null
  readonly onFrame: ((frame: WebSocketFrame) => void) | null
  readonly onPing: ((payload: Uint8Array) => void) | null
  readonly onPong: ((payload: Uint8Array) => void) | null
  readonly onSendable: (() => void) | null
}

export interface WebSocketOpening {
  /** The subprotocol that was agreed on; '' for none. */
  readonly protocol: string
  /** permessage-deflate was agreed on. */
  readonly isCompressed: boolean
}

/** Where the session writes what it counted and learnt. */
export interface WebSocketAccount {
  bytesSent: number
  bytesReceived: number
  closeCode: number
  closeReason: string
  webSocketProtocol: string
}

export interface WebSocketFlow {
  readonly receivePaused: boolean
  readonly sendPaused: boolean
}

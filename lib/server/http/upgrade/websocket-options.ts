/** What a server's WebSocket can be told, checked once per set of options; names are those of the client's options. */
import {
  type Check,
  checkOptions,
  isBoolean,
  isDuration,
  isFunction,
  isInteger,
  wrongType,
} from '../../../base/options.ts'
import type { WebSocketMessage } from '../../../connection/websocket-message.ts'
import type { WebSocketSessionSettings } from '../../../connection/websocket-terms.ts'
import { isProtocolName } from '../../../wire/websocket/handshake.ts'
import { MESSAGE_BYTES_MAX } from '../../../wire/websocket/message-reader.ts'
import type { ServerWebSocket } from './server-websocket.ts'

const QUEUED_BYTES_MAX = 16 * 1024 * 1024
const CLOSE_TIMEOUT_MS = 5_000
/** Proxies and address translators forget what is silent for a minute. */
const PING_INTERVAL_MS = 30_000
const BYTES_LIMIT = 2 ** 31

export interface WebSocketServerOptions {
  /** Subprotocols that are spoken, best first: the first that the client offers is agreed on. Default: none. */
  readonly protocols?: readonly string[]
  /** Which pages may connect, by the Origin that their browser sends; others are answered 403. Default: all. */
  readonly verifyOrigin?: (origin: string | undefined) => boolean
  /** Compress messages where the client can. Default true. */
  readonly perMessageDeflate?: boolean
  /** The 101 is with the system. */
  readonly onOpen?: (socket: ServerWebSocket) => void
  /** A whole message; the object is used again for the next. */
  readonly onMessage?: (socket: ServerWebSocket, message: WebSocketMessage) => void
  /** A ping; it is answered all the same. Borrowed bytes. */
  readonly onPing?: (socket: ServerWebSocket, payload: Uint8Array) => void
  readonly onPong?: (socket: ServerWebSocket, payload: Uint8Array) => void
  /** After a message was refused for want of room: there is room again. */
  readonly onSendable?: (socket: ServerWebSocket) => void
  /** The last call. 1006: the connection ended without a close frame; 1005: the frame had no code. */
  readonly onClose?: (socket: ServerWebSocket, code: number, reason: string, error: Error | null) => void
  /** A peer that was silent for so long is pinged; silent for as long again, it is gone. 0: never. Default 30 s. */
  readonly pingIntervalMs?: number
  /** Default true. */
  readonly answerPings?: boolean
  /** Default 64 MiB. */
  readonly maxMessageBytes?: number
  readonly maxFrameBytes?: number
  /** Bytes that may wait to be sent. Default 16 MiB. */
  readonly maxQueuedBytes?: number
  /** How long the peer's close frame is awaited. Default 5 s. */
  readonly closeTimeoutMs?: number
}

const isProtocols: Check = (option, value) => {
  const isList = Array.isArray(value) && value.every((name) => typeof name === 'string' && isProtocolName(name))
  if (!isList) throw wrongType(option, 'an array of tokens', value)
}

const CHECKS: Readonly<Record<keyof WebSocketServerOptions, Check>> = {
  protocols: isProtocols,
  verifyOrigin: isFunction,
  perMessageDeflate: isBoolean,
  onOpen: isFunction,
  onMessage: isFunction,
  onPing: isFunction,
  onPong: isFunction,
  onSendable: isFunction,
  onClose: isFunction,
  pingIntervalMs: isDuration,
  answerPings: isBoolean,
  maxMessageBytes: isInteger(1, BYTES_LIMIT),
  maxFrameBytes: isInteger(1, Number.MAX_SAFE_INTEGER),
  maxQueuedBytes: isInteger(1, BYTES_LIMIT),
  closeTimeoutMs: isDuration,
}

/** Options are checked at the first request that they are used for, and not again. */
const checked = new WeakSet<WebSocketServerOptions>()

export function checkWebSocketOptions(options: WebSocketServerOptions): void {
  if (checked.has(options)) return
  checkOptions('webSocket options', options, CHECKS)
  checked.add(options)
}

/** The settings of one session, with the callbacks of its socket. */
export function sessionSettings(options: WebSocketServerOptions, socket: ServerWebSocket): WebSocketSessionSettings {
  const { onOpen, onMessage, onPing, onPong, onSendable } = options
  return {
    role: 'server',
    random: null,
    tellsFrames: false,
    isManual: false,
    answersPings: options.answerPings ?? true,
    messageBytesMax: options.maxMessageBytes ?? MESSAGE_BYTES_MAX,
    frameBytesMax: options.maxFrameBytes ?? MESSAGE_BYTES_MAX,
    queuedBytesMax: options.maxQueuedBytes ?? QUEUED_BYTES_MAX,
    closeTimeoutMs: options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS,
    onOpen: onOpen === undefined ? null : () => onOpen(socket),
    onMessage: onMessage === undefined ? null : (message) => onMessage(socket, message),
    onFrame: null,
    onPing: onPing === undefined ? null : (payload) => onPing(socket, payload),
    onPong: onPong === undefined ? null : (payload) => onPong(socket, payload),
    onSendable: onSendable === undefined ? null : () => onSendable(socket),
  }
}

export function pingInterval(options: WebSocketServerOptions): number {
  const { pingIntervalMs = PING_INTERVAL_MS } = options
  return pingIntervalMs === 0 ? Number.POSITIVE_INFINITY : pingIntervalMs
}

/**
 * What a user does with a WebSocket connection, of a transfer or of a server: send, ping, close; with connectOnly also
 * receive. Legal inside callbacks and outside; nothing waits. In a callback, effects follow once the stack unwinds.
 * With connectOnly there is no callback and no timer: calls act at once, and whoever wants to wait watches
 * `info.activeSocket`.
 */
import { MultiError, TransferError } from '../base/errors.ts'
import { show } from '../base/options.ts'
import { WOULD_BLOCK } from '../sys/readiness.ts'
import {
  CLOSE_REASON_BYTES_MAX,
  CloseCode,
  CONTROL_BYTES_MAX,
  isCloseCode,
  Opcode,
} from '../wire/websocket/protocol.ts'
import type { WebSocketFrame, WebSocketMessage } from './websocket-message.ts'
import type { WebSocketType } from './websocket-sender.ts'
import { closePayload, Reading, type WebSocketSession, type WebSocketState } from './websocket-session.ts'
import type { WebSocketFailure, WebSocketSessionSettings } from './websocket-terms.ts'

export interface WebSocketSendOptions {
  /** Default: 'text' for a string, 'binary' for bytes. Bytes of text must be UTF-8. */
  readonly type?: WebSocketType
  /** false: a fragment of a message; what is sent next continues it. Fragments are not compressed. Default true. */
  readonly isFinal?: boolean
  /** Default true, where it was agreed on and is worth it. */
  readonly compress?: boolean
}

const NOTHING = new Uint8Array(0)

type HandleSettings = Pick<WebSocketSessionSettings, 'isManual' | 'tellsFrames'>

export class WebSocketHandle {
  readonly #settings: HandleSettings
  readonly #touch: (name: string) => void
  #session: WebSocketSession | null = null

  /** @internal */
  constructor(settings: HandleSettings, touch: (name: string) => void) {
    this.#settings = settings
    this.#touch = touch
  }

  /** @internal The connection of one run; null when the transfer left its Multi. */
  attach(session: WebSocketSession | null): void {
    this.#session?.close()
    this.#session = session
  }

  /** @internal */
  get session(): WebSocketSession | null {
    return this.#session
  }

  get state(): WebSocketState {
    return this.#session?.state ?? 'closed'
  }

  /** Bytes of frames that wait to be sent. */
  get bytesQueued(): number {
    return this.#session?.sender.queued ?? 0
  }

  /**
   * Queues a message; the bytes are copied. False: nothing was taken, since the queue is full (`onSendable` tells when
   * there is room; with connectOnly: would block), or since the connection is closing. Before the connection is open
   * messages wait for it.
   */
  send(data: string | Uint8Array, options: WebSocketSendOptions = {}): boolean {
    const { isFinal = true, compress = true } = options
    const isText = typeof data === 'string'
    if (!isText && !(data instanceof Uint8Array))
      throw new TypeError(`send: expected a string or bytes, not ${show(data)}`)
    const { type = isText ? 'text' : 'binary' } = options
    if (type !== 'text' && type !== 'binary') throw new TypeError(`send: unknown type ${show(type)}`)
    const session = this.#ready('send')
    const taken = session.send(type, isText ? Buffer.from(data) : data, isFinal, compress, isText)
    if (taken) this.#act('send', session)
    return taken
  }

  /** False as with `send`. */
  ping(payload: string | Uint8Array = NOTHING): boolean {
    return this.#control('ping', Opcode.PING, payload)
  }

  /** Unasked, or the answer that `noAutoPong` leaves to you. False as with `send`. */
  pong(payload: string | Uint8Array = NOTHING): boolean {
    return this.#control('pong', Opcode.PONG, payload)
  }

  /**
   * Begins the closing handshake; what was queued goes out first. A transfer is done when the peer has answered.
   * Without effect on a connection that is closing.
   */
  close(code: number = CloseCode.NORMAL, reason = ''): void {
    if (!Number.isInteger(code) || !isCloseCode(code)) {
      throw new RangeError(
        `close: code must be one that may be sent (1000-1003, 1007-1014, 3000-4999), not ${show(code)}`,
      )
    }
    if (Buffer.byteLength(reason) > CLOSE_REASON_BYTES_MAX) {
      throw new RangeError(`close: reason must have at most ${CLOSE_REASON_BYTES_MAX} bytes, not ${show(reason)}`)
    }
    const session = this.#ready('close')
    session.sendClose(closePayload(code, reason))
    this.#act('close', session)
  }

  /**
   * With connectOnly, once done: the next message, or with `receiveFrames` the next piece of a frame, valid until the
   * next call; WOULD_BLOCK when none is here; null after the closing handshake. Throws TransferError: GOT_NOTHING when
   * the connection ended without one.
   */
  receive(): WebSocketMessage | WebSocketFrame | typeof WOULD_BLOCK | null {
    const session = this.#manual('receive')
    switch (session.receive()) {
      case Reading.TOLD:
        return this.#settings.tellsFrames ? session.frame : session.message
      case Reading.BLOCKED:
        return WOULD_BLOCK
      case Reading.ENDED:
        return null
      default: {
        const { code, message, cause } = session.failure as WebSocketFailure
        throw new TransferError(code, message, cause)
      }
    }
  }

  /** With connectOnly, once done: sends what waits. True when nothing is left. */
  flush(): boolean {
    const session = this.#manual('flush')
    session.flush()
    return session.sender.isEmpty
  }

  #control(name: string, opcode: typeof Opcode.PING | typeof Opcode.PONG, payload: string | Uint8Array): boolean {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name}: expected a string or bytes, not ${show(payload)}`)
    if (bytes.length > CONTROL_BYTES_MAX) {
      throw new RangeError(`${name}: expected at most ${CONTROL_BYTES_MAX} bytes, not ${bytes.length}`)
    }
    const session = this.#ready(name)
    const taken = session.sendControl(opcode, bytes)
    if (taken) this.#act(name, session)
    return taken
  }

  #ready(name: string): WebSocketSession {
    if (this.#session === null) {
      throw new MultiError('BAD_EASY_HANDLE', `${name}: needs a transfer that was added and not removed`)
    }
    if (this.#isManual()) {
      this.#session.host.refuseInside(name)
      this.#session.flush()
    }
    return this.#session
  }

  #manual(name: string): WebSocketSession {
    if (!this.#isManual()) {
      throw new MultiError('BAD_EASY_HANDLE', `${name}: needs a transfer with connectOnly that is done and not removed`)
    }
    return this.#ready(name)
  }

  #act(name: string, session: WebSocketSession): void {
    if (this.#isManual()) session.flush()
    else this.#touch(name)
  }

  /** Open, and run by calls. */
  #isManual(): boolean {
    return this.#settings.isManual && this.#session?.isOpen === true
  }
}

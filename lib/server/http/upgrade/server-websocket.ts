/**
 * One WebSocket of a server, as its program holds it. Verbs are legal inside callbacks and outside; nothing waits.
 * After the end they do nothing, and `send` takes nothing.
 */
import { WebSocketHandle, type WebSocketSendOptions } from '../../../connection/websocket-handle.ts'
import type { WebSocketSession, WebSocketState } from '../../../connection/websocket-session.ts'
import type { WebSocketFlow } from '../../../connection/websocket-terms.ts'
import type { Connection } from '../../connection/connection.ts'
import type { ConnectionMachine } from '../../connection/connection-machine.ts'
import { withinEngine } from '../../within-engine.ts'
import type { HttpRequest } from '../request/http-request.ts'

const NEVER_MANUAL = { isManual: false, tellsFrames: false } as const

export class ServerWebSocket implements WebSocketFlow {
  /** Anything of yours. */
  data: unknown = undefined
  /** The request that opened it. */
  readonly request: HttpRequest
  readonly connection: Connection
  /** The subprotocol that was agreed on; '' for none. */
  readonly protocol: string
  readonly #machine: ConnectionMachine
  readonly #handle: WebSocketHandle
  #receivePaused = false

  /** @internal */
  constructor(machine: ConnectionMachine, connection: Connection, request: HttpRequest, protocol: string) {
    this.#machine = machine
    this.connection = connection
    this.request = request
    this.protocol = protocol
    this.#handle = new WebSocketHandle(NEVER_MANUAL, (name) => this.#touch(name))
  }

  /** @internal */
  attach(session: WebSocketSession): void {
    this.#handle.attach(session)
  }

  get state(): WebSocketState {
    return this.#handle.state
  }

  /** Bytes of frames that wait to be sent. */
  get bytesQueued(): number {
    return this.#handle.bytesQueued
  }

  /**
   * Queues a message; the bytes are copied. False: nothing was taken, since the queue is full (`onSendable` tells when
   * there is room), or since the connection is closing.
   */
  send(data: string | Uint8Array, options?: WebSocketSendOptions): boolean {
    return this.#handle.send(data, options)
  }

  /** False as with `send`. */
  ping(payload?: string | Uint8Array): boolean {
    return this.#handle.ping(payload)
  }

  /** False as with `send`. */
  pong(payload?: string | Uint8Array): boolean {
    return this.#handle.pong(payload)
  }

  /** Begins the closing handshake; what was queued goes out first. Without effect when it has begun. */
  close(code?: number, reason?: string): void {
    this.#handle.close(code, reason)
  }

  /** Nothing is received until `resume`: the peer is held back. The message of a running callback is the last. */
  pause(): void {
    this.#receivePaused = true
    this.#touch('pause')
  }

  resume(): void {
    this.#receivePaused = false
    this.#touch('resume')
  }

  /** @internal */
  get receivePaused(): boolean {
    return this.#receivePaused
  }

  /** @internal */
  get sendPaused(): boolean {
    return false
  }

  #touch(name: string): void {
    const machine = this.#machine
    if (machine.ended || machine.host.closed) return
    withinEngine(machine.host, name, () => machine.markDirty())
  }
}

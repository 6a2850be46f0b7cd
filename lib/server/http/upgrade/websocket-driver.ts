/**
 * A WebSocket over a server's connection. The session speaks the protocol; this gives it the stream, pings a peer that
 * is silent, and ends the connection when the session has. A server that takes leave says 1001 and waits for the
 * answer within the closing deadline.
 */
import { TransferError } from '../../../base/errors.ts'
import { closePayload, READS_PER_RUN, Reading, WebSocketSession } from '../../../connection/websocket-session.ts'
import type { Agreement, WebSocketAccount, WebSocketFailure } from '../../../connection/websocket-terms.ts'
import { CloseCode, Opcode } from '../../../wire/websocket/protocol.ts'
import type { CloseReason } from '../../connection/close-reason.ts'
import type { ConnectionMachine } from '../../connection/connection-machine.ts'
import type { Driver } from '../../connection/driver.ts'
import type { ServerWebSocket } from './server-websocket.ts'
import { pingInterval, sessionSettings, type WebSocketServerOptions } from './websocket-options.ts'

const NO_PAYLOAD = new Uint8Array(0)

/** The session counts where the connection does. */
class Account implements WebSocketAccount {
  closeCode: number = CloseCode.ABNORMAL
  closeReason = ''
  webSocketProtocol = ''
  readonly #machine: ConnectionMachine

  constructor(machine: ConnectionMachine) {
    this.#machine = machine
  }

  get bytesReceived(): number {
    return this.#machine.bytesRead
  }

  set bytesReceived(count: number) {
    this.#machine.bytesRead = count
  }

  get bytesSent(): number {
    return this.#machine.bytesWritten
  }

  set bytesSent(count: number) {
    this.#machine.bytesWritten = count
  }
}

export class WebSocketDriver implements Driver {
  readonly #machine: ConnectionMachine
  readonly #socket: ServerWebSocket
  readonly #options: WebSocketServerOptions
  readonly #agreement: Agreement
  readonly #session: WebSocketSession
  readonly #account: Account
  readonly #pingInterval: number
  #head: Uint8Array
  /** When the peer is pinged, or given up. */
  #silenceDeadline = Number.POSITIVE_INFINITY
  /** Bytes received when the deadline was set. */
  #heard = 0
  #pinged = false

  constructor(
    machine: ConnectionMachine,
    socket: ServerWebSocket,
    options: WebSocketServerOptions,
    agreement: Agreement,
    head: Uint8Array,
  ) {
    this.#machine = machine
    this.#socket = socket
    this.#options = options
    this.#agreement = agreement
    this.#head = head
    this.#account = new Account(machine)
    this.#pingInterval = pingInterval(options)
    this.#session = new WebSocketSession(machine.host, sessionSettings(options, socket), this.#account, socket)
  }

  get session(): WebSocketSession {
    return this.#session
  }

  get dormant(): boolean {
    return this.#session.dormant
  }

  get deadline(): number {
    return Math.min(this.#session.deadline(), this.#silenceDeadline)
  }

  open(now: number): void {
    if (!this.#session.open(this.#machine.stream, this.#agreement, this.#head)) {
      this.#machine.fail('error', new TransferError('OUT_OF_MEMORY', 'no memory for a decompressor'))
      return
    }
    this.#head = NO_PAYLOAD
    this.#listen(now)
  }

  run(_now: number, readiness: number): void {
    switch (this.#session.run(readiness, this.#machine.share(READS_PER_RUN))) {
      case Reading.ENDED:
        this.#machine.finish('done')
        break
      case Reading.FAILED:
        this.#endFailed()
        break
      case Reading.YIELDED:
        this.#machine.markDirty()
        break
    }
  }

  wants(): number {
    return this.#session.wants()
  }

  /** The run that follows sees to the deadline of the closing. */
  expired(now: number): void {
    if (now < this.#silenceDeadline) return
    if (this.#account.bytesReceived !== this.#heard || this.#socket.receivePaused) {
      this.#listen(now)
      return
    }
    if (this.#pinged || this.#session.state !== 'open') {
      this.#machine.fail('timeout', new TransferError('OPERATION_TIMEDOUT', 'the peer answered no ping'))
      return
    }
    this.#session.sendControl(Opcode.PING, NO_PAYLOAD)
    this.#listen(now)
    this.#pinged = true
  }

  drain(_now: number): void {
    this.#session.sendClose(closePayload(CloseCode.GOING_AWAY, ''))
  }

  closed(_reason: CloseReason, error: Error | null): void {
    this.#session.close()
    if (this.#machine.host.closed) return
    const { closeCode, closeReason } = this.#account
    this.#options.onClose?.(this.#socket, closeCode, closeReason, error)
  }

  #listen(now: number): void {
    this.#pinged = false
    this.#heard = this.#account.bytesReceived
    this.#silenceDeadline = now + this.#pingInterval
  }

  #endFailed(): void {
    const { code, message, cause } = this.#session.failure as WebSocketFailure
    const error = new TransferError(code, message, cause)
    // What we said last must not be lost with bytes that nobody reads.
    if (this.#session.refused) this.#machine.finish('error', true, error)
    else this.#machine.fail(code === 'RECV_ERROR' && cause === undefined ? 'peer' : 'error', error)
  }
}

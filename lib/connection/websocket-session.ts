/**
 * One WebSocket connection of either role: connecting → open → closing → closed. A machine runs it, or `receive` does
 * on the user's call. It ends when both close frames went over and the stream ended (a client waits for the server to
 * end it, RFC 6455 §7.1.1), or the deadline for that came. Nothing is told after the peer's close frame.
 */
import type { TransferCodeName } from '../base/errors.ts'
import type { Host } from '../multi/host.ts'
import { REPORTED } from '../multi/machine.ts'
import { defaults } from '../sys/defaults.ts'
import { InflateFormat } from '../sys/inflate.ts'
import { Interest } from '../sys/readiness.ts'
import { MessageInflater } from '../wire/websocket/message-inflater.ts'
import { MessageEvent, MessageReader } from '../wire/websocket/message-reader.ts'
import { CloseCode, Opcode, type WebSocketFault } from '../wire/websocket/protocol.ts'
import type { ByteStream } from './stream.ts'
import { streamError } from './stream-error.ts'
import { WebSocketFrame, WebSocketMessage } from './websocket-message.ts'
import { WebSocketSender, type WebSocketType } from './websocket-sender.ts'
import type {
  Agreement,
  WebSocketAccount,
  WebSocketFailure,
  WebSocketFlow,
  WebSocketSessionSettings,
} from './websocket-terms.ts'

/** Reads of one run, so that a fast sender does not starve the other machines. */
export const READS_PER_RUN = 10

export type WebSocketState = 'connecting' | 'open' | 'closing' | 'closed'

/** What one look at the stream came to. */
export const Reading = { BLOCKED: 0, TOLD: 1, ENDED: 2, FAILED: 3, YIELDED: 4 } as const
export type Reading = (typeof Reading)[keyof typeof Reading]

export class WebSocketSession {
  state: WebSocketState = 'connecting'
  failure: WebSocketFailure | null = null
  readonly sender: WebSocketSender
  readonly message: WebSocketMessage = new WebSocketMessage()
  readonly frame: WebSocketFrame = new WebSocketFrame()
  readonly host: Host
  readonly #settings: WebSocketSessionSettings
  readonly #account: WebSocketAccount
  readonly #flow: WebSocketFlow
  #stream!: ByteStream
  #reader!: MessageReader
  #isOpeningTold = false
  #agreement!: Agreement
  /** Bytes behind the head of the upgrade, or behind a pause, in memory of our own. */
  #isHeld = false
  #mayHaveMore = false
  #endOfStream = false
  #closeSent = false
  #closeReceived = false
  /** The peer broke the rules: what it sends is passed over until it ends. */
  #fault: WebSocketFault | null = null
  #closeDeadline = Number.POSITIVE_INFINITY
  /** -errno with which sending failed; what the peer said before may be here all the same. */
  #sendResult = 0

  constructor(host: Host, settings: WebSocketSessionSettings, account: WebSocketAccount, flow: WebSocketFlow) {
    this.host = host
    this.#settings = settings
    this.#account = account
    this.#flow = flow
    this.sender = new WebSocketSender(settings)
  }

  /** False when there is no memory for it. `rest` came behind the head of the upgrade and is the session's. */
  open(stream: ByteStream, agreement: Agreement, rest: Uint8Array): boolean {
    const inflater = inflaterFor(agreement)
    if (inflater === undefined) return false
    const { role, tellsFrames, frameBytesMax, messageBytesMax } = this.#settings
    this.#reader = new MessageReader({ role, frameBytesMax, messageBytesMax, inflater, frames: tellsFrames })
    this.#reader.receive(rest, 0, rest.length)
    this.#stream = stream
    this.#agreement = agreement
    this.#isHeld = true
    this.sender.open(agreement.terms)
    if (this.state === 'connecting') this.state = 'open'
    this.#account.closeCode = CloseCode.ABNORMAL
    this.#account.webSocketProtocol = agreement.protocol
    return true
  }

  // What the user asks for. Effects follow in the next run, or, with connectOnly, at once.

  /** False when there is no room, or when nothing may be sent any more. */
  send(type: WebSocketType, data: Uint8Array, isFinal: boolean, mayCompress: boolean, isKnownText: boolean): boolean {
    if (!this.#maySend() || !this.sender.hasRoom(data.length)) return false
    this.sender.pushMessage(type, data, isFinal, mayCompress, isKnownText)
    return true
  }

  sendControl(opcode: typeof Opcode.PING | typeof Opcode.PONG, payload: Uint8Array): boolean {
    if (!this.#maySend() || !this.sender.hasRoom(payload.length)) return false
    this.sender.pushControl(opcode, payload)
    return true
  }

  sendClose(payload: Uint8Array): void {
    if (!this.#maySend()) return
    this.sender.pushControl(Opcode.CLOSE, payload)
    this.#closeSent = true
    this.state = 'closing'
  }

  /** It has its stream. */
  get isOpen(): boolean {
    return this.#stream !== undefined && this.state !== 'closed'
  }

  /** The peer broke the rules and was told so. */
  get refused(): boolean {
    return this.#fault !== null
  }

  #maySend(): boolean {
    return !this.#closeSent && this.state !== 'closed' && this.#sendResult === 0
  }

  // As the exchange sees it.

  run(readiness: number, reads: number = READS_PER_RUN): Reading {
    if (!this.#isOpeningTold) this.#tellOpening()
    if (this.#closeSent && this.#closeDeadline === Number.POSITIVE_INFINITY) this.#setCloseDeadline()
    this.flush()
    const reading = this.#flow.receivePaused ? Reading.BLOCKED : this.#read(readiness, reads)
    if (reading === Reading.FAILED) return reading
    this.flush()
    if (reading === Reading.ENDED) return reading
    // A server ends the stream as soon as both have said their last word; a client leaves that to it.
    if (this.#settings.role === 'server' && this.#isDeaf() && this.sender.isEmpty) return this.#judgeEnd()
    if (this.#sendResult !== 0 && reading === Reading.BLOCKED && !this.#flow.receivePaused) {
      return this.#mayHaveMore ? Reading.YIELDED : this.#failSend()
    }
    if (this.host.now >= this.#closeDeadline) return this.#endLate()
    if (this.sender.takeRoom() && this.#maySend()) {
      this.#settings.onSendable?.()
      return Reading.YIELDED
    }
    return reading
  }

  wants(): number {
    const read = this.#flow.receivePaused ? Interest.NONE : Interest.READABLE
    return read | (this.#isBlocked() ? Interest.WRITABLE : Interest.NONE)
  }

  get dormant(): boolean {
    return this.#flow.receivePaused && !this.#isBlocked()
  }

  deadline(): number {
    return this.#closeDeadline
  }

  #isBlocked(): boolean {
    return !this.sender.isEmpty && !this.#flow.sendPaused && this.#sendResult === 0
  }

  flush(): void {
    if (this.#flow.sendPaused || this.sender.isEmpty || this.#sendResult !== 0) return
    const sent = this.sender.flush(this.#stream, -this.host.kernel.errno.EAGAIN)
    if (sent >= 0) {
      this.#account.bytesSent += sent
      return
    }
    this.#sendResult = sent
    this.#mayHaveMore = true
    this.sender.clear()
  }

  /** Idempotent. The stream is somebody else's to close. */
  close(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.sender.clear()
    this.#reader?.close()
  }

  // Receiving.

  /** With connectOnly: until something is there to be told, in `message` or `frame`. */
  receive(): Reading {
    this.#isOpeningTold = true
    for (;;) {
      const event = this.#nextEvent()
      if (event === MessageEvent.MESSAGE || event === MessageEvent.FRAME) return this.#view(event)
      if (this.#isDeaf()) return this.#endManually()
      if (event !== MessageEvent.NEED_MORE) continue
      if (this.#endOfStream) return this.#judgeEnd()
      const reading = this.#fill(true)
      // What was found out on the way, such as a ping, is answered before the user sleeps.
      if (reading !== Reading.TOLD) this.flush()
      if (reading === Reading.BLOCKED || reading === Reading.FAILED) return reading
    }
  }

  #tellOpening(): void {
    this.#isOpeningTold = true
    const { protocol, terms } = this.#agreement
    this.#settings.onOpen?.({ protocol, isCompressed: terms !== null })
  }

  #read(readiness: number, most: number): Reading {
    if (this.#isHeld) {
      this.#isHeld = false
      const reading = this.#tellEvents()
      if (reading !== Reading.TOLD) return reading
      this.#mayHaveMore = true
    }
    if (this.#endOfStream) return this.#judgeEnd()
    if ((readiness & REPORTED) === 0 && !this.#mayHaveMore && !this.#stream.hasPending) return Reading.BLOCKED
    this.#mayHaveMore = false
    for (let reads = 0; reads < most; reads++) {
      const reading = this.#fill(false)
      if (reading === Reading.ENDED) return this.#judgeEnd()
      if (reading !== Reading.TOLD && reading !== Reading.YIELDED) return reading
      const told = this.#tellEvents()
      if (told !== Reading.TOLD) return told
      // A read that did not fill the memory emptied the socket.
      if (reading === Reading.TOLD && !this.#stream.hasPending) return Reading.BLOCKED
    }
    this.#mayHaveMore = true
    return Reading.YIELDED
  }

  /** One read, lent to the reader. YIELDED: it filled the memory, so there may be more. */
  #fill(copies: boolean): Reading {
    const { scratch, kernel } = this.host
    const received = this.#stream.recv(scratch.id, 0, scratch.bytes.length)
    if (received === -kernel.errno.EAGAIN) return Reading.BLOCKED
    if (received < 0) return this.#failReceive(received)
    if (received === 0) {
      this.#endOfStream = true
      return Reading.ENDED
    }
    this.#account.bytesReceived += received
    if (!this.#isDeaf()) this.#reader.receive(copies ? scratch.bytes.slice(0, received) : scratch.bytes, 0, received)
    return received === scratch.bytes.length ? Reading.YIELDED : Reading.TOLD
  }

  /** What comes is passed over. */
  #isDeaf(): boolean {
    return this.#closeReceived || this.#fault !== null
  }

  /** TOLD: the reader wants more. BLOCKED: paused. */
  #tellEvents(): Reading {
    for (;;) {
      const event = this.#nextEvent()
      if (event === MessageEvent.NEED_MORE) return Reading.TOLD
      if (event === MessageEvent.MESSAGE || event === MessageEvent.FRAME) this.#tell(event)
      if (this.#flow.receivePaused) return this.#hold()
    }
  }

  /** Control frames are dealt with; then it is for the caller to tell, or to go on. */
  #nextEvent(): MessageEvent {
    if (this.#isDeaf()) return MessageEvent.NEED_MORE
    const reader = this.#reader
    const event = reader.nextEvent()
    switch (event) {
      case MessageEvent.PING:
        this.#answer(reader.data)
        this.#settings.onPing?.(reader.data)
        break
      case MessageEvent.PONG:
        this.#settings.onPong?.(reader.data)
        break
      case MessageEvent.FRAME:
        if (reader.frame.opcode === Opcode.PING) this.#answer(reader.data)
        break
      case MessageEvent.CLOSE:
        this.#receiveClose()
        break
      case MessageEvent.ERROR:
        this.#refuse(reader.fault as WebSocketFault)
        break
    }
    return event
  }

  #tell(event: MessageEvent): void {
    this.#view(event)
    if (event === MessageEvent.MESSAGE) this.#settings.onMessage?.(this.message)
    else this.#settings.onFrame?.(this.frame)
  }

  #view(event: MessageEvent): Reading {
    const { type, data, frame } = this.#reader
    if (event === MessageEvent.MESSAGE) {
      this.message.type = type === Opcode.TEXT ? 'text' : 'binary'
      this.message.data = data
    } else
      this.frame.set(frame.opcode, frame.isFinal, frame.offset, frame.payloadLength - frame.offset - data.length, data)
    return Reading.TOLD
  }

  #hold(): Reading {
    const reader = this.#reader
    const rest = reader.takeRest()
    reader.receive(rest, 0, rest.length)
    this.#isHeld = true
    return Reading.BLOCKED
  }

  #answer(payload: Uint8Array): void {
    if (this.#settings.answersPings && this.#maySend()) this.sender.answerPing(payload)
  }

  // Ends.

  #receiveClose(): void {
    const { closeCode, closeReason } = this.#reader
    this.#closeReceived = true
    this.#account.closeCode = closeCode
    this.#account.closeReason = closeReason
    this.sendClose(closeCode === CloseCode.NO_STATUS ? NOTHING : closePayload(closeCode, ''))
    this.state = 'closing'
    this.#setCloseDeadline()
  }

  /** The peer is told why; the transfer fails once it has ended, so that our word is not lost with unread bytes. */
  #refuse(fault: WebSocketFault): void {
    this.#fault = fault
    this.sendClose(closePayload(fault.closeCode, ''))
    this.state = 'closing'
    this.#setCloseDeadline()
  }

  /** Nobody waits for the end of the stream. */
  #endManually(): Reading {
    this.flush()
    return this.failure === null ? this.#judgeEnd() : Reading.FAILED
  }

  #setCloseDeadline(): void {
    if (this.#settings.isManual || this.#closeDeadline !== Number.POSITIVE_INFINITY) return
    this.#closeDeadline = this.host.now + this.#settings.closeTimeoutMs
  }

  #judgeEnd(): Reading {
    if (this.#fault !== null) {
      const isTooBig = this.#fault.closeCode === CloseCode.TOO_BIG
      return this.#fail(isTooBig ? 'TOO_LARGE' : 'RECV_ERROR', `the peer broke the protocol: ${this.#fault.message}`)
    }
    if (this.#closeReceived) return Reading.ENDED
    return this.#fail(this.#settings.isManual ? 'GOT_NOTHING' : 'RECV_ERROR', 'connection closed without a close frame')
  }

  #endLate(): Reading {
    if (this.#isDeaf()) return this.#judgeEnd()
    const { closeTimeoutMs } = this.#settings
    return this.#fail('OPERATION_TIMEDOUT', `the peer did not answer our close within ${closeTimeoutMs} ms`)
  }

  #failReceive(result: number): Reading {
    if (this.#isDeaf()) {
      this.#endOfStream = true
      return this.#judgeEnd()
    }
    return this.#failStream(result, 'RECV_ERROR', 'recv')
  }

  #failSend(): Reading {
    if (this.#isDeaf()) return this.#endLate()
    return this.#failStream(this.#sendResult, 'SEND_ERROR', 'send')
  }

  #failStream(result: number, code: TransferCodeName, syscall: string): Reading {
    const error = streamError(this.host.kernel, this.#stream, result, code, syscall)
    return this.#fail(error.code, error.message, error.cause)
  }

  #fail(code: TransferCodeName, message: string, cause?: unknown): Reading {
    this.failure = { code, message, cause }
    return Reading.FAILED
  }
}

/** null: none is needed. undefined: there is no memory. */
function inflaterFor({ terms }: Agreement): MessageInflater | null | undefined {
  if (terms === null) return null
  const stream = defaults.inflateProvider.open(InflateFormat.RAW)
  return stream === null ? undefined : new MessageInflater(stream, terms.peerKeepsContext)
}

const NOTHING = new Uint8Array(0)

/** The payload of a close frame. */
export function closePayload(code: number, reason: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(code >> 8, code & 0xff), Buffer.from(reason)])
}

/**
 * Bytes of a connection ⇄ events of one request at a time (RFC 9112), for a server. The verbs are those of
 * ResponseReader. A server cannot afford to guess: what two readers could take for different messages is an ERROR with
 * the status to answer; after it the connection must be closed. CLOSED is the end of the stream between two requests.
 */
import { BodyEvent, BodyReader } from './body-reader.ts'
import { requestGrammar } from './discipline.ts'
import { Framing } from './framing.ts'
import { HeadReader, HeadStatus, headGrammar } from './head-reader.ts'
import { HeaderList } from './header-list.ts'
import { HeadErrno, MessageType } from './llhttp.ts'
import { isTarget, isToken } from './syntax.ts'

export const RequestEvent = { NEED_MORE: 0, HEAD: 2, DATA: 3, TRAILERS: 4, END: 5, ERROR: 6, CLOSED: 7 } as const
export type RequestEvent = (typeof RequestEvent)[keyof typeof RequestEvent]

export interface RequestReaderOptions {
  /** Default 32 KiB, as libmicrohttpd's memory per connection. */
  readonly headBytesMax?: number
  /** Default 16 KiB. */
  readonly trailerBytesMax?: number
  /**
   * -3 to 3; see discipline.ts. Default 1, which refuses field lines that are folded or end in LF alone: who reads them
   * differently can be misled.
   */
  readonly discipline?: number
}

export interface RequestFault {
  /** What to answer. */
  readonly status: number
  readonly message: string
  /** The stream ended inside the request: the peer may not be there to read an answer. */
  readonly cutOff: boolean
}

const HEAD_BYTES_MAX = 32 * 1024
const TRAILER_BYTES_MAX = 16 * 1024
const NO_BYTES = new Uint8Array(0)
const CR = 13
const LF = 10

const State = { HEAD: 0, BODY: 1, END: 2, FAILED: 3, CLOSED: 4 } as const
type State = (typeof State)[keyof typeof State]

export class RequestReader {
  /** After HEAD. */
  method = ''
  /** As it was sent: origin, absolute, authority or asterisk form. */
  target = ''
  httpVersion: '1.0' | '1.1' = '1.1'
  headers: HeaderList = HeaderList.EMPTY
  /** The head as it was sent, Latin-1, with the empty line. */
  headText = ''
  /** -1 when it is not known; 0 for a request without a body. */
  contentLength = 0
  chunked = false
  /** The client wants the connection to stay. */
  keepAlive = false
  /** CONNECT, or Upgrade with its connection option: after END the bytes may be of another protocol. */
  upgrade = false
  /** The client waits for 100 before it sends the body. */
  expectContinue = false
  /** The client expects what nobody here knows: 417. */
  unknownExpectation = false
  /** After DATA. */
  dataBytes: Uint8Array = NO_BYTES
  dataStart = 0
  dataEnd = 0
  /** After TRAILERS. */
  trailers: HeaderList = HeaderList.EMPTY
  /** After ERROR. */
  error: RequestFault | null = null
  /** A byte of this request, empty lines included, was received. */
  started = false
  /** Offset in the received bytes up to which they are used. */
  consumed = 0

  private state: State = State.HEAD
  private bytes: Uint8Array = NO_BYTES
  private end = 0
  private eof = false
  private readonly headBytesMax: number
  private readonly needsHost: boolean
  private readonly head: HeadReader
  private readonly body: BodyReader
  private readonly framing = new Framing()
  /** Beside what `findFault` returns. */
  private faultStatus = 400

  constructor(options: RequestReaderOptions = {}) {
    const discipline = options.discipline ?? 1
    this.needsHost = discipline > -3
    this.headBytesMax = options.headBytesMax ?? HEAD_BYTES_MAX
    this.head = new HeadReader(requestGrammar(discipline), this.headBytesMax, false)
    // Trailers are read as the fields of a response: those have no first line that could be refused.
    const trailerGrammar = headGrammar(MessageType.RESPONSE, discipline > 0)
    this.body = new BodyReader(trailerGrammar, options.trailerBytesMax ?? TRAILER_BYTES_MAX)
  }

  /** Ready for the next request on the connection; bytes that are not used yet stay. */
  reset(): void {
    this.state = State.HEAD
    this.started = false
    this.error = null
    this.headers = HeaderList.EMPTY
    this.trailers = HeaderList.EMPTY
    this.headText = ''
    this.body.received = 0
    this.head.reset()
  }

  /** Forgets the connection, so that the reader can be kept for another; idle connections need none. Then `reset`. */
  recycle(): void {
    this.bytes = NO_BYTES
    this.dataBytes = NO_BYTES
    this.consumed = 0
    this.end = 0
    this.eof = false
    this.head.reset()
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.consumed = start
    this.end = end
  }

  receiveEof(): void {
    this.eof = true
  }

  /** How many bytes of the last `receive` are not used yet; they begin at `consumed`. */
  unread(): number {
    return this.end - this.consumed
  }

  get bodyReceived(): number {
    return this.body.received
  }

  nextEvent(): RequestEvent {
    switch (this.state) {
      case State.HEAD:
        return this.nextHead()
      case State.BODY:
        return this.nextBody()
      case State.END:
        return RequestEvent.END
      case State.FAILED:
        return RequestEvent.ERROR
      case State.CLOSED:
        return RequestEvent.CLOSED
    }
  }

  private nextHead(): RequestEvent {
    const head = this.head
    const start = this.consumed
    let status: HeadStatus = HeadStatus.NEED_MORE
    if (start < this.end) {
      this.started = true
      status = head.read(this.bytes, start, this.end)
      this.consumed = head.position
    }
    switch (status) {
      case HeadStatus.COMPLETE:
        return this.readHead()
      case HeadStatus.TOO_LARGE:
        // Without a line end it was the target that did not fit.
        if (!this.firstLine(start).endsWith('\n')) return this.fail(414, 'request line too long')
        return this.fail(431, 'request head too large')
      case HeadStatus.INVALID:
        return this.failHead(start)
      default:
        return this.eof && this.consumed === this.end ? this.endInHead() : RequestEvent.NEED_MORE
    }
  }

  private endInHead(): RequestEvent {
    if (this.head.keptLength > 0) {
      if (this.head.finish() === HeadStatus.INVALID) return this.failHead(this.end)
      return this.fail(400, 'connection closed inside the request head', true)
    }
    this.state = State.CLOSED
    return RequestEvent.CLOSED
  }

  private failHead(start: number): RequestEvent {
    const line = this.firstLine(start)
    const version = / HTTP\/(\d\.?\d?)/.exec(line)
    if (
      line.startsWith('PRI ') ||
      (version !== null && !'1.1'.startsWith(version[1] as string) && version[1] !== '1.0')
    ) {
      return this.fail(505, 'HTTP version of the request is not supported')
    }
    // llhttp knows the registered methods only; any other token may be a method that somebody knows.
    const method = line.split(' ', 1)[0] as string
    if (this.head.errno === HeadErrno.INVALID_METHOD && isToken(method)) return this.fail(501, 'unknown request method')
    return this.fail(400, `invalid request head: ${this.head.reason}`)
  }

  /** What came of the first line of the head that is kept or began at `start`, with its line end. */
  private firstLine(start: number): string {
    const { kept, keptLength } = this.head
    const bytes = kept !== null && keptLength > 0 ? kept.subarray(0, keptLength) : this.bytes.subarray(start, this.end)
    // Empty lines before it are passed over.
    const from = bytes.findIndex((byte) => byte !== CR && byte !== LF)
    // Bytes above the limit may be here, or not yet: they must not matter.
    const line = bytes.subarray(from, from + this.headBytesMax)
    const lineEnd = line.indexOf(LF)
    return Buffer.from(lineEnd < 0 ? line : line.subarray(0, lineEnd + 1)).toString('latin1')
  }

  private readHead(): RequestEvent {
    const head = this.head
    const text = head.text
    const version = head.targetEnd + 1
    if (!text.startsWith('HTTP/', version)) return this.fail(400, 'request is not HTTP')
    const minor = text.charCodeAt(version + 7) - 48
    if (text.charCodeAt(version + 5) !== 49 || minor > 1) {
      return this.fail(505, `HTTP version ${text.slice(version + 5, version + 8)} is not supported`)
    }
    // Where LF alone may end a line, llhttp takes two of them behind the version for one.
    if (text.charCodeAt(version + 8) !== CR) return this.fail(400, 'request line does not end in CRLF')
    this.httpVersion = minor === 1 ? '1.1' : '1.0'
    // Constants need no new string.
    this.method = text.startsWith('GET ') ? 'GET' : text.slice(0, text.indexOf(' '))
    this.target = text.slice(head.targetStart, head.targetEnd)
    this.headers = head.headers
    this.headText = text
    head.reset()
    if (!isTarget(this.target)) return this.fail(400, 'invalid request target')
    this.framing.read(this.headers)
    const fault = this.findFault()
    return fault === '' ? this.tellHead() : this.fail(this.faultStatus, fault)
  }

  /** What a server must refuse (RFC 9112 §3.2, §6.1, §6.3). */
  private findFault(): string {
    const framing = this.framing
    this.faultStatus = 400
    if (framing.fault !== '') return framing.fault
    if (framing.transferCoded) {
      if (framing.ambiguous) return 'Transfer-Encoding contradicts itself or Content-Length'
      if (this.httpVersion === '1.0') return 'Transfer-Encoding in HTTP/1.0'
      if (!framing.chunked) return 'chunked is not the last transfer coding'
      if (framing.codings > 1) {
        this.faultStatus = 501
        return 'unknown transfer coding'
      }
    }
    if (framing.hosts > 1) return 'more than one Host'
    return framing.hosts === 0 && this.httpVersion === '1.1' && this.needsHost ? 'Host is missing' : ''
  }

  private tellHead(): RequestEvent {
    const framing = this.framing
    const connect = this.method === 'CONNECT'
    this.chunked = framing.chunked && !connect
    this.contentLength = this.chunked ? -1 : connect ? 0 : Math.max(0, framing.contentLength)
    this.keepAlive = !framing.close && (this.httpVersion === '1.1' || framing.keepAlive)
    this.upgrade = connect || (framing.upgrade && this.httpVersion === '1.1' && this.headers.has('upgrade'))
    const hasBody = this.chunked || this.contentLength > 0
    this.expectContinue = hasBody && this.httpVersion === '1.1' && framing.expectContinue
    this.unknownExpectation = this.httpVersion === '1.1' && framing.unknownExpectation
    if (this.chunked) this.body.beginChunked()
    else this.body.beginFixed(this.contentLength)
    this.state = State.BODY
    return RequestEvent.HEAD
  }

  private nextBody(): RequestEvent {
    const body = this.body
    const event = body.next(this.bytes, this.consumed, this.end, this.eof)
    this.consumed = body.position
    switch (event) {
      case BodyEvent.DATA:
        this.dataBytes = this.bytes
        this.dataStart = body.dataStart
        this.dataEnd = body.dataEnd
        return RequestEvent.DATA
      case BodyEvent.END:
        this.state = State.END
        return RequestEvent.END
      case BodyEvent.TRAILERS:
        this.trailers = body.trailers
        return RequestEvent.TRAILERS
      case BodyEvent.CUT_OFF:
        return this.fail(400, 'connection closed inside the request body', true)
      case BodyEvent.INVALID:
        return this.fail(400, `invalid chunked body: ${body.reason}`)
      case BodyEvent.TOO_LARGE:
        return this.fail(431, 'trailer section too large')
      default:
        return RequestEvent.NEED_MORE
    }
  }

  private fail(status: number, message: string, cutOff = false): RequestEvent {
    this.state = State.FAILED
    this.keepAlive = false
    this.error = { status, message, cutOff }
    return RequestEvent.ERROR
  }
}

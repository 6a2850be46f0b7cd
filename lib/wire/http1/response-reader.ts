/**
 * Bytes of a connection ⇄ events of one response at a time (RFC 9112), for a client. No I/O, no clock, no callback.
 *   receive(bytes, start, end)   lends bytes; they must stay until nextEvent() says NEED_MORE, END or ERROR
 *   receiveEof()                 after the bytes lent before; has its own method because no bytes are not the end
 *   nextEvent()                  what comes next; END and ERROR are repeated until reset()
 * To stop in the middle keep the bytes from `consumed` on and lend them again later. The same events, apart from where
 * DATA is cut, come for any cuts of the input.
 */
import type { TransferCodeName } from '../../base/errors.ts'
import { BodyEvent, BodyReader } from './body-reader.ts'
import { Framing } from './framing.ts'
import { type HeadGrammar, HeadReader, HeadStatus, headGrammar } from './head-reader.ts'
import { HeaderList } from './header-list.ts'
import { HeadErrno, MessageType } from './llhttp.ts'

export const ResponseEvent = {
  NEED_MORE: 0,
  /** A 1xx head other than 101; another head follows. */
  INFORMATIONAL: 1,
  HEAD: 2,
  DATA: 3,
  TRAILERS: 4,
  END: 5,
  ERROR: 6,
} as const
export type ResponseEvent = (typeof ResponseEvent)[keyof typeof ResponseEvent]

export interface ResponseReaderOptions {
  /** Default 300 KiB, as curl. */
  readonly headBytesMax?: number
  /** Default 64 KiB. */
  readonly trailerBytesMax?: number
  /** Refuses what RFC 9112 lets a client tolerate: bare LF, folded lines, both lengths. Default false. */
  readonly strict?: boolean
  /** What does not begin like HTTP/1 is a body without a head. Default false. */
  readonly allowHttp09?: boolean
}

export interface ResponseFault {
  readonly code: TransferCodeName
  readonly message: string
}

const HEAD_BYTES_MAX = 300 * 1024
const TRAILER_BYTES_MAX = 64 * 1024
/** All 1xx heads before one response, as a multiple of the limit of one head; curl bounds its redirects' heads so. */
const INFORMATIONAL_FACTOR = 20
/** What a status line begins with. */
const HTTP_PREFIX: Uint8Array = Buffer.from('HTTP/', 'latin1')
const STATUS_LINE_ERRORS: ReadonlySet<number> = new Set([
  HeadErrno.INVALID_CONSTANT,
  HeadErrno.INVALID_VERSION,
  HeadErrno.INVALID_STATUS,
])
const NO_BYTES = new Uint8Array(0)

const State = { HEAD: 0, LEAD: 1, BODY: 2, END: 3, FAILED: 4 } as const
type State = (typeof State)[keyof typeof State]

export class ResponseReader {
  /** After INFORMATIONAL and HEAD. */
  status = 0
  httpVersion: '0.9' | '1.0' | '1.1' = '1.1'
  headers: HeaderList = HeaderList.EMPTY
  /** The head as it was sent, Latin-1, with the empty line; '' for HTTP/0.9. */
  headText = ''
  /** -1 when it is not known. Told for answers to HEAD as well, though no body comes. */
  contentLength = -1
  chunked = false
  /** The connection may be used again after END. */
  keepAlive = false
  /** After END the bytes are of another protocol: 101, or success of CONNECT. */
  upgrade = false
  /** After DATA. */
  dataBytes: Uint8Array = NO_BYTES
  dataStart = 0
  dataEnd = 0
  /** After TRAILERS. */
  trailers: HeaderList = HeaderList.EMPTY
  /** After ERROR. */
  error: ResponseFault | null = null
  /** A byte of this response was received: it is too late to say that the request was never answered. */
  started = false
  /** A HEAD was told. */
  headersSeen = false
  /** Offset in the received bytes up to which they are used. After END the next message begins there. */
  consumed = 0

  private state: State = State.HEAD
  private bytes: Uint8Array = NO_BYTES
  private end = 0
  private eof = false
  private noBody = false
  private connect = false
  private informationalBytes = 0
  /** How many bytes of HTTP_PREFIX were seen. */
  private sniffed: number
  private readonly head: HeadReader
  private readonly body: BodyReader
  private readonly framing = new Framing()
  private readonly headBytesMax: number
  private readonly allowHttp09: boolean

  constructor(options: ResponseReaderOptions = {}) {
    this.headBytesMax = options.headBytesMax ?? HEAD_BYTES_MAX
    this.allowHttp09 = options.allowHttp09 ?? false
    this.sniffed = this.allowHttp09 ? 0 : HTTP_PREFIX.length
    const grammar: HeadGrammar = headGrammar(MessageType.RESPONSE, options.strict ?? false)
    this.head = new HeadReader(grammar, this.headBytesMax, false)
    this.body = new BodyReader(grammar, options.trailerBytesMax ?? TRAILER_BYTES_MAX)
  }

  /** Ready for the response to the next request on the connection; bytes that are not used yet stay. */
  reset(requestMethod: string): void {
    this.connect = requestMethod === 'CONNECT'
    this.noBody = requestMethod === 'HEAD'
    this.state = State.HEAD
    this.started = false
    this.headersSeen = false
    this.error = null
    this.headers = HeaderList.EMPTY
    this.trailers = HeaderList.EMPTY
    this.headText = ''
    this.informationalBytes = 0
    this.sniffed = this.allowHttp09 ? 0 : HTTP_PREFIX.length
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

  /** The text after the status code; may be ''. */
  get reason(): string {
    // It stands behind 'HTTP/1.1 200 '.
    const line = this.headText
    if (line === '') return ''
    let end = line.indexOf('\n')
    if (line.charCodeAt(end - 1) === 13) end--
    return line.slice(13, end)
  }

  nextEvent(): ResponseEvent {
    switch (this.state) {
      case State.HEAD:
        return this.nextHead()
      case State.LEAD:
        return this.nextLead()
      case State.BODY:
        return this.nextBody()
      case State.END:
        return ResponseEvent.END
      case State.FAILED:
        return ResponseEvent.ERROR
    }
  }

  private nextHead(): ResponseEvent {
    const head = this.head
    let status: HeadStatus = HeadStatus.NEED_MORE
    if (this.consumed < this.end) {
      this.started = true
      if (this.sniffed < HTTP_PREFIX.length && !this.sniffHttp()) return this.beginHttp09()
      status = head.read(this.bytes, this.consumed, this.end)
      this.consumed = head.position
    }
    if (status === HeadStatus.NEED_MORE && this.eof && this.consumed === this.end) return this.endInHead()
    switch (status) {
      case HeadStatus.NEED_MORE:
        return ResponseEvent.NEED_MORE
      case HeadStatus.COMPLETE:
        return this.readHead()
      case HeadStatus.TOO_LARGE:
        return this.fail('TOO_LARGE', `response head larger than ${this.headBytesMax} bytes, or too many fields`)
      default:
        return this.failHead()
    }
  }

  private endInHead(): ResponseEvent {
    if (!this.started) return this.fail('GOT_NOTHING', 'connection closed before any byte of a response')
    // What could have become a status line is the whole of an HTTP/0.9 body.
    if (this.sniffed < HTTP_PREFIX.length) return this.beginHttp09()
    if (this.head.finish() === HeadStatus.INVALID) return this.failHead()
    return this.fail('RECV_ERROR', 'connection closed inside the response head')
  }

  private failHead(): ResponseEvent {
    // What is wrong in the status line is not HTTP for curl; what is wrong in a field is a weird reply.
    const code = STATUS_LINE_ERRORS.has(this.head.errno) ? 'UNSUPPORTED_PROTOCOL' : 'WEIRD_SERVER_REPLY'
    return this.fail(code, `invalid response head: ${this.head.reason}`)
  }

  private readHead(): ResponseEvent {
    const head = this.head
    const text = head.text
    // llhttp also reads RTSP, ICE and other versions of HTTP.
    if (!text.startsWith('HTTP/')) return this.fail('UNSUPPORTED_PROTOCOL', 'response is not HTTP')
    const minor = text.charCodeAt(7) - 48
    if (text.charCodeAt(5) !== 49 || minor > 1) {
      return this.fail('UNSUPPORTED_PROTOCOL', `HTTP version ${text.slice(5, 8)} in a response on HTTP/1`)
    }
    this.httpVersion = minor === 1 ? '1.1' : '1.0'
    this.status = text.charCodeAt(9) * 100 + text.charCodeAt(10) * 10 + text.charCodeAt(11) - 48 * 111
    this.headers = head.headers
    this.headText = text
    head.reset()
    const status = this.status
    if (status < 100) return this.fail('UNSUPPORTED_PROTOCOL', `response status ${text.slice(9, 12)}`)
    if (status < 200 && status !== 101) return this.tellInformational(text.length)
    this.framing.read(this.headers)
    if (status === 101 || (this.connect && status < 300)) return this.tellUpgrade()
    if (this.framing.fault !== '') return this.fail('WEIRD_SERVER_REPLY', this.framing.fault)
    if (this.framing.unknownCoding !== '') {
      // Bytes in a coding that nobody undoes are not the body.
      return this.fail('BAD_CONTENT_ENCODING', `transfer coding '${this.framing.unknownCoding}' is not supported`)
    }
    return this.tellHead()
  }

  private tellInformational(length: number): ResponseEvent {
    this.informationalBytes += length
    this.upgrade = false
    this.contentLength = -1
    this.chunked = false
    if (this.informationalBytes > INFORMATIONAL_FACTOR * this.headBytesMax) {
      return this.fail('TOO_LARGE', 'too many informational responses')
    }
    return ResponseEvent.INFORMATIONAL
  }

  /** No body, whatever the fields say (RFC 9110 §9.3.6, §15.2.2). */
  private tellUpgrade(): ResponseEvent {
    this.upgrade = true
    this.keepAlive = false
    this.chunked = false
    this.contentLength = -1
    this.body.beginFixed(0)
    return this.enterBody()
  }

  /** RFC 9112 §6.3, from the client's side. */
  private tellHead(): ResponseEvent {
    const framing = this.framing
    const oldVersion = this.httpVersion === '1.0'
    this.upgrade = false
    this.chunked = framing.chunked
    this.contentLength = framing.transferCoded ? -1 : framing.contentLength
    this.keepAlive = !framing.close && !framing.ambiguous && (!oldVersion || framing.keepAlive)
    // HTTP/1.0 knows no transfer codings, so who sends one may frame the next message otherwise.
    if (oldVersion && framing.transferCoded) this.keepAlive = false
    if (this.noBody || this.status === 204 || this.status === 304) this.body.beginFixed(0)
    else if (framing.chunked) this.body.beginChunked()
    else if (this.contentLength >= 0) this.body.beginFixed(this.contentLength)
    else {
      this.keepAlive = false
      this.body.beginUntilEof()
    }
    return this.enterBody()
  }

  private enterBody(): ResponseEvent {
    this.state = State.BODY
    this.headersSeen = true
    return ResponseEvent.HEAD
  }

  /** Only where HTTP/0.9 is allowed. False when the first bytes do not spell HTTP/. */
  private sniffHttp(): boolean {
    let matched = this.sniffed
    for (let at = this.consumed; at < this.end && matched < HTTP_PREFIX.length; at++) {
      if (this.bytes[at] !== HTTP_PREFIX[matched++]) return false
    }
    this.sniffed = matched
    return true
  }

  private beginHttp09(): ResponseEvent {
    this.httpVersion = '0.9'
    this.status = 200
    this.contentLength = -1
    this.chunked = false
    this.upgrade = false
    this.keepAlive = false
    this.head.reset()
    this.body.beginUntilEof()
    this.headersSeen = true
    this.state = this.sniffed > 0 ? State.LEAD : State.BODY
    return ResponseEvent.HEAD
  }

  /** The bytes that looked like a status line in an earlier `receive` are part of the body; they are known. */
  private nextLead(): ResponseEvent {
    this.dataBytes = HTTP_PREFIX
    this.dataStart = 0
    this.dataEnd = this.sniffed
    this.body.received = this.sniffed
    this.state = State.BODY
    return ResponseEvent.DATA
  }

  private nextBody(): ResponseEvent {
    const body = this.body
    const event = body.next(this.bytes, this.consumed, this.end, this.eof)
    this.consumed = body.position
    switch (event) {
      case BodyEvent.DATA:
        this.dataBytes = this.bytes
        this.dataStart = body.dataStart
        this.dataEnd = body.dataEnd
        return ResponseEvent.DATA
      case BodyEvent.END:
        this.state = State.END
        return ResponseEvent.END
      case BodyEvent.TRAILERS:
        this.trailers = body.trailers
        return ResponseEvent.TRAILERS
      case BodyEvent.CUT_OFF:
        return this.fail('PARTIAL_FILE', this.describeCut())
      case BodyEvent.INVALID:
        return this.fail('RECV_ERROR', `invalid chunked body: ${body.reason}`)
      case BodyEvent.TOO_LARGE:
        return this.fail('TOO_LARGE', 'trailer section too large')
      default:
        return ResponseEvent.NEED_MORE
    }
  }

  private describeCut(): string {
    if (this.chunked) return 'connection closed inside a chunked body'
    return `connection closed with ${this.body.remaining} bytes of the body missing`
  }

  private fail(code: TransferCodeName, message: string): ResponseEvent {
    this.state = State.FAILED
    this.keepAlive = false
    this.error = { code, message }
    return ResponseEvent.ERROR
  }
}

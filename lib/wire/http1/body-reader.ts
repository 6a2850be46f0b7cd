/**
 * Reads one message body out of any cuts: none, of known length, chunked, or up to the end of the stream. Data is told
 * by offsets into the caller's bytes. Role-free: requests and responses decide the framing, this reads it.
 */
import { ChunkEvent, ChunkedDecoder } from './chunked-decoder.ts'
import { type HeadGrammar, HeadReader, HeadStatus } from './head-reader.ts'
import { HeaderList } from './header-list.ts'

export const BodyEvent = { NEED_MORE: 0, DATA: 1, TRAILERS: 2, END: 3, CUT_OFF: 4, INVALID: 5, TOO_LARGE: 6 } as const
export type BodyEvent = (typeof BodyEvent)[keyof typeof BodyEvent]

const State = { END: 0, FIXED: 1, CHUNKED: 2, TRAILERS: 3, UNTIL_EOF: 4 } as const
type State = (typeof State)[keyof typeof State]

const CR = 13
const LF = 10

export class BodyReader {
  /** Where the bytes that were given are not used yet. */
  position = 0
  /** After DATA. */
  dataStart = 0
  dataEnd = 0
  /** Data bytes so far. */
  received = 0
  /** After TRAILERS. */
  trailers: HeaderList = HeaderList.EMPTY
  /** After INVALID. */
  reason = ''
  /** Bytes still to come, when that is known. */
  remaining = 0
  private state: State = State.END
  // Most bodies are not chunked, and an idle connection should be small.
  private decoder: ChunkedDecoder | null = null
  private trailerReader: HeadReader | null = null
  private readonly grammar: HeadGrammar
  private readonly trailerBytesMax: number

  constructor(grammar: HeadGrammar, trailerBytesMax: number) {
    this.grammar = grammar
    this.trailerBytesMax = trailerBytesMax
  }

  /** `length` 0: no body. */
  beginFixed(length: number): void {
    this.state = length === 0 ? State.END : State.FIXED
    this.remaining = length
    this.received = 0
  }

  beginChunked(): void {
    this.decoder ??= new ChunkedDecoder()
    this.decoder.reset()
    this.trailerReader?.reset()
    this.state = State.CHUNKED
    this.received = 0
  }

  beginUntilEof(): void {
    this.state = State.UNTIL_EOF
    this.received = 0
  }

  next(bytes: Uint8Array, start: number, end: number, eof: boolean): BodyEvent {
    this.position = start
    switch (this.state) {
      case State.END:
        return BodyEvent.END
      case State.FIXED:
        return this.nextFixed(start, end, eof)
      case State.CHUNKED:
        return this.nextChunked(bytes, start, end, eof)
      case State.TRAILERS:
        return this.nextTrailers(bytes, start, end, eof)
      case State.UNTIL_EOF:
        if (start < end) return this.takeData(start, end)
        if (eof) this.state = State.END
        return eof ? BodyEvent.END : BodyEvent.NEED_MORE
    }
  }

  private takeData(start: number, end: number): BodyEvent {
    this.dataStart = start
    this.dataEnd = end
    this.position = end
    this.received += end - start
    return BodyEvent.DATA
  }

  private nextFixed(start: number, end: number, eof: boolean): BodyEvent {
    if (start === end) return eof ? BodyEvent.CUT_OFF : BodyEvent.NEED_MORE
    const available = end - start
    const taken = available < this.remaining ? available : this.remaining
    this.remaining -= taken
    if (this.remaining === 0) this.state = State.END
    return this.takeData(start, start + taken)
  }

  private nextChunked(bytes: Uint8Array, start: number, end: number, eof: boolean): BodyEvent {
    const decoder = this.decoder as ChunkedDecoder
    const event = decoder.decode(bytes, start, end)
    this.position = decoder.position
    switch (event) {
      case ChunkEvent.DATA:
        return this.takeData(decoder.dataStart, decoder.dataEnd)
      case ChunkEvent.LAST:
        this.state = State.TRAILERS
        return this.nextTrailers(bytes, this.position, end, eof)
      case ChunkEvent.INVALID:
        this.reason = decoder.reason
        return BodyEvent.INVALID
      default:
        return eof ? BodyEvent.CUT_OFF : BodyEvent.NEED_MORE
    }
  }

  private nextTrailers(bytes: Uint8Array, start: number, end: number, eof: boolean): BodyEvent {
    const keptLength = this.trailerReader === null ? 0 : this.trailerReader.keptLength
    if (keptLength === 0 && end - start >= 2 && bytes[start] === CR && bytes[start + 1] === LF) {
      this.position = start + 2
      this.state = State.END
      return BodyEvent.END
    }
    this.trailerReader ??= new HeadReader(this.grammar, this.trailerBytesMax, true)
    const reader = this.trailerReader
    let status: HeadStatus = start < end ? reader.read(bytes, start, end) : HeadStatus.NEED_MORE
    if (start < end) this.position = reader.position
    if (status === HeadStatus.NEED_MORE && eof) {
      status = reader.finish()
      if (status === HeadStatus.NEED_MORE) return BodyEvent.CUT_OFF
    }
    switch (status) {
      case HeadStatus.COMPLETE:
        this.trailers = reader.headers
        this.state = State.END
        return this.trailers.size === 0 ? BodyEvent.END : BodyEvent.TRAILERS
      case HeadStatus.NEED_MORE:
        return BodyEvent.NEED_MORE
      case HeadStatus.TOO_LARGE:
        return BodyEvent.TOO_LARGE
      default:
        this.reason = `trailer section: ${reader.reason}`
        return BodyEvent.INVALID
    }
  }
}

/**
 * multipart/form-data (RFC 7578, RFC 2046 §5.1) out of any cuts. Content is told by offsets into the caller's bytes; at
 * most a delimiter's length is held back. What stands before the first delimiter and behind the last is passed over.
 * Names are read as browsers write them: UTF-8, with %0A, %0D and %22 for what a quoted string cannot hold.
 */
import { type FormDecoder, FormEvent } from './form-event.ts'
import { type HeadGrammar, HeadReader, HeadStatus, headGrammar } from './http1/head-reader.ts'
import { HeaderList } from './http1/header-list.ts'
import { MessageType } from './http1/llhttp.ts'

/** RFC 2046 §5.1.1. */
const BOUNDARY_PATTERN = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/
/** Names and file names are all that is expected in the head of a part. */
const HEAD_BYTES_MAX = 8 * 1024
/** Spaces and tabs that a mail gateway may have put behind a delimiter. */
const PADDING_BYTES_MAX = 16
const CR = 13
const LF = 10
const DASH = 45
const SPACE = 32
const TAB = 9
const NO_BYTES = new Uint8Array(0)

const State = { PREAMBLE: 0, DELIMITER: 1, HEAD: 2, CONTENT: 3, PART_END: 4, END: 5, FAILED: 6 } as const
type State = (typeof State)[keyof typeof State]

export class MultipartDecoder implements FormDecoder {
  name = ''
  filename: string | null = null
  contentType = ''
  headers: HeaderList = HeaderList.EMPTY
  dataBytes: Uint8Array = NO_BYTES
  dataStart = 0
  dataEnd = 0
  reason = ''
  readonly #delimiter: Buffer
  readonly #head: HeadReader
  #state: State = State.PREAMBLE
  /** Bytes of the delimiter that were seen and belong to the content unless the rest of it follows. */
  #matched: number
  /** Of the line behind a delimiter: '-', CR or padding that was seen. */
  #lineStart = 0
  #padding = 0
  #bytes: Uint8Array = NO_BYTES
  #at = 0
  #end = 0
  #eof = false

  /** Throws RangeError for what cannot be a boundary. */
  constructor(boundary: string) {
    if (!BOUNDARY_PATTERN.test(boundary)) throw new RangeError('multipart: not a boundary of RFC 2046')
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
    // The first delimiter may stand at the very beginning, without a line end before it.
    this.#matched = 2
    const grammar: HeadGrammar = headGrammar(MessageType.RESPONSE, false)
    this.#head = new HeadReader(grammar, HEAD_BYTES_MAX, true)
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  receiveEof(): void {
    this.#eof = true
  }

  nextEvent(): FormEvent {
    for (;;) {
      if (this.#state === State.PART_END) {
        this.#state = State.DELIMITER
        return FormEvent.PART_END
      }
      if (this.#state === State.END) return FormEvent.END
      if (this.#state === State.FAILED) return FormEvent.ERROR
      if (this.#at === this.#end) return this.#eof ? this.#failAtEof() : FormEvent.NEED_MORE
      const event = this.#step()
      if (event !== FormEvent.NEED_MORE) return event
    }
  }

  #failAtEof(): FormEvent {
    // What was kept of a head may have been wrong already.
    if (this.#state === State.HEAD && this.#head.finish() === HeadStatus.INVALID) {
      return this.#fail(`the head of a part is invalid: ${this.#head.reason}`)
    }
    return this.#fail('the form ends before its last delimiter')
  }

  /** Uses at least a byte. */
  #step(): FormEvent {
    switch (this.#state) {
      case State.PREAMBLE:
      case State.CONTENT:
        return this.#readContent()
      case State.DELIMITER:
        return this.#readLineEnd()
      default:
        return this.#readHead()
    }
  }

  #readContent(): FormEvent {
    if (this.#matched > 0) return this.#goOnMatching()
    const start = this.#at
    const found = this.#find()
    this.#at = this.#end
    if (found < this.#end) {
      const here = Math.min(this.#delimiter.length, this.#end - found)
      this.#matched = here
      this.#at = found + here
      if (here === this.#delimiter.length) this.#delimited()
    }
    return found === start ? FormEvent.NEED_MORE : this.#tell(this.#bytes, start, found)
  }

  /** Where the delimiter begins, whole or as far as the bytes go; the end when it does not. */
  #find(): number {
    const bytes = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#end)
    const whole = bytes.indexOf(this.#delimiter, this.#at)
    if (whole >= 0) return whole
    const last = bytes.lastIndexOf(CR)
    const from = Math.max(this.#at, this.#end - this.#delimiter.length + 1)
    // CR stands in a delimiter at its beginning only, so the last one is the only place where it can begin.
    if (last < from) return this.#end
    const rest = bytes.subarray(last)
    return rest.equals(this.#delimiter.subarray(0, rest.length)) ? last : this.#end
  }

  #goOnMatching(): FormEvent {
    const delimiter = this.#delimiter
    while (this.#at < this.#end && this.#matched < delimiter.length) {
      if (this.#bytes[this.#at] !== delimiter[this.#matched]) return this.#mismatch()
      this.#at++
      this.#matched++
    }
    if (this.#matched === delimiter.length) this.#delimited()
    return FormEvent.NEED_MORE
  }

  /** What was held back is content after all; it looks as the delimiter does. */
  #mismatch(): FormEvent {
    const held = this.#matched
    this.#matched = 0
    return this.#tell(this.#delimiter, 0, held)
  }

  #delimited(): void {
    this.#matched = 0
    this.#lineStart = 0
    this.#padding = 0
    this.#state = this.#state === State.CONTENT ? State.PART_END : State.DELIMITER
  }

  /** Behind a delimiter: '--' ends the form, padding and a line end begin the next part. */
  #readLineEnd(): FormEvent {
    const byte = this.#bytes[this.#at++] as number
    if (this.#lineStart === DASH) {
      if (byte !== DASH) return this.#fail('a delimiter is followed by something else')
      this.#state = State.END
    } else if (this.#lineStart === CR) {
      if (byte !== LF) return this.#fail('a delimiter is followed by something else')
      this.#head.reset()
      this.#state = State.HEAD
    } else if (byte === CR || (byte === DASH && this.#padding === 0)) this.#lineStart = byte
    else if ((byte !== SPACE && byte !== TAB) || ++this.#padding > PADDING_BYTES_MAX) {
      return this.#fail('a delimiter is followed by something else')
    }
    return FormEvent.NEED_MORE
  }

  #readHead(): FormEvent {
    const head = this.#head
    const status = head.read(this.#bytes, this.#at, this.#end)
    this.#at = head.position
    if (status === HeadStatus.NEED_MORE) return FormEvent.NEED_MORE
    if (status === HeadStatus.TOO_LARGE) return this.#fail('the head of a part is too large')
    if (status === HeadStatus.INVALID) return this.#fail(`the head of a part is invalid: ${head.reason}`)
    this.headers = head.headers
    const disposition = this.headers.first('content-disposition') ?? ''
    const parameters = dispositionParameters(disposition)
    const name = parameters?.get('name')
    if (parameters === null || name === undefined) return this.#fail('a part does not name its field')
    this.name = name
    this.filename = parameters.get('filename') ?? null
    this.contentType = this.headers.first('content-type') ?? ''
    this.#state = State.CONTENT
    return FormEvent.PART
  }

  /** The preamble is told to nobody. */
  #tell(bytes: Uint8Array, start: number, end: number): FormEvent {
    if (this.#state === State.PREAMBLE || this.#state === State.DELIMITER) return FormEvent.NEED_MORE
    this.dataBytes = bytes
    this.dataStart = start
    this.dataEnd = end
    return FormEvent.DATA
  }

  #fail(reason: string): FormEvent {
    this.reason = reason
    this.#state = State.FAILED
    return FormEvent.ERROR
  }
}

const PARAMETER = /;[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))[ \t]*/y

/** null when it is not of a form. The first of two equal names counts. */
function dispositionParameters(value: string): Map<string, string> | null {
  const kind = /^[ \t]*form-data[ \t]*/i.exec(value)
  if (kind === null) return null
  const parameters = new Map<string, string>()
  PARAMETER.lastIndex = kind[0].length
  for (let match = PARAMETER.exec(value); match !== null; match = PARAMETER.exec(value)) {
    const name = (match[1] as string).toLowerCase()
    if (!parameters.has(name)) parameters.set(name, unescapeName(match[2] ?? match[3] ?? ''))
  }
  return parameters
}

/** A backslash stands for itself unless it protects a quotation mark or another: paths of Windows have them too. */
function unescapeName(text: string): string {
  const utf8 = Buffer.from(text, 'latin1').toString('utf8')
  return utf8.replace(/\\(["\\])|%(0A|0D|22)/gi, (_all, escaped: string | undefined, code: string) => {
    return escaped ?? String.fromCharCode(Number.parseInt(code, 16))
  })
}

/** The boundary that a Content-Type announces; null when it is no multipart/form-data or has none. */
export function multipartBoundary(contentType: string): string | null {
  const match = /^[ \t]*multipart\/form-data[ \t]*;(?:.*;)?[ \t]*boundary=(?:"([^"]*)"|([^;\s]*))/i.exec(contentType)
  const boundary = match?.[1] ?? match?.[2] ?? ''
  return BOUNDARY_PATTERN.test(boundary) ? boundary : null
}

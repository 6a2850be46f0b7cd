/**
 * Collects one head, or one trailer section, out of any cuts, and parses it. A head that one `read` brought whole is
 * parsed in place. Otherwise its bytes are kept, watched for the empty line, and parsed again when that came or when
 * there are twice as many: so junk is seen early, and a head that drips in is still read in linear time. The result is
 * the same for any cuts. Never keeps more than the limit.
 */
import { HeaderList } from './header-list.ts'
import { HeadErrno, HeadParser, HeadResult, headSpans, MessageType, SPAN } from './llhttp.ts'
import { isFieldCode, isTokenCode } from './syntax.ts'

export const HeadStatus = { NEED_MORE: 0, COMPLETE: 1, INVALID: 2, TOO_LARGE: 3 } as const
export type HeadStatus = (typeof HeadStatus)[keyof typeof HeadStatus]

const CR = 13
const LF = 10
const SPACE = 32
/** What is kept of a head is given back above this size, so that idle connections stay small. */
const KEPT_MAX = 4096

/** Which parsers a kind of message uses. */
export interface HeadGrammar {
  readonly parser: HeadParser
  /** Tried when a field was refused: reads folded lines. null: they are refused. */
  readonly folding: HeadParser | null
  /** Empty lines before the first line. */
  readonly blankBytesMax: number
  /** Tried when a head was refused: spells it as the parsers want it. null: it stays refused. */
  readonly repair: ((head: Uint8Array) => Uint8Array) | null
}

const grammars = new Map<string, HeadGrammar>()

/** Shared by all readers of one kind: parsers keep nothing between two heads. */
export function headGrammar(type: MessageType, strict: boolean): HeadGrammar {
  const key = `${type} ${strict}`
  let grammar = grammars.get(key)
  if (grammar === undefined) {
    const bothLengths = type === MessageType.RESPONSE && !strict
    const leniency = { bareLineFeed: !strict, bothLengths, foldedLines: false }
    const folding = strict ? null : new HeadParser(type, { ...leniency, foldedLines: true })
    const parser = new HeadParser(type, leniency)
    grammar = { parser, folding, blankBytesMax: Number.POSITIVE_INFINITY, repair: null }
    grammars.set(key, grammar)
  }
  return grammar
}

export class HeadReader {
  /** After COMPLETE. */
  headers: HeaderList = HeaderList.EMPTY
  text = ''
  targetStart = 0
  targetEnd = 0
  /** After INVALID. */
  errno = 0
  reason = ''
  /** After any result: where the bytes that were given are not used yet. */
  position = 0
  /** Bytes kept from earlier reads. */
  kept: Buffer | null = null
  keptLength = 0
  private readonly grammar: HeadGrammar
  private readonly trailers: boolean
  private readonly bytesMax: number
  private parsedLength = 0
  private skipped = 0

  constructor(grammar: HeadGrammar, bytesMax: number, trailers: boolean) {
    this.grammar = grammar
    this.bytesMax = bytesMax
    this.trailers = trailers
  }

  reset(): void {
    this.keptLength = 0
    this.parsedLength = 0
    this.skipped = 0
    this.headers = HeaderList.EMPTY
    this.text = ''
    if (this.kept !== null && this.kept.length > KEPT_MAX) this.kept = null
  }

  read(bytes: Uint8Array, start: number, end: number): HeadStatus {
    if (this.keptLength > 0) return this.readMore(bytes, start, end)
    let from = start
    // Empty lines before a first line are passed over (RFC 9112 §2.2), within the limit.
    if (!this.trailers) while (from < end && (bytes[from] === CR || bytes[from] === LF)) from++
    this.skipped += from - start
    this.position = from
    if (this.skipped >= this.bytesMax) return HeadStatus.TOO_LARGE
    if (this.skipped > this.grammar.blankBytesMax) return this.refuse('empty lines before the first line')
    if (from === end) return HeadStatus.NEED_MORE
    const available = Math.min(end, from + this.bytesMax)
    const status = this.parse(bytes, from, available)
    if (status !== HeadStatus.NEED_MORE) return status
    if (available - from === this.bytesMax) return HeadStatus.TOO_LARGE
    this.keep(bytes, from, available)
    this.parsedLength = this.keptLength
    this.position = end
    return HeadStatus.NEED_MORE
  }

  /** No more bytes will come: says whether what is kept was wrong already (INVALID) or only cut off (NEED_MORE). */
  finish(): HeadStatus {
    if (this.keptLength === 0 || this.kept === null) return HeadStatus.NEED_MORE
    return this.parse(this.kept, 0, this.keptLength)
  }

  private readMore(bytes: Uint8Array, start: number, end: number): HeadStatus {
    const before = this.keptLength
    const available = Math.min(end, start + this.bytesMax - before)
    const emptyLine = this.findEmptyLine(bytes, start, available)
    const taken = emptyLine < 0 ? available : emptyLine
    this.keep(bytes, start, taken)
    this.position = taken
    const full = this.keptLength === this.bytesMax
    if (emptyLine < 0 && !full && this.keptLength < 2 * this.parsedLength) return HeadStatus.NEED_MORE
    this.parsedLength = this.keptLength
    const status = this.parse(this.kept as Buffer, 0, this.keptLength)
    const parsed = this.position
    this.position = taken
    // Both must see the end of the head in the same place.
    if (
      status === HeadStatus.NEED_MORE ? emptyLine >= 0 : status === HeadStatus.COMPLETE && parsed !== this.keptLength
    ) {
      return this.refuse('misplaced empty line')
    }
    if (status !== HeadStatus.NEED_MORE) return status
    return full ? HeadStatus.TOO_LARGE : HeadStatus.NEED_MORE
  }

  /** The offset after the empty line, or -1. What is kept has none. */
  private findEmptyLine(bytes: Uint8Array, start: number, end: number): number {
    const kept = this.kept as Buffer
    let index = this.keptLength - 1
    const carriageReturn = kept[index] === CR
    if (carriageReturn) index--
    // A trailer section stands behind the line of the last chunk, so it may begin with its empty line.
    let lineIsEmpty = index < 0 ? this.trailers : kept[index] === LF
    for (let at = start; at < end; at++) {
      const byte = bytes[at]
      if (byte === LF) {
        if (lineIsEmpty) return at + 1
        lineIsEmpty = true
      } else if (byte !== CR) lineIsEmpty = false
    }
    return -1
  }

  private keep(bytes: Uint8Array, start: number, end: number): void {
    const length = this.keptLength + end - start
    if (this.kept === null || this.kept.length < length) {
      const size = Math.min(this.bytesMax, Math.max(512, 2 * length))
      const grown = Buffer.allocUnsafeSlow(size)
      if (this.kept !== null) this.kept.copy(grown, 0, 0, this.keptLength)
      this.kept = grown
    }
    this.kept.set(bytes.subarray(start, end), this.keptLength)
    this.keptLength = length
  }

  private parse(bytes: Uint8Array, start: number, end: number): HeadStatus {
    const status = this.parseAsItIs(bytes, start, end)
    const { repair } = this.grammar
    if (status !== HeadStatus.INVALID || repair === null) return status
    const headEnd = findHeadEnd(bytes, start, end)
    if (headEnd < 0) return HeadStatus.NEED_MORE
    const repaired = repair(bytes.subarray(start, headEnd))
    const again = this.parseAsItIs(repaired, 0, repaired.length)
    if (again === HeadStatus.COMPLETE && this.position !== repaired.length) return this.refuse('misplaced empty line')
    this.position = headEnd
    return again === HeadStatus.NEED_MORE ? this.refuse('head without an end') : again
  }

  private refuse(reason: string): HeadStatus {
    this.errno = 0
    this.reason = reason
    return HeadStatus.INVALID
  }

  private parseAsItIs(bytes: Uint8Array, start: number, end: number): HeadStatus {
    let parser = this.grammar.parser
    let result = this.parseWith(parser, bytes, start, end)
    let folded = false
    if (result === HeadResult.INVALID && parser.errno === HeadErrno.FIELD && this.grammar.folding !== null) {
      const folding = this.grammar.folding
      const again = this.parseWith(folding, bytes, start, end)
      if (again !== HeadResult.INVALID && spansAreClean(bytes, start, folding.spanCount)) {
        parser = folding
        result = again
        folded = true
      }
    }
    if (result === HeadResult.COMPLETE) return this.complete(parser, bytes, start, folded)
    if (result === HeadResult.INCOMPLETE) return HeadStatus.NEED_MORE
    if (result === HeadResult.TOO_MANY_FIELDS) return HeadStatus.TOO_LARGE
    this.errno = parser.errno
    this.reason = parser.reason
    return HeadStatus.INVALID
  }

  private parseWith(parser: HeadParser, bytes: Uint8Array, start: number, end: number): HeadResult {
    return this.trailers ? parser.parseTrailers(bytes, start, end) : parser.parse(bytes, start, end)
  }

  private complete(parser: HeadParser, bytes: Uint8Array, start: number, folded: boolean): HeadStatus {
    const end = start + parser.headLength
    const text = latin1(bytes, start, end)
    // Where LF alone ends a line, llhttp takes CR CR LF behind the first line for its end and an empty line.
    if (parser.spanCount === 0 && !this.trailers && text.indexOf('\n') === text.length - 1) {
      return this.refuse('carriage return without line feed')
    }
    // llhttp passes over runs of spaces in a request line.
    const { targetStart, targetEnd } = parser
    if (targetEnd > 0 && (hasSpace(text, targetStart - 1) || text.charCodeAt(targetEnd + 1) === SPACE)) {
      return this.refuse('more than one space in the request line')
    }
    const headers = HeaderList.fromSpans(text, headSpans, parser.spanCount)
    this.text = text
    this.headers = folded ? unfold(headers) : headers
    this.targetStart = targetStart
    this.targetEnd = targetEnd
    this.position = end
    return HeadStatus.COMPLETE
  }
}

/** Before `end`. A method is so short that calling the runtime for it takes longer. */
function hasSpace(text: string, end: number): boolean {
  for (let at = 0; at < end; at++) if (text.charCodeAt(at) === SPACE) return true
  return false
}

/** The offset after the empty line, or -1. */
function findHeadEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end - 1; at++) {
    if (bytes[at] !== LF) continue
    if (bytes[at + 1] === LF) return at + 2
    if (bytes[at + 1] === CR && bytes[at + 2] === LF && at + 2 < end) return at + 3
  }
  return -1
}

const latin1Slice = Buffer.prototype.latin1Slice

/** Bytes as a string of as many characters; TextDecoder's latin1 is windows-1252 and slower. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end)
}

/** Reading folded lines lets llhttp pass control characters; what they would be is looked at here. */
function spansAreClean(bytes: Uint8Array, start: number, spanCount: number): boolean {
  for (let span = 0; span < spanCount; span += SPAN) {
    const nameStart = start + (headSpans[span] as number)
    const nameEnd = start + (headSpans[span + 1] as number)
    for (let at = nameStart; at < nameEnd; at++) if (!isTokenCode(bytes[at] as number)) return false
    const valueEnd = start + (headSpans[span + 3] as number)
    for (let at = start + (headSpans[span + 2] as number); at < valueEnd; at++) {
      const byte = bytes[at] as number
      const fold = byte === LF || (byte === CR && bytes[at + 1] === LF)
      if (!fold && !isFieldCode(byte)) return false
    }
  }
  return true
}

/** A fold becomes one space (RFC 9112 §5.2). */
function unfold(headers: HeaderList): HeaderList {
  const pairs: [string, string][] = []
  for (const [name, value] of headers) pairs.push([name, value.replace(/[ \t]*\r?\n[ \t]*/g, ' ').trim()])
  return HeaderList.fromPairs(pairs, headers.text)
}

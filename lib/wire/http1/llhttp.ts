/**
 * The one door to llhttp, the HTTP parser that Node's security team maintains, as the WebAssembly module in `undici`.
 * One instance serves all parsers of the thread. A head is parsed from its first byte in one call that is never
 * re-entered: llhttp's callbacks only note offsets in `headSpans`, and parsing stops at the end of the head. So no
 * connection owns memory inside WebAssembly. Bodies do not come here. Offsets count from the first byte of the head.
 */
import { createRequire } from 'node:module'

export const MessageType = { REQUEST: 1, RESPONSE: 2 } as const
export type MessageType = (typeof MessageType)[keyof typeof MessageType]

export const HeadResult = { INCOMPLETE: 0, COMPLETE: 1, INVALID: 2, TOO_MANY_FIELDS: 3 } as const
export type HeadResult = (typeof HeadResult)[keyof typeof HeadResult]

/** llhttp's error numbers that are looked at. */
export const HeadErrno = {
  INVALID_METHOD: 6,
  INVALID_CONSTANT: 8,
  INVALID_VERSION: 9,
  FIELD: 10,
  INVALID_STATUS: 13,
} as const

/** What a parser tolerates beyond the grammar. */
export interface HeadLeniency {
  /** A line may end in LF alone (RFC 9112 §2.2). */
  readonly bareLineFeed: boolean
  /** Transfer-Encoding beside Content-Length is not refused here; the framing decides (RFC 9112 §6.3). */
  readonly bothLengths: boolean
  /**
   * A field value may go on in the next line (RFC 9112 §5.2). Lets control characters through: check what comes out.
   */
  readonly foldedLines: boolean
}

/** Four offsets per field: name start, name end, value start, value end. Overwritten by the next parse: copy. */
export const SPAN = 4
/** curl's bound on the number of fields. */
const FIELDS_MAX = 5000
/** The first look at a head, and what is copied at a time after that. Most heads fit in the first. */
const WINDOW_FIRST = 1024
const WINDOW_MAX = 8192
/** Above so many words one call is faster. */
const WORDS_MAX = 64
const WORD_BYTES = 4
const NO_WORDS = new Int32Array(0)

const PAUSED = 21
const USER = 24

/** The part of the global that is used; its types come only with those of browsers. */
interface WebAssemblyApi {
  validate(code: Uint8Array): boolean
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}
const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  _initialize(): void
  malloc(size: number): number
  llhttp_alloc(type: number): number
  llhttp_reset(parser: number): void
  llhttp_execute(parser: number, at: number, length: number): number
  llhttp_get_error_pos(parser: number): number
  llhttp_get_error_reason(parser: number): number
  llhttp_set_lenient_headers(parser: number, on: number): void
  llhttp_set_lenient_chunked_length(parser: number, on: number): void
  llhttp_set_lenient_optional_cr_before_lf(parser: number, on: number): void
}

const LastSpan = { NONE: 0, NAME: 1, VALUE: 2 } as const

export const headSpans: Int32Array = new Int32Array(FIELDS_MAX * SPAN)
let spanEnd = 0
let lastSpan: number = LastSpan.NONE
/** Adding this to an address inside WebAssembly gives an offset in the head. */
let addressToOffset = 0
let urlStart = 0
let urlEnd = -1

function recordName(_parser: number, at: number, length: number): number {
  const start = at + addressToOffset
  if (lastSpan === LastSpan.NAME) {
    // The same name goes on after a cut between two windows.
    headSpans[spanEnd - 3] = start + length
    return 0
  }
  if (spanEnd === headSpans.length) return USER
  lastSpan = LastSpan.NAME
  headSpans[spanEnd] = start
  headSpans[spanEnd + 1] = start + length
  headSpans[spanEnd + 2] = start + length
  headSpans[spanEnd + 3] = start + length
  spanEnd += SPAN
  return 0
}

function recordValue(_parser: number, at: number, length: number): number {
  const start = at + addressToOffset
  if (lastSpan !== LastSpan.VALUE) headSpans[spanEnd - 2] = start
  lastSpan = LastSpan.VALUE
  headSpans[spanEnd - 1] = start + length
  return 0
}

function recordUrl(_parser: number, at: number, length: number): number {
  if (urlEnd < 0) urlStart = at + addressToOffset
  urlEnd = at + addressToOffset + length
  return 0
}

function instantiate(): Exports {
  const require = createRequire(import.meta.url)
  let code = require('undici/lib/llhttp/llhttp_simd-wasm.js') as Uint8Array
  if (!webAssembly.validate(code)) code = require('undici/lib/llhttp/llhttp-wasm.js') as Uint8Array
  const nothing = (): number => 0
  const instance = new webAssembly.Instance(new webAssembly.Module(code), {
    env: {
      wasm_on_message_begin: nothing,
      wasm_on_url: recordUrl,
      wasm_on_status: nothing,
      wasm_on_header_field: recordName,
      wasm_on_header_value: recordValue,
      wasm_on_headers_complete: (): number => PAUSED,
      wasm_on_body: nothing,
      wasm_on_message_complete: nothing,
    },
  })
  const exports = instance.exports as Exports
  exports._initialize()
  return exports
}

let shared: Exports | null = null
/** Where windows are copied to, and the view through which. */
let windowAddress = 0
let view: Uint8Array = new Uint8Array(0)
let viewWords: Int32Array = new Int32Array(0)

function load(): Exports {
  if (shared === null) {
    shared = instantiate()
    windowAddress = shared.malloc(WINDOW_MAX)
  }
  return shared
}

/** Memory that grew has a new ArrayBuffer, and the views on the old one have length 0. */
function currentView(exports: Exports): Uint8Array {
  if (view.length === 0) {
    view = new Uint8Array(exports.memory.buffer)
    viewWords = new Int32Array(exports.memory.buffer)
  }
  return view
}

/**
 * Bytes are mostly received into the same place again, and making a view takes longer than copying what it shows. So
 * the last views are kept, that of a window always as long as one: copying bytes behind the end does no harm.
 */
let lastBytes: Uint8Array = new Uint8Array(0)
let lastWords: Int32Array = new Int32Array(0)
let lastWindow: Uint8Array = lastBytes
let lastStart = -1

/** A short head word by word, which is done before the call that copies longer ones has begun. */
function copyWindow(exports: Exports, bytes: Uint8Array, start: number, end: number): void {
  const memory = currentView(exports)
  if (bytes !== lastBytes) {
    const isAligned = bytes.byteOffset % WORD_BYTES === 0
    lastBytes = bytes
    lastWords = isAligned ? new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2) : NO_WORDS
    lastStart = -1
  }
  const first = start >> 2
  const count = (end - start + WORD_BYTES - 1) >> 2
  if (count <= WORDS_MAX && start % WORD_BYTES === 0 && first + count <= lastWords.length) {
    const address = windowAddress >> 2
    for (let index = 0; index < count; index++) viewWords[address + index] = lastWords[first + index] as number
    return
  }
  if (start !== lastStart) {
    lastWindow = bytes.subarray(start, start + WINDOW_FIRST)
    lastStart = start
  }
  memory.set(lastWindow, windowAddress)
}

const TRAILER_PREFACE = Buffer.from('HTTP/1.1 200 OK\r\n', 'latin1')

export class HeadParser {
  /** After COMPLETE: the length of the head with its empty line. */
  headLength = 0
  /** After any result: entries of `headSpans` in use, SPAN per field. */
  spanCount = 0
  /** Requests: where the target is. */
  targetStart = 0
  targetEnd = 0
  /** After INVALID. */
  errno = 0
  reason = ''
  private readonly exports: Exports
  private readonly parser: number

  constructor(type: MessageType, leniency: HeadLeniency) {
    this.exports = load()
    this.parser = this.exports.llhttp_alloc(type)
    if (leniency.bareLineFeed) this.exports.llhttp_set_lenient_optional_cr_before_lf(this.parser, 1)
    if (leniency.bothLengths) this.exports.llhttp_set_lenient_chunked_length(this.parser, 1)
    if (leniency.foldedLines) this.exports.llhttp_set_lenient_headers(this.parser, 1)
  }

  /** Parses a head that begins at `start`, as far as `end` at most. */
  parse(bytes: Uint8Array, start: number, end: number): HeadResult {
    this.begin()
    return this.run(bytes, start, end)
  }

  /** Parses the trailer section of a chunked body, fields without a first line. For parsers of RESPONSE only. */
  parseTrailers(bytes: Uint8Array, start: number, end: number): HeadResult {
    this.begin()
    currentView(this.exports).set(TRAILER_PREFACE, windowAddress)
    this.exports.llhttp_execute(this.parser, windowAddress, TRAILER_PREFACE.length)
    return this.run(bytes, start, end)
  }

  private begin(): void {
    spanEnd = 0
    lastSpan = LastSpan.NONE
    urlEnd = -1
    this.exports.llhttp_reset(this.parser)
  }

  private run(bytes: Uint8Array, start: number, end: number): HeadResult {
    const exports = this.exports
    let at = start
    let windowEnd = start + WINDOW_FIRST
    while (at < end) {
      if (windowEnd > end) windowEnd = end
      if (at === start) copyWindow(exports, bytes, at, windowEnd)
      else currentView(exports).set(bytes.subarray(at, windowEnd), windowAddress)
      addressToOffset = at - start - windowAddress
      const errno = exports.llhttp_execute(this.parser, windowAddress, windowEnd - at)
      if (errno !== 0) return this.stop(errno)
      at = windowEnd
      windowEnd = at + WINDOW_MAX
    }
    this.spanCount = spanEnd
    return HeadResult.INCOMPLETE
  }

  private stop(errno: number): HeadResult {
    this.spanCount = spanEnd
    this.headLength = this.exports.llhttp_get_error_pos(this.parser) + addressToOffset
    if (errno === PAUSED) {
      this.targetStart = urlStart
      this.targetEnd = urlEnd
      return HeadResult.COMPLETE
    }
    if (errno === USER) return HeadResult.TOO_MANY_FIELDS
    this.errno = errno
    this.reason = this.readText(this.exports.llhttp_get_error_reason(this.parser))
    return HeadResult.INVALID
  }

  private readText(address: number): string {
    const memory = currentView(this.exports)
    const end = memory.indexOf(0, address)
    return Buffer.from(memory.subarray(address, end)).toString('latin1')
  }
}

/**
 * Undoes the content codings of one body, last applied first, as its bytes arrive.
 *   receive(bytes, start, end)   lends bytes; they must stay until next() says NEED_MORE, or hold() copied them
 *   next()                       the next piece of what they mean, in `output` up to `made`
 * Members of a gzip file follow one another (RFC 1952 §2.2), and so do the frames of zstd (RFC 8878 §3). What else
 * stands behind the end of a stream is passed over, as browsers do. 'deflate' is zlib's format, or the bare one that
 * some servers send under that name.
 */
import { InflateFormat, type InflateProvider, InflateStatus, type InflateStream } from '../sys/inflate.ts'
import type { ContentCoding } from './content-coding.ts'

export const DecodeStatus = { NEED_MORE: 0, DATA: 1, INVALID: 2, NO_MEMORY: 3 } as const
export type DecodeStatus = (typeof DecodeStatus)[keyof typeof DecodeStatus]

/** Output of a stage that is not the last. */
const STAGE_BYTES = 16 * 1024
const GZIP_FIRST_BYTE = 0x1f
/** Of a frame, and of one that says nothing. */
const ZSTD_FIRST_BYTE = 0x28
const ZSTD_SKIPPABLE = 0x50
const NOTHING = new Uint8Array(0)

export class ContentDecoder {
  /** After DATA: the bytes are `output` from 0 to `made`, until the next call. */
  made = 0
  readonly output: Uint8Array
  readonly #stages: readonly Stage[]

  /** `codings` in the order in which they were applied, at least one. `output` may be shared with other decoders. */
  constructor(provider: InflateProvider, codings: readonly ContentCoding[], output: Uint8Array) {
    this.output = output
    this.#stages = codings
      .toReversed()
      .map(
        (coding, index) =>
          new Stage(provider, coding, index === codings.length - 1 ? output : new Uint8Array(STAGE_BYTES)),
      )
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.#stages[0]?.lend(bytes, start, end)
  }

  next(): DecodeStatus {
    const last = this.#stages.length - 1
    const status = this.#pull(last)
    this.made = status === DecodeStatus.DATA ? (this.#stages[last] as Stage).made : 0
    return status
  }

  /** What was lent and is not used yet is kept in memory of its own. */
  hold(): void {
    this.#stages[0]?.keep()
  }

  /** No more bytes will come: has a stream begun that did not end? */
  get isCutOff(): boolean {
    return this.#stages.some((stage) => stage.isOpen)
  }

  close(): void {
    for (const stage of this.#stages) stage.close()
  }

  #pull(index: number): DecodeStatus {
    const stage = this.#stages[index] as Stage
    for (;;) {
      const status = stage.run()
      if (status !== DecodeStatus.NEED_MORE || index === 0) return status
      const below = this.#pull(index - 1)
      if (below !== DecodeStatus.DATA) return below
      const source = this.#stages[index - 1] as Stage
      stage.lend(source.output, 0, source.made)
    }
  }
}

/** Of 'deflate' it is looked for in the first bytes. */
const FORMATS: Readonly<Record<ContentCoding, InflateFormat>> = {
  gzip: InflateFormat.GZIP,
  deflate: InflateFormat.ZLIB,
  br: InflateFormat.BROTLI,
  zstd: InflateFormat.ZSTD,
}

/** One coding. */
class Stage {
  made = 0
  readonly output: Uint8Array
  readonly #provider: InflateProvider
  readonly #coding: ContentCoding
  #stream: InflateStream | null = null
  #input: Uint8Array = NOTHING
  #at = 0
  #end = 0
  #ended = false
  /** The first byte of 'deflate', until the second says which format it is. */
  #lead: Uint8Array | null = null
  /** The last run filled the output: there may be more without new input. */
  #mayHaveMore = false

  constructor(provider: InflateProvider, coding: ContentCoding, output: Uint8Array) {
    this.#provider = provider
    this.#coding = coding
    this.output = output
  }

  get isOpen(): boolean {
    return (this.#stream !== null && !this.#ended) || this.#lead !== null
  }

  lend(bytes: Uint8Array, start: number, end: number): void {
    this.#input = bytes
    this.#at = start
    this.#end = end
  }

  keep(): void {
    // Of a Buffer, slice would be a view of the lender's memory.
    this.#input = new Uint8Array(this.#input.subarray(this.#at, this.#end))
    this.#end -= this.#at
    this.#at = 0
  }

  run(): DecodeStatus {
    while (this.#at < this.#end || this.#mayHaveMore) {
      if (this.#ended && !this.#beginMember()) {
        this.#at = this.#end
        break
      }
      if (this.#stream === null) {
        const status = this.#open()
        if (status !== DecodeStatus.DATA) return status
      }
      const stream = this.#stream as unknown as InflateStream
      const status = stream.run(this.#input, this.#at, this.#end, this.output)
      this.#at += stream.used
      this.made = stream.made
      this.#ended = status === InflateStatus.END
      this.#mayHaveMore = status === InflateStatus.OUTPUT_FULL
      if (status === InflateStatus.INVALID) return DecodeStatus.INVALID
      if (status === InflateStatus.NO_MEMORY) return DecodeStatus.NO_MEMORY
      if (this.made > 0) return DecodeStatus.DATA
    }
    return DecodeStatus.NEED_MORE
  }

  close(): void {
    this.#stream?.close()
    this.#stream = null
    this.#ended = true
  }

  /** True when another gzip member or zstd frame begins here. */
  #beginMember(): boolean {
    if (!mayFollow(this.#coding, this.#input[this.#at] as number)) return false
    this.#ended = false
    return this.#stream?.reset() ?? false
  }

  /** DATA: the stream is open. */
  #open(): DecodeStatus {
    let format: InflateFormat = FORMATS[this.#coding]
    if (this.#coding === 'deflate') {
      if (this.#lead === null) {
        this.#lead = Uint8Array.of(this.#input[this.#at++] as number)
        if (this.#at === this.#end) return DecodeStatus.NEED_MORE
      }
      format = isZlibHeader(this.#lead[0] as number, this.#input[this.#at] as number)
        ? InflateFormat.ZLIB
        : InflateFormat.RAW
    }
    this.#stream = this.#provider.open(format)
    if (this.#stream === null) return DecodeStatus.NO_MEMORY
    const lead = this.#lead
    this.#lead = null
    // One byte of either format means nothing yet, but it may be wrong.
    if (lead !== null && this.#stream.run(lead, 0, 1, this.output) === InflateStatus.INVALID) {
      return DecodeStatus.INVALID
    }
    return DecodeStatus.DATA
  }
}

/** Whether a byte can begin another member of that coding. */
function mayFollow(coding: ContentCoding, byte: number): boolean {
  if (coding === 'gzip') return byte === GZIP_FIRST_BYTE
  return coding === 'zstd' && (byte === ZSTD_FIRST_BYTE || (byte & 0xf0) === ZSTD_SKIPPABLE)
}

/** RFC 1950 §2.2: method 8, a window of at most 32 KiB, and a multiple of 31. */
function isZlibHeader(first: number, second: number): boolean {
  return (first & 0x0f) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0
}

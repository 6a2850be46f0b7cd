/**
 * The form in a request's body, urlencoded or multipart: part by part as it arrives (`formParts`), or collected within
 * limits (`collectForm`). A form that is broken is an HttpError 400, one that is too large 413, a body that is none
 * 415. The peer is held back while nobody asks for the next piece.
 */
import { checkOptions, isInteger } from '../../../base/options.ts'
import { type FormDecoder, FormEvent } from '../../../wire/form-event.ts'
import type { HeaderList } from '../../../wire/http1/header-list.ts'
import { MultipartDecoder, multipartBoundary } from '../../../wire/multipart-decoder.ts'
import { UrlencodedDecoder } from '../../../wire/urlencoded-decoder.ts'
import { HttpError } from '../http-error.ts'

/** Fields and files of one form; PHP's max_input_vars. */
const PARTS_MAX = 1000
/** Of the content of all parts; whoever reads large files part by part says how large. */
const FORM_BYTES_MAX = 16 * 1024 * 1024

export interface FormLimits {
  /** Default 1000. */
  readonly maxParts?: number
  /** Of the content of one part. Default: as of all. */
  readonly maxPartBytes?: number
  /** Of the content of all parts. Default 16 MiB. */
  readonly maxBytes?: number
}

const LIMIT = isInteger(0, Number.MAX_SAFE_INTEGER)
const CHECKS = { maxParts: LIMIT, maxPartBytes: LIMIT, maxBytes: LIMIT } as const

/** A part as it arrives: its content is consumed once, or passed over by asking for the next part. */
export interface FormPart {
  readonly name: string
  /** null: a plain field. Never to be used as a path. */
  readonly filename: string | null
  /** '' when the part does not say. */
  readonly contentType: string
  readonly headers: HeaderList
  bytes(): Promise<Uint8Array<ArrayBuffer>>
  text(): Promise<string>
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array<ArrayBuffer>, undefined>
}

/** A part that was collected. */
export interface FormField {
  readonly name: string
  readonly filename: string | null
  readonly contentType: string
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Read as UTF-8. */
  text(): string
}

/** Whoever has a form in its body: an HttpRequest. */
interface FormSource extends AsyncIterable<Uint8Array> {
  readonly headers: HeaderList
}

/** A form that was collected, in the order of its parts. */
export class ReceivedForm implements Iterable<FormField> {
  readonly #fields: readonly FormField[]

  /** @internal */
  constructor(fields: readonly FormField[]) {
    this.#fields = fields
  }

  get size(): number {
    return this.#fields.length
  }

  /** The text of the first plain field of that name. */
  get(name: string): string | undefined {
    return this.#fields.find((field) => field.name === name && field.filename === null)?.text()
  }

  /** Of every plain field of that name. */
  getAll(name: string): string[] {
    return this.#fields.filter((field) => field.name === name && field.filename === null).map((field) => field.text())
  }

  /** The first file of that name. */
  file(name: string): FormField | undefined {
    return this.#fields.find((field) => field.name === name && field.filename !== null)
  }

  [Symbol.iterator](): Iterator<FormField> {
    return this.#fields[Symbol.iterator]()
  }
}

export async function collectForm(source: FormSource, limits: FormLimits = {}): Promise<ReceivedForm> {
  const fields: FormField[] = []
  for await (const part of formParts(source, limits)) {
    const { name, filename, contentType } = part
    const bytes = await part.bytes()
    fields.push({ name, filename, contentType, bytes, text: () => Buffer.from(bytes.buffer).toString() })
  }
  return new ReceivedForm(fields)
}

export async function* formParts(source: FormSource, limits: FormLimits = {}): AsyncGenerator<FormPart, void> {
  checkOptions('form limits', limits, CHECKS)
  const reader = new FormReader(source, decoderFor(source.headers), limits)
  try {
    for (;;) {
      const part = await reader.nextPart()
      if (part === null) return
      yield part
    }
  } finally {
    await reader.close()
  }
}

function decoderFor(headers: HeaderList): FormDecoder {
  const contentType = headers.first('content-type') ?? ''
  if (/^[ \t]*application\/x-www-form-urlencoded[ \t]*(?:;|$)/i.test(contentType)) return new UrlencodedDecoder()
  const boundary = multipartBoundary(contentType)
  if (boundary === null) throw new HttpError(415, 'the body is no form')
  return new MultipartDecoder(boundary)
}

/** Pulls pieces of the body through the decoder, as parts and their content are asked for. */
class FormReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #decoder: FormDecoder
  readonly #limits: Required<FormLimits>
  #parts = 0
  #bytes = 0
  #partBytes = 0
  /** The part that is open; its content is asked for by its holder only. */
  #current: FormPart | null = null

  constructor(source: FormSource, decoder: FormDecoder, limits: FormLimits) {
    this.#pieces = source[Symbol.asyncIterator]()
    this.#decoder = decoder
    const { maxParts = PARTS_MAX, maxBytes = FORM_BYTES_MAX, maxPartBytes = maxBytes } = limits
    this.#limits = { maxParts, maxPartBytes, maxBytes }
  }

  /** null at the end of the form. What is left of the part before is passed over. */
  async nextPart(): Promise<FormPart | null> {
    while (this.#current !== null) await this.#nextPiece(this.#current)
    if ((await this.#nextEvent()) === FormEvent.END) return null
    if (++this.#parts > this.#limits.maxParts) throw new HttpError(413, 'the form has too many parts')
    this.#partBytes = 0
    const { name, filename, contentType, headers } = this.#decoder
    const part: FormPart = {
      name,
      filename,
      contentType,
      headers,
      bytes: () => this.#collect(part),
      text: async () => Buffer.from((await this.#collect(part)).buffer).toString(),
      [Symbol.asyncIterator]: () => ({ next: () => this.#nextPiece(part) }),
    }
    this.#current = part
    return part
  }

  async close(): Promise<void> {
    this.#current = null
    await this.#pieces.return?.()
  }

  async #collect(part: FormPart): Promise<Uint8Array<ArrayBuffer>> {
    const pieces: Uint8Array[] = []
    for (let piece = await this.#nextPiece(part); piece.done !== true; piece = await this.#nextPiece(part)) {
      pieces.push(piece.value)
    }
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const bytes = new Uint8Array(length)
    let at = 0
    for (const piece of pieces) {
      bytes.set(piece, at)
      at += piece.length
    }
    return bytes
  }

  async #nextPiece(part: FormPart): Promise<IteratorResult<Uint8Array<ArrayBuffer>, undefined>> {
    if (this.#current !== part) return { done: true, value: undefined }
    if ((await this.#nextEvent()) !== FormEvent.DATA) {
      this.#current = null
      return { done: true, value: undefined }
    }
    const { dataBytes, dataStart, dataEnd } = this.#decoder
    this.#partBytes += dataEnd - dataStart
    this.#bytes += dataEnd - dataStart
    if (this.#partBytes > this.#limits.maxPartBytes) throw new HttpError(413, 'a part of the form is too large')
    if (this.#bytes > this.#limits.maxBytes) throw new HttpError(413, 'the form is too large')
    return { done: false, value: dataBytes.slice(dataStart, dataEnd) as Uint8Array<ArrayBuffer> }
  }

  async #nextEvent(): Promise<FormEvent> {
    for (;;) {
      const event = this.#decoder.nextEvent()
      if (event === FormEvent.ERROR) throw new HttpError(400, `broken form: ${this.#decoder.reason}`)
      if (event !== FormEvent.NEED_MORE) return event
      const piece = await this.#pieces.next()
      if (piece.done === true) this.#decoder.receiveEof()
      else this.#decoder.receive(piece.value, 0, piece.value.length)
    }
  }
}

/**
 * A multipart/form-data body as users build it, and its bytes as a sender pulls them. Files are read in bounded pieces
 * with blocking reads, as curl does: on a slow disk the whole loop waits. The length is known when that of every part
 * is; a file counts with the length that it has when the transfer is made, and must not change until it was sent.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import {
  type Check,
  checkOptions,
  isFunction,
  isInteger,
  isText,
  show,
  wrongRange,
  wrongType,
} from '../base/options.ts'
import { isFieldValue } from '../wire/http1/syntax.ts'
import { formEnd, PART_END, partHead } from '../wire/multipart-encoder.ts'
import { type BodyFunction, PAUSE } from './body-function.ts'
import { type HeadersOption, headerPairs } from './header-pairs.ts'

export interface PartOptions {
  /** Path of a file; its name without directories becomes the file name. CURLOPT_MIMEPOST, curl_mime_filedata. */
  file?: string
  /** Bytes (not copied), or a string (UTF-8). curl_mime_data. */
  data?: Uint8Array | string
  /** Gives the next bytes as a body callback does. curl_mime_data_cb. */
  pull?: BodyFunction
  /** What `pull` will give; without it the whole form is sent chunked. */
  length?: number
  /** Starts `pull` from its beginning, when the form must be sent again. */
  rewind?: () => void
  /** null: none, although it is a file. curl_mime_filename. */
  filename?: string | null
  /** Default application/octet-stream for what has a file name, none for the rest. curl_mime_type. */
  contentType?: string | null
  /** More fields of the part. curl_mime_headers. */
  headers?: HeadersOption
}

const isTextOrNull: Check = (option, value) => {
  if (value === null) return
  isText(option, value)
}

const isContentType: Check = (option, value) => {
  isTextOrNull(option, value)
  if (value !== null && !isFieldValue(value as string))
    throw wrongType(option, 'a string without CR, LF and NUL', value)
}

const CHECKS: Readonly<Record<keyof PartOptions, Check>> = {
  file: (option, value) => {
    isText(option, value)
    if (value === '' || (value as string).includes('\0')) throw wrongRange(option, 'a path', value)
  },
  data: (option, value) => {
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw wrongType(option, 'bytes or a string', value)
  },
  pull: isFunction,
  length: isInteger(0, Number.MAX_SAFE_INTEGER),
  rewind: isFunction,
  filename: isTextOrNull,
  contentType: isContentType,
  headers: () => {},
}

interface Part {
  readonly name: string
  readonly options: PartOptions
}

/** Parts in the order in which they were added. May serve any number of transfers, one after the other if it pulls. */
export class Form {
  /** @internal */
  readonly parts: Part[] = []

  /** A text, bytes, or a part with its options. Throws TypeError or RangeError naming the option and the value. */
  add(name: string, value: string | Uint8Array | PartOptions): this {
    if (typeof name !== 'string') throw new TypeError(`Form.add: name must be a string, not ${show(name)}`)
    const options = typeof value === 'string' || value instanceof Uint8Array ? { data: value } : { ...value }
    checkOptions('Form.add', options, CHECKS)
    const sources = [options.file, options.data, options.pull].filter((source) => source !== undefined)
    if (sources.length !== 1) throw new TypeError('Form.add: needs exactly one of the options file, data and pull')
    if (options.pull === undefined && options.length !== undefined) {
      throw wrongRange('length', 'left out without pull', options.length)
    }
    headerPairs('headers', options.headers ?? [])
    this.parts.push({ name, options })
    return this
  }
}

/** One piece after the other of a form's body: bytes, files, callbacks. */
type Source =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'file'; readonly path: string; readonly length: number }
  | {
      readonly kind: 'pull'
      readonly pull: BodyFunction
      readonly length: number
      readonly rewind: (() => void) | null
    }

/** A form on its way: what a body callback gives. Made once per set of options; it starts anew for each request. */
export class FormBody {
  readonly contentType: string
  /** -1 when that of a part is not known. */
  readonly length: number
  /** Why no more bytes came: a file that cannot be read, a callback that broke its contract. */
  failure: Error | null = null
  readonly #sources: readonly Source[]
  #index = 0
  /** Bytes of the present source that were given. */
  #given = 0
  #fd = -1
  #begun = false
  #piece: Buffer | null = null

  constructor(form: Form) {
    const boundary = `------------------------${randomBytes(12).toString('hex')}`
    this.contentType = `multipart/form-data; boundary=${boundary}`
    const sources: Source[] = []
    for (const part of form.parts) sources.push(...sourcesOf(part, boundary))
    sources.push({ kind: 'bytes', bytes: formEnd(boundary) })
    this.#sources = sources
    let length = 0
    for (const source of sources) {
      const size = source.kind === 'bytes' ? source.bytes.length : source.length
      length = size < 0 || length < 0 ? -1 : length + size
    }
    this.length = length
  }

  /** False when a part was asked and cannot begin anew. */
  get isRewindable(): boolean {
    return !this.#begun || this.#sources.every((source) => source.kind !== 'pull' || source.rewind !== null)
  }

  /** From the beginning. */
  rewind(): void {
    if (this.#begun) for (const source of this.#sources) if (source.kind === 'pull') source.rewind?.()
    this.close()
    this.failure = null
    this.#index = 0
    this.#given = 0
    this.#begun = false
  }

  /** A BodyFunction; null also after a `failure`. What a callback throws goes through. */
  pull(bytesMax: number): Uint8Array | string | null | typeof PAUSE {
    for (;;) {
      const source = this.#sources[this.#index]
      if (source === undefined) return null
      const piece = this.#pullFrom(source, bytesMax)
      if (piece === PAUSE || this.failure !== null) return piece
      if (piece !== null) {
        this.#given += piece.length
        return piece
      }
      this.#index++
      this.#given = 0
    }
  }

  /** Closes the file that is open. Idempotent. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
    this.#piece = null
  }

  #pullFrom(source: Source, bytesMax: number): Uint8Array | null | typeof PAUSE {
    switch (source.kind) {
      case 'bytes': {
        const piece = source.bytes.subarray(this.#given, this.#given + bytesMax)
        return piece.length === 0 ? null : piece
      }
      case 'file':
        return this.#tryReadFile(source.path, source.length, bytesMax)
      case 'pull':
        return this.#ask(source.pull, source.length, bytesMax)
    }
  }

  #ask(pull: BodyFunction, length: number, bytesMax: number): Uint8Array | null | typeof PAUSE {
    const most = length < 0 ? bytesMax : Math.min(bytesMax, length - this.#given)
    if (most === 0) return null
    this.#begun = true
    const piece: unknown = pull(most)
    if (piece === PAUSE) return PAUSE
    if (piece === null) {
      if (length < 0) return null
      return this.#fail(new RangeError(`pull of a form's part ended after ${this.#given} of ${length} bytes`))
    }
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
    if (!(bytes instanceof Uint8Array)) {
      return this.#fail(new TypeError('pull must return bytes, a string, null or PAUSE'))
    }
    if (bytes.length > most) {
      return this.#fail(new RangeError(`pull gave ${bytes.length} bytes where at most ${most} were asked for`))
    }
    return bytes
  }

  #tryReadFile(path: string, length: number, bytesMax: number): Uint8Array | null {
    try {
      return this.#readFile(path, length, bytesMax)
    } catch (cause) {
      return this.#fail(cause as Error)
    }
  }

  #fail(failure: Error): null {
    this.failure = failure
    this.close()
    return null
  }

  #readFile(path: string, length: number, bytesMax: number): Uint8Array | null {
    const most = Math.min(bytesMax, length - this.#given)
    if (most === 0) {
      this.close()
      return null
    }
    if (this.#fd < 0) {
      this.#fd = openSync(path, 'r')
      const { size } = fstatSync(this.#fd)
      if (size !== length) throw new RangeError(`${path} has ${size} bytes now and had ${length}`)
    }
    if (this.#piece === null || this.#piece.length < most) this.#piece = Buffer.allocUnsafeSlow(most)
    const count = readSync(this.#fd, this.#piece, 0, most, this.#given)
    if (count === 0) throw new RangeError(`${path} ended after ${this.#given} of ${length} bytes`)
    return this.#piece.subarray(0, count)
  }
}

function sourcesOf({ name, options }: Part, boundary: string): Source[] {
  const { file, data, pull } = options
  const filename = options.filename === undefined && file !== undefined ? basename(file) : (options.filename ?? null)
  const contentType =
    options.contentType === undefined && filename !== null ? 'application/octet-stream' : (options.contentType ?? null)
  const headers = headerPairs('headers', options.headers ?? []).filter(
    (pair): pair is readonly [string, string] => pair[1] !== null,
  )
  const head: Source = { kind: 'bytes', bytes: partHead(boundary, { name, filename, contentType, headers }) }
  const end: Source = { kind: 'bytes', bytes: PART_END }
  if (file !== undefined) return [head, { kind: 'file', path: file, length: lengthOf(file) }, end]
  if (pull !== undefined) {
    return [head, { kind: 'pull', pull, length: options.length ?? -1, rewind: options.rewind ?? null }, end]
  }
  return [head, { kind: 'bytes', bytes: typeof data === 'string' ? Buffer.from(data) : (data as Uint8Array) }, end]
}

/** Of a regular file. Throws the system's error, or a RangeError for what is none. */
function lengthOf(path: string): number {
  const stat = statSync(path)
  if (!stat.isFile()) throw wrongRange('file', 'the path of a regular file', path)
  return stat.size
}

/**
 * A request parser that is enough for a scripted origin: heads, bodies with a length or in chunks. Its own, so that the
 * library's codec is not checked against itself.
 */
export interface OriginRequest {
  readonly method: string
  readonly target: string
  readonly headers: ReadonlyMap<string, string>
  body: Uint8Array
}

type Stage = 'head' | 'sized' | 'chunkSize' | 'chunk' | 'trailers'

export class RequestParser {
  /** Set when the peer sent what is no request. */
  error: string | null = null
  onHead: ((request: OriginRequest) => void) | null = null
  readonly #onRequest: (request: OriginRequest) => void
  #bytes: Buffer = Buffer.alloc(0)
  #stage: Stage = 'head'
  #request: OriginRequest | null = null
  #parts: Uint8Array[] = []
  #left = 0
  #isHeld = false

  constructor(onRequest: (request: OriginRequest) => void) {
    this.#onRequest = onRequest
  }

  /** True between requests with nothing half received. */
  get isIdle(): boolean {
    return this.#stage === 'head' && this.#bytes.length === 0
  }

  push(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    this.#advance()
  }

  /** One request at a time: the next is handed out after `release`. */
  release(): void {
    this.#isHeld = false
    this.#advance()
  }

  #advance(): void {
    while (!this.#isHeld && this.error === null && this.#next());
  }

  #next(): boolean {
    switch (this.#stage) {
      case 'head':
        return this.#head()
      case 'sized':
      case 'chunk':
        return this.#data()
      case 'chunkSize':
        return this.#chunkSize()
      default:
        return this.#trailer()
    }
  }

  #line(): string | null {
    const end = this.#bytes.indexOf('\r\n')
    if (end < 0) return null
    const line = this.#bytes.toString('latin1', 0, end)
    this.#bytes = this.#bytes.subarray(end + 2)
    return line
  }

  #head(): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [first = '', ...lines] = this.#bytes.toString('latin1', 0, end).split('\r\n')
    this.#bytes = this.#bytes.subarray(end + 4)
    const match = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(first)
    if (match === null) {
      this.error = `no request line: ${first}`
      return false
    }
    const headers = new Map<string, string>()
    for (const line of lines) {
      const colon = line.indexOf(':')
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
    }
    this.#request = { method: match[1] ?? '', target: match[2] ?? '', headers, body: new Uint8Array(0) }
    this.#parts = []
    this.onHead?.(this.#request)
    if (headers.get('transfer-encoding') === 'chunked') this.#stage = 'chunkSize'
    else {
      this.#left = Number(headers.get('content-length') ?? '0')
      this.#stage = 'sized'
    }
    return true
  }

  #data(): boolean {
    const part = this.#bytes.subarray(0, this.#left)
    this.#parts.push(part)
    this.#bytes = this.#bytes.subarray(part.length)
    this.#left -= part.length
    if (this.#left > 0) return false
    if (this.#stage === 'sized') this.#complete()
    else {
      if (this.#bytes.length < 2) return false
      if (this.#line() !== '') this.error = 'no line end after a chunk'
      this.#stage = 'chunkSize'
    }
    return true
  }

  #chunkSize(): boolean {
    const line = this.#line()
    if (line === null) return false
    this.#left = Number.parseInt(line, 16)
    if (!(this.#left >= 0)) this.error = `no chunk size: ${line}`
    this.#stage = this.#left === 0 ? 'trailers' : 'chunk'
    return true
  }

  #trailer(): boolean {
    const line = this.#line()
    if (line === null) return false
    if (line === '') this.#complete()
    return true
  }

  #complete(): void {
    const request = this.#request as OriginRequest
    request.body = Buffer.concat(this.#parts)
    this.#stage = 'head'
    this.#isHeld = true
    this.#onRequest(request)
  }
}

/**
 * What the fields of a head say about the length of the body and about the connection (RFC 9112 §6, §9.3). It is the
 * same for requests and responses; what follows from it is for their readers. A `Framing` is filled anew for each head.
 */
import { type HeaderList, matchesName } from './header-list.ts'

export class Framing {
  /** -1 when there is none. */
  contentLength = -1
  /** Some Transfer-Encoding is present. */
  transferCoded = false
  /** Number of transfer codings. */
  codings = 0
  /** The last transfer coding is chunked. */
  chunked = false
  /** The first transfer coding that is neither chunked nor identity; '' when there is none. */
  unknownCoding = ''
  /** `close` is among the connection options. */
  close = false
  /** `keep-alive` is among the connection options. */
  keepAlive = false
  /** `upgrade` is among the connection options. */
  upgrade = false
  /** How many Host fields there are. */
  hosts = 0
  /** `100-continue` is what is expected. */
  expectContinue = false
  /** Something else is. */
  unknownExpectation = false
  /** Not '' when the head contradicts itself. */
  fault = ''
  /** Two readers could take the body for different things: the connection must not be used again. */
  ambiguous = false

  read(headers: HeaderList): void {
    this.contentLength = -1
    this.transferCoded = false
    this.codings = 0
    this.chunked = false
    this.unknownCoding = ''
    this.close = false
    this.keepAlive = false
    this.upgrade = false
    this.hosts = 0
    this.expectContinue = false
    this.unknownExpectation = false
    this.fault = ''
    this.ambiguous = false
    const text = headers.text
    const spans = headers.offsets
    for (let at = 0; at < spans.length; at += 4) {
      const start = spans[at] as number
      const end = spans[at + 1] as number
      switch (end - start) {
        case 4:
          if (matchesName(text, start, end, 'host')) this.hosts++
          break
        case 6:
          if (matchesName(text, start, end, 'expect')) this.readExpectation(text, at, spans)
          break
        case 10:
          if (matchesName(text, start, end, 'connection')) this.readConnection(text, at, spans)
          break
        case 14:
          if (matchesName(text, start, end, 'content-length')) this.readLength(text, at, spans)
          break
        case 16:
          if (matchesName(text, start, end, 'proxy-connection')) this.readConnection(text, at, spans)
          break
        case 17:
          if (matchesName(text, start, end, 'transfer-encoding')) this.readCodings(text, at, spans)
          break
      }
    }
    if (this.transferCoded && this.contentLength >= 0) this.ambiguous = true
  }

  private readLength(text: string, at: number, spans: readonly number[]): void {
    const start = spans[at + 2] as number
    const end = spans[at + 3] as number
    let value = 0
    for (let index = start; index < end; index++) {
      const digit = text.charCodeAt(index) - 48
      if (digit < 0 || digit > 9) value = Number.NaN
      value = value * 10 + digit
    }
    if (start === end || !(value <= Number.MAX_SAFE_INTEGER)) this.fault = 'invalid Content-Length'
    else if (this.contentLength >= 0) this.fault = 'more than one Content-Length'
    else this.contentLength = value
  }

  private readExpectation(text: string, at: number, spans: readonly number[]): void {
    const isContinue = matchesName(text, spans[at + 2] as number, spans[at + 3] as number, '100-continue')
    if (isContinue) this.expectContinue = true
    else this.unknownExpectation = true
  }

  private readConnection(text: string, at: number, spans: readonly number[]): void {
    const start = spans[at + 2] as number
    const end = spans[at + 3] as number
    // The two values that nearly all heads have.
    if (matchesName(text, start, end, 'keep-alive')) this.keepAlive = true
    else if (matchesName(text, start, end, 'close')) this.close = true
    else {
      for (const option of listElements(text.slice(start, end))) {
        if (option === 'close') this.close = true
        else if (option === 'keep-alive') this.keepAlive = true
        else if (option === 'upgrade') this.upgrade = true
      }
    }
  }

  private readCodings(text: string, at: number, spans: readonly number[]): void {
    for (const coding of listElements(text.slice(spans[at + 2], spans[at + 3]))) {
      // Servers that say chunked twice mean it once; curl and llhttp take it so.
      if (this.chunked) this.ambiguous = true
      this.chunked = coding === 'chunked'
      if (!this.chunked && coding !== 'identity' && this.unknownCoding === '') this.unknownCoding = coding
      this.codings++
    }
    // A field without a coding says that there is one, but not which.
    this.transferCoded = true
  }
}

/** Elements of a comma-separated field value, in lower case; empty ones are passed over (RFC 9110 §5.6.1). */
function listElements(value: string): string[] {
  const elements: string[] = []
  for (const part of value.split(',')) {
    const element = part.trim().toLowerCase()
    if (element !== '') elements.push(element)
  }
  return elements
}

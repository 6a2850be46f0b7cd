/**
 * application/x-www-form-urlencoded (WHATWG URL §5) out of any cuts, told as parts: a name, its value in pieces, an
 * end. '+' is a space, %XX a byte, and whatever is not an escape stands for itself. Names are bounded; values are the
 * caller's to bound.
 */
import { type FormDecoder, FormEvent } from './form-event.ts'
import { HeaderList } from './http1/header-list.ts'

const PIECE_BYTES = 8 * 1024
const NAME_BYTES_MAX = PIECE_BYTES - 4
const AMPERSAND = 38
const EQUALS = 61
const PLUS = 43
const PERCENT = 37
const SPACE = 32
const NO_BYTES = new Uint8Array(0)

const State = { NAME: 0, VALUE: 1, PART_END: 2, END: 3, FAILED: 4 } as const
type State = (typeof State)[keyof typeof State]

export class UrlencodedDecoder implements FormDecoder {
  name = ''
  readonly filename: null = null
  readonly contentType: string = ''
  readonly headers: HeaderList = HeaderList.EMPTY
  /** A name, then the pieces of its value. */
  readonly dataBytes: Uint8Array = new Uint8Array(PIECE_BYTES)
  readonly dataStart: number = 0
  dataEnd = 0
  reason = ''
  #state: State = State.NAME
  /** A byte of this field was there: two '&' in a row are no field. */
  #begun = false
  /** How much of an escape was seen, and its first digit as value and as byte. */
  #escaped = 0
  #firstDigit = 0
  #firstByte = 0
  #bytes: Uint8Array = NO_BYTES
  #at = 0
  #end = 0
  #eof = false

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  receiveEof(): void {
    this.#eof = true
  }

  nextEvent(): FormEvent {
    switch (this.#state) {
      case State.NAME:
        return this.#readName()
      case State.VALUE:
        this.dataEnd = 0
        return this.#readValue()
      case State.PART_END:
        this.#state = State.NAME
        this.dataEnd = 0
        return FormEvent.PART_END
      case State.END:
        return FormEvent.END
      case State.FAILED:
        return FormEvent.ERROR
    }
  }

  #readName(): FormEvent {
    while (this.#at < this.#end) {
      const byte = this.#bytes[this.#at] as number
      if (byte === EQUALS || (byte === AMPERSAND && this.#begun)) {
        // The end of the field is the value's to find.
        if (byte === EQUALS) this.#at++
        return this.#beginPart()
      }
      this.#at++
      if (byte === AMPERSAND) continue
      this.#begun = true
      if (this.dataEnd > NAME_BYTES_MAX) return this.#fail('the name of a field is too long')
      this.#decode(byte)
    }
    if (!this.#eof) return FormEvent.NEED_MORE
    if (this.#begun) return this.#beginPart()
    this.#state = State.END
    return FormEvent.END
  }

  #beginPart(): FormEvent {
    this.#flushEscape()
    this.name = Buffer.from(this.dataBytes.subarray(0, this.dataEnd)).toString('utf8')
    this.dataEnd = 0
    this.#begun = false
    this.#state = State.VALUE
    return FormEvent.PART
  }

  #readValue(): FormEvent {
    let isDone = false
    // A byte may give back an escape that was held.
    while (this.#at < this.#end && this.dataEnd < PIECE_BYTES - 3) {
      const byte = this.#bytes[this.#at++] as number
      isDone = byte === AMPERSAND
      if (isDone) break
      this.#decode(byte)
    }
    isDone ||= this.#eof && this.#at === this.#end && this.dataEnd < PIECE_BYTES - 3
    if (isDone) {
      this.#flushEscape()
      this.#state = State.PART_END
    }
    if (this.dataEnd > 0) return FormEvent.DATA
    return isDone ? this.nextEvent() : FormEvent.NEED_MORE
  }

  #decode(byte: number): void {
    const digit = hexDigit(byte)
    if (this.#escaped > 0 && digit < 0) this.#flushEscape()
    if (this.#escaped === 2) {
      this.#put(this.#firstDigit * 16 + digit)
      this.#escaped = 0
    } else if (this.#escaped === 1) {
      this.#firstDigit = digit
      this.#firstByte = byte
      this.#escaped = 2
    } else if (byte === PERCENT) this.#escaped = 1
    else this.#put(byte === PLUS ? SPACE : byte)
  }

  /** What began as an escape and is none. */
  #flushEscape(): void {
    if (this.#escaped > 0) this.#put(PERCENT)
    if (this.#escaped > 1) this.#put(this.#firstByte)
    this.#escaped = 0
  }

  #put(byte: number): void {
    this.dataBytes[this.dataEnd++] = byte
  }

  #fail(reason: string): FormEvent {
    this.reason = reason
    this.#state = State.FAILED
    return FormEvent.ERROR
  }
}

/** -1 when it is none. */
function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

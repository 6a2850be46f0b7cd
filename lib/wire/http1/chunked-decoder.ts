/**
 * The chunked transfer coding (RFC 9112 §7.1), byte by byte over the caller's bytes; data is told by offsets and never
 * copied. Strict: lines end in CRLF, sizes are hexadecimal digits, nothing is guessed. Chunk extensions are checked for
 * control characters, bounded and dropped. The trailer section is not read here: after LAST it begins at `position`.
 */

export const ChunkEvent = { NEED_MORE: 0, DATA: 1, LAST: 2, INVALID: 3 } as const
export type ChunkEvent = (typeof ChunkEvent)[keyof typeof ChunkEvent]

/**
 * Beyond what data excuses: extensions must not be a way to send bytes that nobody counts (CVE-2024-22019 of Node,
 * CVE-2023-39326 of Go, whose figures these are).
 */
const EXTENSION_BYTES_MAX = 16 * 1024
const EXCUSED_PER_CHUNK = 16
const EXCUSED_PER_BYTE = 2
/** Leading zeros included. */
const SIZE_DIGITS_MAX = 16

const State = { SIZE: 0, BLANK: 1, EXTENSION: 2, SIZE_LF: 3, DATA: 4, DATA_CR: 5, DATA_LF: 6, LAST: 7 } as const
type State = (typeof State)[keyof typeof State]

const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const SEMICOLON = 59
const DELETE = 127

/** Value of a hexadecimal digit, or -1. */
const HEXADECIMAL = new Int8Array(256).fill(-1)
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16)
  HEXADECIMAL[text.charCodeAt(0)] = digit
  HEXADECIMAL[text.toUpperCase().charCodeAt(0)] = digit
}

export class ChunkedDecoder {
  /** Where the next byte to look at is. */
  position = 0
  /** After DATA. */
  dataStart = 0
  dataEnd = 0
  /** After INVALID. */
  reason = ''
  private state: State = State.SIZE
  private size = 0
  private digits = 0
  /** Of all chunks so far, less what their data excuses. */
  private extensionBytes = 0

  reset(): void {
    this.begin()
    this.extensionBytes = 0
  }

  /** Reads from `start` up to the next event. After DATA go on at `position`. */
  decode(bytes: Uint8Array, start: number, end: number): ChunkEvent {
    let at = start
    while (at < end) {
      if (this.state === State.DATA) return this.takeData(at, end)
      const byte = bytes[at++] as number
      this.position = at
      const reason = this.step(byte)
      if (reason !== '') {
        this.reason = reason
        return ChunkEvent.INVALID
      }
      if ((this.state as State) === State.LAST) return ChunkEvent.LAST
    }
    this.position = at
    return ChunkEvent.NEED_MORE
  }

  private begin(): void {
    this.state = State.SIZE
    this.size = 0
    this.digits = 0
  }

  private takeData(at: number, end: number): ChunkEvent {
    const available = end - at
    const taken = available < this.size ? available : this.size
    this.dataStart = at
    this.dataEnd = at + taken
    this.position = this.dataEnd
    this.size -= taken
    if (this.size === 0) this.state = State.DATA_CR
    return ChunkEvent.DATA
  }

  /** Returns '' or what is wrong. */
  private step(byte: number): string {
    switch (this.state) {
      case State.SIZE:
        return this.stepSize(byte)
      case State.BLANK:
        // White space may stand before ';' (RFC 9112 §7.1.1), and old servers pad sizes with it.
        if (byte !== SPACE && byte !== TAB) return this.stepAfterSize(byte)
        return this.countExtension()
      case State.EXTENSION:
        if (byte === CR) this.state = State.SIZE_LF
        else if ((byte < SPACE && byte !== TAB) || byte === DELETE) return 'control character in a chunk extension'
        return this.countExtension()
      case State.SIZE_LF:
        if (byte !== LF) return 'carriage return without line feed after a chunk size'
        this.state = this.size === 0 ? State.LAST : State.DATA
        this.excuseExtensions()
        return ''
      case State.DATA_CR:
        if (byte !== CR) return 'chunk longer than its size'
        this.state = State.DATA_LF
        return ''
      case State.DATA_LF:
        if (byte !== LF) return 'chunk longer than its size'
        this.begin()
        return ''
      default:
        return 'bytes after the last chunk'
    }
  }

  private stepSize(byte: number): string {
    const digit = HEXADECIMAL[byte] as number
    if (digit < 0) return this.digits === 0 ? 'chunk without a size' : this.stepAfterSize(byte)
    this.size = this.size * 16 + digit
    this.digits++
    return this.digits > SIZE_DIGITS_MAX || this.size > Number.MAX_SAFE_INTEGER ? 'chunk size too large' : ''
  }

  private stepAfterSize(byte: number): string {
    if (byte === CR) this.state = State.SIZE_LF
    else if (byte === SEMICOLON) this.state = State.EXTENSION
    else if (byte === SPACE || byte === TAB) this.state = State.BLANK
    else return 'invalid character in a chunk size'
    return ''
  }

  private excuseExtensions(): void {
    if (this.extensionBytes === 0) return
    this.extensionBytes = Math.max(0, this.extensionBytes - EXCUSED_PER_CHUNK - EXCUSED_PER_BYTE * this.size)
  }

  private countExtension(): string {
    return ++this.extensionBytes > EXTENSION_BYTES_MAX ? 'chunk extension too long' : ''
  }
}

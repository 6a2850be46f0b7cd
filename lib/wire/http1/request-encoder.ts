/**
 * Requests and chunk framing as bytes. Writers put Latin-1 into the caller's memory at an offset and return the offset
 * behind, or -1 when it does not fit; nothing is written then. Text is taken as it is: check method, names, values and
 * target with `syntax.ts` where they come from a user.
 */
import type { HeaderPairs } from './header-list.ts'

const latin1Write = Buffer.prototype.latin1Write

/** One call for any text; characters above 0xFF would lose their high bits, so they must have been refused before. */
export function writeLatin1(into: Uint8Array, offset: number, text: string): number {
  const length = text.length
  if (length > into.length - offset) return -1
  latin1Write.call(into, text, offset, length)
  return offset + length
}

/** Field lines, each with its CRLF. What does not change from request to request may be made once and kept. */
export function fieldLines(fields: HeaderPairs): string {
  let text = ''
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`
  return text
}

/** `lines` are field lines as `fieldLines` gives them; the empty line is added here. */
export function requestHead(method: string, target: string, lines: string, httpVersion: '1.0' | '1.1' = '1.1'): string {
  return `${method} ${target} HTTP/${httpVersion}\r\n${lines}\r\n`
}

export function writeRequestHead(
  into: Uint8Array,
  offset: number,
  method: string,
  target: string,
  lines: string,
  httpVersion: '1.0' | '1.1' = '1.1',
): number {
  return writeLatin1(into, offset, requestHead(method, target, lines, httpVersion))
}

/** More than the size line and the CRLF behind the data ever take. */
export const CHUNK_OVERHEAD_MAX: number = 14 + 2 + 2

const CR = 13
const LF = 10

/** The size line before a chunk's data. A chunk of 0 bytes would end the body: leave it out. */
export function writeChunkSize(into: Uint8Array, offset: number, size: number): number {
  if (!(size > 0)) throw new RangeError(`chunk size must be greater than 0: ${size}`)
  return writeLatin1(into, offset, `${size.toString(16)}\r\n`)
}

/** The CRLF behind a chunk's data. */
function writeChunkEnd(into: Uint8Array, offset: number): number {
  if (into.length - offset < 2) return -1
  into[offset] = CR
  into[offset + 1] = LF
  return offset + 2
}

/** A whole chunk, data copied. */
export function writeChunk(into: Uint8Array, offset: number, data: Uint8Array): number {
  const line = `${data.length.toString(16)}\r\n`
  if (line.length + data.length + 2 > into.length - offset) return -1
  const at = writeChunkSize(into, offset, data.length)
  into.set(data, at)
  return writeChunkEnd(into, at + data.length)
}

/** The last chunk, the trailer section and the empty line. */
export function writeLastChunk(into: Uint8Array, offset: number, trailerLines = ''): number {
  return writeLatin1(into, offset, `0\r\n${trailerLines}\r\n`)
}

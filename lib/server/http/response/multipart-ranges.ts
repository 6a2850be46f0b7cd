/** Several ranges of a file as multipart/byteranges (RFC 9110 §14.6), of known length, read as it is sent. */
import { randomBytes } from 'node:crypto'
import type { Files } from '../../../sys/files.ts'
import { systemError } from '../../../sys/system-error.ts'
import { shorter } from './file-body.ts'
import { type ByteRange, contentRange } from './range.ts'
import type { HttpResponse } from './response.ts'

/** Text, or a part of the file; `at` is where it stands in the body. */
interface Segment {
  readonly at: number
  readonly length: number
  readonly text: Uint8Array | null
  readonly fileStart: number
}

const READ_BYTES = 64 * 1024
const BOUNDARY_BYTES = 12

/** `fields` are those of the response. */
export function multipartRanges(
  files: Files,
  fd: number,
  size: number,
  ranges: readonly ByteRange[],
  contentType: string,
  fields: Readonly<Record<string, string>>,
): HttpResponse {
  const boundary = randomBytes(BOUNDARY_BYTES).toString('hex')
  const segments: Segment[] = []
  let end = 0
  const add = (length: number, text: Uint8Array | null, fileStart: number): void => {
    segments.push({ at: end, length, text, fileStart })
    end += length
  }
  for (const range of ranges) {
    const lead = segments.length === 0 ? '' : '\r\n'
    const fieldLines = `Content-Type: ${contentType}\r\nContent-Range: ${contentRange(range, size)}\r\n`
    const text = Buffer.from(`${lead}--${boundary}\r\n${fieldLines}\r\n`, 'latin1')
    add(text.length, text, 0)
    add(range.end - range.start, null, range.start)
  }
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1')
  add(tail.length, tail, 0)
  return {
    headers: { ...fields, 'content-type': `multipart/byteranges; boundary=${boundary}` },
    body: { length: end, pull: pullOf(files, fd, segments), close: () => files.close(fd) },
  }
}

function pullOf(
  files: Files,
  fd: number,
  segments: readonly Segment[],
): (position: number, bytesMax: number) => Uint8Array {
  const memory = Buffer.allocUnsafe(READ_BYTES)
  let index = 0
  return (position, bytesMax) => {
    while (position >= (segments[index] as Segment).at + (segments[index] as Segment).length) index++
    const { at, length, text, fileStart } = segments[index] as Segment
    const from = position - at
    if (text !== null) return text.subarray(from, from + bytesMax)
    const count = files.read(fd, memory, 0, Math.min(bytesMax, length - from, READ_BYTES), fileStart + from)
    if (count < 0) throw systemError(files, count, 'read')
    if (count === 0) throw shorter()
    return memory.subarray(0, count)
  }
}

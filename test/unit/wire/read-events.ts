/** Drives a ResponseReader over pieces of input and writes down what it told, with neighbouring data joined. */
import { ResponseEvent, ResponseReader, type ResponseReaderOptions } from '../../../lib/wire/http1/response-reader.ts'

export interface Told {
  readonly events: readonly string[]
  readonly body: string
  readonly reader: ResponseReader
  /** Bytes after the end of the message, in all pieces. */
  readonly left: string
}

export const EVENTS_MAX = 100_000

/** `eof` says whether the connection is closed after the last piece. */
export function readPieces(
  pieces: readonly Uint8Array[],
  method = 'GET',
  eof = true,
  options: ResponseReaderOptions = {},
): Told {
  const reader = new ResponseReader(options)
  reader.reset(method)
  const events: string[] = []
  let body = ''
  let left = ''
  const drain = (): void => {
    for (let count = 0; ; count++) {
      if (count > EVENTS_MAX) throw new Error('the reader does not come to an end')
      const event = reader.nextEvent()
      switch (event) {
        case ResponseEvent.INFORMATIONAL:
        case ResponseEvent.HEAD:
          events.push(describeHead(reader, event === ResponseEvent.HEAD))
          break
        case ResponseEvent.DATA:
          body += Buffer.from(reader.dataBytes.subarray(reader.dataStart, reader.dataEnd)).toString('latin1')
          break
        case ResponseEvent.TRAILERS:
          events.push(`trailers ${JSON.stringify(reader.trailers.raw)}`)
          break
        default:
          if (event === ResponseEvent.END && events.at(-1) !== 'end') events.push('end')
          if (event === ResponseEvent.ERROR && events.at(-1) !== 'error') {
            events.push(`${reader.error?.code}`, 'error')
          }
          return
      }
    }
  }
  for (const piece of pieces) {
    // The piece stands somewhere in a larger buffer, as received bytes do.
    const lent = new Uint8Array(piece.length + 5).fill(0x21)
    lent.set(piece, 3)
    reader.receive(lent, 3, 3 + piece.length)
    drain()
    if (events.at(-1) === 'end')
      left += Buffer.from(lent.subarray(reader.consumed, 3 + piece.length)).toString('latin1')
    lent.fill(0x3f)
  }
  if (eof) {
    reader.receiveEof()
    drain()
  }
  return { events, body, reader, left }
}

function describeHead(reader: ResponseReader, final: boolean): string {
  const head = [
    final ? 'head' : 'informational',
    reader.httpVersion,
    reader.status,
    reader.reason,
    reader.contentLength,
  ]
  const flags = [reader.chunked ? 'chunked' : '', reader.keepAlive ? 'keepAlive' : '', reader.upgrade ? 'upgrade' : '']
  return JSON.stringify([...head, final ? flags.filter((flag) => flag !== '').join() : '', reader.headers.raw])
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'))
}

export function eachByte(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => new Uint8Array([byte]))
}

export function readText(text: string, method = 'GET', eof = true, options: ResponseReaderOptions = {}): Told {
  return readPieces([bytesOf(text)], method, eof, options)
}

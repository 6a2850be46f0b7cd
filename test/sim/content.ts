/**
 * What both scripted origins answer about one content in many forms, by path:
 *   /encoded/CODINGS/N   text of N bytes, with those codings applied in this order: '/encoded/gzip+br/1000'
 *   /part/N              that text; honours 'Range: bytes=FROM-'
 *   /dated/N             that text, last modified at DATED, whatever the conditions of the request say
 */
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { zstdCompressSync } from '../support/zstd.ts'
import type { DialogueAnswer } from './dialogue.ts'
import type { OriginRequest } from './request-parser.ts'

export const DATED: Date = new Date('Sun, 06 Nov 1994 08:49:37 GMT')

const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  'deflate-raw': deflateRawSync,
  // Its best quality takes seconds.
  br: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  ...(zstdCompressSync === null ? {} : { zstd: zstdCompressSync }),
}

/** Text that is easily compressed. */
export function contentText(length: number): Buffer {
  const text = Buffer.alloc(length)
  for (let at = 0, line = 0; at < length; line++) at += text.write(`line ${line} of some text\n`, at)
  return text
}

export function encode(codings: string, content: Uint8Array): Uint8Array {
  return codings
    .split('+')
    .reduce((bytes, coding) => (ENCODERS[coding] as (from: Uint8Array) => Uint8Array)(bytes), content)
}

/** null: nothing of this. */
export function serveContent(request: OriginRequest): DialogueAnswer | null {
  const [, verb = '', first = '', second = ''] = request.target.split('/')
  switch (verb) {
    case 'encoded': {
      const named = first.replaceAll('deflate-raw', 'deflate').replaceAll('+', ', ')
      return answer(200, [`content-encoding: ${named}`], encode(first, contentText(Number(second))))
    }
    case 'part':
      return part(contentText(Number(first)), request.headers.get('range'))
    case 'dated':
      return answer(200, [`last-modified: ${DATED.toUTCString()}`], contentText(Number(first)))
    default:
      return null
  }
}

function part(content: Buffer, range: string | undefined): DialogueAnswer {
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '')
  if (match === null) return answer(200, [], content)
  const from = Number(match[1])
  const last = Math.min(match[2] === '' ? content.length : Number(match[2]), content.length - 1)
  if (from >= content.length)
    return answer(416, [`content-range: bytes */${content.length}`], Buffer.from('no such part'))
  return answer(206, [`content-range: bytes ${from}-${last}/${content.length}`], content.subarray(from, last + 1))
}

function answer(status: number, fields: readonly string[], body: Uint8Array): DialogueAnswer {
  return { status, fields, body, closes: false }
}

import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { acceptedCodings, type ContentCoding, codingsOf } from '../../../lib/client/content-coding.ts'
import { ContentDecoder, DecodeStatus } from '../../../lib/client/content-decoder.ts'
import { defaults } from '../../../lib/sys/defaults.ts'
import { InflateFormat } from '../../../lib/sys/inflate.ts'
import { zstdCompressSync } from '../../support/zstd.ts'

const provider = defaults.inflateProvider
type Encoder = (bytes: Uint8Array) => Uint8Array

const encoders: Readonly<Record<string, readonly [Encoder, ...Encoder[]]>> = {
  gzip: [gzipSync],
  deflate: [deflateSync, deflateRawSync],
  br: [brotliCompressSync],
  ...(zstdCompressSync === null ? {} : { zstd: [zstdCompressSync] }),
}
const known = Object.keys(encoders) as ContentCoding[]

function encode(name: ContentCoding, bytes: Uint8Array, isOther = false): Uint8Array {
  const [usual, other = usual] = encoders[name] as readonly [Encoder, Encoder?]
  return isOther ? other(bytes) : usual(bytes)
}

/** Everything that a decoder makes of these pieces; with `held`, each is copied by the decoder before it goes on. */
function decode(
  codings: readonly ContentCoding[],
  pieces: readonly Uint8Array[],
  room = 100,
  held = false,
): Buffer | string {
  const decoder = new ContentDecoder(provider, codings, new Uint8Array(room))
  const parts: Uint8Array[] = []
  let status: DecodeStatus = DecodeStatus.NEED_MORE
  for (const piece of pieces) {
    const lent = new Uint8Array(piece)
    decoder.receive(lent, 0, lent.length)
    for (status = decoder.next(); status === DecodeStatus.DATA; status = decoder.next()) {
      parts.push(decoder.output.slice(0, decoder.made))
      if (held) {
        decoder.hold()
        lent.fill(0)
      }
    }
    if (status !== DecodeStatus.NEED_MORE) break
  }
  const isCutOff = decoder.isCutOff
  decoder.close()
  if (status !== DecodeStatus.NEED_MORE) return 'invalid'
  return isCutOff ? 'cut off' : Buffer.concat(parts)
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes.length === 0 ? bytes.length : (sizes[index % sizes.length] as number)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

describe('a decoder', () => {
  it('gives back what was encoded, for any codings, cuts, room and pauses', () => {
    const codings = fc.array(fc.constantFrom(...known), { minLength: 1, maxLength: 3 })
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.tuple(fc.string({ minLength: 1 }), fc.nat(2000)).map(([text, times]) => Buffer.from(text.repeat(times))),
    )
    fc.assert(
      fc.property(
        codings,
        content,
        fc.array(fc.integer({ min: 1, max: 50 })),
        fc.integer({ min: 1, max: 300 }),
        fc.boolean(),
        fc.boolean(),
        (names, bytes, sizes, room, held, raw) => {
          let encoded: Uint8Array = bytes
          for (const name of names) encoded = encode(name, encoded, raw)
          const decoded = decode(names, cut(encoded, sizes), room, held)
          expect(Buffer.compare(Buffer.from(decoded), bytes)).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('never takes what was cut off for whole', () => {
    for (const name of known) {
      const encoded = encode(name, Buffer.from('some text, and some more text'))
      for (let length = 1; length < encoded.length; length++) {
        expect(decode([name], [encoded.subarray(0, length)]), `${name} ${length}`).toBe('cut off')
      }
    }
  })

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(...known), (bytes, name) => {
        decode([name], cut(bytes, [7]))
      }),
    )
  })
})

describe('names of codings', () => {
  it('are asked for as the user spells them, or all that there are', () => {
    expect(acceptedCodings('', provider)).toBe(
      zstdCompressSync === null ? 'gzip, deflate, br' : 'gzip, deflate, br, zstd',
    )
    expect(acceptedCodings('br;q=1.0, identity;q=0.1', provider)).toBe('br;q=1.0, identity;q=0.1')
    expect(acceptedCodings('zstd', provider)).toBe(zstdCompressSync === null ? null : 'zstd')
    expect(acceptedCodings('gzip, compress', provider)).toBe(null)
    const poor = { knows: () => false, open: () => null }
    expect(acceptedCodings('', poor)).toBe('identity')
    expect(acceptedCodings('gzip', poor)).toBe(null)
  })

  it('are read from any number of fields, in order', () => {
    expect(codingsOf([], provider)).toEqual([])
    expect(codingsOf(['gzip, br', ' , X-GZIP,identity'], provider)).toEqual(['gzip', 'br', 'gzip'])
    expect(codingsOf(['gzip, compress'], provider)).toBe('compress')
    const old = { ...provider, knows: (format: InflateFormat) => format !== InflateFormat.ZSTD }
    expect(codingsOf(['gzip, zstd'], old)).toBe('zstd')
  })
})

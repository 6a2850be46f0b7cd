import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { InflateFormat, InflateStatus, type InflateStream } from '../../lib/sys/inflate.ts'
import { inflateProvider } from '../../lib/sys/native.ts'
import { zstdCompressSync } from '../support/zstd.ts'

const text = Buffer.from(Array.from({ length: 5000 }, (_, line) => `line ${line * 7919}\n`).join(''))
const encoded: Record<string, Buffer> = {
  GZIP: gzipSync(text),
  ZLIB: deflateSync(text),
  RAW: deflateRawSync(text),
  BROTLI: brotliCompressSync(text),
  ...(zstdCompressSync === null ? {} : { ZSTD: zstdCompressSync(text) }),
}
const formats = Object.keys(encoded) as (keyof typeof InflateFormat)[]

function bytesOf(name: keyof typeof InflateFormat): Buffer {
  return encoded[name] as Buffer
}

function open(name: keyof typeof InflateFormat): InflateStream {
  const stream = inflateProvider.open(InflateFormat[name])
  if (stream === null) throw new Error('no memory')
  return stream
}

/** Everything that comes of the input when it is given in pieces, into memory of that size. */
function undo(stream: InflateStream, input: Uint8Array, piece: number, room: number): [InflateStatus, Buffer] {
  const output = new Uint8Array(room)
  const parts: Uint8Array[] = []
  let status: InflateStatus = InflateStatus.NEEDS_INPUT
  for (let at = 0; at < input.length && status === InflateStatus.NEEDS_INPUT; ) {
    const end = Math.min(at + piece, input.length)
    do {
      status = stream.run(input, at, end, output)
      at += stream.used
      parts.push(output.slice(0, stream.made))
    } while (status === InflateStatus.OUTPUT_FULL)
  }
  return [status, Buffer.concat(parts)]
}

describe.each(formats)('a stream of %s', (name) => {
  it('gives back what was encoded, for any cuts of input and output', () => {
    for (const [piece, room] of [
      [1e6, 1e6],
      [1, 1e6],
      [1e6, 7],
      [13, 11],
    ] as const) {
      const stream = open(name)
      const [status, bytes] = undo(stream, bytesOf(name), piece, room)
      stream.close()
      expect(status).toBe(InflateStatus.END)
      expect(bytes.equals(text)).toBe(true)
    }
  })

  it('leaves what stands behind its end, and serves again after a reset', () => {
    const stream = open(name)
    const twice = Buffer.concat([bytesOf(name), bytesOf(name)])
    const output = new Uint8Array(text.length)
    expect(stream.run(twice, 0, twice.length, output)).toBe(InflateStatus.END)
    expect(stream.used).toBe(bytesOf(name).length)
    expect(stream.reset()).toBe(true)
    expect(stream.run(twice, stream.used, twice.length, output)).toBe(InflateStatus.END)
    expect(Buffer.from(output).equals(text)).toBe(true)
    stream.close()
  })

  it('wants more of what was cut off', () => {
    const stream = open(name)
    const [status, bytes] = undo(stream, bytesOf(name).subarray(0, -9), 1e6, 1e6)
    expect(status).toBe(InflateStatus.NEEDS_INPUT)
    expect(text.subarray(0, bytes.length).equals(bytes)).toBe(true)
    stream.close()
  })

  it('refuses junk', () => {
    const stream = open(name)
    const [status] = undo(stream, Buffer.alloc(4000, 0xff), 1e6, 1e6)
    expect(status).toBe(InflateStatus.INVALID)
    stream.close()
  })
})

describe('arguments', () => {
  const output = new Uint8Array(10)

  it('says which formats it knows', () => {
    for (const [name, format] of Object.entries(InflateFormat)) {
      expect(inflateProvider.knows(format), name).toBe(name !== 'ZSTD' || zstdCompressSync !== null)
    }
    if (zstdCompressSync === null) expect(() => inflateProvider.open(InflateFormat.ZSTD)).toThrow(RangeError)
    expect(inflateProvider.knows(6 as InflateFormat)).toBe(false)
    expect(() => inflateProvider.open(0 as InflateFormat)).toThrow(RangeError)
    expect(() => inflateProvider.open('gzip' as unknown as InflateFormat)).toThrow(TypeError)
  })

  it('refuses offsets outside of the input, no room, and wrong kinds', () => {
    const stream = open('GZIP')
    expect(() => stream.run(new Uint8Array(3), 0, 4, output)).toThrow(RangeError)
    expect(() => stream.run(new Uint8Array(3), 2, 1, output)).toThrow(RangeError)
    expect(() => stream.run(new Uint8Array(3), -1, 1, output)).toThrow(RangeError)
    expect(() => stream.run(new Uint8Array(3), 0, 1, new Uint8Array(0))).toThrow(RangeError)
    expect(() => stream.run('abc' as unknown as Uint8Array, 0, 1, output)).toThrow(TypeError)
    expect(stream.run(new Uint8Array(0), 0, 0, output)).toBe(InflateStatus.NEEDS_INPUT)
    stream.close()
  })

  it('refuses a stream that was closed; closing again is nothing', () => {
    const stream = open('BROTLI')
    stream.close()
    stream.close()
    expect(() => stream.run(new Uint8Array(1), 0, 1, output)).toThrow(RangeError)
    expect(() => stream.reset()).toThrow(RangeError)
  })
})

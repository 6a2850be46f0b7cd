import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BodyBuffer } from '../../../lib/base/body-buffer.ts'

const text = (piece: Uint8Array | null): string | null => (piece === null ? null : Buffer.from(piece).toString())

describe('a body buffer', () => {
  it('copies what it is lent, and gives it in memory of its own', () => {
    const buffer = new BodyBuffer()
    const lent = new Uint8Array([1, 2, 3])
    buffer.push(lent)
    lent.fill(9)
    const piece = buffer.take()
    expect(piece).toEqual(new Uint8Array([1, 2, 3]))
    expect(piece?.buffer.byteLength).toBe(3)
    expect(buffer.take()).toBeNull()
    expect(buffer.size).toBe(0)
  })

  it('puts small pieces together, so that memory follows the bytes', () => {
    const buffer = new BodyBuffer()
    for (let i = 0; i < 40_000; i++) buffer.push(Buffer.from('x'))
    expect(buffer.size).toBe(40_000)
    let pieces = 0
    let bytes = 0
    for (let piece = buffer.take(); piece !== null; piece = buffer.take()) {
      pieces++
      bytes += piece.length
    }
    expect(bytes).toBe(40_000)
    expect(pieces).toBeLessThan(8)
  })

  it('is empty after it was cleared, with something behind the first piece too', () => {
    const buffer = new BodyBuffer()
    for (const piece of ['a', 'b', 'c'.repeat(5000), 'd']) buffer.push(Buffer.from(piece))
    buffer.clear()
    expect([buffer.size, buffer.take(), buffer.takeText(), buffer.takeAll().length]).toEqual([0, null, '', 0])
    buffer.push(Buffer.from('again'))
    expect(buffer.takeText()).toBe('again')
  })

  it('gives back every byte in order, however it was pushed and is taken', () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 20_000 })))
    fc.assert(
      fc.property(fc.array(fc.tuple(sizes, fc.constantFrom('take', 'all', 'text'))), (rounds) => {
        const buffer = new BodyBuffer()
        let pushed = 0
        let taken = 0
        const check = (bytes: string | null): void => {
          for (let i = 0; i < (bytes?.length ?? 0); i += 997) expect(bytes?.charCodeAt(i)).toBe(33 + ((taken + i) % 90))
          taken += bytes?.length ?? 0
        }
        for (const [pieces, how] of rounds) {
          for (const size of pieces) buffer.push(Uint8Array.from({ length: size }, () => 33 + (pushed++ % 90)))
          if (how === 'take') check(text(buffer.take()))
          else check(how === 'all' ? text(buffer.takeAll()) : buffer.takeText())
          expect(buffer.size).toBe(pushed - taken)
        }
        check(text(buffer.takeAll()))
        expect(taken).toBe(pushed)
      }),
      { numRuns: 50 },
    )
  })
})

import { describe, expect, it } from 'vitest'
import { PAUSE } from '../../../lib/client/body-function.ts'
import { type BodyPieces, UploadSource } from '../../../lib/request/upload-source.ts'

/** Pulls as a transfer does: at a pause it lets the source go on and waits to be resumed. */
async function pullAll(pieces: BodyPieces, bytesMax = 4): Promise<string[]> {
  let resume = (): void => {}
  const source = new UploadSource({ wantsPiece: () => {}, hasPiece: () => resume() }, pieces)
  const pulled: string[] = []
  for (;;) {
    const piece = source.pull(bytesMax)
    if (piece === null) return pulled
    if (piece !== PAUSE) pulled.push(Buffer.from(piece).toString())
    else {
      await new Promise<void>((resolve) => {
        resume = resolve
        source.advance()
      })
    }
  }
}

async function* generate(...pieces: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const piece of pieces) yield piece
}

describe('an upload source', () => {
  it('gives no more than it is asked for at a time', async () => {
    expect(await pullAll(generate('abcdefghij', 'kl'))).toEqual(['abcd', 'efgh', 'ij', 'kl'])
  })

  it('reads iterables, and passes over empty pieces', async () => {
    expect(await pullAll(['', 'ab', new Uint8Array(0), Buffer.from('cd'), ''])).toEqual(['ab', 'cd'])
    expect(await pullAll([])).toEqual([])
  })

  it('reads web streams', async () => {
    expect(await pullAll(new Blob(['abcdef']).stream() as unknown as BodyPieces)).toEqual(['abcd', 'ef'])
  })

  it('asks for nothing until it is told that the engine has unwound, and for one piece at a time', async () => {
    let asked = 0
    const pieces = {
      [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false as const, value: `${asked++}` }) }),
    }
    const resumed: number[] = []
    const source = new UploadSource({ wantsPiece: () => {}, hasPiece: () => resumed.push(asked) }, pieces)
    source.advance()
    expect([source.pull(1), asked]).toEqual([PAUSE, 0])
    source.advance()
    source.advance()
    expect([source.pull(1), asked]).toEqual([PAUSE, 1])
    await Promise.resolve()
    await Promise.resolve()
    expect([resumed, String(source.pull(1)), asked]).toEqual([[1], '0', 1])
  })

  it('throws out of the callback what the source threw, or rejected with', async () => {
    const error = new Error('torn')
    const failing = async function* (): AsyncGenerator<string> {
      yield 'a'
      throw error
    }
    await expect(pullAll(failing())).rejects.toBe(error)
    const throwing = {
      [Symbol.iterator]: () => ({
        next(): IteratorResult<string> {
          throw error
        },
      }),
    }
    await expect(pullAll(throwing)).rejects.toBe(error)
  })

  it('refuses pieces of another kind by name, and ends the source', async () => {
    let ended = false
    const wrong = async function* (): AsyncGenerator<never> {
      try {
        yield 5 as never
      } finally {
        ended = true
      }
    }
    await expect(pullAll(wrong())).rejects.toThrow('option body must be an iterable of Uint8Array or string, not 5')
    expect(ended).toBe(true)
  })

  it('tells the source when nothing more is wanted, whatever the source says to that', async () => {
    const owner = { wantsPiece: () => {}, hasPiece: () => {} }
    let returned = 0
    const answers = [
      () => Promise.reject(new Error('late')),
      () => {
        throw new Error('late')
      },
      () => ({ done: true, value: undefined }),
    ]
    for (const answer of answers) {
      const iterator = {
        next: () => ({ done: false, value: 'x' }),
        return: () => {
          returned++
          return answer()
        },
      }
      const source = new UploadSource(owner, { [Symbol.iterator]: () => iterator } as unknown as Iterable<string>)
      source.close()
      source.close()
      expect(source.pull(1)).toBeNull()
    }
    expect(returned).toBe(answers.length)
    await new Promise((resolve) => setImmediate(resolve))
  })
})

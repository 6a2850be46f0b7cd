import { afterEach, describe, expect, it } from 'vitest'
import { Facilities } from '../../../lib/multi/facility.ts'
import type { Facility, Host } from '../../../lib/multi/host.ts'
import type { ConnectionMachine } from '../../../lib/server/connection/connection-machine.ts'
import { Outbox } from '../../../lib/server/connection/outbox.ts'
import type { RegisteredBuffer } from '../../../lib/sys/kernel.ts'

const EAGAIN = 11
const EPIPE = 32

/** A stream that takes as much as it is told, and what an outbox sees of the engine. */
class Bench {
  sent = Buffer.alloc(0)
  calls: string[] = []
  /** Answers of the next calls: bytes taken at most, or -errno; then all is taken. */
  answers: number[] = []
  dirty = 0
  released: number[] = []
  readonly #facilities = new Facilities()
  readonly #buffers = new Map<number, Uint8Array>()
  readonly host: Host
  #lastId = 0

  constructor() {
    this.host = {
      kernel: {
        errno: { EAGAIN, EPIPE },
        allocate: (length: number): RegisteredBuffer => {
          const buffer = { id: ++this.#lastId, bytes: new Uint8Array(length) }
          this.#buffers.set(buffer.id, buffer.bytes)
          return buffer
        },
        release: (id: number) => this.released.push(id),
      },
      facility: <T>(facility: Facility<T>): T => this.#facilities.get(facility, this.host),
    } as unknown as Host
  }

  open(): Outbox {
    const stream = {
      send: (id: number, offset: number, length: number) =>
        this.#take('send', (this.#buffers.get(id) as Uint8Array).subarray(offset, offset + length)),
      sendPieces: (pieces: readonly Uint8Array[], first: number, sent: number) =>
        this.#take('pieces', Buffer.concat(pieces.slice(first)).subarray(sent)),
    }
    const share = (budget: number): number => budget
    const machine = { host: this.host, stream, bytesWritten: 0, share, markDirty: () => this.dirty++ }
    return new Outbox(machine as unknown as ConnectionMachine)
  }

  close(): void {
    this.#facilities.close()
  }

  get text(): string {
    return this.sent.toString('latin1')
  }

  #take(call: string, bytes: Uint8Array): number {
    this.calls.push(`${call} ${bytes.length}`)
    const answer = this.answers.shift() ?? bytes.length
    if (answer <= 0) return answer
    this.sent = Buffer.concat([this.sent, bytes.subarray(0, answer)])
    return Math.min(answer, bytes.length)
  }
}

let bench = new Bench()
afterEach(() => {
  bench.close()
  expect(bench.released).toHaveLength(1)
  bench = new Bench()
})

describe('an outbox', () => {
  it('sends what is small in one call', () => {
    const outbox = bench.open()
    outbox.text('HTTP/1.1 200 OK\r\n\r\n')
    outbox.utf8('Hello', 5)
    outbox.utf8('Zoë', 4)
    outbox.bytes(Buffer.from('!'))
    outbox.text('a'.repeat(40))
    expect(outbox.pending).toBe(69)
    expect(outbox.hasQueue).toBe(false)
    expect(outbox.flush()).toBe(0)
    expect(bench.calls).toEqual(['send 69'])
    expect(bench.text).toBe(`HTTP/1.1 200 OK\r\n\r\nHelloZo\xc3\xab!${'a'.repeat(40)}`)
    expect(outbox.pending).toBe(0)
    expect(outbox.flush()).toBe(0)
    expect(bench.calls).toHaveLength(1)
  })

  it('sends what is large from where it is, together with what stands around it', () => {
    const outbox = bench.open()
    const large = Buffer.alloc(20_000, 'l')
    outbox.text('head')
    outbox.bytes(large)
    outbox.text('tail')
    expect(outbox.hasQueue).toBe(true)
    expect(outbox.flush()).toBe(0)
    expect(bench.calls).toEqual(['pieces 20008'])
    expect(bench.text).toBe(`head${large}tail`)
    expect(outbox.hasQueue).toBe(false)
  })

  it('keeps what was not taken, in order, wherever it was cut', () => {
    const body = Buffer.from(Array.from({ length: 40_000 }, (_, at) => at % 251))
    const expected = `head${body.toString('latin1')}middle${body.toString('latin1')}end`
    for (let cut = 1; cut < 80_013; cut += 3_301) {
      bench = new Bench()
      const outbox = bench.open()
      const fill = (): void => {
        outbox.text('head')
        outbox.bytes(body)
        outbox.text('middle')
        outbox.bytes(body)
        outbox.text('end')
      }
      fill()
      bench.answers = [cut, -EAGAIN, 1, 2, -EAGAIN]
      expect(outbox.flush()).toBe(-EAGAIN)
      expect(outbox.pending).toBe(80_013 - cut)
      expect(outbox.flush()).toBe(-EAGAIN)
      expect(outbox.flush()).toBe(0)
      expect(bench.text).toBe(expected)
    }
  })

  it('keeps what was composed when the socket takes nothing, or a part', () => {
    for (const answers of [[-EAGAIN], [3, -EAGAIN]]) {
      bench = new Bench()
      const outbox = bench.open()
      outbox.text('0123456789')
      bench.answers = [...answers]
      expect(outbox.flush()).toBe(-EAGAIN)
      outbox.text('abc')
      expect(outbox.flush()).toBe(0)
      expect(bench.text).toBe('0123456789abc')
    }
  })

  it('gives way when another one composes, and loses nothing', () => {
    const [first, second] = [bench.open(), bench.open()]
    first.text('of the first')
    second.text('of the second')
    first.text(', more')
    expect(first.hasQueue).toBe(true)
    expect(second.flush()).toBe(0)
    expect(bench.text).toBe('of the second')
    expect(first.flush()).toBe(0)
    expect(bench.text).toBe('of the secondof the first, more')
  })

  it('takes more than the shared memory holds', () => {
    const outbox = bench.open()
    const piece = 'x'.repeat(16_000)
    for (let i = 0; i < 10; i++) outbox.text(piece)
    expect(outbox.pending).toBe(160_000)
    expect(outbox.flush()).toBe(0)
    expect(bench.text).toBe(piece.repeat(10))
  })

  it('yields to others after so many sends', () => {
    const outbox = bench.open()
    outbox.bytes(Buffer.alloc(100_000))
    bench.answers = Array.from({ length: 100 }, () => 1000)
    expect(outbox.flush()).toBe(-EAGAIN)
    expect(bench.dirty).toBe(1)
    expect(bench.calls.length).toBeLessThan(50)
  })

  it('tells what broke, and forgets all when it is told to', () => {
    const outbox = bench.open()
    outbox.text('a')
    bench.answers = [-EPIPE]
    expect(outbox.flush()).toBe(-EPIPE)
    outbox.bytes(Buffer.alloc(20_000))
    outbox.clear()
    expect(outbox.pending).toBe(0)
    expect(outbox.flush()).toBe(0)
    outbox.text('b')
    outbox.clear()
    const other = bench.open()
    other.text('c')
    expect(other.flush()).toBe(0)
    expect(bench.text).toBe('c')
  })
})

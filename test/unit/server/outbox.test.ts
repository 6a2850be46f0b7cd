import { afterEach, describe, expect, it } from 'vitest'
import { type SocketEngine, SocketFilter } from '../../../lib/connection/socket-filter.ts'
import type { Host } from '../../../lib/multi/host.ts'
import { SendBatch } from '../../../lib/multi/send-batch.ts'
import type { ConnectionMachine } from '../../../lib/server/connection/connection-machine.ts'
import { Outbox } from '../../../lib/server/connection/outbox.ts'
import { BATCH_STRIDE, type Kernel, type RegisteredBuffer } from '../../../lib/sys/kernel.ts'

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
  readonly machines: { readonly bytesWritten: number }[] = []
  readonly #buffers = new Map<number, Uint8Array>()
  readonly host: Host
  #lastId = 0
  #lastFd = 0

  constructor() {
    const kernel = {
      errno: { EAGAIN, EPIPE },
      allocate: (length: number): RegisteredBuffer => {
        const buffer = { id: ++this.#lastId, bytes: new Uint8Array(length) }
        this.#buffers.set(buffer.id, buffer.bytes)
        return buffer
      },
      release: (id: number) => this.released.push(id),
      sendBatch: (id: number, operations: Int32Array, count: number) => this.#takeBatch(id, operations, count),
    }
    const sends = new SendBatch(kernel as unknown as Kernel)
    // Entries that took no time: by now many sends may wait for each other.
    for (let entry = 0; entry < 10; entry++) {
      sends.add({ departed: () => {} }, 0, 0, 0)
      sends.flush()
      sends.begin(0)
    }
    this.calls = []
    this.host = { kernel, sends } as unknown as Host
  }

  /** Layers over a socket take what suits them, a socket all that it has room for. */
  open(isPlain = true): Outbox {
    const stream = {
      isPlain,
      socket: new SocketFilter(this.host as SocketEngine, ++this.#lastFd, 1),
      send: (id: number, offset: number, length: number) => this.#take('send', this.#bytesIn(id, offset, length)),
      sendPieces: (pieces: readonly Uint8Array[], first: number, sent: number) =>
        this.#take('pieces', Buffer.concat(pieces.slice(first)).subarray(sent)),
    }
    const share = (budget: number): number => budget
    const machine = { host: this.host, stream, bytesWritten: 0, share, markDirty: () => this.dirty++ }
    this.machines.push(machine)
    return new Outbox(machine as unknown as ConnectionMachine)
  }

  close(): void {
    this.host.sends.close()
  }

  get text(): string {
    return this.sent.toString('latin1')
  }

  #bytesIn(id: number, offset: number, length: number): Uint8Array {
    return (this.#buffers.get(id) as Uint8Array).subarray(offset, offset + length)
  }

  #takeBatch(id: number, operations: Int32Array, count: number): number {
    for (let at = 0; at < count * BATCH_STRIDE; at += BATCH_STRIDE) {
      const [fd = -1, offset = 0, length = 0] = operations.subarray(at)
      operations[at + 3] = this.#take(`batched ${fd}`, this.#bytesIn(id, offset, length))
    }
    return count
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
      const outbox = bench.open(false)
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
    const outbox = bench.open(false)
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

describe('sends that are put off', () => {
  it('leave together, each with its own bytes', () => {
    const [first, second] = [bench.open(), bench.open()]
    first.text('one')
    expect(first.flush(true)).toBe(0)
    second.text('second')
    expect(second.flush(true)).toBe(0)
    expect([first.pending, first.isEmpty, bench.calls]).toEqual([0, false, []])
    bench.host.sends.flush()
    expect(bench.calls).toEqual(['batched 1 3', 'batched 2 6'])
    expect(bench.text).toBe('onesecond')
    expect([first.isEmpty, second.isEmpty, bench.dirty]).toEqual([true, true, 0])
    expect(bench.machines.map(({ bytesWritten }) => bytesWritten)).toEqual([3, 6])
  })

  it('go before whatever the same connection says next', () => {
    const large = Buffer.alloc(20_000, 'l')
    const nexts: ((outbox: Outbox) => void)[] = [
      (outbox) => outbox.text('next'),
      (outbox) => outbox.bytes(large),
      (outbox) => outbox.settle(),
      (outbox) => void outbox.flush(),
    ]
    for (const next of nexts) {
      bench = new Bench()
      const outbox = bench.open()
      outbox.text('first')
      outbox.flush(true)
      bench.answers = [2]
      next(outbox)
      expect(bench.calls[0]).toBe('batched 1 5')
      expect(bench.dirty).toBe(1)
      expect(outbox.flush()).toBe(0)
      expect(bench.text.slice(0, 5)).toBe('first')
      expect(bench.machines[0]?.bytesWritten).toBe(bench.text.length)
    }
  })

  it('come back when the socket takes a part or nothing, and their machine runs again', () => {
    for (const answer of [4, -EAGAIN]) {
      bench = new Bench()
      const [outbox, other] = [bench.open(), bench.open()]
      outbox.text('0123456789')
      outbox.flush(true)
      other.text('other')
      bench.answers = [answer]
      bench.host.sends.flush()
      const taken = Math.max(answer, 0)
      expect([outbox.pending, bench.dirty, bench.machines[0]?.bytesWritten]).toEqual([10 - taken, 1, taken])
      expect(outbox.flush()).toBe(0)
      expect(other.flush()).toBe(0)
      expect(bench.text).toBe('0123456789other')
    }
  })

  it('say what broke at the next flush', () => {
    const outbox = bench.open()
    outbox.text('a')
    expect(outbox.flush(true)).toBe(0)
    bench.answers = [-EPIPE]
    bench.host.sends.flush()
    expect([outbox.flush(), bench.dirty]).toEqual([-EPIPE, 1])
  })

  it('make room for what does not fit beside them', () => {
    const outboxes = Array.from({ length: 20 }, () => bench.open())
    const pieces = outboxes.map((_, index) => String.fromCharCode(97 + index).repeat(9_000))
    outboxes.forEach((outbox, index) => {
      outbox.text((pieces[index] as string).slice(0, 5_000))
      outbox.text((pieces[index] as string).slice(5_000))
      expect(outbox.hasQueue).toBe(false)
      expect(outbox.flush(true)).toBe(0)
    })
    bench.host.sends.flush()
    expect(bench.text).toBe(pieces.join(''))
  })

  it('do not wait for more than a few others', () => {
    for (let index = 0; index < 100; index++) {
      const outbox = bench.open()
      outbox.text('x')
      outbox.flush(true)
    }
    expect(bench.calls.length).toBeGreaterThan(50)
    bench.host.sends.flush()
    expect(bench.text).toBe('x'.repeat(100))
  })
})

import { closeSync, fstatSync, ftruncateSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { PAUSE } from '../../../lib/base/pause.ts'
import { prepareResponse } from '../../../lib/server/http/response/prepared-response.ts'
import type { HttpResponse } from '../../../lib/server/http/response/response.ts'
import { SendStatus } from '../../../lib/server/http/response/response-sender.ts'
import { ownedCount, systemCalls } from '../../../lib/sys/native.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { type AnswerFunction, ResponseBench, type ResponseBenchOptions } from '../../support/response-bench.ts'

const benches: ResponseBench[] = []
const files: string[] = []

function open(answer: AnswerFunction, options: Partial<ResponseBenchOptions> = {}): ResponseBench {
  const bench = new ResponseBench({ simulation: simulate(1), answer, ...options })
  benches.push(bench)
  return bench
}

/** On the real kernel. */
function openReal(answer: AnswerFunction): ResponseBench {
  const bench = new ResponseBench({ answer })
  benches.push(bench)
  return bench
}

function fileOf(bytes: Uint8Array): string {
  const path = join(tmpdir(), `sockmux-responses-${process.pid}-${files.length}`)
  writeFileSync(path, bytes)
  files.push(path)
  return path
}

afterEach(() => {
  for (const bench of benches.splice(0)) bench.close()
  for (const path of files.splice(0)) rmSync(path, { force: true })
})

const GET = 'GET / HTTP/1.1\r\nHost: a'
const DATE = 'Date: Thu, 29 Feb 2024 12:00:01 GMT\r\n'
const MEGABYTE = 1024 * 1024

/** Bytes that tell where they stand. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(at, at)
  return bytes
}

function bodyOf(received: string): string {
  return received.slice(received.indexOf('\r\n\r\n') + 4)
}

function callsSince(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>) {
  return Object.fromEntries(
    Object.entries(now).flatMap(([name, count]) =>
      count === (before[name] ?? 0) ? [] : [[name, count - (before[name] ?? 0)]],
    ),
  )
}

describe('system calls', () => {
  it('are one recv and one send for a batch of pipelined requests', () => {
    const simulation = simulate(1)
    const { kernel } = simulation
    const bench = open(() => ({ body: 'Hello', headers: { 'content-type': 'text/plain' } }), { simulation })
    bench.ask(GET)
    bench.step()
    bench.ask(...Array.from({ length: 16 }, () => GET))
    const before = { ...kernel.calls }
    bench.step()
    // `perform` runs every machine once more, which looks for what may have come meanwhile.
    expect(callsSince(before, kernel.calls)).toMatchObject({ send: 1 })
    bench.read()
    expect(bench.received.match(/Hello/g)).toHaveLength(17)
  })

  it('are one for a head and a large body behind it', () => {
    const body = pattern(100_000)
    for (const given of [body, [body.subarray(0, 20_000), body.subarray(20_000)]]) {
      const bench = openReal(() => ({ body: given }))
      bench.ask(GET)
      const before = { ...systemCalls() }
      bench.step()
      const { send = 0, sendmsg = 0 } = callsSince(before, systemCalls())
      expect({ send, sendmsg }).toEqual({ send: 0, sendmsg: 1 })
      bench.read()
      expect(bodyOf(bench.received)).toBe(body.toString('latin1'))
    }
  })

  it('are one for a small file and its head, and two for a large one', () => {
    const path = fileOf(pattern(50_000))
    for (const [length, wanted] of [
      [10_000, { send: 1, sendfile: 0 }],
      [50_000, { send: 1, sendfile: 1 }],
    ] as const) {
      const bench = openReal(() => ({ body: { file: path, length } }))
      bench.ask(GET)
      const before = { ...systemCalls() }
      bench.step()
      const { send = 0, sendfile = 0 } = callsSince(before, systemCalls())
      expect({ send, sendfile }).toEqual(wanted)
      bench.read()
      expect(bodyOf(bench.received)).toBe(pattern(50_000).toString('latin1').slice(0, length))
    }
  })
})

describe('prepared responses', () => {
  it('answer a thousand requests, with the date of each second', () => {
    const simulation = simulate(1)
    const prepared = prepareResponse({ headers: { 'content-type': 'text/plain' }, body: 'Hello' })
    const bench = open(() => prepared, { simulation })
    for (let batch = 0; batch < 10; batch++) {
      simulation.world.advanceTo(1500 + batch * 1000)
      bench.received = ''
      bench.ask(...Array.from({ length: 100 }, () => GET))
      for (let steps = 0; steps < 20; steps++) {
        bench.step()
        bench.read()
      }
      const date = `Date: Thu, 29 Feb 2024 12:00:${String(batch + 1).padStart(2, '0')} GMT\r\n`
      const one = `HTTP/1.1 200 OK\r\n${date}content-type: text/plain\r\nContent-Length: 5\r\n\r\nHello`
      expect(bench.received).toBe(one.repeat(100))
    }
  })

  it('serve many connections and every kind of request', () => {
    const large = pattern(20_000)
    const settings = { server: 'mine', date: true }
    for (const [request, tail] of [
      [GET, ''],
      [`${GET}\r\nConnection: close`, 'Connection: close\r\n'],
      ['GET / HTTP/1.0', 'Connection: close\r\n'],
      ['HEAD / HTTP/1.1', ''],
    ] as const) {
      for (const body of ['small', large, [Buffer.from('small')]]) {
        const prepared = prepareResponse({ status: 201, reason: 'Made', body })
        for (let round = 0; round < 2; round++) {
          const bench = open(() => prepared, { settings })
          bench.ask(request)
          bench.step()
          bench.read()
          const length = body === large ? large.length : 5
          const head = `HTTP/1.1 201 Made\r\n${DATE}Server: mine\r\nContent-Length: ${length}\r\n${tail}\r\n`
          const sent = request.startsWith('HEAD') ? '' : body === large ? large.toString('latin1') : 'small'
          expect(bench.received).toBe(head + sent)
        }
      }
    }
  })

  it.each<[string, HttpResponse]>([
    ['a field that would inject another', { headers: { a: 'b\r\nc: d' } }],
    ['a body that is not there as a whole', { body: () => null }],
    ['trailers', { trailers: { a: 'b' } }],
    ['a length that is not that of the body', { headers: { 'content-length': '1' }, body: 'two' }],
    ['no status', { status: 20 }],
  ])('refuse %s at once', (_name, response) => {
    expect(() => prepareResponse(response)).toThrow(/option /)
  })

  it('keep to what the program says of the connection', () => {
    const prepared = prepareResponse({ headers: { connection: 'close' }, body: 'x' })
    const bench = open(() => prepared)
    bench.ask(GET)
    bench.step()
    bench.read()
    expect(bench.received).toContain('Connection: close\r\n')
    expect(bench.end).toBe('end')
  })
})

describe('a reader that is slow', () => {
  it.each<[string, () => NonNullable<HttpResponse['body']>]>([
    ['bytes', () => pattern(MEGABYTE)],
    [
      'several buffers',
      () => Array.from({ length: 300 }, (_, at) => pattern(MEGABYTE).subarray(at * 3000, (at + 1) * 3000)),
    ],
    ['a file', () => ({ file: '/large' })],
    [
      'a function',
      () => (position, max) => (position >= MEGABYTE ? null : pattern(MEGABYTE).subarray(position, position + max)),
    ],
    [
      'an iterable',
      () => new Set(Array.from({ length: 64 }, (_, at) => pattern(MEGABYTE).subarray(at << 14, (at + 1) << 14))),
    ],
  ])('gets all of a body that is %s', async (_name, body) => {
    const simulation = simulate(1)
    simulation.files.put('/large', pattern(MEGABYTE))
    const bench = open(() => ({ body: body(), headers: { connection: 'close' } }), { simulation })
    bench.ask(GET)
    bench.step()
    expect(bench.statuses.at(-1) === SendStatus.DONE || bench.statuses.at(-1) === SendStatus.BLOCKED).toBe(true)
    await bench.run(() => {
      bench.read(10_000)
      return bench.end !== null
    }, false)
    const sent = bodyOf(bench.received)
    const whole = pattern(MEGABYTE).toString('latin1')
    if (bench.received.includes('chunked')) expect(sent.length).toBeGreaterThan(MEGABYTE)
    else expect(sent).toBe(whole.slice(0, sent.length))
    expect(bench.received.includes('chunked') || sent.length >= 900_000).toBe(true)
    expect(bench.end).toBe('end')
  })

  it('holds back the producer', async () => {
    let given = 0
    const piece = Buffer.alloc(16_000)
    const bench = open(() => ({
      body: (async function* () {
        for (; given < 1000; given++) yield piece
      })(),
    }))
    bench.ask(GET)
    await bench.run(() => bench.statuses.at(-1) === SendStatus.BLOCKED, false)
    const before = given
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(given).toBe(before)
    expect(given).toBeLessThan(100)
    bench.keeps = false
    await bench.run(() => bench.receivedBytes > 16_000_000)
    expect(given).toBe(1000)
  })
})

describe('a client that goes away in the middle', () => {
  it('makes a file be closed, once', async () => {
    const simulation = simulate(1)
    simulation.files.put('/large', pattern(MEGABYTE))
    const bench = open(() => ({ body: { file: '/large' } }), { simulation })
    bench.ask(GET)
    bench.step()
    expect(simulation.files.openCount).toBe(1)
    bench.hangUp()
    await bench.run(() => bench.outcome !== null, false)
    expect(simulation.files.openCount).toBe(0)
  })

  it('makes an iterator return, once', async () => {
    for (const isAsync of [false, true]) {
      let returned = 0
      let count = 0
      const next = () => ({ done: false as const, value: pattern(10_000) })
      const iterator = {
        next: () => {
          count++
          return isAsync ? Promise.resolve(next()) : next()
        },
        return: () => {
          returned++
          return isAsync ? Promise.resolve({ done: true, value: undefined }) : { done: true, value: undefined }
        },
      }
      const body = { [isAsync ? Symbol.asyncIterator : Symbol.iterator]: () => iterator } as unknown as Iterable<string>
      const bench = open(() => ({ body }))
      bench.ask(GET)
      await bench.run(() => count > 3, false)
      expect(returned).toBe(0)
      bench.hangUp()
      await bench.run(() => bench.outcome !== null, false)
      expect(returned).toBe(1)
    }
  })

  it('tells a function that is pulled, once, and why', async () => {
    const closed: unknown[] = []
    const body = { pull: () => pattern(10_000), close: (error: Error | null) => closed.push(error) }
    const bench = open(() => ({ body }))
    bench.ask(GET)
    bench.step()
    bench.hangUp()
    await bench.run(() => bench.outcome !== null, false)
    expect(closed).toHaveLength(1)
  })

  it('cancels a web stream', async () => {
    let cancelled = 0
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(pattern(10_000)),
      cancel: () => {
        cancelled++
      },
    })
    const bench = open(() => ({ body }))
    bench.ask(GET)
    await bench.run(() => bench.statuses.at(-1) === SendStatus.BLOCKED, false)
    bench.hangUp()
    await bench.run(() => bench.outcome !== null, false)
    await new Promise((resolve) => setImmediate(resolve))
    expect(cancelled).toBe(1)
  })

  it('closes a body that waits for its producer', async () => {
    let returned = 0
    const body = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => {}),
        return: () => {
          returned++
          return Promise.reject(new Error('not heard'))
        },
      }),
    }
    const bench = open(() => ({ body }))
    bench.ask(GET)
    await bench.run(() => bench.statuses.at(-1) === SendStatus.WAITING)
    bench.hangUp()
    await bench.run(() => bench.outcome !== null, false)
    expect(returned).toBe(1)
  })
})

describe('a producer that fails', () => {
  async function* throwing(): AsyncGenerator<string> {
    yield 'part'
    throw new Error('the disk is on fire')
  }

  it.each<[string, () => NonNullable<HttpResponse['body']>]>([
    ['an async iterable', throwing],
    [
      'an iterable',
      function* () {
        yield 'part'
        throw new Error('the disk is on fire')
      },
    ],
    [
      'a function',
      () => (position) => {
        if (position > 0) throw new Error('the disk is on fire')
        return 'part'
      },
    ],
    ['a piece that is no piece', () => new Set(['part', 7 as unknown as string])],
    ['an async piece that is no piece', async function* () {
      yield 'part'
      yield 7 as unknown as string
    }],
  ])('lets the client see that something is missing: %s', async (_name, make) => {
    const body = make()
    const isGenerator = typeof body === 'function' && body.length === 0
    const bench = open(() => ({ body: isGenerator ? (body as () => never)() : body }))
    bench.ask(GET)
    await bench.run(() => bench.outcome !== null && bench.end !== null)
    expect(bench.received).not.toContain('\r\n0\r\n')
    expect(bench.outcome?.reason).toBe('aborted')
    expect(bench.outcome?.error?.message).toMatch(/the disk is on fire|made of/)
  }) // biome-ignore format: a table

  it.each<[string, HttpResponse, RegExp]>([
    ['too much', { body: { pull: () => 'abc', length: 4 } }, /at most|longer/],
    ['too little', { body: { pull: (position) => (position > 0 ? null : 'abc'), length: 4 } }, /1 bytes before/],
    ['more in one piece than was asked for', { body: () => Buffer.alloc(MEGABYTE) }, /at most/],
    ['nothing, and does not say so', { body: () => '' }, /PAUSE/],
    ['a wrong length', { body: new Set(['abc']), headers: { 'content-length': '2' } }, /longer/],
    ['trailers that cannot be sent', { body: new Set(['abc']), trailers: () => ({ a: '\n' }) }, /trailers/],
  ])('resets the connection when it gives %s', async (_name, response, message) => {
    const bench = open(() => response)
    bench.ask(GET)
    await bench.run(() => bench.outcome !== null)
    expect(bench.outcome?.reason).toBe('aborted')
    expect(bench.outcome?.error?.message).toMatch(message)
    bench.read()
    expect(bench.received).not.toContain('\r\n0\r\n')
  })

  it('closes its iterator no more when that threw, and does not mind a close that throws', async () => {
    const body = { pull: () => null, close: () => { throw new Error('not heard') } } // biome-ignore format: one line
    const bench = open(() => ({ body }))
    bench.ask(GET, GET)
    bench.step()
    bench.read()
    expect(bench.received.match(/\r\n0\r\n\r\n/g)).toHaveLength(2)
  })

  it('sees a file that became shorter', async () => {
    const path = fileOf(pattern(8 * MEGABYTE))
    const bench = openReal(() => ({ body: { file: path } }))
    bench.keeps = false
    bench.ask(GET)
    bench.step()
    const fd = openSync(path, 'r+')
    ftruncateSync(fd, 1000)
    closeSync(fd)
    await bench.run(() => bench.outcome !== null)
    expect(bench.outcome?.error?.message).toMatch(/shorter/)
    expect(bench.receivedBytes).toBeLessThan(8 * MEGABYTE)
  })
})

describe('a body that pauses', () => {
  it('goes on when it is resumed', async () => {
    const pieces: (string | null | typeof PAUSE)[] = ['a', PAUSE, 'b', PAUSE, null]
    let calls = 0
    const bench = open(() => ({
      body: () => {
        calls++
        return pieces.shift() as string
      },
    }))
    bench.ask(GET)
    bench.step()
    bench.read()
    expect(bodyOf(bench.received)).toBe('1\r\na\r\n')
    for (let i = 0; i < 5; i++) bench.step()
    expect(calls).toBe(2)
    expect(bench.statuses.at(-1)).toBe(SendStatus.WAITING)
    bench.sender.resume()
    bench.step()
    bench.sender.resume()
    bench.sender.resume()
    bench.step()
    bench.read()
    expect(bodyOf(bench.received)).toBe('1\r\na\r\n1\r\nb\r\n0\r\n\r\n')
    bench.sender.resume()
  })
})

describe('files', () => {
  it('go through sendfile with steady memory', async () => {
    const size = 64 * MEGABYTE
    const path = fileOf(pattern(size))
    const bench = openReal(() => ({ body: { file: path } }))
    bench.keeps = false
    bench.ask(GET)
    const before = process.memoryUsage()
    await bench.run(() => bench.receivedBytes > size)
    const after = process.memoryUsage()
    expect(after.external + after.arrayBuffers - before.external - before.arrayBuffers).toBeLessThan(MEGABYTE)
    expect(bench.machine.bytesWritten).toBe(bench.receivedBytes)
    expect(bench.receivedBytes).toBe(size + bodyStart(size))
  })

  it('given open are closed, also when they are refused', () => {
    const path = fileOf(pattern(100))
    for (const [body, message] of [
      [{ offset: 101 }, /body\.offset/],
      [{ offset: -1 }, /body\.offset/],
      [{ offset: 50, length: 51 }, /body\.length/],
      [{ length: 1.5 }, /body\.length/],
      [{ offset: 90 }, null],
      [{ length: 0 }, null],
    ] as const) {
      const fd = openSync(path, 'r')
      const bench = openReal(() => ({ body: { fd, ...body } }))
      bench.ask(GET)
      bench.step()
      bench.read()
      if (message === null) expect(bench.received).toContain('200 OK')
      else expect(bench.received).toMatch(message)
      expect(() => fstatSync(fd)).toThrow(/EBADF/)
    }
  })

  it.each([
    ['that are not there', '/nowhere/a', /open ENOENT \/nowhere\/a/],
    ['that are directories', tmpdir(), /a regular file/],
    ['whose path is none', 7 as unknown as string, /body\.file/],
  ])('%s are refused', (_name, file, message) => {
    const bench = openReal(() => ({ body: { file } }))
    bench.ask(GET)
    bench.step()
    bench.read()
    expect(bench.received).toMatch(message)
  })

  it('are read where the file system cannot send them', async () => {
    const simulation = simulate(1)
    simulation.files.put('/large', pattern(100_000))
    const bench = open(() => ({ body: { file: '/large' } }), { simulation })
    const { kernel } = simulation
    kernel.sendfile = () => -kernel.errno.EINVAL
    bench.ask(GET)
    await bench.run(() => bodyOf(bench.received).length === 100_000)
    expect(bodyOf(bench.received)).toBe(pattern(100_000).toString('latin1'))
  })
})

function bodyStart(size: number): number {
  return `HTTP/1.1 200 OK\r\n${DATE}Content-Length: ${size}\r\n\r\n`.length
}

describe('pipes', () => {
  it('are sent until their end, whenever it comes', async () => {
    const pair = new Int32Array(2)
    const bench = openReal(() => ({ body: { pipe: pair[0] as number } }))
    const { kernel } = bench
    const owned = ownedCount()
    kernel.pipe(pair)
    const [, writer = -1] = pair
    const write = (text: string): number => {
      const bytes = Buffer.from(text)
      const buffer = kernel.allocate(bytes.length)
      buffer.bytes.set(bytes)
      const result = kernel.write(writer, buffer.id, 0, bytes.length)
      kernel.release(buffer.id)
      return result
    }
    bench.ask(GET)
    bench.step()
    await bench.run(() => bench.received.includes('\r\n\r\n'))
    write('first')
    await bench.run(() => bodyOf(bench.received) === '5\r\nfirst\r\n')
    write('second')
    kernel.close(writer)
    await bench.run(() => bench.received.endsWith('0\r\n\r\n'))
    expect(bodyOf(bench.received)).toBe('5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n')
    expect(ownedCount()).toBe(owned)
  })

  it('are closed when the client goes away', async () => {
    const simulation = simulate(1)
    const pair = new Int32Array(2)
    simulation.kernel.pipe(pair)
    const bench = open(() => ({ body: { pipe: pair[0] as number } }), { simulation })
    bench.ask(GET)
    bench.step()
    bench.hangUp()
    await bench.run(() => bench.outcome !== null, false)
    simulation.kernel.close(pair[1] as number)
  })

  it('that are none are refused', () => {
    const bench = open(() => ({ body: { pipe: 'a' as unknown as number } }))
    bench.ask(GET)
    bench.step()
    bench.read()
    expect(bench.received).toMatch(/body\.pipe/)
  })
})

function endless(returned: () => void): Iterable<string> {
  const iterator = {
    next: () => ({ done: false as const, value: 'x' }),
    return: () => {
      returned()
      return { done: true as const, value: undefined }
    },
  }
  return { [Symbol.iterator]: () => iterator }
}

describe('responses that come too late', () => {
  it('are closed without being sent', () => {
    const simulation = simulate(1)
    simulation.files.put('/a', 'a')
    const bench = open(() => ({}), { simulation })
    bench.ask(GET)
    bench.step()
    let closed = 0
    const count = (): void => {
      closed++
    }
    bench.sender.discard({ body: { fd: simulation.files.open('/a') } })
    bench.sender.discard({ body: { file: '/a' } })
    bench.sender.discard({ body: { pull: () => null, close: count } })
    bench.sender.discard({ body: endless(count) })
    bench.sender.discard({ body: 'a' })
    bench.sender.discard({ body: {} as unknown as string })
    expect(closed).toBe(2)
    expect(simulation.files.openCount).toBe(0)
  })
})

describe('whatever fails', () => {
  const KINDS: Record<string, (simulation: Simulation) => NonNullable<HttpResponse['body']>> = {
    'a file': () => ({ file: '/large' }),
    'several buffers': () => [pattern(30_000), pattern(30_000)],
    'a function': () => (position, max) =>
      position < 60_000 ? pattern(60_000).subarray(position, position + max) : null,
    'an async iterable': async function* () {
      for (let i = 0; i < 4; i++) yield pattern(20_000)
    },
    'a pipe': ({ kernel }) => {
      const pair = new Int32Array(2)
      if (kernel.pipe(pair) < 0) return 'no pipe'
      kernel.close(pair[1] as number)
      return { pipe: pair[0] as number }
    },
  }

  it.each(Object.entries(KINDS))('leaves nothing of %s open, whichever call it was', async (_name, body) => {
    for (let n = 1; n < 200; n++) {
      const simulation = simulate(n)
      simulation.files.put('/large', pattern(60_000))
      const bench = new ResponseBench({ simulation, answer: () => ({ body: body(simulation) }) })
      bench.ask(GET, `${GET}\r\nConnection: close`)
      simulation.kernel.failNth(n)
      await bench.run(() => bench.end !== null || bench.outcome !== null)
      const { injected } = simulation.kernel.gate
      bench.close()
      expect(simulation.files.openCount).toBe(0)
      if (injected === null) return
    }
    throw new Error('calls without an end')
  })

  it('lets go of all when the Multi is closed', () => {
    for (const make of [() => ({ file: '/large' }), KINDS['a function'], KINDS['an async iterable']]) {
      const simulation = simulate(1)
      simulation.files.put('/large', pattern(MEGABYTE))
      const bench = new ResponseBench({
        simulation,
        answer: () => ({ body: (make as (of: Simulation) => NonNullable<HttpResponse['body']>)(simulation) }),
      })
      bench.ask(GET)
      bench.step()
      bench.close()
      expect(simulation.files.openCount).toBe(0)
    }
    const simulation = simulate(1)
    const pair = new Int32Array(2)
    simulation.kernel.pipe(pair)
    const bench = new ResponseBench({ simulation, answer: () => ({ body: { pipe: pair[0] as number } }) })
    bench.ask(GET)
    bench.step()
    bench.step()
    simulation.kernel.close(pair[1] as number)
    bench.close()
  })
})

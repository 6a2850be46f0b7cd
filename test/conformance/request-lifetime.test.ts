/** What a request holds and for how long: memory, the transfer, the process; and when its promises are settled. */
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type Response, request, Transfer } from '../../lib/index.ts'
import { engineOf } from '../../lib/multi/multi.ts'
import { originBody } from '../sim/origin.ts'
import { OriginThread } from './origin-client.ts'
import { failureOf, ownMulti, until, wait } from './requests.ts'
import { startTypeScriptProcess, startTypeScriptWorker } from './typescript-worker.ts'

/** The bound on unread bytes, and the one read that crosses it. */
const HELD_BYTES_MOST = 256 * 1024 + 128 * 1024
const LONG_PATH = '/bytes/3000000'
const CHILD_FILE = 'test/conformance/requesting-worker.ts'

const thread = new OriginThread()
let url = ''
beforeAll(async () => {
  url = `http://127.0.0.1:${(await thread.open({})).port}`
})
afterAll(() => thread.stop())

/** Collects what is garbage until that is seen. */
async function collectUntil(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) {
    ;(globalThis as { gc?: () => void }).gc?.()
    await wait(5)
  }
  expect(condition()).toBe(true)
}

describe('a response that nobody reads', () => {
  it('is received up to a bound, and further as it is read', async () => {
    using own = ownMulti()
    const { multi } = own
    const response = await request(url + LONG_PATH, { multi })
    await until(() => response.info.bytesReceived >= 256 * 1024)
    await wait(50)
    expect(response.info.bytesReceived).toBeLessThanOrEqual(HELD_BYTES_MOST)
    const expected = originBody(LONG_PATH)
    let read = 0
    for await (const piece of response) {
      expect(response.info.bytesReceived - read).toBeLessThanOrEqual(HELD_BYTES_MOST)
      expect(Buffer.compare(piece, expected.subarray(read, read + piece.length))).toBe(0)
      read += piece.length
      if (read % 5 === 0) await wait(2)
    }
    expect(read).toBe(expected.length)
  })

  it('may be gathered after it was held back', async () => {
    for (const read of [(r: Response) => r.bytes(), async (r: Response) => Buffer.from(await r.arrayBuffer())]) {
      const response = await request(url + LONG_PATH)
      await until(() => response.info.bytesReceived >= 256 * 1024)
      expect(Buffer.compare(await read(response), originBody(LONG_PATH))).toBe(0)
    }
  })

  it('is given up when it is collected', async () => {
    using own = ownMulti()
    const { multi } = own
    const forget = async (): Promise<number> => (await request(url + LONG_PATH, { multi })).status
    expect(await forget()).toBe(200)
    await collectUntil(() => multi.running === 0)
    expect(multi.stats.connections).toBe(0)
  })

  it('goes on as long as somebody reads, though nobody holds the response', async () => {
    const expected = originBody('/drip/60')
    const text = request(`${url}/drip/60`).then((response) => response.bytes())
    const stream = request(`${url}/drip/60`).then((response) => response.body.getReader())
    const pieces = request(`${url}/drip/60`).then((response) => response[Symbol.asyncIterator]())
    const [reader, iterator] = [await stream, await pieces]
    let [streamed, iterated] = [0, 0]
    for (let isDone = false; !isDone; ) {
      const waits = Promise.all([reader.read(), iterator.next()])
      ;(globalThis as { gc?: () => void }).gc?.()
      const [fromStream, fromIterator] = await waits
      streamed += fromStream.value?.length ?? 0
      iterated += fromIterator.value?.length ?? 0
      isDone = fromStream.done && fromIterator.done === true
    }
    expect([await text, streamed, iterated]).toEqual([expected, 60, 60])
  })
})

describe('a Multi of one’s own', () => {
  it('runs requests beside other transfers, whose messages alone it tells', async () => {
    using own = ownMulti()
    const { multi } = own
    const told: unknown[] = []
    multi.setNotifyFunction((kind) => void told.push(kind))
    const transfer = new Transfer({ url: `${url}/bytes/5` })
    multi.add(transfer)
    const texts = await Promise.all([1, 2, 3].map(async () => (await request(`${url}/bytes/5`, { multi })).bytes()))
    await until(() => multi.running === 0)
    expect(texts.map((bytes) => bytes.length)).toEqual([5, 5, 5])
    expect(told).toEqual(['done', 'message'])
    expect([multi.infoRead()?.transfer, multi.infoRead()]).toEqual([transfer, undefined])
    expect(multi.transfers).toEqual([transfer])
  })

  it('may be driven by a synchronous loop; promises wait until that is over', async () => {
    const multi = new Multi()
    const settled: string[] = []
    const text = request(`${url}/bytes/5`, { multi })
      .then((response) => response.bytes())
      .then((bytes) => settled.push(`${bytes.length}`))
    for (let i = 0; multi.running > 0 && i < 1000; i++) {
      multi.perform()
      if (multi.running > 0) multi.poll(100)
    }
    expect(settled).toEqual([])
    await text
    expect(settled).toEqual(['5'])
    multi.close()
  })

  it('that is closed, or from which it is removed, ends a request', async () => {
    const own = ownMulti()
    const { multi } = own
    const ask = (path: string): Promise<Response> => request(url + path, { multi })
    const removed = failureOf(ask('/hang'))
    for (const transfer of multi.transfers) multi.remove(transfer)
    expect(await removed).toMatchObject({
      code: 'ABORTED_BY_CALLBACK',
      message: expect.stringMatching('removed from its Multi'),
    })
    const closed = [failureOf(ask('/hang')), failureOf((await ask('/stall/1000')).text())]
    own[Symbol.dispose]()
    for (const failure of await Promise.all(closed)) {
      expect(failure).toMatchObject({
        code: 'ABORTED_BY_CALLBACK',
        message: expect.stringMatching('its Multi was closed'),
      })
    }
    await expect(ask('/bytes/1')).rejects.toMatchObject({ code: 'BAD_HANDLE' })
  })
})

describe('promises', () => {
  it('are settled when the engine is off the stack, so everything may be called', async () => {
    const own = ownMulti()
    const { multi } = own
    const states: boolean[] = []
    const look = (): void => {
      states.push(engineOf(multi).isInside)
      multi.perform()
    }
    const chain = async (times: number): Promise<void> => {
      const response = await request(`${url}/chunked/5000`, { multi })
      look()
      for await (const piece of response) if (piece.length > 0) look()
      look()
      if (times > 0) await chain(times - 1)
    }
    await Promise.all([chain(3), chain(3), failureOf(request(`${url}/hang`, { multi, timeoutMs: 5 })).then(look)])
    await request(`${url}/stall/1000`, { multi }).then(() => own[Symbol.dispose]())
    expect(states.length).toBeGreaterThan(20)
    expect(states).not.toContain(true)
    expect(multi.closed).toBe(true)
  })

  it('stay unsettled even when somebody runs the microtasks inside a callback', async () => {
    const multi = new Multi()
    const engine = engineOf(multi)
    const states: string[] = []
    const runMicrotasks = (): void => {
      Promise.resolve().then(() => states.push(`a microtask ${engine.isInside ? 'inside' : 'outside'}`))
      ;(process as unknown as { _tickCallback(): void })._tickCallback()
    }
    const settled = new Promise<void>((resolve) => {
      // Off the microtask queue, which cannot be run from within.
      setImmediate(() => {
        const first = request(`${url}/bytes/5`, { multi })
        void first.then(() => {
          states.push(`a response ${engine.isInside ? 'inside' : 'outside'}`)
          resolve()
        })
        multi.add(new Transfer({ url: `${url}/drip/20`, onData: runMicrotasks }))
        for (let i = 0; multi.running > 0 && i < 1000; i++) {
          multi.perform()
          if (multi.running > 0) multi.poll(100)
        }
      })
    })
    await settled
    expect(new Set(states)).toEqual(new Set(['a microtask inside', 'a response outside']))
    multi.close()
  })
})

describe('a process', () => {
  it('ends by itself when its requests have ended, though connections idle', async () => {
    const child = startTypeScriptProcess(CHILD_FILE, [url], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout?.on('data', (text: Buffer) => {
      output += text.toString()
    })
    const [code, signal] = await once(child, 'close')
    expect([output, code, signal]).toEqual(['5 bytes', 0, null])
  })

  it('sees a thread end by itself, and ends one with requests in flight', async () => {
    const ending = startTypeScriptWorker(CHILD_FILE, { workerData: [url, ''] })
    expect(await once(ending, 'message')).toEqual(['5 bytes'])
    expect(await once(ending, 'exit')).toEqual([0])
    const worker = startTypeScriptWorker(CHILD_FILE, { workerData: [url, 'in flight'] })
    expect(await once(worker, 'message')).toEqual(['5 bytes'])
    expect(await worker.terminate()).toBe(1)
    expect((await (await request(`${url}/bytes/5`)).bytes()).length).toBe(5)
  })
})

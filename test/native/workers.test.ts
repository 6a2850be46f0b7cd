import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { addonPath, kernel, NativeResolver, ownedCount } from '../../lib/sys/native.ts'
import { describeWhen } from '../support/peers.ts'
import {
  answer,
  checkForLeaks,
  closeAll,
  DESCRIPTORS,
  must,
  openFiles,
  openPair,
  recvText,
  sendText,
  waitFor,
} from './support.ts'

checkForLeaks()

const PRELUDE = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { readlinkSync } = require('node:fs')
  const addon = require(workerData.path)
  const openPair = () => { const pair = new Int32Array(2); addon.socketPair(pair); return pair }
`

function startWorker(code: string, data: object = {}): Worker {
  return new Worker(PRELUDE + code, { eval: true, workerData: { path: addonPath(), ...data } })
}

/** The first message of a worker; fails when it ends before. */
function messageOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the worker ended with ${code}`)))
  })
}

function exitOf(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', resolve)
  })
}

const WORK = `
  const [fd, peer] = openPair()
  const buffer = addon.allocate(16)
  const poller = addon.pollerOpen(Object.keys(addon.pollerBackends)[0], 4)
  addon.pollerAdd(poller.id, fd, 1, 0)
  buffer.bytes[0] = workerData.index
  addon.send(peer, buffer.id, 0, 1)
  const count = addon.pollerWait(poller.id, 5000)
  addon.recv(fd, buffer.id, 1, 1)
  parentPort.postMessage([count, buffer.bytes[1], addon.ownedCount()])
`

describe('workers', () => {
  it('load the addon side by side, again and again, each with a state of its own', async () => {
    const before = ownedCount()
    for (let round = 0; round < 4; round++) {
      const workers = [1, 2, 3, 4].map((index) => startWorker(WORK, { index }))
      const exits = workers.map(exitOf)
      const answers = (await Promise.all(workers.map(messageOf))) as Array<[number, number, number]>
      expect(answers.map(([count, byte]) => [count, byte])).toEqual([1, 2, 3, 4].map((index) => [1, index]))
      expect(await Promise.all(exits)).toEqual([0, 0, 0, 0])
      expect(ownedCount()).toBe(before)
    }
  })

  it('load it twice in one thread', async () => {
    const worker = startWorker(`
      const second = { exports: {} }
      process.dlopen(second, workerData.path)
      const [fd, peer] = openPair()
      parentPort.postMessage([second.exports.generation(fd), second.exports.close(fd), addon.close(fd)])
    `)
    const badDescriptor = -kernel.errno.EBADF
    expect(await messageOf(worker)).toEqual([badDescriptor, badDescriptor, 0])
  })

  it('cannot reach a descriptor of another thread, but may wake it', async () => {
    const [fd, peer] = openPair()
    const wakeup = must(kernel.openWakeup())
    const worker = startWorker(
      `
      const buffer = addon.allocate(16)
      const { fd, wakeup, generation } = workerData
      parentPort.postMessage([
        addon.recv(fd, buffer.id, 0, 16), addon.send(fd, buffer.id, 0, 16), addon.close(fd), addon.generation(fd),
        addon.setOption(fd, 11, 4096), addon.shutdownWrite(fd), addon.clearWakeup(wakeup), addon.adopt(fd),
        addon.wake(wakeup, generation), addon.wake(wakeup, generation + 1),
      ])
    `,
      { fd, wakeup, generation: kernel.generation(wakeup) },
    )
    const results = (await messageOf(worker)) as number[]
    const refused = Array.from({ length: 7 }, () => 'EBADF')
    expect(results.map(answer)).toEqual([...refused, 'EBUSY', 0, 'ESTALE'])
    expect(waitFor(wakeup, 1)).toBe(1)
    expect(kernel.clearWakeup(wakeup)).toBe(1)
    sendText(peer, 'untouched')
    expect(recvText(fd)).toBe('untouched')
    closeAll(fd, peer, wakeup)
  })

  it('wake a thread that waits', async () => {
    const wakeup = must(kernel.openWakeup())
    const worker = startWorker(
      `
      parentPort.postMessage('ready')
      setTimeout(() => addon.wake(workerData.wakeup, workerData.generation), 20)
    `,
      { wakeup, generation: kernel.generation(wakeup) },
    )
    const exit = exitOf(worker)
    await messageOf(worker)
    expect(waitFor(wakeup, 1)).toBe(1)
    await exit
    closeAll(wakeup)
  })
})

const SETTLE_MS_MAX = 10_000
const LEAVE_OPEN = `
  const fds = [...openPair(), addon.socket(4), addon.openWakeup()]
  const poller = addon.pollerOpen(Object.keys(addon.pollerBackends)[0], 4)
  addon.pollerAdd(poller.id, fds[0], 1, 0)
  fds.push(poller.fd)
  const resolver = addon.resolverOpen()
  addon.resolverLookup(resolver.id, 'localhost', 0)
  const names = fds.map((fd) => readlinkSync('/proc/self/fd/' + fd)).filter((name) => name.startsWith('socket:'))
`

describeWhen(existsSync(DESCRIPTORS), 'a worker that ends with descriptors open', 'no list of descriptors here', () => {
  /** The loop of a lookup under way is the one thing that outlives its thread: the next resolver takes it down. */
  async function expectNoMoreThan(count: number): Promise<void> {
    const openAfterwards = (): number => {
      new NativeResolver().close()
      return openFiles().length
    }
    await expect.poll(openAfterwards, { timeout: SETTLE_MS_MAX, interval: 20 }).toBeLessThanOrEqual(count)
  }

  async function expectClosed(code: string, end: (worker: Worker) => Promise<unknown>): Promise<void> {
    const total = openFiles().length
    const worker = startWorker(LEAVE_OPEN + code)
    const exit = exitOf(worker)
    const names = (await messageOf(worker)) as string[]
    expect(names.length).toBe(3)
    await end(worker)
    await exit
    const left = openFiles()
    expect(names.filter((name) => left.includes(name))).toEqual([])
    await expectNoMoreThan(total)
  }

  it('by itself leaves none', async () => {
    await expectClosed('parentPort.postMessage(names)', async () => undefined)
  })

  it('by being terminated while idle leaves none', async () => {
    await expectClosed('parentPort.postMessage(names); setInterval(() => {}, 1000)', (worker) => worker.terminate())
  })

  it('by being terminated while busy leaves none', async () => {
    await expectClosed('parentPort.postMessage(names); for (;;);', (worker) => worker.terminate())
  })

  it('by process.exit leaves none', async () => {
    await expectClosed('parentPort.postMessage(names); setImmediate(() => process.exit(0))', async () => undefined)
  })

  it('twenty times over leaves no more than once', async () => {
    const before = openFiles().length
    for (let i = 0; i < 20; i++) {
      const worker = startWorker(`${LEAVE_OPEN} parentPort.postMessage(names)`)
      const exit = exitOf(worker)
      await messageOf(worker)
      await worker.terminate()
      await exit
    }
    await expectNoMoreThan(before)
  })
})

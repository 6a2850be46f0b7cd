import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { addonPath, descriptorSharing, kernel, ownedCount, thread } from '../../lib/sys/native.ts'
import { answer, checkForLeaks, closeAll, listen, must, openPair, recvText, sendText, waitFor } from './support.ts'

checkForLeaks()

/** What a worker answers to one piece of code, which has `addon` and `workerData`. */
async function inWorker(code: string, data: object = {}, end = true): Promise<unknown> {
  const prelude = `const { parentPort, workerData } = require('node:worker_threads')
    const addon = require(workerData.path)
    const hold = () => setInterval(() => {}, 1000)
    parentPort.postMessage((() => { ${code} })())`
  const worker = new Worker(prelude, { eval: true, workerData: { path: addonPath(), ...data } })
  const message = await new Promise<unknown>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  if (end) await worker.terminate()
  else worker.unref()
  return message
}

describe('an offered descriptor', () => {
  it('is out of reach until it is claimed, and then has another generation', () => {
    const [fd, peer] = openPair()
    const ticket = must(kernel.offer(fd))
    expect(answer(kernel.generation(fd))).toBe('EBADF')
    expect(answer(kernel.close(fd))).toBe('EBADF')
    expect(answer(kernel.offer(fd))).toBe('EBADF')
    expect(answer(kernel.claim(fd, ticket + 1))).toBe('ESTALE')
    const generation = must(kernel.claim(fd, ticket))
    expect(generation).not.toBe(ticket)
    expect(kernel.generation(fd)).toBe(generation)
    expect(answer(kernel.claim(fd, ticket))).toBe('ESTALE')
    sendText(peer, 'hello')
    waitFor(fd, 1)
    expect(recvText(fd)).toBe('hello')
    closeAll(fd, peer)
  })

  it('can be taken back by its owner', () => {
    const [fd, peer] = openPair()
    const ticket = must(kernel.offer(fd))
    must(kernel.withdraw(fd, ticket))
    expect(answer(kernel.withdraw(fd, ticket))).toBe('ESTALE')
    closeAll(fd, peer)
  })

  it('belongs to the thread that claims it, bytes in the socket included, and is closed with that thread', async () => {
    const [fd, peer] = openPair()
    sendText(peer, 'before')
    const ticket = must(kernel.offer(fd))
    const before = ownedCount()
    const result = await inWorker(
      `const generation = addon.claim(workerData.fd, workerData.ticket)
       const buffer = addon.allocate(16)
       const count = addon.recv(workerData.fd, buffer.id, 0, 16)
       return [generation > 0, Buffer.from(buffer.bytes.subarray(0, count)).toString(), addon.ownedCount()]`,
      { fd, ticket },
    )
    expect(result).toEqual([true, 'before', 1])
    expect(ownedCount()).toBe(before - 1)
    expect(answer(kernel.withdraw(fd, ticket))).toBe('ESTALE')
    waitFor(peer, 1)
    expect(recvText(peer)).toBe('')
    closeAll(peer)
  })

  it('goes to one of several threads that race for it', async () => {
    for (let round = 0; round < 5; round++) {
      const [fd, peer] = openPair()
      const ticket = must(kernel.offer(fd))
      const code = 'return addon.claim(workerData.fd, workerData.ticket) > 0'
      const claims = await Promise.all(Array.from({ length: 4 }, () => inWorker(code, { fd, ticket })))
      expect(claims.filter((won) => won === true)).toHaveLength(1)
      closeAll(peer)
    }
  })

  it('is closed when the thread that offered it ends', async () => {
    const [fd, peer] = openPair()
    const ticket = must(kernel.offer(fd))
    const offered = await inWorker(
      `addon.claim(workerData.fd, workerData.ticket)
       return addon.offer(workerData.fd)`,
      { fd, ticket },
    )
    expect(offered).toBeGreaterThan(0)
    waitFor(peer, 1)
    expect(recvText(peer)).toBe('')
    expect(answer(kernel.claim(fd, offered as number))).toBe('ESTALE')
    closeAll(peer)
  })

  it('is not offered when others may wake or duplicate it', () => {
    const fd = must(kernel.openWakeup())
    expect(answer(kernel.offer(fd))).toBe('EINVAL')
    closeAll(fd)
  })
})

describe('a shared descriptor', () => {
  it('is duplicated by any thread while it is open, and the queue of a listener outlives one of them', async () => {
    const { fd, port } = listen()
    const generation = must(descriptorSharing.share(fd))
    const accepts = await inWorker(
      `const fd = addon.duplicate(workerData.fd, workerData.generation)
       const client = addon.socket(4)
       addon.connect(client, 4, '127.0.0.1', workerData.port)
       addon.poll(new Int32Array([fd, 1, 0]), 1, 5000)
       return [fd !== workerData.fd, addon.accept(fd) > 0]`,
      { fd, generation, port },
    )
    expect(accepts).toEqual([true, true])
    const again = must(descriptorSharing.duplicate(fd, generation))
    closeAll(fd)
    expect(answer(descriptorSharing.duplicate(fd, generation))).toBe('ESTALE')
    closeAll(again)
  })

  it('is duplicated only after it was shared', () => {
    const [fd, peer] = openPair()
    expect(answer(descriptorSharing.duplicate(fd, must(kernel.generation(fd))))).toBe('ESTALE')
    closeAll(fd, peer)
  })
})

describe('descriptors over a unix socket', () => {
  const buffer = kernel.allocate(16)

  it('arrive with their bytes, as many as there is room for', () => {
    const [from, to] = openPair()
    const [one, other] = openPair()
    expect(descriptorSharing.sendDescriptors(from, Int32Array.of(one, other), 2, buffer.id, 0, 3)).toBe(3)
    const fds = new Int32Array(2)
    expect(descriptorSharing.receiveDescriptors(to, fds, buffer.id, 0, 16)).toBe(3)
    expect(fds[0]).toBe(1)
    sendText(other, 'through')
    const received = fds[1] as number
    waitFor(received, 1)
    expect(recvText(received)).toBe('through')
    closeAll(received, one, other, from, to)
  })

  it('are none when bytes come alone, and end with the peer', () => {
    const [from, to] = openPair()
    sendText(from, 'text')
    const fds = new Int32Array(4)
    expect(descriptorSharing.receiveDescriptors(to, fds, buffer.id, 0, 16)).toBe(4)
    expect(fds[0]).toBe(0)
    expect(answer(descriptorSharing.receiveDescriptors(to, fds, buffer.id, 0, 16))).toBe('EAGAIN')
    closeAll(from)
    expect(descriptorSharing.receiveDescriptors(to, fds, buffer.id, 0, 16)).toBe(0)
    closeAll(to)
  })

  it('must be owned by who sends them', () => {
    const [from, to] = openPair()
    expect(answer(descriptorSharing.sendDescriptors(from, Int32Array.of(0), 1, buffer.id, 0, 1))).toBe('EBADF')
    closeAll(from, to)
  })
})

describe('a thread', () => {
  it('says how urgent it is, and can be made less so without a privilege', async () => {
    const here = thread.urgency()
    if (here < 0) {
      expect(answer(here)).toBe('ENOSYS')
      return
    }
    const result = await inWorker('return [addon.setThreadNiceness(19), addon.threadUrgency()]')
    expect(result).toEqual([0, 1])
    expect(thread.urgency()).toBe(here)
  })
})

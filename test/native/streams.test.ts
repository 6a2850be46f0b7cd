import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BATCH_STRIDE, Family, SocketOption } from '../../lib/sys/kernel.ts'
import { kernel, systemCalls } from '../../lib/sys/native.ts'
import {
  answer,
  bytesOf,
  checkForLeaks,
  closeAll,
  connectTcp,
  fill,
  LOCAL,
  listen,
  must,
  openPair,
  recvText,
  sendText,
  waitFor,
} from './support.ts'

checkForLeaks()

describe('a stream', () => {
  it('carries bytes both ways, and then its end', () => {
    const [client, server] = connectTcp()
    expect(recvText(server)).toBe('EAGAIN')
    expect(sendText(client, 'ping')).toBe(4)
    waitFor(server, 1)
    expect(recvText(server)).toBe('ping')
    expect(kernel.shutdownWrite(client)).toBe(0)
    waitFor(server, 1)
    expect(recvText(server)).toBe('')
    expect(sendText(server, 'late')).toBe(4)
    waitFor(client, 1)
    expect(recvText(client)).toBe('late')
    closeAll(client, server)
  })

  it('receives at an offset, and touches nothing beside it', () => {
    const [fd, peer] = openPair()
    const { id, bytes } = kernel.allocate(8)
    bytes.fill(46)
    sendText(peer, 'abcdef')
    expect(kernel.recv(fd, id, 2, 3)).toBe(3)
    expect(new TextDecoder().decode(bytes.slice())).toBe('..abc...')
    expect(recvText(fd)).toBe('def')
    kernel.release(id)
    closeAll(fd, peer)
  })

  it('peeks without taking', () => {
    const [fd, peer] = openPair()
    sendText(peer, 'abc')
    expect(recvText(fd, kernel.peek)).toBe('abc')
    expect(recvText(fd)).toBe('abc')
    expect(recvText(fd, kernel.peek)).toBe('EAGAIN')
    closeAll(fd, peer)
  })

  it('takes what fits, then says EAGAIN', () => {
    const [fd, peer] = openPair()
    const size = 8 << 20
    const { id } = kernel.allocate(size)
    const sent = must(kernel.send(fd, id, 0, size))
    expect(sent).toBeGreaterThan(0)
    expect(sent).toBeLessThan(size)
    fill(fd)
    expect(answer(kernel.send(fd, id, 0, size))).toBe('EAGAIN')
    expect(answer(kernel.sendBytes(fd, new Uint8Array(4), 0, 4))).toBe('EAGAIN')
    kernel.release(id)
    closeAll(fd, peer)
  })

  it('says EPIPE, and raises no signal, when the peer is gone', () => {
    let signals = 0
    const count = (): number => ++signals
    process.on('SIGPIPE', count)
    const [fd, peer] = openPair()
    closeAll(peer)
    expect(answer(sendText(fd, 'x'))).toBe('EPIPE')
    expect(answer(kernel.sendBytes(fd, new Uint8Array(1), 0, 1))).toBe('EPIPE')
    const { id } = bytesOf('x')
    expect(answer(kernel.writev(fd, new Int32Array([id, 0, 1]), 1))).toBe('EPIPE')
    const operations = new Int32Array([fd, 0, 1, 0])
    expect(kernel.sendBatch(id, operations, 1)).toBe(0)
    expect(answer(operations[3]!)).toBe('EPIPE')
    kernel.release(id)
    closeAll(fd)
    process.off('SIGPIPE', count)
    expect(signals).toBe(0)
  })

  it('says ECONNRESET after the peer reset it', () => {
    const [client, server] = connectTcp()
    must(kernel.setOption(server, SocketOption.LINGER, 0))
    closeAll(server)
    waitFor(client, 1)
    expect(recvText(client)).toBe('ECONNRESET')
    closeAll(client)
  })

  it('gathers segments of several buffers', () => {
    const [fd, peer] = openPair()
    const first = bytesOf('Hello, ')
    const second = bytesOf('wide world')
    const segments = new Int32Array([first.id, 0, 7, second.id, 5, 5, second.id, 0, 0])
    expect(kernel.writev(fd, segments, 3)).toBe(12)
    expect(kernel.writev(fd, segments, 0)).toBe(0)
    expect(recvText(peer)).toBe('Hello, world')
    kernel.release(first.id)
    kernel.release(second.id)
    closeAll(fd, peer)
  })

  it('sends any bytes, from a window of them', () => {
    const [fd, peer] = openPair()
    expect(kernel.sendBytes(fd, Buffer.from('..middle..'), 2, 6)).toBe(6)
    expect(recvText(peer)).toBe('middle')
    closeAll(fd, peer)
  })
})

describe('a pipe', () => {
  it('is read and written, and refuses what needs a socket', () => {
    const [reader, writer] = openPair(kernel.pipe)
    const { id, length } = bytesOf('piped')
    expect(kernel.write(writer, id, 0, length)).toBe(5)
    expect(recvText(reader, kernel.read)).toBe('piped')
    expect(recvText(reader, kernel.read)).toBe('EAGAIN')
    expect(answer(kernel.send(writer, id, 0, 1))).toBe('ENOTSOCK')
    expect(recvText(reader)).toBe('ENOTSOCK')
    expect(kernel.writev(writer, new Int32Array([id, 0, 2, id, 2, 3]), 2)).toBe(5)
    expect(recvText(reader, kernel.read)).toBe('piped')
    closeAll(writer)
    expect(recvText(reader, kernel.read)).toBe('')
    kernel.release(id)
    closeAll(reader)
  })
})

describe('sendfile', () => {
  it('sends a part of a file, nothing at its end, and no more than there is', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sockmux-'))
    const path = join(directory, 'body')
    writeFileSync(path, '0123456789')
    const file = openSync(path, 'r')
    const [client, server] = connectTcp()
    expect(kernel.sendfile(server, file, 2, 5)).toBe(5)
    expect(kernel.sendfile(server, file, 8, 2 ** 40)).toBe(2)
    expect(kernel.sendfile(server, file, 10, 5)).toBe(0)
    expect(kernel.sendfile(server, file, 2 ** 40, 5)).toBe(0)
    expect(kernel.sendfile(server, file, 0, 0)).toBe(0)
    waitFor(client, 1)
    expect(recvText(client)).toBe('2345689')
    expect(answer(kernel.sendfile(server, 100_000, 0, 1))).toBe('EBADF')
    closeSync(file)
    rmSync(directory, { recursive: true })
    closeAll(client, server)
  })
})

describe('a batch', () => {
  it('reads and writes many pipes in one crossing, each with its own result', () => {
    const pipes = Array.from({ length: 5 }, () => openPair(kernel.pipe))
    const { id, bytes } = kernel.allocate(256)
    bytes.set(new TextEncoder().encode('abcde'))
    const writes = new Int32Array(pipes.flatMap(([, writer], index) => [writer, index, 1, -1]))
    expect(kernel.writeBatch(id, writes, 5)).toBe(5)
    expect(writes.filter((_, index) => index % BATCH_STRIDE === 3)).toEqual(new Int32Array([1, 1, 1, 1, 1]))
    const reads = new Int32Array(pipes.flatMap(([reader], index) => [reader, 100 + index * 10, 10, -1]))
    expect(kernel.readBatch(id, reads, 4)).toBe(4)
    expect(reads[19]).toBe(-1)
    expect(pipes.slice(0, 4).map((_, index) => String.fromCharCode(bytes[100 + index * 10]!))).toEqual([...'abcd'])
    expect(kernel.readBatch(id, reads, 5)).toBe(1)
    expect(answer(reads[3]!)).toBe('EAGAIN')
    kernel.release(id)
    for (const pipe of pipes) closeAll(...pipe)
  })

  it('goes on past a descriptor that fails', () => {
    const [fd, peer] = openPair()
    const [gone, goneToo] = openPair()
    closeAll(gone, goneToo)
    const { id, bytes } = kernel.allocate(16)
    bytes.set([120, 121])
    const operations = new Int32Array([gone, 0, 1, 9, fd, 1, 1, 9])
    expect(kernel.sendBatch(id, operations, 2)).toBe(1)
    expect([answer(operations[3]!), operations[7]]).toEqual(['EBADF', 1])
    const receives = new Int32Array([peer, 8, 8, 9, gone, 0, 1, 9, peer, 0, 1, 9])
    expect(kernel.recvBatch(id, receives, 3)).toBe(1)
    expect([receives[3], answer(receives[7]!), answer(receives[11]!)]).toEqual([1, 'EBADF', 'EAGAIN'])
    expect(bytes[8]).toBe(121)
    kernel.release(id)
    closeAll(fd, peer)
  })
})

describe('connecting', () => {
  it('is refused where nobody listens', () => {
    const listener = listen()
    closeAll(listener.fd)
    const fd = must(kernel.socket(Family.IPV4))
    const result = answer(kernel.connect(fd, Family.IPV4, LOCAL, listener.port))
    if (result === 'EINPROGRESS') {
      expect(waitFor(fd, 2) & 2).toBe(2)
      expect(kernel.getOption(fd, SocketOption.ERROR)).toBe(kernel.errno.ECONNREFUSED)
      expect(kernel.getOption(fd, SocketOption.ERROR)).toBe(0)
    } else {
      expect(result).toBe('ECONNREFUSED')
    }
    closeAll(fd)
  })

  it('gives a socket that is accepted once', () => {
    const listener = listen()
    expect(answer(kernel.accept(listener.fd))).toBe('EAGAIN')
    const [client, server] = connectTcp()
    expect(answer(kernel.accept(listener.fd))).toBe('EAGAIN')
    expect(answer(kernel.accept(client))).toBe('EINVAL')
    closeAll(client, server, listener.fd)
  })
})

describe('the counters', () => {
  it('count each system call by its name', () => {
    const [fd, peer] = openPair()
    const before = systemCalls()
    sendText(peer, 'x')
    recvText(fd)
    recvText(fd)
    waitFor(fd, 1, 0)
    closeAll(fd, peer)
    const after = systemCalls()
    const difference = Object.keys(after).filter((name) => after[name] !== before[name])
    expect(difference.map((name) => [name, after[name]! - before[name]!])).toEqual([
      ['close', 2],
      ['recv', 2],
      ['send', 1],
      ['poll', 1],
    ])
  })
})

/** Shared by the tests of the addon: sockets in pairs, short waits, and the check that nothing is left open. */
import { readdirSync, readlinkSync } from 'node:fs'
import { afterEach, beforeEach, expect } from 'vitest'
import { Family, SocketOption } from '../../lib/sys/kernel.ts'
import { kernel, ownedCount } from '../../lib/sys/native.ts'
import { errnoName } from '../../lib/sys/system-error.ts'

export const LOCAL = '127.0.0.1'
/** Longer than anything on loopback takes, shorter than a test may. */
export const WAIT_MS = 5000

/** Fails the test that leaves a descriptor open. */
export function checkForLeaks(): void {
  let before = 0
  beforeEach(() => {
    before = ownedCount()
  })
  afterEach(() => {
    expect(ownedCount()).toBe(before)
  })
}

/** A result as a test reads it: bytes and descriptors as numbers, errors by name. */
export function answer(result: number): number | string {
  return result < 0 ? errnoName(kernel, result) : result
}

export function must(result: number): number {
  expect(answer(result)).toBe(result)
  return result
}

export function openPair(make: (pair: Int32Array) => number = kernel.socketPair): [number, number] {
  const pair = new Int32Array(2)
  must(make(pair))
  return [pair[0]!, pair[1]!]
}

export function closeAll(...fds: readonly number[]): void {
  for (const fd of fds) expect(answer(kernel.close(fd))).toBe(0)
}

/** Waits with poll(2), the one mechanism that every platform has; the readiness of that descriptor. */
export function waitFor(fd: number, interest: number, timeoutMs: number = WAIT_MS): number {
  const entries = new Int32Array([fd, interest, 0])
  kernel.poll(entries, 1, timeoutMs)
  return entries[2]!
}

/** A listening TCP socket on loopback and its port. */
export function listen(backlog: number = 16): { fd: number; port: number } {
  const fd = must(kernel.socket(Family.IPV4))
  must(kernel.bind(fd, Family.IPV4, LOCAL, 0))
  must(kernel.listen(fd, backlog))
  const address = kernel.localAddress(fd)
  if (typeof address === 'number') throw new Error(`getsockname: ${answer(address)}`)
  return { fd, port: address.port }
}

/** A connected pair of TCP sockets: [client, server]. */
export function connectTcp(): [number, number] {
  const listener = listen()
  const client = must(kernel.socket(Family.IPV4))
  const result = kernel.connect(client, Family.IPV4, LOCAL, listener.port)
  expect([0, 'EINPROGRESS']).toContain(answer(result))
  expect(waitFor(listener.fd, 1)).toBe(1)
  const server = must(kernel.accept(listener.fd))
  expect(waitFor(client, 2)).toBe(2)
  expect(kernel.getOption(client, SocketOption.ERROR)).toBe(0)
  closeAll(listener.fd)
  return [client, server]
}

/** Bytes of a registered buffer that is released after the test's own use of it. */
export function bytesOf(text: string): { id: number; length: number } {
  const encoded = new TextEncoder().encode(text)
  const buffer = kernel.allocate(Math.max(1, encoded.length))
  buffer.bytes.set(encoded)
  return { id: buffer.id, length: encoded.length }
}

export function sendText(fd: number, text: string): number {
  const { id, length } = bytesOf(text)
  const sent = kernel.send(fd, id, 0, length)
  kernel.release(id)
  return sent
}

/** What recv gives at once, as text; an error by its name; '' at the end. */
export function recvText(fd: number, verb: typeof kernel.recv = kernel.recv): string {
  const buffer = kernel.allocate(4096)
  const result = verb(fd, buffer.id, 0, 4096)
  const text = result < 0 ? String(answer(result)) : new TextDecoder().decode(buffer.bytes.slice(0, result))
  kernel.release(buffer.id)
  return text
}

/** Sends until the peer's buffers are full; how many bytes that took. */
export function fill(fd: number, verb: typeof kernel.send = kernel.send): number {
  const buffer = kernel.allocate(65536)
  let total = 0
  for (let sent = 0; sent >= 0; sent = verb(fd, buffer.id, 0, 65536)) total += sent
  kernel.release(buffer.id)
  return total
}

export const DESCRIPTORS = '/proc/self/fd'

/** What the descriptors of this process stand for, e.g. 'socket:[4711]'. */
export function openFiles(): string[] {
  return readdirSync(DESCRIPTORS).flatMap((name) => {
    try {
      return [readlinkSync(`${DESCRIPTORS}/${name}`)]
    } catch {
      return []
    }
  })
}

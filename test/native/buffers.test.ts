import { describe, expect, it } from 'vitest'
import { kernel } from '../../lib/sys/native.ts'
import { checkForLeaks, closeAll, openPair, sendText } from './support.ts'

checkForLeaks()

function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
}

describe('a registered buffer', () => {
  it('begins as zeros, and is all of its memory', () => {
    const { id, bytes } = kernel.allocate(1000)
    expect(id).toBeGreaterThan(0)
    expect(bytes).toBeInstanceOf(Uint8Array)
    expect([bytes.length, bytes.byteOffset, bytes.buffer.byteLength]).toEqual([1000, 0, 1000])
    expect(bytes.every((byte) => byte === 0)).toBe(true)
    kernel.release(id)
  })

  it('has an id of its own, which is not given out again at once', () => {
    const ids = Array.from({ length: 40 }, () => kernel.allocate(1).id)
    expect(new Set(ids).size).toBe(40)
    for (const id of ids) kernel.release(id)
    const next = kernel.allocate(1)
    expect(ids).not.toContain(next.id)
    kernel.release(next.id)
  })

  it('has a small id even after many', () => {
    let largest = 0
    for (let i = 0; i < 2000; i++) {
      const { id } = kernel.allocate(1)
      largest = Math.max(largest, id)
      kernel.release(id)
    }
    expect(largest).toBeLessThan(300)
  })

  it('is released once, and is out of reach then', () => {
    const [fd, peer] = openPair()
    const { id } = kernel.allocate(8)
    kernel.release(id)
    expect(() => kernel.release(id)).toThrow(RangeError)
    expect(() => kernel.release(0)).toThrow(RangeError)
    expect(() => kernel.send(fd, id, 0, 1)).toThrow(/bufferId/)
    closeAll(fd, peer)
  })

  it('outlives its release as long as a view of it is there', () => {
    const { id, bytes } = kernel.allocate(1 << 16)
    kernel.release(id)
    collectGarbage()
    bytes.fill(7)
    expect(bytes[65535]).toBe(7)
  })

  it('outlives its views until it is released', async () => {
    const [fd, peer] = openPair()
    const { id } = kernel.allocate(1 << 16)
    for (let i = 0; i < 3; i++) {
      collectGarbage()
      await new Promise((resolve) => setImmediate(resolve))
    }
    sendText(peer, 'x')
    expect(kernel.recv(fd, id, 65535, 1)).toBe(1)
    expect(kernel.send(fd, id, 65535, 1)).toBe(1)
    kernel.release(id)
    closeAll(fd, peer)
  })

  it('leaves nothing dangling when its ArrayBuffer is transferred away', async () => {
    const [fd, peer] = openPair()
    const { id, bytes } = kernel.allocate(1 << 16)
    try {
      structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] })
    } catch (error) {
      // Newer versions of Node refuse; older ones copy or move.
      expect((error as Error).name).toBe('DataCloneError')
    }
    const { transfer } = bytes.buffer as { transfer?: () => ArrayBuffer }
    transfer?.call(bytes.buffer)
    for (let i = 0; i < 3; i++) {
      collectGarbage()
      await new Promise((resolve) => setImmediate(resolve))
    }
    sendText(peer, 'abc')
    expect(kernel.recv(fd, id, 60000, 3)).toBe(3)
    expect(kernel.send(fd, id, 60000, 3)).toBe(3)
    kernel.release(id)
    closeAll(fd, peer)
  })

  it('counts as external memory of the engine', () => {
    const before = process.memoryUsage().external
    const { id, bytes } = kernel.allocate(1 << 24)
    expect(process.memoryUsage().external - before).toBeGreaterThan(1 << 23)
    expect(process.memoryUsage().external - before).toBeLessThan(3 * (1 << 23))
    expect(bytes.length).toBe(1 << 24)
    kernel.release(id)
  })
})

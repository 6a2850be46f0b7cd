import { closeSync, fstatSync, openSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { kernel, ownedCount } from '../../lib/sys/native.ts'
import { answer, checkForLeaks, closeAll, must, openPair, recvText, sendText, waitFor } from './support.ts'

checkForLeaks()

describe('a descriptor', () => {
  it('is counted while it is open', () => {
    const before = ownedCount()
    const [fd, peer] = openPair()
    expect(ownedCount()).toBe(before + 2)
    closeAll(fd)
    expect(ownedCount()).toBe(before + 1)
    closeAll(peer)
  })

  it('is closed once', () => {
    const [fd, peer] = openPair()
    closeAll(fd)
    expect(answer(kernel.close(fd))).toBe('EBADF')
    expect(answer(kernel.generation(fd))).toBe('EBADF')
    expect(() => fstatSync(fd)).toThrow('EBADF')
    closeAll(peer)
  })

  it('has another generation each time its number is given out', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 5; i++) {
      const [fd, peer] = openPair()
      const key = `${fd}:${must(kernel.generation(fd))}`
      expect(seen.has(key)).toBe(false)
      seen.add(key)
      closeAll(fd, peer)
    }
    expect(new Set([...seen].map((key) => key.split(':')[0])).size).toBeLessThan(5)
  })

  it('is closed by its generation, but not its successor', () => {
    const [first, firstPeer] = openPair()
    const stale = kernel.generation(first)
    expect(answer(kernel.close(first, stale + 1))).toBe('ESTALE')
    expect(kernel.close(first, stale)).toBe(0)
    closeAll(firstPeer)
    const [second, secondPeer] = openPair()
    expect(second).toBe(first)
    expect(answer(kernel.close(second, stale))).toBe('ESTALE')
    expect(kernel.close(second, kernel.generation(second))).toBe(0)
    expect(answer(kernel.close(second, kernel.generation(secondPeer)))).not.toBe(0)
    expect(kernel.close(secondPeer, undefined)).toBe(0)
  })
})

describe('adopting', () => {
  it('takes a foreign descriptor, and makes it non-blocking', () => {
    const file = openSync('/dev/null', 'r+')
    expect(answer(kernel.generation(file))).toBe('EBADF')
    const generation = must(kernel.adopt(file))
    expect(generation).toBeGreaterThan(0)
    expect(kernel.generation(file)).toBe(generation)
    expect(recvText(file, kernel.read)).toBe('')
    expect(kernel.close(file, generation)).toBe(0)
    expect(() => fstatSync(file)).toThrow('EBADF')
  })

  it('leaves what it refuses to the caller', () => {
    const [fd, peer] = openPair()
    expect(answer(kernel.adopt(fd))).toBe('EBUSY')
    sendText(peer, 'still here')
    expect(recvText(fd)).toBe('still here')
    closeAll(fd, peer)
    expect(answer(kernel.adopt(fd))).toBe('EBADF')
    expect(answer(kernel.adopt(-1))).toBe('EBADF')
    expect(answer(kernel.adopt(2 ** 31 - 1))).toBe('EMFILE')
  })
})

describe('a descriptor of somebody else', () => {
  it('is not touched', () => {
    const file = openSync('/dev/null', 'r')
    expect(answer(kernel.close(file))).toBe('EBADF')
    expect(recvText(file, kernel.read)).toBe('EBADF')
    expect(fstatSync(file).isCharacterDevice()).toBe(true)
    closeSync(file)
  })

  it('may be polled', () => {
    const file = openSync('/dev/null', 'r')
    expect(waitFor(file, 1)).toBe(1)
    closeSync(file)
  })
})

describe('poll', () => {
  it('fills in every readiness, and counts those that have one', () => {
    const [fd, peer] = openPair()
    sendText(peer, 'x')
    const entries = new Int32Array([fd, 3, 9, peer, 1, 9, fd, 0, 9, -1, 3, 9])
    expect(kernel.poll(entries, 4, 0)).toBe(1)
    expect([entries[2], entries[5], entries[8], entries[11]]).toEqual([3, 0, 0, 0])
    entries[4] = 2
    expect(kernel.poll(entries, 2, -1)).toBe(2)
    expect([entries[2], entries[5]]).toEqual([3, 2])
    closeAll(fd, peer)
  })

  it('tells a closed descriptor as an error with the directions asked for', () => {
    const [fd, peer] = openPair()
    closeAll(fd, peer)
    const entries = new Int32Array([fd, 1, 0])
    expect(kernel.poll(entries, 1, 5000)).toBe(1)
    expect(entries[2]).toBe(5)
  })

  it('passes over a hang-up that nobody asked for', () => {
    const [fd, peer] = openPair()
    closeAll(peer)
    expect(kernel.poll(new Int32Array([fd, 0, 0]), 1, 0.2)).toBe(0)
    closeAll(fd)
  })
})

describe('a wakeup', () => {
  it('is readable from wake until it is cleared', () => {
    const fd = must(kernel.openWakeup())
    const generation = kernel.generation(fd)
    expect(waitFor(fd, 1, 0)).toBe(0)
    expect(kernel.clearWakeup(fd)).toBe(0)
    expect(kernel.wake(fd, generation)).toBe(0)
    expect(kernel.wake(fd, generation)).toBe(0)
    expect(waitFor(fd, 1)).toBe(1)
    expect(kernel.clearWakeup(fd)).toBe(1)
    expect(kernel.clearWakeup(fd)).toBe(0)
    expect(waitFor(fd, 1, 0)).toBe(0)
    closeAll(fd)
    expect(answer(kernel.wake(fd, generation))).toBe('ESTALE')
    expect(answer(kernel.clearWakeup(fd))).toBe('EBADF')
  })

  it('never reaches what has its number later, nor anything else', () => {
    const wakeup = must(kernel.openWakeup())
    const generation = kernel.generation(wakeup)
    closeAll(wakeup)
    const [fd, peer] = openPair()
    expect(fd).toBe(wakeup)
    expect(answer(kernel.wake(fd, generation))).toBe('ESTALE')
    expect(answer(kernel.wake(fd, kernel.generation(fd)))).toBe('EINVAL')
    expect(recvText(peer)).toBe('EAGAIN')
    sendText(peer, 'kept')
    expect(answer(kernel.clearWakeup(fd))).toBe('EINVAL')
    expect(recvText(fd)).toBe('kept')
    closeAll(fd, peer)
  })
})

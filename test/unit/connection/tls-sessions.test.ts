import { describe, expect, it } from 'vitest'
import { TlsSessions } from '../../../lib/connection/tls-sessions.ts'
import type { TlsSession } from '../../../lib/sys/tls.ts'

/** How many were released. */
let released = 0
const release = (): void => void released++
const ticket = (): TlsSession => ({ isSingleUse: true, release })
const session = (): TlsSession => ({ isSingleUse: false, release })

describe('TLS sessions', () => {
  it('of single use are given out once, newest first', () => {
    const sessions = new TlsSessions(256)
    const [first, second] = [ticket(), ticket()]
    sessions.put('a', first)
    sessions.put('a', second)
    expect([sessions.take('a'), sessions.take('a'), sessions.take('a')]).toEqual([second, first, null])
    expect(sessions.size).toBe(0)
  })

  it('of TLS 1.2 serve until a newer one takes their place', () => {
    const sessions = new TlsSessions(256)
    const [first, second] = [session(), session()]
    sessions.put('a', first)
    expect(sessions.take('a')).toBe(first)
    expect(sessions.take('a')).toBe(first)
    sessions.put('a', second)
    expect(sessions.take('a')).toBe(second)
    expect(sessions.size).toBe(1)
  })

  it('belong to their key alone and are forgotten by it', () => {
    const sessions = new TlsSessions(256)
    sessions.put('a', session())
    expect(sessions.take('b')).toBeNull()
    sessions.forget('a')
    expect(sessions.take('a')).toBeNull()
  })

  it('are released when they go, except those that were given out for good', () => {
    const sessions = new TlsSessions(256)
    released = 0
    for (let count = 0; count < 5; count++) sessions.put('a', ticket())
    expect(released).toBe(0)
    sessions.take('a')
    expect(released).toBe(0)
    sessions.put('a', session())
    expect(released).toBe(4)
    sessions.take('a')
    sessions.put('b', session())
    sessions.forget('b')
    sessions.clear()
    expect([released, sessions.size]).toEqual([6, 0])
  })

  it('are bounded per key, the oldest goes first', () => {
    const sessions = new TlsSessions(256)
    const [first, second] = [ticket(), ticket()]
    for (const one of [first, second]) sessions.put('a', one)
    for (let count = 0; count < 255; count++) sessions.put('a', ticket())
    expect(sessions.size).toBe(256)
    const all = [...sessions.entries()].map(([, session]) => session)
    expect([all.includes(first), all.includes(second)]).toEqual([false, true])
  })

  it('are bounded by the number of keys, and the key used longest ago goes first', () => {
    const sessions = new TlsSessions(256)
    sessions.put('a', session())
    for (let key = 0; key < 99; key++) sessions.put(`k${key}`, session())
    sessions.put('a', ticket())
    sessions.put('new', session())
    expect(sessions.take('k0')).toBeNull()
    expect(sessions.take('a')).not.toBeNull()
    expect(sessions.take('k1')).not.toBeNull()
  })

  it('are bounded in all, at the expense of the key used longest ago', () => {
    const sessions = new TlsSessions(256)
    sessions.put('old', session())
    for (let key = 0; key < 4; key++) {
      for (let count = 0; count < 256; count++) sessions.put(`k${key}`, ticket())
    }
    expect(sessions.size).toBe(1024)
    expect(sessions.take('old')).toBeNull()
    sessions.put('new', session())
    expect(sessions.size).toBe(1024)
    const kept = [...sessions.entries()].map(([key]) => key)
    expect([kept.filter((key) => key === 'k0').length, kept.at(-1)]).toEqual([255, 'new'])
  })

  it('are told one by one, and stay', () => {
    const sessions = new TlsSessions(256)
    const [first, second] = [ticket(), ticket()]
    sessions.put('a', first)
    sessions.put('a', second)
    expect([...sessions.entries()]).toEqual([
      ['a', first],
      ['a', second],
    ])
    expect(sessions.size).toBe(2)
  })
})

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HstsStore, type HstsStoreOptions, Transfer } from '../../../lib/index.ts'

const NOW = new Date('2030-01-01T00:00:00Z')
/** As curl 7.88 writes it, and what it passes over. */
const FILE = [
  '# Your HSTS cache. https://curl.se/docs/hsts.html',
  'once.test "20310101 00:00:00"',
  '.wide.test "unlimited"',
  'gone.test "20200101 00:00:00"',
  'TWICE.test "20300102 00:00:00"',
  'twice.test "20330101 00:00:00"',
  'twice.test "20310101 00:00:00"',
  '  .spaced.test   "20320101 0:0:0" junk',
  'bare.test 20330101 00:00:00',
  '127.0.0.1 "unlimited"',
  'nonsense',
].join('\r\n')

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: NOW }))
afterEach(() => void vi.useRealTimers())

describe('HstsStore', () => {
  it('reads files as curl writes them, and passes over what is none of it', () => {
    const store = new HstsStore({ text: FILE })
    expect(store.entries()).toEqual([
      { host: 'once.test', includeSubDomains: false, expires: new Date('2031-01-01T00:00:00Z') },
      { host: 'wide.test', includeSubDomains: true, expires: null },
      { host: 'twice.test', includeSubDomains: false, expires: new Date('2033-01-01T00:00:00Z') },
      { host: 'spaced.test', includeSubDomains: true, expires: new Date('2032-01-01T00:00:00Z') },
    ])
  })

  it('writes what it can read again, whole and for nobody else to read', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sockmux-hsts-'))
    const file = join(directory, 'hsts.txt')
    const store = new HstsStore({ text: FILE, file })
    store.learn('learnt.test', 'max-age=60; includeSubDomains')
    store.save(file)
    store.save(file)
    expect(readdirSync(directory)).toEqual(['hsts.txt'])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const again = new HstsStore({ file })
    expect(again.entries()).toEqual(store.entries())
    expect(again.text()).toContain('\n.learnt.test "20300101 00:01:00"\n')
    expect(() => new HstsStore({ file: directory })).toThrow('EISDIR')
    rmSync(directory, { recursive: true })
  })

  it('knows a host and, where they are included, what is below it', () => {
    const store = new HstsStore({ entries: [{ host: 'Site.Test.', includeSubDomains: true, expires: null }] })
    store.add({ host: 'alone.test' })
    for (const host of ['site.test', 'SITE.TEST', 'site.test.', 'a.site.test', 'a.b.site.test']) {
      expect(store.has(host), host).toBe(true)
    }
    for (const host of ['test', 'notsite.test', 'a.alone.test', '', '.', '..site.test', 'site.test..']) {
      expect(store.has(host), host).toBe(false)
    }
  })

  it('forgets what has expired, and what a host takes back', () => {
    const store = new HstsStore()
    expect(store.learn('a.test', 'max-age=60')).toBe(true)
    expect(store.learn('b.test', 'max-age=60; includeSubDomains')).toBe(true)
    vi.setSystemTime(NOW.getTime() + 59_000)
    expect(store.size).toBe(2)
    expect(store.learn('b.test', 'max-age=0')).toBe(true)
    expect(store.learn('a.b.test', 'max-age=0')).toBe(true)
    expect([store.has('a.test'), store.has('b.test')]).toEqual([true, false])
    vi.setSystemTime(NOW.getTime() + 60_000)
    expect(store.has('a.test')).toBe(false)
    expect(store.entries()).toEqual([])
    store.add({ host: 'c.test' })
    expect([store.delete('c.test'), store.delete('c.test')]).toEqual([true, false])
    store.add({ host: 'c.test' })
    store.clear()
    expect(store.size).toBe(0)
  })

  it('never has addresses, nor what says nothing', () => {
    const store = new HstsStore()
    for (const host of ['127.0.0.1', '::1', '[::1]', 'a b', 'a/b', '']) {
      expect(store.learn(host, 'max-age=60'), host).toBe(false)
      expect(() => store.add({ host })).toThrow(TypeError)
    }
    expect(store.learn('a.test', 'max-age=soon')).toBe(false)
    expect(store.size).toBe(0)
  })

  it('makes room for new hosts by forgetting the oldest', () => {
    const store = new HstsStore()
    for (let host = 0; host < 10_002; host++) store.learn(`h${host}.test`, 'max-age=60')
    expect(store.size).toBe(10_000)
    expect([store.has('h1.test'), store.has('h2.test'), store.has('h10001.test')]).toEqual([false, true, true])
  })

  it('says what is wrong with its options', () => {
    expect(() => new HstsStore({ file: 5 } as unknown as HstsStoreOptions)).toThrow('option file')
    expect(() => new HstsStore({ path: 'x' } as HstsStoreOptions)).toThrow('path')
    expect(() => new HstsStore({ entries: 5 } as unknown as HstsStoreOptions)).toThrow('option entries')
    const wrong = { host: 'a.test', expires: 5 } as unknown as { host: string; expires: Date }
    expect(() => new HstsStore().add(wrong)).toThrow('expires must be a Date or null, not 5')
    expect(() => new Transfer({ url: 'http://x.test/', hsts: {} as HstsStore })).toThrow(
      'option hsts must be an HstsStore',
    )
  })
})

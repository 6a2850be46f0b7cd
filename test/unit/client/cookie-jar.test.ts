import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CookieJar } from '../../../lib/client/cookie-jar.ts'

const LATER = Math.floor(Date.now() / 1000) + 100_000
const FILE = [
  '# Netscape HTTP Cookie File',
  `.site.example\tTRUE\t/\tFALSE\t${LATER}\twide\t1`,
  'host.site.example\tFALSE\t/deep\tFALSE\t0\tsession\tv=2',
  `#HttpOnly_site.example\tFALSE\t/\tTRUE\t${LATER}\tsafe\t3`,
  'site.example\tFALSE\t/\tFALSE\t1\told\tgone',
  'site.example\tFALSE\t/\tFALSE\t0\tempty',
  '',
].join('\r\n')

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sockmux-cookies-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

describe('CookieJar', () => {
  it('reads the lines of a Netscape file and passes over all others', () => {
    const odd =
      'nonsense\nhost\tFALSE\tnopath\tFALSE\t0\ta\tb\nhost\tFALSE\t/\tFALSE\tsoon\ta\tb\n\tFALSE\t/\tFALSE\t0\ta\tb\n'
    const jar = new CookieJar({ text: `${FILE}${odd}` })
    expect(jar.get('http://site.example/')).toBe('wide=1; empty=')
    expect(jar.get('http://host.site.example/deep/er')).toBe('session=v=2; wide=1')
    expect(jar.get('http://host.site.example/deeper')).toBe('wide=1')
    expect(jar.get('https://site.example/')).toBe('wide=1; safe=3; empty=')
    expect(jar.get('http://example/')).toBe('')
    expect(jar.get('http://other.example/')).toBe('')
  })

  it('writes what it can read again, whole and for nobody else to read', () => {
    const jar = new CookieJar({ text: FILE })
    jar.set('learnt=x; Max-Age=1000; Path=/p; Domain=site.example', 'http://site.example/')
    jar.set('bytes=\xe9', 'http://site.example/')
    const file = join(directory, 'jar.txt')
    jar.save(file)
    jar.save(file)
    expect(readdirSync(directory)).toEqual(['jar.txt'])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'latin1')).toContain('#HttpOnly_site.example\tFALSE\t/\tTRUE\t')
    const again = new CookieJar({ file })
    for (const url of ['http://site.example/p', 'https://site.example/', 'http://host.site.example/deep']) {
      expect(again.get(url)).toBe(jar.get(url))
    }
    expect(again.get('http://site.example/p')).toContain('bytes=\xe9')
    expect(again.text()).toBe(jar.text())
    expect(again.text()).not.toContain('gone')
  })

  it('begins empty without its file, and throws for one that cannot be read', () => {
    expect(new CookieJar({ file: join(directory, 'none') }).size).toBe(0)
    expect(() => new CookieJar({ file: directory })).toThrow('EISDIR')
  })

  it('begins a new session when asked to', () => {
    const jar = new CookieJar({ text: FILE, cookieSession: true })
    expect(jar.get('http://site.example/')).toBe('wide=1')
    expect(jar.set('now=1', 'http://site.example/')).toBe(true)
    expect(jar.get('http://site.example/')).toContain('now=1')
  })

  it('refuses what a host may not set', () => {
    const jar = new CookieJar()
    expect(jar.set('a=1; Domain=other.example', 'http://site.example/')).toBe(false)
    expect(jar.set('a=1; Domain=co.uk', 'http://shop.co.uk/')).toBe(false)
    expect(jar.set('a=1; Secure', 'http://site.example/')).toBe(false)
    expect(jar.set('__Host-a=1; Secure; Path=/; Domain=site.example', 'https://site.example/')).toBe(false)
    expect(jar.set(`a=${'x'.repeat(4097)}`, 'http://site.example/')).toBe(false)
    expect(jar.set('', 'http://site.example/')).toBe(false)
    expect(jar.size).toBe(0)
    expect(jar.set('a=1', 'http://[::1]:8080/')).toBe(true)
    expect(jar.get('http://[::1]/')).toBe('a=1')
  })

  it('forgets what expires and what is cleared', () => {
    const jar = new CookieJar()
    jar.set('a=1', 'http://site.example/')
    jar.set('b=2', 'http://site.example/')
    jar.set('a=1; Max-Age=0', 'http://site.example/')
    expect(jar.get('http://site.example/')).toBe('b=2')
    jar.clear()
    expect(jar.size).toBe(0)
  })

  it('is bounded in all that servers could fill it with', () => {
    const jar = new CookieJar()
    jar.learn(
      Array.from({ length: 60 }, (_, index) => `c${index}=1`),
      'http://many.example/',
    )
    expect(jar.size).toBe(50)
    for (let index = 0; index < 200; index++) jar.set(`n${index}=${'x'.repeat(40)}`, 'http://much.example/')
    const sent = jar.get('http://much.example/')
    expect(sent.split('; ').length).toBe(150)
    for (let index = 0; index < 10; index++) jar.set(`l${index}=${'x'.repeat(4000)}`, 'http://large.example/')
    expect(jar.get('http://large.example/').length).toBeLessThanOrEqual(8190)
    for (let index = 0; index < 4000; index++) jar.set(`f=1`, `http://h${index}.full.example/`)
    expect(jar.size).toBe(3000)
    expect(jar.set('late=1', 'http://late.example/')).toBe(false)
    jar.clear()
    expect(jar.set('late=1', 'http://late.example/')).toBe(true)
  })

  it('never lets a file smuggle a field into a request', () => {
    const jar = new CookieJar({
      text: 'h\tFALSE\t/\tFALSE\t0\ta\tb\x01\nh\tFALSE\t/\tFALSE\t0\tu\tλ\nh\tFALSE\t/\tFALSE\t0\tg\tood\n',
    })
    expect(jar.get('http://h/')).toBe('g=ood')
  })

  it('names the option that is wrong', () => {
    expect(() => new CookieJar({ file: 1 } as never)).toThrow('option file must be a string, not 1')
    expect(() => new CookieJar({ File: 'x' } as never)).toThrow('did you mean file?')
    writeFileSync(join(directory, 'x'), '')
    expect(new CookieJar({ file: join(directory, 'x') }).text()).toContain('# Netscape HTTP Cookie File')
  })
})

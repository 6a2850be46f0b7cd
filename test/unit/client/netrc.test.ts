import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CredentialSource } from '../../../lib/client/credential-source.ts'
import { Netrc } from '../../../lib/client/netrc.ts'
import { parseUrl } from '../../../lib/wire/url.ts'

const FILE = `
# whose is whose
machine one.example login alice password secret
machine Two.Example
  login bob   # behind a word
  password "two words \\"quoted\\" \\\\ and #"
macdef init
  machine trap login no password no

machine one.example login carol password other
machine nameless.example password only
machine account.example login a account b password c
default login anonymous password guest
`

describe('.netrc', () => {
  const netrc = new Netrc(FILE)

  it('finds the first entry of a host, in any case, and that of a user', () => {
    expect(netrc.find('one.example', '', false)).toEqual({ username: 'alice', password: 'secret' })
    expect(netrc.find('ONE.example', 'carol', false)).toEqual({ username: 'carol', password: 'other' })
    expect(netrc.find('one.example', 'dave', false)).toBeNull()
    expect(netrc.find('nameless.example', 'any', false)).toEqual({ username: 'any', password: 'only' })
    expect(netrc.find('account.example', '', false)).toEqual({ username: 'a', password: 'c' })
  })

  it('reads quotes, comments and macros', () => {
    expect(netrc.find('two.example', '', false)).toEqual({ username: 'bob', password: 'two words "quoted" \\ and #' })
    expect(netrc.find('trap', '', false)).toBeNull()
  })

  it('falls back to default where that is allowed', () => {
    expect(netrc.find('else.example', '', true)).toEqual({ username: 'anonymous', password: 'guest' })
    expect(netrc.find('else.example', '', false)).toBeNull()
  })

  it('refuses what is none, without repeating it', () => {
    for (const text of ['secret', 'machine', 'machine a password', 'machine a secret b', 'machine a login "open']) {
      expect(() => new Netrc(text), text).toThrow(/^line 1: /)
      expect(() => new Netrc(text)).not.toThrow(/secret|open/)
    }
    expect(() => new Netrc('\n\nmachine a password b\x01c')).toThrow('line 3: a control character')
  })

  it('is read from a file of bounded length', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sockmux-netrc-'))
    try {
      const file = join(directory, 'netrc')
      writeFileSync(file, FILE)
      expect(Netrc.read(file).find('one.example', '', false)?.username).toBe('alice')
      writeFileSync(file, ' '.repeat(200_000))
      expect(() => Netrc.read(file)).toThrow('longer than')
      expect(() => Netrc.read(join(directory, 'none'))).toThrow('ENOENT')
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('credentials', () => {
  const first = parseUrl('http://url:pass@one.example/')
  const bare = parseUrl('http://one.example/')
  const other = parseUrl('http://two.example/')
  const given = { username: 'given', password: 'g' }

  it('of the options go before those of the URL, to the first origin only', () => {
    const source = new CredentialSource(given, first, false, null, false)
    expect(source.find(first)).toBe(given)
    expect(source.find(other)).toBeNull()
    expect(new CredentialSource(given, first, true, null, false).find(other)).toBe(given)
  })

  it('of the first URL are for its origin, whatever later URLs of it say', () => {
    const source = new CredentialSource(null, first, false, null, false)
    expect(source.find(bare)).toEqual({ username: 'url', password: 'pass' })
    expect(source.find(parseUrl('http://new:er@one.example/'))).toEqual({ username: 'new', password: 'er' })
    expect(source.find(parseUrl('https://one.example/'))).toBeNull()
    expect(source.find(parseUrl('http://one.example:81/'))).toBeNull()
  })

  it('of .netrc fill what is missing, or stand instead of the URL', () => {
    const netrc = new Netrc(FILE)
    const optional = (text: string): unknown =>
      new CredentialSource(null, parseUrl(text), false, netrc, false).find(parseUrl(text))
    expect(optional('http://one.example/')).toEqual({ username: 'alice', password: 'secret' })
    expect(optional('http://carol@one.example/')).toEqual({ username: 'carol', password: 'other' })
    expect(optional('http://dave@one.example/')).toEqual({ username: 'dave', password: '' })
    expect(optional('http://x:y@one.example/')).toEqual({ username: 'x', password: 'y' })
    const required = new CredentialSource(null, first, false, netrc, true)
    expect(required.find(first)).toEqual({ username: 'alice', password: 'secret' })
    expect(required.find(parseUrl('http://three.example/'))).toBeNull()
  })

  it('with control characters are refused', () => {
    expect(() => new CredentialSource(null, parseUrl('http://a%0db@x/'), false, null, false)).toThrow(
      'control character',
    )
    expect(() => new CredentialSource(null, bare, false, null, false).find(parseUrl('http://a:%7f@x/'))).toThrow(
      'control',
    )
  })
})

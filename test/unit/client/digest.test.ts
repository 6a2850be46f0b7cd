import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type DigestChallenge, DigestSession, readDigestChallenge } from '../../../lib/client/digest.ts'
import { parseAuthChallenges } from '../../../lib/wire/auth-challenge.ts'

function read(text: string): DigestChallenge | string {
  const [challenge] = parseAuthChallenges([text])
  if (challenge === undefined) throw new Error('no challenge')
  return readDigestChallenge(challenge)
}

function session(text: string, username: string, password: string, clientNonce: string): DigestSession {
  const challenge = read(text)
  if (typeof challenge === 'string') throw new Error(challenge)
  return new DigestSession(challenge, { username, password }, () => Buffer.from(clientNonce, 'base64'))
}

function field(authorization: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="?([^",]*)`).exec(authorization)?.[1]
}

const EXAMPLE =
  'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=ALGORITHM, ' +
  'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
const EXAMPLE_NONCE = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ'

describe('Digest', () => {
  it.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('gives the response of RFC 7616 §3.9.1 for %s', (algorithm, response) => {
    const mufasa = session(EXAMPLE.replace('ALGORITHM', algorithm), 'Mufasa', 'Circle of Life', EXAMPLE_NONCE)
    const authorization = mufasa.authorization('GET', '/dir/index.html')
    expect(field(authorization, 'response')).toBe(response)
    expect(authorization).toBe(
      'Digest username="Mufasa", realm="http-auth@example.org", ' +
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", ' +
        `response="${response}", algorithm=${algorithm}, cnonce="${EXAMPLE_NONCE}", nc=00000001, qop=auth, ` +
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
    )
  })

  it('gives the response of RFC 7616 §3.9.2, as erratum 4897 corrects it, with a hashed user name', () => {
    const jason = session(
      'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, charset=UTF-8, userhash=true, ' +
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"',
      'Jäsøn Doe',
      'Secret, or not?',
      'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
    )
    const authorization = jason.authorization('GET', '/doe.json')
    expect(field(authorization, 'username')).toBe('793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b')
    expect(field(authorization, 'response')).toBe('3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5')
    expect(authorization).toContain('userhash=true')
  })

  it('gives the response of RFC 2069 to a challenge without an algorithm and a quality', () => {
    const nonce = 'dcd98b7102dd2f0e8b11d0f600bfb0c093'
    const old = session(`Digest realm="testrealm@host.com", nonce="${nonce}"`, 'Mufasa', 'CircleOfLife', 'AAAA')
    const authorization = old.authorization('GET', '/dir/index.html')
    expect(field(authorization, 'response')).toBe('1949323746fe6a43ef61f9606e7febea')
    expect(authorization).not.toMatch(/algorithm|cnonce|nc=|qop/)
  })

  it('counts up with a new client nonce each time, and keeps it with -sess', () => {
    let drawn = 0
    const draw = (size: number): Uint8Array => new Uint8Array(size).fill(++drawn)
    for (const algorithm of ['MD5', 'MD5-sess', 'SHA-256-SESS']) {
      const challenge = read(EXAMPLE.replace('ALGORITHM', algorithm)) as DigestChallenge
      const several = new DigestSession(challenge, { username: 'u', password: 'p' }, draw)
      const [first, second] = [several.authorization('GET', '/a'), several.authorization('GET', '/a')]
      expect([field(first, 'nc'), field(second, 'nc')]).toEqual(['00000001', '00000002'])
      expect(field(first, 'cnonce') === field(second, 'cnonce')).toBe(algorithm !== 'MD5')
      expect(field(first, 'response')).not.toBe(field(second, 'response'))
      expect(field(first, 'algorithm')).toBe(algorithm)
    }
  })

  it('spells user names beyond ASCII as the server can read them', () => {
    const plain = 'Digest realm="r", nonce="n", qop="auth"'
    const utf8 = session(`${plain}, charset=utf-8`, "é (*)'", 'p', 'AAAA').authorization('GET', '/')
    expect(utf8).toContain("username*=UTF-8''%C3%A9%20%28%2A%29%27, ")
    const bytes = session(plain, 'é"\\', 'p', 'AAAA').authorization('GET', '/')
    expect(bytes).toContain('username="\xc3\xa9\\"\\\\"')
    const key = createHash('md5').update('é"\\:r:p').digest('hex')
    const request = createHash('md5').update('GET:/').digest('hex')
    const expected = createHash('md5').update(`${key}:n:00000001:AAAA:auth:${request}`).digest('hex')
    expect(field(bytes, 'response')).toBe(expected)
  })

  it('says why it cannot answer', () => {
    expect(read('Digest realm="r", nonce="n", qop="auth-int"')).toContain("'auth-int' is not supported")
    expect(read('Digest realm="r", nonce="n", algorithm=MD4')).toContain("'MD4' is not supported")
    expect(read('Digest realm="r", nonce="n", algorithm=constructor')).toContain('not supported')
    expect(read('Digest realm="r"')).toContain('no nonce')
    expect(read('Digest realm="r", nonce="n", qop=""')).toContain('not supported')
  })
})

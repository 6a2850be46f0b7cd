import { describe, expect, it } from 'vitest'
import { DigestSession, readDigestChallenge } from '../../../lib/client/digest.ts'
import type { Authenticator, AuthRequest, AuthVerdict } from '../../../lib/server/http/auth/authenticator.ts'
import { BasicAuth, type BasicAuthOptions } from '../../../lib/server/http/auth/basic-auth.ts'
import { DigestAuth, type DigestAuthOptions, type NonceBinding } from '../../../lib/server/http/auth/digest-auth.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { parseAuthChallenges } from '../../../lib/wire/auth-challenge.ts'
import { digestKey } from '../../../lib/wire/digest-proof.ts'
import { HeaderList } from '../../../lib/wire/http1/header-list.ts'

function request(authorization: string | null, url = '/', address = '192.0.2.1'): AuthRequest {
  const headers = HeaderList.fromPairs(authorization === null ? [] : [['Authorization', authorization]])
  return { method: 'GET', url, headers, peer: { family: Family.IPV4, address, port: 4711 } }
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

describe('BasicAuth', () => {
  const auth = new BasicAuth({ realm: 'a "b"', verify: (name, password) => name === 'jö' && password === 'a:b' })

  it('lets in who has the password, colons and all', () => {
    expect(auth.check(request(basic('jö:a:b')))).toEqual({ result: 'ok', username: 'jö' })
    expect(auth.check(request(basic('jö:a:b').replace('Basic', 'bAsIc ')))).toMatchObject({ result: 'ok' })
  })

  it.each([
    [null, 'missing', ''],
    ['Bearer x', 'missing', ''],
    ['Basic', 'wrong-header', ''],
    ['Basic ???', 'wrong-header', ''],
    [basic('no colon'), 'wrong-header', ''],
    [basic('jö:other'), 'wrong-response', 'jö'],
    [basic(`jö:${'x'.repeat(10_000)}`), 'too-large', ''],
  ])('says what is wrong with %.30s: %s', (field, result, username) => {
    expect(auth.check(request(field))).toEqual({ result, username })
  })

  it('lets nobody in by a truthy value', () => {
    const sloppy = new BasicAuth({ realm: 'r', verify: (() => 'yes') as unknown as () => boolean })
    expect(sloppy.check(request(basic('a:b'))).result).toBe('wrong-response')
  })

  it('challenges with its realm', () => {
    expect(auth.challenge()).toEqual([['WWW-Authenticate', 'Basic realm="a \\"b\\"", charset="UTF-8"']])
  })

  it('refuses options that cannot work', () => {
    expect(() => new BasicAuth({ realm: 'a\r\nb', verify: () => true })).toThrow(/realm/)
    expect(() => new BasicAuth({ realm: 'a' } as BasicAuthOptions)).toThrow(/verify/)
  })
})

describe('DigestAuth', () => {
  class World {
    time = 1_700_000_000_000
    readonly auth: DigestAuth

    constructor(options: Partial<DigestAuthOptions> = {}) {
      const clock = { now: () => 0, wallTime: () => this.time }
      const password = (name: string): string | null => (name === 'jörg' ? 'secret' : null)
      this.auth = new DigestAuth({ realm: 'Größe', password, clock, ...options })
    }

    /** A client that was challenged. */
    client(password = 'secret', username = 'jörg', on: AuthRequest = request(null), which = 0): DigestSession {
      return newClient(this.auth, { password, username }, this.auth.check(on), on, which)
    }
  }

  function newClient(
    auth: Authenticator,
    credentials: { username: string; password: string },
    verdict: AuthVerdict,
    on: AuthRequest,
    which = 0,
  ): DigestSession {
    const fields = [...auth.challenge(on, verdict)].map(([, value]) => value)
    const challenge = readDigestChallenge(parseAuthChallenges([fields[which] as string])[0] as never)
    if (typeof challenge === 'string') throw new Error(challenge)
    return new DigestSession(challenge, credentials, (size) => new Uint8Array(size).fill(7))
  }

  const knock = (auth: DigestAuth, client: DigestSession, url = '/'): AuthVerdict =>
    auth.check(request(client.authorization('GET', url), url))

  it.each([
    ['SHA-256', 0],
    ['MD5', 1],
    ['SHA-512-256', 2],
  ] as const)('lets in who has the password, by %s', (_name, which) => {
    const { auth, ...world } = new World({ algorithms: ['SHA-256', 'MD5', 'SHA-512-256'] })
    expect(world.time).toBeGreaterThan(0)
    const client = newClient(
      auth,
      { username: 'jörg', password: 'secret' },
      auth.check(request(null)),
      request(null),
      which,
    )
    expect(knock(auth, client, '/a?b')).toEqual({ result: 'ok', username: 'jörg' })
    expect(knock(auth, client, '/c')).toEqual({ result: 'ok', username: 'jörg' })
  })

  it('knows a user by the key instead of the password', () => {
    const realm = Buffer.from('Größe').toString('latin1')
    const world = new World({ password: () => ({ key: digestKey('sha256', 'jörg', realm, 'secret') }) })
    expect(knock(world.auth, world.client()).result).toBe('ok')
  })

  it('knows a user by the hash of the name', () => {
    const world = new World({ users: () => ['anna', 'jörg'] })
    const field = world.client().authorization('GET', '/')
    expect(field).not.toContain('jörg')
    expect(world.auth.check(request(field))).toEqual({ result: 'ok', username: 'jörg' })
    expect(knock(world.auth, world.client('secret', 'eve')).result).toBe('wrong-username')
  })

  it('refuses the wrong password and the wrong user alike', () => {
    const world = new World()
    expect(knock(world.auth, world.client('other')).result).toBe('wrong-response')
    expect(knock(world.auth, world.client('', 'nobody')).result).toBe('wrong-response')
  })

  it('refuses a request that was seen before, and takes those that overtake each other', () => {
    const world = new World()
    const client = world.client()
    const fields = Array.from({ length: 40 }, () => client.authorization('GET', '/'))
    const result = (index: number): string => world.auth.check(request(fields[index] as string)).result
    expect(result(2)).toBe('ok')
    expect(result(0)).toBe('ok')
    expect(result(2)).toBe('stale-nonce')
    expect(result(0)).toBe('stale-nonce')
    expect(result(39)).toBe('ok')
    expect(result(20)).toBe('ok')
    expect(result(20)).toBe('stale-nonce')
    expect(result(3)).toBe('stale-nonce')
  })

  it('does not let a stranger use up the counter of a client', () => {
    const world = new World()
    const field = world.client().authorization('GET', '/')
    const forged = field.replace(/response="(.)/, (_, digit) => `response="${digit === '0' ? '1' : '0'}`)
    expect(world.auth.check(request(forged)).result).toBe('wrong-response')
    expect(world.auth.check(request(field)).result).toBe('ok')
  })

  it('finds a nonce stale when it is old, and says so', () => {
    const world = new World({ nonceLifetimeMs: 1000 })
    const client = world.client()
    world.time += 1001
    const verdict = knock(world.auth, client)
    expect(verdict.result).toBe('stale-nonce')
    expect([...world.auth.challenge(request(null), verdict)][0]?.[1]).toContain('stale=true')
    expect([...world.auth.challenge(request(null), { result: 'missing', username: '' })][0]?.[1]).not.toContain('stale')
  })

  it('forgets counters when the table is full, and never takes those nonces again', () => {
    const world = new World({ noncesMax: 2 })
    const first = world.client()
    const old = first.authorization('GET', '/')
    expect(world.auth.check(request(old)).result).toBe('ok')
    const [second, third, unused] = [world.client(), world.client(), world.client()]
    expect(knock(world.auth, second).result).toBe('ok')
    expect(knock(world.auth, third).result).toBe('ok')
    expect(world.auth.check(request(old)).result).toBe('stale-nonce')
    expect(knock(world.auth, first).result).toBe('stale-nonce')
    expect(knock(world.auth, unused).result).toBe('ok')
  })

  it.each([
    ['target', '/a', '/b', '192.0.2.1'],
    ['address', '/', '/', '192.0.2.2'],
  ] as const)('binds a nonce to the %s', (bind, from, to, address) => {
    const world = new World({ bind })
    const client = world.client('secret', 'jörg', request(null, from))
    expect(world.auth.check(request(client.authorization('GET', to), to, address)).result).toBe('other-nonce')
    expect(world.auth.check(request(client.authorization('GET', from), from)).result).toBe('ok')
  })

  it('takes a target that a proxy made absolute', () => {
    const world = new World()
    const field = world.client().authorization('GET', '/a?b')
    expect(world.auth.check(request(field, 'http://example.test/a?b')).result).toBe('ok')
  })

  it('takes its own nonces in another process with the same secret', () => {
    const secret = new Uint8Array(32).fill(1)
    const one = new World({ secret })
    const other = new World({ secret })
    expect(knock(other.auth, one.client()).result).toBe('ok')
    expect(knock(new World().auth, one.client()).result).toBe('wrong-nonce')
  })

  const field = (): string => new World().client().authorization('GET', '/')
  it.each([
    ['missing', null],
    ['missing', 'Basic x'],
    ['wrong-header', 'Digest'],
    ['too-large', `Digest ${'x'.repeat(10_000)}`],
    ['wrong-realm', field().replace(/realm="[^"]*"/, 'realm="x"')],
    ['wrong-algorithm', field().replace('SHA-256', 'SHA-1')],
    ['wrong-qop', field().replace('qop=auth', 'qop=auth-int')],
    ['wrong-qop', field().replace(', qop=auth', '')],
    ['wrong-header', field().replace(/nc=\d+/, 'nc=1')],
    ['wrong-header', field().replace(/response="[^"]*"/, 'response="x"')],
    ['wrong-username', field().replace(/username\*=[^,]*/, "username*=UTF-8''%zz")],
    ['wrong-uri', field().replace('uri="/"', 'uri="/other"')],
    ['wrong-nonce', field().replace(/nonce="[^"]*"/, 'nonce="1.0.x"')],
    ['wrong-nonce', field()],
  ])('says %s', (result, authorization) => {
    expect(new World().auth.check(request(authorization)).result).toBe(result)
  })

  it('refuses options that cannot work, and names them', () => {
    const password = (): null => null
    expect(() => new DigestAuth({ realm: 'r', password, algorithms: [] })).toThrow(/algorithms/)
    expect(() => new DigestAuth({ realm: 'r', password, noncesMax: 0 })).toThrow(/noncesMax/)
    expect(() => new DigestAuth({ realm: 'r', password, secret: new Uint8Array(3) })).toThrow(/secret/)
    expect(() => new DigestAuth({ realm: 'r', password, bind: 'ip' as NonceBinding })).toThrow(/bind/)
  })
})

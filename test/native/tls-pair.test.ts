import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TransferError } from '../../lib/base/errors.ts'
import { FilterStatus } from '../../lib/connection/filter.ts'
import type { TlsFilter } from '../../lib/connection/tls-filter.ts'
import { type TlsOptions, tlsSettings } from '../../lib/connection/tls-settings.ts'
import { acceptTls, upgradeToTls } from '../../lib/connection/tls-upgrade.ts'
import { kernel } from '../../lib/sys/native.ts'
import { openTls } from '../../lib/sys/native-tls.ts'
import { Interest } from '../../lib/sys/readiness.ts'
import type { TlsContext, TlsContextOptions, TlsEngine } from '../../lib/sys/tls.ts'
import {
  type Certificate,
  encryptedKey,
  makeCertificate,
  makeOcspResponse,
  makeRevocationList,
} from '../support/certificates.ts'
import { memoryPair, type Stack, shakeHands, TestHost, transport } from '../support/tls-pair.ts'

const AGAIN = -kernel.errno.EAGAIN
const EPROTO = -kernel.errno.EPROTO
const { DONE, FAILED, PENDING } = FilterStatus
const HOST = 'server.example'
const PASSPHRASE = 'open sesame'

let host: TestHost
let authority: Certificate
let server: Certificate
let enginesBefore = 0

beforeAll(() => {
  host = new TestHost()
  enginesBefore = openTls().engineCount()
  authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
  server = makeCertificate({
    commonName: 'server',
    names: [HOST, '*.wild.example', '127.0.0.1', '::1'],
    issuer: authority,
  })
})

afterAll(() => {
  expect(openTls().engineCount()).toBe(enginesBefore)
  host.close()
})

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function serverContext(certificate: Certificate = server, overrides: Partial<TlsContextOptions> = {}): TlsContext {
  const settings = tlsSettings({ certificate: certificate.certificate, certificateKey: certificate.key })
  const made = openTls().createContext({
    ...settings.context,
    server: true,
    verifyPeer: false,
    protocols: [],
    ...overrides,
  })
  if (made instanceof TransferError) throw made
  return made
}

interface Pair {
  readonly client: TlsFilter
  readonly server: TlsFilter
  readonly below: [Stack, Stack]
  readonly statuses: [FilterStatus, FilterStatus]
}

interface Wish {
  options?: TlsOptions
  context?: TlsContext
  host?: string
  protocols?: string[]
  most?: () => number
  onServerName?: (name: string, engine: TlsEngine) => void
  stacks?: [Stack, Stack]
  shake?: boolean
}

function pairUp(wish: Wish = {}): Pair {
  const below = wish.stacks ?? memoryPair(host.tls, wish.most)
  const settings = tlsSettings({ ca: authority.certificate, sessionCache: false, ...wish.options })
  const target = { host: wish.host ?? HOST, port: 443, protocols: wish.protocols ?? [] }
  const client = upgradeToTls(host.tls, below[0], settings, target)
  if (client instanceof TransferError) throw client
  const accepted = acceptTls(host.tls, below[1], wish.context ?? serverContext(), 'client', wish.onServerName ?? null)
  if (accepted instanceof TransferError) throw accepted
  const statuses =
    wish.shake === false ? ([PENDING, PENDING] as [FilterStatus, FilterStatus]) : shakeHands(client, accepted)
  return { client, server: accepted, below, statuses }
}

function close(pair: Pair): void {
  pair.client.close()
  pair.server.close()
}

/** The client's verdict: 'established', or the code and message of its failure. */
function verdict(wish: Wish): string {
  const pair = pairUp(wish)
  const { failure } = pair.client
  const [status] = pair.statuses
  close(pair)
  if (status === DONE) return 'established'
  if (!(failure instanceof TransferError)) throw new Error(`failed without a reason: ${failure}`)
  return `${failure.code}: ${failure.message}`
}

describe('a TLS pair in memory', () => {
  it('agrees on TLS 1.3 and carries bytes both ways', () => {
    const pair = pairUp()
    expect(pair.statuses).toEqual([DONE, DONE])
    expect(pair.client.description).toMatchObject({ protocol: 'TLSv1.3', isResumed: false, verifyResult: 0 })
    expect(transport(host, pair.client, pair.server, bytesOf('question')).toString()).toBe('question')
    expect(transport(host, pair.server, pair.client, bytesOf('answer')).toString()).toBe('answer')
    close(pair)
  })

  it('gives the same plaintext whatever the cuts', () => {
    const property = fc.property(
      fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 30 }),
      fc.uint8Array({ minLength: 1, maxLength: 60_000 }),
      fc.constantFrom<TlsOptions>({}, { tlsMaxVersion: 'TLSv1.2' }),
      (cuts, bytes, options) => {
        let at = 0
        // A pipe that never moves anything would be no pipe.
        const most = (): number => cuts[at++ % cuts.length]! + (at % 7 === 0 ? 1 : 0)
        const pair = pairUp({ most, options })
        expect(pair.statuses).toEqual([DONE, DONE])
        expect(transport(host, pair.client, pair.server, bytes).equals(bytes)).toBe(true)
        expect(transport(host, pair.server, pair.client, bytes).equals(bytes)).toBe(true)
        close(pair)
      },
    )
    fc.assert(property, { numRuns: 30 })
  })

  it('shakes hands byte by byte', () => {
    const pair = pairUp({ most: () => 1 })
    expect(pair.statuses).toEqual([DONE, DONE])
    expect(transport(host, pair.client, pair.server, bytesOf('byte by byte')).toString()).toBe('byte by byte')
    close(pair)
  })

  it('carries TLS inside TLS, with other cuts in both', () => {
    let step = 0
    const outer = pairUp({ most: () => 1 + ((step++ * 7919) % 3000) })
    expect(outer.statuses).toEqual([DONE, DONE])
    const inner = pairUp({ stacks: outer.below })
    expect(inner.statuses).toEqual([DONE, DONE])
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) & 0xff)
    expect(transport(host, inner.client, inner.server, bytes).equals(bytes)).toBe(true)
    expect(transport(host, inner.server, inner.client, bytes).equals(bytes)).toBe(true)
    close(inner)
  })

  it('sends a chain of certificates that does not fit into one memory', () => {
    const filler = makeCertificate({
      commonName: 'Filler',
      isAuthority: true,
      issuer: authority,
      names: ['x'.repeat(240)],
    })
    // More than the memory for ciphertext, less than the hundred thousand bytes that OpenSSL takes.
    const count = Math.floor(95_000 / filler.der.length)
    const certificate = server.certificate + filler.certificate.repeat(count)
    const pair = pairUp({ context: serverContext({ ...server, certificate }) })
    expect(pair.statuses).toEqual([DONE, DONE])
    expect(pair.client.certificates().length).toBe(1 + count)
    close(pair)
  })

  it('leaves nothing behind in two thousand connections', () => {
    const context = serverContext()
    for (let round = 0; round < 2000; round++) {
      const pair = pairUp({ context, shake: round % 20 === 0 })
      if (round % 20 !== 0) pair.client.connect(0)
      close(pair)
    }
    expect(openTls().engineCount()).toBe(enginesBefore)
  })
})

describe('verification', () => {
  it.each(['server.example', 'server.example.', 'SERVER.example', 'a.wild.example', '127.0.0.1', '::1', '[::1]'])(
    'accepts %s by the names in the certificate',
    (name) => expect(verdict({ host: name })).toBe('established'),
  )

  it.each(['other.example', 'wild.example', 'a.b.wild.example', '127.0.0.2', 'server'])(
    'refuses %s, which is not in the certificate',
    (name) =>
      expect(verdict({ host: name })).toMatch(/^PEER_FAILED_VERIFICATION: .*no name in the certificate matches/),
  )

  it('accepts any name when verifyHost is off, and no stranger all the same', () => {
    expect(verdict({ host: 'other.example', options: { verifyHost: false } })).toBe('established')
    const stranger = makeCertificate({ commonName: 'stranger', names: [HOST] })
    expect(verdict({ context: serverContext(stranger), options: { verifyHost: false } })).toMatch(
      /^PEER_FAILED_VERIFICATION: .*self-signed certificate/,
    )
  })

  it('looks at the name although verifyPeer is off', () => {
    const options: TlsOptions = { verifyPeer: false }
    const stranger = serverContext(makeCertificate({ commonName: 'stranger', names: [HOST] }))
    expect(verdict({ context: stranger, options })).toBe('established')
    expect(verdict({ context: stranger, options, host: 'other.example' })).toMatch(/^PEER_FAILED_VERIFICATION/)
    const pair = pairUp({ context: stranger, options })
    expect(pair.client.description?.verifyReason).toMatch(/self-signed/)
    close(pair)
  })

  it('refuses what has expired, what is not valid yet, and an unknown authority', () => {
    const names = [HOST]
    const expired = makeCertificate({ commonName: 'old', names, issuer: authority, fromDay: -9, toDay: -2 })
    const early = makeCertificate({ commonName: 'new', names, issuer: authority, fromDay: 2, toDay: 9 })
    const elsewhere = makeCertificate({ commonName: 'Another Authority', isAuthority: true })
    const unknown = makeCertificate({ commonName: 'lost', names, issuer: elsewhere })
    expect(verdict({ context: serverContext(expired) })).toMatch(/60|certificate has expired/)
    expect(verdict({ context: serverContext(early) })).toMatch(/certificate is not yet valid/)
    expect(verdict({ context: serverContext(unknown) })).toMatch(/unable to get local issuer certificate/)
  })

  it('verifies serverName instead of the host', () => {
    expect(verdict({ host: '192.0.2.1', options: { serverName: HOST } })).toBe('established')
    expect(verdict({ host: HOST, options: { serverName: 'other.example' } })).toMatch(/^PEER_FAILED_VERIFICATION/)
  })

  it('trusts an intermediate authority that was named', () => {
    const between = makeCertificate({ commonName: 'Intermediate', isAuthority: true, issuer: authority })
    const leaf = makeCertificate({ commonName: 'leaf', names: [HOST], issuer: between })
    expect(verdict({ context: serverContext(leaf), options: { ca: between.certificate } })).toBe('established')
    expect(verdict({ context: serverContext(leaf) })).toMatch(/^PEER_FAILED_VERIFICATION/)
    const chain = { ...leaf, certificate: leaf.certificate + between.certificate }
    expect(verdict({ context: serverContext(chain) })).toBe('established')
  })

  it('accepts the pinned key only', () => {
    const other = makeCertificate({ commonName: 'other' })
    expect(verdict({ options: { pinnedPublicKey: server.pin } })).toBe('established')
    expect(verdict({ options: { pinnedPublicKey: `${other.pin};${server.pin}` } })).toBe('established')
    expect(verdict({ options: { pinnedPublicKey: other.pin } })).toMatch(/^SSL_PINNEDPUBKEYNOTMATCH/)
  })

  it('refuses what a revocation list names', () => {
    const gone = makeCertificate({ commonName: 'gone', names: [HOST], issuer: authority })
    const crl = makeRevocationList(authority, [gone])
    expect(verdict({ options: { crl } })).toBe('established')
    expect(verdict({ context: serverContext(gone), options: { crl } })).toMatch(/certificate revoked/)
  })

  it('asks for a stapled OCSP response that is good', () => {
    const options: TlsOptions = { requireOcspStapling: true }
    const staple = (verdict: 'good' | 'revoked' | 'expired', subject: Certificate = server): TlsContext =>
      serverContext(server, { ocspResponse: makeOcspResponse(authority, subject, verdict) })
    expect(verdict({ options, context: staple('good') })).toBe('established')
    expect(verdict({ options, context: staple('revoked') })).toMatch(/^SSL_INVALIDCERTSTATUS: .*revoked/)
    expect(verdict({ options, context: staple('expired') })).toMatch(/^SSL_INVALIDCERTSTATUS: .*has expired/)
    const other = makeCertificate({ commonName: 'other', issuer: authority })
    expect(verdict({ options, context: staple('good', other) })).toMatch(/about another certificate/)
    expect(verdict({ options })).toMatch(/^SSL_INVALIDCERTSTATUS: .*no OCSP response was stapled/)
  })

  it('shows the chain of the peer', () => {
    const pair = pairUp()
    expect(pair.client.certificates().map((der) => Buffer.from(der))).toEqual([server.der])
    close(pair)
  })
})

describe('client certificates', () => {
  const asking = (): TlsContext => {
    const { context } = tlsSettings({ ca: authority.certificate })
    return serverContext(server, {
      verifyPeer: true,
      requirePeerCertificate: true,
      authorities: context.authorities,
    })
  }

  /** TLS 1.3 tells a client after its handshake, so a read tells. */
  function ask(options: TlsOptions): string {
    const pair = pairUp({ context: asking(), options })
    if (pair.statuses[0] === DONE && pair.statuses[1] === DONE) {
      const [shown] = pair.server.certificates()
      close(pair)
      return shown === undefined ? 'a stranger' : new X509Certificate(shown).subject
    }
    if (pair.statuses[0] === DONE) pair.client.recv(host.scratch.id, 0, 100)
    const { failure } = pair.client
    close(pair)
    return (failure as TransferError).code
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('are given and verified in %s', (tlsMaxVersion) => {
    const me = makeCertificate({ commonName: 'me', issuer: authority })
    const { certificate } = me
    expect(ask({ certificate, certificateKey: me.key, tlsMaxVersion })).toBe('CN=me')
    expect(ask({ certificate: certificate + me.key, tlsMaxVersion })).toBe('CN=me')
    const certificateKey = encryptedKey(me, PASSPHRASE)
    expect(ask({ certificate, certificateKey, keyPassphrase: PASSPHRASE, tlsMaxVersion })).toBe('CN=me')
  })

  it('that are missing end the connection with curl’s code', () => {
    expect(ask({ tlsMaxVersion: 'TLSv1.3' })).toBe('SSL_CLIENTCERT')
    expect(ask({ tlsMaxVersion: 'TLSv1.2' })).toBe('SSL_CONNECT_ERROR')
  })

  it('that cannot be read are refused before anything is sent', () => {
    const me = makeCertificate({ commonName: 'me', issuer: authority })
    const { certificate } = me
    const certificateKey = encryptedKey(me, PASSPHRASE)
    const code = (options: TlsOptions): string => {
      const made = openTls().createContext({ ...tlsSettings(options).context, protocols: [] })
      if (!(made instanceof TransferError)) return 'made'
      return `${made.code}: ${made.message}`
    }
    expect(code({ certificate, certificateKey, keyPassphrase: 'wrong' })).toMatch(/^SSL_CERTPROBLEM: .*private key/)
    expect(code({ certificate, certificateKey })).toMatch(/^SSL_CERTPROBLEM: .*private key/)
    expect(code({ certificate, certificateKey: server.key })).toMatch(/^SSL_CERTPROBLEM: .*mismatch/)
    expect(code({ certificate: 'nonsense', certificateKey })).toMatch(/^SSL_CERTPROBLEM/)
    expect(code({ certificateFile: '/nowhere/at.all' })).toMatch(/^SSL_CERTPROBLEM: .*ENOENT/)
    expect(code({ ca: 'nonsense' })).toMatch(/^SSL_CACERT_BADFILE/)
    expect(code({ caFile: '/nowhere/at.all' })).toMatch(/^SSL_CACERT_BADFILE: .*ENOENT/)
    expect(code({ caDirectory: '/nowhere/at.all' })).toMatch(/^SSL_CACERT_BADFILE: .*does not exist/)
    expect(code({ crl: 'nonsense' })).toMatch(/^SSL_CRL_BADFILE/)
    expect(code({ ciphers: 'nonsense' })).toMatch(/^SSL_CIPHER: .*no cipher match/)
    expect(code({ cipherSuites: 'nonsense' })).toMatch(/^SSL_CIPHER/)
    expect(code({ curves: 'nonsense' })).toMatch(/^SSL_CIPHER/)
    expect(code({ pinnedPublicKey: '/nowhere/at.all' })).toMatch(/^SSL_PINNEDPUBKEYNOTMATCH: .*ENOENT/)
    expect(code({ keyLogFile: '/nowhere/at.all' })).toMatch(/^SSL_CONNECT_ERROR: .*key log/)
  })
})

describe('what is agreed on', () => {
  it.each([
    ['TLSv1.2', 'TLSv1.3', 'TLSv1.3'],
    ['TLSv1.2', 'TLSv1.2', 'TLSv1.2'],
    ['TLSv1.3', 'TLSv1.3', 'TLSv1.3'],
  ] as const)('is a version between %s and %s', (tlsMinVersion, tlsMaxVersion, protocol) => {
    const pair = pairUp({ options: { tlsMinVersion, tlsMaxVersion } })
    expect(pair.client.description?.protocol).toBe(protocol)
    close(pair)
  })

  it('is nothing when no version is common', () => {
    const old = serverContext(server, { maxVersion: 0x0303 })
    expect(verdict({ context: old, options: { tlsMinVersion: 'TLSv1.3' } })).toMatch(
      /^SSL_CONNECT_ERROR: .*protocol version/,
    )
  })

  it('is a cipher, a suite and a curve from the lists', () => {
    const ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384'
    const first = pairUp({ options: { ciphers, tlsMaxVersion: 'TLSv1.2' } })
    expect(first.client.description?.cipher).toBe(ciphers)
    close(first)
    const second = pairUp({ options: { cipherSuites: 'TLS_CHACHA20_POLY1305_SHA256', curves: 'P-384' } })
    expect(second.client.description?.cipher).toBe('TLS_CHACHA20_POLY1305_SHA256')
    close(second)
    expect(verdict({ context: serverContext(server, { curves: 'P-521' }), options: { curves: 'P-384' } })).toMatch(
      /^SSL_CONNECT_ERROR/,
    )
  })

  it('is an application protocol, none when the server does not care', () => {
    const context = serverContext(server, { protocols: ['spdy/3', 'http/1.1'] })
    const both = pairUp({ context, protocols: ['h2', 'http/1.1'] })
    expect([both.client.description?.alpn, both.server.description?.alpn]).toEqual(['http/1.1', 'http/1.1'])
    close(both)
    const off = pairUp({ context, protocols: ['http/1.1'], options: { alpn: false } })
    expect(off.client.description?.alpn).toBe('')
    close(off)
    expect(verdict({ context, protocols: ['h2'] })).toMatch(/^SSL_CONNECT_ERROR: .*no application protocol/)
  })

  it('is a context by the name that the client asks for', () => {
    const other = makeCertificate({ commonName: 'other', names: ['other.example'], issuer: authority })
    const contexts = new Map([['other.example', serverContext(other)]])
    const asked: string[] = []
    const wish: Wish = {
      context: serverContext(server, { selectByName: true }),
      onServerName: (name, engine) => {
        asked.push(name)
        const context = contexts.get(name)
        if (context !== undefined) engine.useContext(context)
      },
    }
    expect(verdict(wish)).toBe('established')
    expect(verdict({ ...wish, host: 'other.example' })).toBe('established')
    expect(verdict({ ...wish, host: '127.0.0.1' })).toBe('established')
    expect(asked).toEqual([HOST, 'other.example', ''])
  })
})

describe('sessions', () => {
  /** Whether each of a row of connections was resumed. */
  function resumptions(options: TlsOptions, count: number, context: TlsContext = serverContext()): boolean[] {
    return Array.from({ length: count }, () => {
      const pair = pairUp({ context, options: { sessionCache: true, ...options } })
      expect(pair.statuses).toEqual([DONE, DONE])
      // Tickets of TLS 1.3 come behind the handshake.
      transport(host, pair.server, pair.client, bytesOf('x'))
      const answer = pair.client.description?.isResumed === true && pair.server.description?.isResumed === true
      close(pair)
      return answer
    })
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s are resumed, again and again', (tlsMaxVersion) => {
    expect(resumptions({ tlsMaxVersion }, 4)).toEqual([false, true, true, true])
  })

  it('are not kept when sessionCache is off', () => {
    expect(resumptions({ sessionCache: false }, 2)).toEqual([false, false])
  })

  it('are not shared between different settings', () => {
    const context = serverContext()
    expect(resumptions({ verifyHost: false, curves: 'P-256' }, 2, context)).toEqual([false, true])
    expect(resumptions({ verifyHost: true, curves: 'P-256' }, 2, context)).toEqual([false, true])
  })

  it('that the server has forgotten lead to a full handshake', () => {
    const curves = 'P-384'
    expect(resumptions({ curves }, 2)).toEqual([false, true])
    expect(resumptions({ curves }, 2)).toEqual([false, true])
  })

  it('survive export and import', () => {
    const pair = pairUp({ options: { sessionCache: true, curves: 'P-521' } })
    transport(host, pair.server, pair.client, bytesOf('x'))
    close(pair)
    const settings = tlsSettings({ ca: authority.certificate, curves: 'P-521' })
    const session = host.tls.sessions.take(`${settings.key}  ${HOST}:443`)
    expect(session?.isSingleUse).toBe(true)
    const bytes = openTls().exportSession(session!)
    session?.release()
    expect(() => openTls().exportSession(session!)).toThrow(RangeError)
    const again = openTls().importSession(bytes)
    expect(again?.isSingleUse).toBe(true)
    again?.release()
    expect(openTls().importSession(bytesOf('nonsense'))).toBeNull()
  })
})

describe('the end of a stream', () => {
  it('is told by close_notify, both ways', () => {
    const pair = pairUp()
    expect(pair.server.shutdownWrite()).toBe(0)
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(0)
    expect(transport(host, pair.client, pair.server, bytesOf('still open')).toString()).toBe('still open')
    expect(pair.client.shutdownWrite()).toBe(0)
    expect(pair.server.recv(host.scratch.id, 0, 100)).toBe(0)
    expect(pair.client.sendBytes(bytesOf('x'), 0, 1)).toBe(-kernel.errno.EPIPE)
    close(pair)
  })

  it('is close_notify when a filter is closed', () => {
    const pair = pairUp()
    pair.server.close()
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(0)
    expect(pair.client.failure).toBeNull()
    close(pair)
  })

  it('without close_notify is a truncation', () => {
    const pair = pairUp()
    pair.server.sendBytes(bytesOf('the beginning'), 0, 13)
    pair.below[1].memory.shutdownWrite()
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(13)
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(EPROTO)
    expect(pair.client.failure).toMatchObject({ code: 'RECV_ERROR', message: expect.stringContaining('close_notify') })
    close(pair)
  })

  it('within the handshake is a failure to connect', () => {
    const pair = pairUp({ shake: false })
    expect(pair.client.connect(0)).toBe(PENDING)
    pair.below[1].memory.shutdownWrite()
    expect(pair.client.connect(0)).toBe(FAILED)
    expect(pair.client.failure).toMatchObject({ code: 'SSL_CONNECT_ERROR' })
    close(pair)
  })

  it('hands out what came before it in the same read', () => {
    const pair = pairUp()
    pair.server.sendBytes(bytesOf('last words'), 0, 10)
    pair.server.shutdownWrite()
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(10)
    expect(pair.client.hasPending).toBe(true)
    const { calls } = pair.below[0].memory
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(0)
    expect(pair.below[0].memory.calls).toBe(calls)
    close(pair)
  })
})

describe('a broken peer', () => {
  it('that speaks no TLS is refused with a reason', () => {
    const pair = pairUp({ shake: false })
    pair.client.connect(0)
    pair.below[1].memory.sendBytes(bytesOf('HTTP/1.1 400 Bad Request\r\n\r\n'), 0, 28)
    expect(pair.client.connect(0)).toBe(FAILED)
    expect(pair.client.failure).toMatchObject({
      code: 'SSL_CONNECT_ERROR',
      message: expect.stringMatching(/wrong version number|packet length too long/),
    })
    close(pair)
  })

  it('whose record was changed on the way ends the stream, after what was intact', () => {
    const pair = pairUp()
    pair.server.sendBytes(bytesOf('intact'), 0, 6)
    pair.server.sendBytes(bytesOf('changed'), 0, 7)
    const { bytes } = pair.below[0].memory.incoming
    bytes[bytes.length - 1]! ^= 1
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(6)
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(EPROTO)
    expect(pair.client.failure).toMatchObject({
      code: 'RECV_ERROR',
      message: expect.stringContaining('bad record mac'),
    })
    close(pair)
  })

  it('that resets is told as the system says it', () => {
    const pair = pairUp()
    pair.below[0].memory.broken = -kernel.errno.ECONNRESET
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(-kernel.errno.ECONNRESET)
    close(pair)
    const early = pairUp({ shake: false })
    early.client.connect(0)
    early.below[0].memory.broken = -kernel.errno.ECONNRESET
    expect(early.client.connect(0)).toBe(FAILED)
    expect(early.client.failure).toMatchObject({ code: 'SSL_CONNECT_ERROR', cause: { code: 'ECONNRESET' } })
    close(early)
  })
})

describe('flow', () => {
  const wants = (pair: Pair, interest: number): number => {
    pair.client.interest(interest, { add: () => {} })
    return pair.below[0].memory.wanted
  }

  it('waits for reading, and for writing only while ciphertext waits', () => {
    const pair = pairUp({ shake: false })
    pair.below[0].memory.most = () => 0
    pair.client.connect(0)
    expect(wants(pair, Interest.NONE)).toBe(Interest.READABLE_WRITABLE)
    pair.below[0].memory.most = () => Number.POSITIVE_INFINITY
    pair.client.connect(0)
    expect(wants(pair, Interest.WRITABLE)).toBe(Interest.READABLE)
    shakeHands(pair.client, pair.server)
    expect(wants(pair, Interest.NONE)).toBe(Interest.NONE)
    expect(wants(pair, Interest.WRITABLE)).toBe(Interest.WRITABLE)
    pair.below[0].memory.most = () => 0
    expect(pair.client.sendBytes(bytesOf('held'), 0, 4)).toBe(AGAIN)
    expect(wants(pair, Interest.READABLE)).toBe(Interest.READABLE_WRITABLE)
    expect(wants(pair, Interest.NONE)).toBe(Interest.NONE)
    close(pair)
  })

  it('counts what went in whole records, and the rest when it is gone', () => {
    const pair = pairUp()
    const { memory } = pair.below[0]
    memory.most = () => 40_000
    const bytes = new Uint8Array(60_000).fill(7)
    const sent = pair.client.sendBytes(bytes, 0, bytes.length)
    expect(sent).toBe(2 * 16_384)
    memory.most = () => 0
    expect(pair.client.sendBytes(bytes, sent, bytes.length - sent)).toBe(AGAIN)
    memory.most = () => Number.POSITIVE_INFINITY
    expect(pair.client.sendBytes(bytes, sent, bytes.length - sent)).toBe(bytes.length - sent)
    let received = 0
    while (received < bytes.length) received += pair.server.recv(host.scratch.id, 0, host.scratch.bytes.length)
    expect(received).toBe(bytes.length)
    close(pair)
  })

  it('says that plaintext is pending when the memory of the caller was too small', () => {
    const pair = pairUp()
    pair.server.sendBytes(bytesOf('0123456789'), 0, 10)
    expect(pair.client.recv(host.scratch.id, 0, 4)).toBe(4)
    expect(pair.client.hasPending).toBe(true)
    expect(pair.client.recv(host.scratch.id, 4, 100)).toBe(6)
    expect(pair.client.hasPending).toBe(false)
    expect(Buffer.from(host.scratch.bytes.subarray(0, 10)).toString()).toBe('0123456789')
    expect(pair.client.recv(host.scratch.id, 0, 100)).toBe(AGAIN)
    close(pair)
  })

  it('refuses bytes before the handshake and after the end', () => {
    const pair = pairUp({ shake: false })
    expect(pair.client.recv(host.scratch.id, 0, 1)).toBe(-kernel.errno.ENOTCONN)
    expect(pair.client.sendBytes(bytesOf('x'), 0, 1)).toBe(-kernel.errno.ENOTCONN)
    close(pair)
    expect(pair.client.recv(host.scratch.id, 0, 1)).toBe(-kernel.errno.ENOTCONN)
    pair.client.close()
  })
})

describe('an idle stream', () => {
  it('takes session tickets for what they are', () => {
    const pair = pairUp({ options: { sessionCache: true } })
    // The server's tickets are here, unread.
    expect(pair.below[0].memory.incoming.bytes.length).toBeGreaterThan(0)
    expect(pair.client.checkIdle()).toBe(true)
    expect(pair.below[0].memory.incoming.bytes.length).toBe(0)
    expect(pair.client.checkIdle()).toBe(true)
    expect(transport(host, pair.client, pair.server, bytesOf('again')).toString()).toBe('again')
    close(pair)
  })

  it.each<[string, (pair: Pair) => void]>([
    ['stray bytes', (pair) => void pair.server.sendBytes(bytesOf('stray'), 0, 5)],
    ['close_notify', (pair) => void pair.server.shutdownWrite()],
    ['an end without it', (pair) => void pair.below[1].memory.shutdownWrite()],
    ['an error', (pair) => void (pair.below[0].memory.broken = -kernel.errno.ECONNRESET)],
    ['nonsense', (pair) => void pair.below[1].memory.sendBytes(bytesOf('nonsense'), 0, 8)],
  ])('is of no use after %s', (_name, spoil) => {
    const pair = pairUp()
    spoil(pair)
    expect(pair.client.checkIdle()).toBe(false)
    close(pair)
  })
})

import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, runTransfer } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

/** Protocol, whether the session was resumed ('r' or '.'), what ALPN chose, the name in the ClientHello. */
function agreed(outcome: Outcome): string | undefined {
  return outcome.head?.headers.get('x-tls')
}

describeWithPeer('nginx', (path) => {
  let nginx: TlsNginx
  let small: TestFile
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(path)
    small = writeTestFile(nginx.root, 'small', 1000)
    trusted = { ca: nginx.certificates.authority.certificate, resolve: nginx.resolve }
  })
  afterAll(() => nginx.stop())

  describe.each(drivers)('TLS through $name', (driver) => {
    const get = async (url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> => {
      using multi = new Multi()
      return await runTransfer(driver, multi, { ...trusted, ...options, url })
    }
    const byName = (name: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      get(`https://${name}:${nginx.ports.byName}/small`, options)

    it.each([
      ['both', {}, 'TLSv1.3'],
      ['both', { tlsMaxVersion: 'TLSv1.2' }, 'TLSv1.2'],
      ['both', { tlsMinVersion: 'TLSv1.3' }, 'TLSv1.3'],
      ['tls12', {}, 'TLSv1.2'],
      ['tls13', {}, 'TLSv1.3'],
    ] as const)('agrees with %s and %o on a version', async (server, options, version) => {
      const outcome = await get(`${nginx.urls[server]}/small`, options)
      expect(outcome.code).toBe('OK')
      expect(agreed(outcome)).toBe(`${version} . [http/1.1] [localhost]`)
      expect(outcome.sha256).toBe(small.sha256)
      expect(outcome.transfer.info.appConnectTime).toBeGreaterThan(0)
    })

    it.each([
      ['tls12', { tlsMinVersion: 'TLSv1.3' }],
      ['tls13', { tlsMaxVersion: 'TLSv1.2' }],
    ] as const)('finds no version with %s and %o', async (server, options) => {
      const outcome = await get(`${nginx.urls[server]}/small`, options)
      expect(outcome.code).toBe('SSL_CONNECT_ERROR')
      expect(outcome.message?.error?.number).toBe(35)
      expect(outcome.message?.error?.message).toMatch(/version/)
    })

    it('speaks no TLS with a server that speaks none', async () => {
      const outcome = await get(`https://localhost:${nginx.ports.plain}/small`)
      expect(outcome.code).toBe('SSL_CONNECT_ERROR')
    })

    it('is told so where a TLS port is asked in the clear', async () => {
      const outcome = await get(`http://localhost:${nginx.ports.both}/small`)
      expect(outcome).toMatchObject({ code: 'OK' })
      expect(outcome.transfer.info.status).toBe(400)
    })

    it.each([
      ['expired.test', /expired/],
      ['early.test', /not yet valid/],
      ['other.test', /no name in the certificate/],
      ['selfsigned.test', /self-signed/],
      ['unknown.test', /unable to get local issuer/],
      ['two.one.wild.test', /no name in the certificate/],
    ])('does not trust %s', async (name, reason) => {
      const outcome = await byName(name)
      expect(outcome.code).toBe('PEER_FAILED_VERIFICATION')
      expect(outcome.message?.error?.number).toBe(60)
      expect(outcome.message?.error?.message).toMatch(reason)
      expect(outcome.head).toBeNull()
    })

    it.each(['expired.test', 'early.test', 'selfsigned.test', 'unknown.test'])(
      'takes %s when the chain is not verified',
      async (name) => {
        expect(await byName(name, { verifyPeer: false })).toMatchObject({ code: 'OK', sha256: small.sha256 })
        expect((await byName(name, { verifyHost: false })).code).toBe('PEER_FAILED_VERIFICATION')
      },
    )

    it.each(['other.test', 'two.one.wild.test'])('takes %s when the name is not verified', async (name) => {
      expect(await byName(name, { verifyHost: false })).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect((await byName(name, { verifyPeer: false })).code).toBe('PEER_FAILED_VERIFICATION')
    })

    it('trusts by default what Node trusts, and not this authority', async () => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, { url: `${nginx.urls.both}/small` })
      expect(outcome.code).toBe('PEER_FAILED_VERIFICATION')
    })

    it('trusts a self-signed certificate that is its own authority', async () => {
      const { certificate } = nginx.certificates.selfSigned
      expect(await byName('selfsigned.test', { ca: certificate })).toMatchObject({ code: 'OK', sha256: small.sha256 })
    })

    it('takes a wildcard for one label', async () => {
      const outcome = await byName('one.wild.test')
      expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(agreed(outcome)).toMatch(/\[one\.wild\.test\]$/)
    })

    it('takes an address that the certificate names, and asks for no name', async () => {
      const outcome = await get(`https://127.0.0.1:${nginx.ports.both}/small`)
      expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(agreed(outcome)).toMatch(/\[\]$/)
    })

    it('does not take an address that the certificate does not name', async () => {
      const outcome = await get(`https://127.0.0.1:${nginx.ports.byName}/small`, { verifyPeer: false })
      expect(outcome.code).toBe('PEER_FAILED_VERIFICATION')
      expect(outcome.message?.error?.message).toMatch(/no name in the certificate/)
    })

    it('asks for and verifies a name with a dot at its end without the dot', async () => {
      const outcome = await get(`https://named.test.:${nginx.ports.byName}/small`, {
        resolve: [...nginx.resolve, `named.test.:${nginx.ports.byName}:127.0.0.1`],
      })
      expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(agreed(outcome)).toMatch(/\[named\.test\]$/)
    })

    it('verifies the name that is given instead of the host', async () => {
      const outcome = await get(`https://127.0.0.1:${nginx.ports.byName}/small`, { serverName: 'named.test' })
      expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(agreed(outcome)).toMatch(/\[named\.test\]$/)
    })

    it('offers no protocol when it shall not', async () => {
      expect(agreed(await get(`${nginx.urls.both}/small`, { alpn: false }))).toBe('TLSv1.3 . [] [localhost]')
    })

    it('proves itself by a certificate where it is asked for one', async () => {
      const { client, strangeClient } = nginx.certificates
      const url = `${nginx.urls.clientCertificate}/small`
      const good = await get(url, { certificate: client.certificate, certificateKey: client.key })
      expect(good).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(good.head?.headers.get('x-client')).toBe('SUCCESS [CN=Known Client]')
      const missing = await get(url)
      expect(missing.transfer.info.status).toBe(400)
      expect(missing.head?.headers.get('x-client')).toBe('NONE []')
      const wrong = await get(url, { certificate: strangeClient.certificate, certificateKey: strangeClient.key })
      expect(wrong.transfer.info.status).toBe(400)
      expect(wrong.head?.headers.get('x-client')).toMatch(/^FAILED/)
    })

    it('says that key and certificate do not belong together', async () => {
      const { client, strangeClient } = nginx.certificates
      const url = `${nginx.urls.clientCertificate}/small`
      const outcome = await get(url, { certificate: client.certificate, certificateKey: strangeClient.key })
      expect(outcome.code).toBe('SSL_CERTPROBLEM')
    })

    it('does not share a connection between who has a certificate and who has none', async () => {
      using multi = new Multi()
      const { client } = nginx.certificates
      const url = `${nginx.urls.clientCertificate}/small`
      const known = { ...trusted, certificate: client.certificate, certificateKey: client.key, url }
      const outcomes = [
        await runTransfer(driver, multi, known),
        await runTransfer(driver, multi, { ...trusted, url }),
        await runTransfer(driver, multi, known),
      ]
      expect(outcomes.map(({ transfer }) => transfer.info.status)).toEqual([200, 400, 200])
      expect(outcomes.map(({ transfer }) => transfer.info.connects)).toEqual([1, 1, 0])
    })

    it('does not use a connection that nobody verified for somebody who does', async () => {
      using multi = new Multi()
      const url = `https://unknown.test:${nginx.ports.byName}/small`
      const outcomes = [
        await runTransfer(driver, multi, { ...trusted, url, verifyPeer: false }),
        await runTransfer(driver, multi, { ...trusted, url }),
      ]
      expect(outcomes.map(({ code }) => code)).toEqual(['OK', 'PEER_FAILED_VERIFICATION'])
    })

    it('compares the public key with the pinned one', async () => {
      const { server, named } = nginx.certificates
      const url = `${nginx.urls.both}/small`
      expect((await get(url, { pinnedPublicKey: server.pin })).code).toBe('OK')
      expect((await get(url, { pinnedPublicKey: `${named.pin};${server.pin}` })).code).toBe('OK')
      const wrong = await get(url, { pinnedPublicKey: named.pin })
      expect(wrong.code).toBe('SSL_PINNEDPUBKEYNOTMATCH')
      expect(wrong.message?.error?.number).toBe(90)
      const unverified = await get(url, { pinnedPublicKey: named.pin, verifyPeer: false, verifyHost: false })
      expect(unverified.code).toBe('SSL_PINNEDPUBKEYNOTMATCH')
    })

    it('gives up a handshake that has no end', async () => {
      const silent = createServer((socket) => socket.resume())
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
      const { port } = silent.address() as AddressInfo
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, {
        ...trusted,
        url: `https://127.0.0.1:${port}/`,
        connectTimeoutMs: 150,
      })
      await new Promise((resolve) => silent.close(resolve))
      expect(outcome.code).toBe('OPERATION_TIMEDOUT')
      expect(outcome.message?.error?.message).toMatch(/TLS handshake/)
      expect(multi.stats.connections).toBe(0)
    })
  })
})

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeers } from '../support/peers.ts'
import { type Squid, startSquid } from '../support/squid.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

const SIZES = [0, 1, 65_536, 3_000_000]

function headerOf(outcome: Outcome, name: string): string | undefined {
  return outcome.head?.headers.get(name)
}

function connectsOf(outcomes: readonly Outcome[]): number[] {
  return outcomes.map((outcome) => outcome.transfer.info.connects)
}

/** The proxy's URL with a name and a password in it. */
function asUser(squid: Squid, password = 'wonder%20land'): string {
  return squid.url.replace('//', `//alice:${password}@`)
}

describeWithPeers(['nginx', 'squid'], ([nginxPath = '', squidPath = '']) => {
  let nginx: TlsNginx
  let squid: Squid
  let basic: Squid
  let digest: Squid
  let small: TestFile
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid, squid.pid, basic.pid, digest.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(nginxPath)
    const kinds = ['none', 'basic', 'digest'] as const
    const proxies = await Promise.all(kinds.map((kind) => startSquid(squidPath, kind)))
    ;[squid, basic, digest] = proxies as [Squid, Squid, Squid]
    small = writeTestFile(nginx.root, 'small', 1000)
    trusted = { ca: nginx.certificates.authority.certificate }
  })
  afterAll(async () => {
    await Promise.all([nginx, squid, basic, digest].map((server) => server.stop()))
  })

  describe.each(drivers)('a proxy through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, proxy: squid.url, ...options, url })

    it('forwards http and tunnels https', async () => {
      using multi = new Multi()
      const plain = await get(multi, `${nginx.urls.plain}/small`)
      expect(plain).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(headerOf(plain, 'via')).toMatch(/proxy\.test/)
      expect(headerOf(plain, 'x-target')).toBe(`GET /small localhost:${nginx.ports.plain}`)
      expect(plain.transfer.info.primaryPort).toBe(squid.port)
      const secure = await get(multi, `${nginx.urls.both}/small`)
      expect(secure).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(headerOf(secure, 'via')).toBeUndefined()
      expect(headerOf(secure, 'x-tls')).toBe('TLSv1.3 . [http/1.1] [localhost]')
      expect(secure.transfer.info.appConnectTime).toBeGreaterThan(0)
    })

    it('tunnels http when that is wanted', async () => {
      using multi = new Multi()
      const outcome = await get(multi, `${nginx.urls.plain}/small`, { proxyTunnel: true })
      expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(headerOf(outcome, 'via')).toBeUndefined()
    })

    it('changes nothing about whom to trust', async () => {
      using multi = new Multi()
      expect((await get(multi, `${nginx.urls.both}/small`, { ca: nginx.certificates.unknown.certificate })).code).toBe(
        'PEER_FAILED_VERIFICATION',
      )
      expect((await get(multi, `https://127.0.0.1:${nginx.ports.byName}/small`)).code).toBe('PEER_FAILED_VERIFICATION')
    })

    it.each(SIZES)('carries %i bytes both ways', async (size) => {
      using multi = new Multi()
      const file = writeTestFile(nginx.root, `file-${size}`, size)
      const bytes = patternBytes(size, `upload ${size}`)
      for (const origin of [nginx.urls.plain, nginx.urls.both]) {
        expect(await get(multi, `${origin}/file-${size}`)).toMatchObject({ code: 'OK', sha256: file.sha256 })
        const upload = await get(multi, `${origin}/dav/upload`, { method: 'PUT', body: bytes })
        expect([201, 204]).toContain(upload.transfer.info.status)
        expect(sha256(readFileSync(`${nginx.uploads}/upload`))).toBe(sha256(bytes))
      }
    })

    it('is reached over one connection for all origins that it forwards to', async () => {
      using multi = new Multi()
      const outcomes = [
        await get(multi, `${nginx.urls.plain}/small`),
        await get(multi, `http://127.0.0.1:${nginx.ports.plain}/small`),
        await get(multi, `${nginx.urls.plain}/empty`),
      ]
      expect(connectsOf(outcomes)).toEqual([1, 0, 0])
      expect(headerOf(outcomes[1] as Outcome, 'x-target')).toBe(`GET /small 127.0.0.1:${nginx.ports.plain}`)
    })

    it('keeps a tunnel for its origin alone', async () => {
      using multi = new Multi()
      const outcomes = [
        await get(multi, `${nginx.urls.both}/small`),
        await get(multi, `${nginx.urls.both}/small`),
        await get(multi, `https://127.0.0.1:${nginx.ports.both}/small`),
        await get(multi, `${nginx.urls.plain}/small`),
        await get(multi, `${nginx.urls.both}/small`, { proxy: null }),
      ]
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(outcomes.map(() => small.sha256))
      expect(connectsOf(outcomes)).toEqual([1, 0, 1, 1, 1])
    })

    it('carries 60 transfers at once', async () => {
      using multi = new Multi({ maxHostConnections: 6 })
      const files = Array.from({ length: 60 }, (_, index) => writeTestFile(nginx.root, `mix-${index}`, index * 2003))
      const outcomes = await runTransfers(
        driver,
        multi,
        files.map(({ name }, index) => ({
          ...trusted,
          proxy: squid.url,
          url: `${index % 2 === 0 ? nginx.urls.plain : nginx.urls.both}/${name}`,
        })),
      )
      expect(outcomes.map(({ code }) => code)).toEqual(files.map(() => 'OK'))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(files.map((file) => file.sha256))
      expect(connectsOf(outcomes).reduce((sum, connects) => sum + connects, 0)).toBeLessThanOrEqual(12)
    })

    it('that refuses fails a tunnel, and answers for what it forwards', async () => {
      using multi = new Multi()
      const refused = await get(multi, 'https://127.0.0.2:1/')
      expect(refused.code).toBe('RECV_ERROR')
      expect(refused.message?.error?.number).toBe(56)
      expect(refused.message?.error?.message).toMatch(/response 403/)
      const unreachable = await get(multi, 'https://127.0.0.1:1/')
      expect(unreachable.code).toBe('RECV_ERROR')
      expect(unreachable.message?.error?.message).toMatch(/response 503/)
      const forwarded = await get(multi, 'http://127.0.0.2:1/')
      expect(forwarded.code).toBe('OK')
      expect(forwarded.transfer.info.status).toBe(403)
      expect(multi.stats.connections).toBeLessThanOrEqual(1)
    })

    it('is left out for hosts that are excepted', async () => {
      using multi = new Multi()
      const url = `${nginx.urls.plain}/small`
      const outcomes = [
        await get(multi, url, { noProxy: 'example.com, localhost' }),
        await get(multi, url, { noProxy: '*' }),
        await get(multi, url.replace('localhost', '127.0.0.1'), { noProxy: ['127.0.0.0/8'] }),
        await get(multi, url, { noProxy: 'local' }),
      ]
      expect(outcomes.map((outcome) => headerOf(outcome, 'via') === undefined)).toEqual([true, true, true, false])
    })

    it('is not asked about a unix socket', async () => {
      using multi = new Multi()
      const { unixSocketPath } = nginx
      const proxy = squid.url.replace('//', '//alice:secret@')
      const outcome = await get(multi, 'http://localhost/small', { unixSocketPath, proxy })
      expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(headerOf(outcome, 'x-credentials')).toBe('[] [] []')
      expect(headerOf(outcome, 'via')).toBeUndefined()
    })

    it('that an environment spells wrong fails the request that would be sent there', async () => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, {
        ...trusted,
        url: `${nginx.urls.plain}/to-tls/`,
        followRedirects: true,
        proxyEnvironment: { https_proxy: 'gopher://127.0.0.1:1' },
      })
      expect(outcome.code).not.toBe('OK')
      expect(outcome.message?.error?.message).toMatch(/https_proxy/)
      expect(multi.stats.connections).toBeLessThanOrEqual(1)
    })

    it('is found in an environment', async () => {
      using multi = new Multi()
      const url = `${nginx.urls.plain}/small`
      const environment = { http_proxy: squid.url, no_proxy: '127.0.0.1' }
      const outcomes = await runTransfers(driver, multi, [
        { ...trusted, url, proxyEnvironment: environment },
        { ...trusted, url: url.replace('localhost', '127.0.0.1'), proxyEnvironment: environment },
        { ...trusted, url, proxyEnvironment: { HTTP_PROXY: squid.url } },
        { ...trusted, url, proxyEnvironment: environment, proxy: '' },
      ])
      expect(outcomes.map((outcome) => headerOf(outcome, 'via') === undefined)).toEqual([false, true, true, true])
    })

    it('is the one that gets its fields, not the origin behind a tunnel', async () => {
      using multi = new Multi()
      const before = (await squid.requests(0)).length
      const proxyHeaders = { 'X-To-Proxy': driver.name }
      const outcome = await get(multi, `${nginx.urls.both}/empty`, { proxyHeaders, forbidReuse: true })
      expect(outcome.transfer.info.status).toBe(204)
      const requests = (await squid.requests(before + 1)).slice(before)
      expect(requests.some((line) => line.startsWith('CONNECT 200') && line.includes(`[${driver.name}]`))).toBe(true)
    })
  })

  describe.each(drivers)('a proxy that wants to know who asks, through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, ...options, url })

    it('is told by Basic', async () => {
      using multi = new Multi()
      const proxy = asUser(basic)
      for (const origin of [nginx.urls.plain, nginx.urls.both]) {
        const outcome = await get(multi, `${origin}/small`, { proxy })
        expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
        expect(headerOf(outcome, 'x-credentials')).toBe('[] [] []')
      }
    })

    it.each([
      ['nobody', (): string => basic.url],
      ['somebody with another password', (): string => asUser(basic, 'wrong')],
    ])('does not serve %s', async (_, proxyUrl) => {
      using multi = new Multi()
      const forwarded = await get(multi, `${nginx.urls.plain}/small`, { proxy: proxyUrl() })
      expect(forwarded.code).toBe('OK')
      expect(forwarded.transfer.info.status).toBe(407)
      const tunnelled = await get(multi, `${nginx.urls.both}/small`, { proxy: proxyUrl() })
      expect(tunnelled.code).toBe('RECV_ERROR')
      expect(tunnelled.message?.error?.message).toMatch(/response 407/)
    })

    it('does not lend the connections of one user to another', async () => {
      using multi = new Multi()
      const outcomes = [
        await get(multi, `${nginx.urls.both}/small`, { proxy: asUser(basic) }),
        await get(multi, `${nginx.urls.both}/small`, { proxy: asUser(basic, 'wrong') }),
        await get(multi, `${nginx.urls.both}/small`, { proxy: asUser(basic) }),
      ]
      expect(outcomes.map(({ code }) => code)).toEqual(['OK', 'RECV_ERROR', 'OK'])
      expect(connectsOf(outcomes)).toEqual([1, 1, 0])
    })

    it('is told by Digest for a tunnel', async () => {
      using multi = new Multi()
      const good = await get(multi, `${nginx.urls.both}/small`, { proxy: asUser(digest) })
      expect(good).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(good.transfer.info.connects).toBe(1)
      const bad = await get(multi, `${nginx.urls.both}/small`, { proxy: asUser(digest, 'wrong') })
      expect(bad.code).toBe('RECV_ERROR')
      expect(bad.message?.error?.message).toMatch(/response 407/)
    })

    it('is told by Digest for a request that it forwards', async () => {
      using multi = new Multi()
      const good = await get(multi, `${nginx.urls.plain}/small`, { proxy: asUser(digest) })
      expect(good).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(good.transfer.info.status).toBe(200)
      const bad = await get(multi, `${nginx.urls.plain}/small`, { proxy: asUser(digest, 'wrong') })
      expect([bad.code, bad.transfer.info.status]).toEqual(['OK', 407])
    })

    it('is not told the password of an origin, nor an origin that of the proxy', async () => {
      using multi = new Multi()
      const proxy = asUser(basic)
      const own = `Basic ${Buffer.from('bob:origin').toString('base64')}`
      const credentials = { username: 'bob', password: 'origin', followRedirects: true }
      const outcomes = [
        await get(multi, `${nginx.urls.both}/where`, { ...credentials, proxy }),
        await get(multi, `${nginx.urls.plain}/to-tls/`, { ...credentials, proxy }),
        await get(multi, `${nginx.urls.both}/to-plain/`, { ...credentials, proxy }),
        await get(multi, `${nginx.urls.plain}/to-address/`, { ...credentials, proxy, noProxy: '127.0.0.1' }),
      ]
      expect(outcomes.map((outcome) => outcome.text)).toEqual(outcomes.map(() => 'here'))
      expect(outcomes.map((outcome) => headerOf(outcome, 'x-credentials'))).toEqual([
        `[${own}] [] []`,
        '[] [] []',
        '[] [] []',
        '[] [] []',
      ])
      expect(headerOf(outcomes[3] as Outcome, 'via')).toBeUndefined()
    })
  })
})

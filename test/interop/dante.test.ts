import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { freePorts } from '../support/child-server.ts'
import { type SocksServer, startDante, startMicrosocks } from '../support/dante.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, Recording, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeers } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

/** Names by SOCKS 4 are refused by dante, whoever asks. */
const KINDS = ['socks4', 'socks5', 'socks5h'] as const

/** Both as they stand behind the transfer's error. */
function failureOf({ message }: Outcome): { code: unknown; proxyCode: unknown } {
  const error = message?.error
  const cause = error?.cause as { proxyCode?: unknown } | undefined
  return { code: error?.number, proxyCode: cause?.proxyCode }
}

describeWithPeers(['nginx', 'danted'], ([nginxPath = '', dantePath = '']) => {
  let nginx: TlsNginx
  let dante: SocksServer
  let file: TestFile
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid, dante.pid])
  beforeAll(async () => {
    ;[nginx, dante] = await Promise.all([startTlsNginx(nginxPath), startDante(dantePath)])
    file = writeTestFile(nginx.root, 'file', 700_000)
    trusted = { ca: nginx.certificates.authority.certificate }
  })
  afterAll(async () => {
    await Promise.all([nginx.stop(), dante.stop()])
  })

  describe.each(drivers)('SOCKS through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, proxy: `socks5h://${dante.address}`, ...options, url })

    it.each(KINDS)('carries http and https by %s, over one connection each', async (kind) => {
      using multi = new Multi()
      const proxy = `${kind}://${dante.address}`
      for (const origin of [nginx.urls.plain, nginx.urls.both]) {
        for (const connects of [1, 0]) {
          const outcome = await get(multi, `${origin}/file`, { proxy })
          expect(outcome).toMatchObject({ code: 'OK', sha256: file.sha256 })
          expect(outcome.transfer.info.connects).toBe(connects)
          expect(outcome.transfer.info.primaryPort).toBe(dante.port)
        }
      }
      expect(multi.stats.idleConnections).toBe(2)
    })

    it('carries bodies up', async () => {
      using multi = new Multi()
      const bytes = patternBytes(1_500_000, 'upload')
      for (const origin of [nginx.urls.plain, nginx.urls.both]) {
        const outcome = await get(multi, `${origin}/dav/upload`, { method: 'PUT', body: bytes })
        expect([201, 204]).toContain(outcome.transfer.info.status)
        expect(sha256(readFileSync(`${nginx.uploads}/upload`))).toBe(sha256(bytes))
      }
    })

    it.each([
      ['socks4', false],
      ['socks4a', true],
      ['socks5', false],
      ['socks5h', true],
    ] as const)('by %s leaves names to the proxy: %s', async (kind, isRemote) => {
      using multi = new Multi()
      // A name that only this side knows.
      const options = { proxy: `${kind}://${dante.address}`, resolve: [`named.test:${nginx.ports.plain}:127.0.0.1`] }
      const outcome = await get(multi, `http://named.test:${nginx.ports.plain}/where`, options)
      if (isRemote) expect(outcome.code).toBe('PROXY')
      else expect(outcome).toMatchObject({ code: 'OK', text: 'here' })
      const unknown = await get(multi, 'http://nowhere.invalid/', { proxy: options.proxy })
      expect(unknown.code).toBe('PROXY')
      expect(failureOf(unknown).code).toBe(97)
      if (!isRemote) expect(failureOf(unknown).proxyCode).toBe('RESOLVE_HOST')
    })

    it('says what the proxy refused', async () => {
      using multi = new Multi()
      const [port] = await freePorts(1)
      const forbidden = await get(multi, 'http://127.0.0.2:80/')
      expect(failureOf(forbidden)).toEqual({ code: 97, proxyCode: 'REPLY_NOT_ALLOWED' })
      const refused = await get(multi, `https://127.0.0.1:${port}/`)
      expect(failureOf(refused)).toEqual({ code: 97, proxyCode: 'REPLY_CONNECTION_REFUSED' })
      const old = await get(multi, 'http://127.0.0.2:80/', { proxy: `socks4://${dante.address}` })
      expect(failureOf(old)).toEqual({ code: 97, proxyCode: 'REQUEST_FAILED' })
      expect(multi.stats.connections).toBe(0)
    })

    it('is asked for where connectTo leads', async () => {
      using multi = new Multi()
      const connectTo = [`named.test:80:localhost:${nginx.ports.plain}`]
      const outcome = await get(multi, 'http://named.test/where', { connectTo })
      expect(outcome).toMatchObject({ code: 'OK', text: 'here' })
      expect(outcome.head?.headers.get('x-target')).toBe('GET /where named.test')
    })

    it('verifies the origin and not the proxy', async () => {
      using multi = new Multi()
      expect((await get(multi, `https://127.0.0.1:${nginx.ports.byName}/where`)).code).toBe('PEER_FAILED_VERIFICATION')
    })

    it('carries 60 transfers at once', async () => {
      using multi = new Multi({ maxHostConnections: 6 })
      const files = Array.from({ length: 60 }, (_, index) => writeTestFile(nginx.root, `mix-${index}`, index * 1999))
      const outcomes = await runTransfers(
        driver,
        multi,
        files.map(({ name }, index) => ({
          ...trusted,
          proxy: `${KINDS[(index >> 1) % 3]}://${dante.address}`,
          url: `${index % 2 === 0 ? nginx.urls.plain : nginx.urls.both}/${name}`,
        })),
      )
      expect(outcomes.map(({ code }) => code)).toEqual(files.map(() => 'OK'))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(files.map((one) => one.sha256))
    })

    it('is given up with the transfer within its body', async () => {
      using multi = new Multi()
      const url = `${nginx.urls.both}/slow/file`
      const recording = new Recording({ ...trusted, proxy: `socks5h://${dante.address}`, url })
      multi.add(recording.transfer)
      await driver.drive(multi, { until: () => recording.bytes > 10_000 })
      multi.remove(recording.transfer)
      expect(multi.stats.connections).toBe(0)
    })
  })
})

describeWithPeers(['nginx', 'microsocks'], ([nginxPath = '', microsocksPath = '']) => {
  let nginx: TlsNginx
  let socks: SocksServer
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid, socks.pid])
  beforeAll(async () => {
    ;[nginx, socks] = await Promise.all([
      startTlsNginx(nginxPath),
      startMicrosocks(microsocksPath, 'alice', 'wonder land:1'),
    ])
    trusted = { ca: nginx.certificates.authority.certificate }
  })
  afterAll(async () => {
    await Promise.all([nginx.stop(), socks.stop()])
  })

  describe.each(drivers)('SOCKS with a password through $name', (driver) => {
    const ask = (multi: Multi, origin: string, proxy: string): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, proxy, url: `${origin}/where` })

    it.each(['socks5', 'socks5h'])('serves who knows it, by %s', async (kind) => {
      using multi = new Multi()
      for (const origin of [nginx.urls.plain, nginx.urls.both]) {
        const outcome = await ask(multi, origin, `${kind}://alice:wonder%20land%3a1@${socks.address}`)
        expect(outcome).toMatchObject({ code: 'OK', text: 'here' })
        expect(outcome.head?.headers.get('x-credentials')).toBe('[] [] []')
      }
    })

    it('does not serve others', async () => {
      using multi = new Multi()
      for (const origin of [nginx.urls.plain, nginx.urls.both]) {
        const wrong = await ask(multi, origin, `socks5h://alice:wrong@${socks.address}`)
        expect(failureOf(wrong)).toEqual({ code: 97, proxyCode: 'USER_REJECTED' })
        const nobody = await ask(multi, origin, `socks5h://${socks.address}`)
        expect(failureOf(nobody)).toEqual({ code: 97, proxyCode: 'NO_AUTH' })
      }
      expect(multi.stats.connections).toBe(0)
    })

    it('does not lend the connections of one user to another', async () => {
      using multi = new Multi()
      const good = `socks5h://alice:wonder%20land%3a1@${socks.address}`
      const outcomes = [
        await ask(multi, nginx.urls.both, good),
        await ask(multi, nginx.urls.both, `socks5h://alice:wrong@${socks.address}`),
        await ask(multi, nginx.urls.both, good),
      ]
      expect(outcomes.map(({ code }) => code)).toEqual(['OK', 'PROXY', 'OK'])
      expect(outcomes.map(({ transfer }) => transfer.info.connects)).toEqual([1, 1, 0])
    })

    it('fails what is under way when it is killed', async () => {
      const mortal = await startMicrosocks(microsocksPath, 'a', 'b')
      try {
        const file = writeTestFile(nginx.root, 'file', 1_000_000)
        using multi = new Multi()
        const url = `${nginx.urls.both}/slow/file`
        const recording = new Recording({ ...trusted, proxy: `socks5h://a:b@${mortal.address}`, url })
        multi.add(recording.transfer)
        await driver.drive(multi, { until: () => recording.bytes > 10_000 })
        mortal.kill()
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        expect(['RECV_ERROR', 'PARTIAL_FILE']).toContain(recording.outcome().code)
        expect(recording.bytes).toBeLessThan(file.bytes)
        const gone = await ask(multi, nginx.urls.both, `socks5h://a:b@${mortal.address}`)
        expect(gone.code).toBe('COULDNT_CONNECT')
      } finally {
        await mortal.stop()
      }
    })
  })
})

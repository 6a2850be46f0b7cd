import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  exportTlsSessions,
  importTlsSessions,
  Multi,
  MultiError,
  type TlsSessionRecord,
  type TransferOptions,
} from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, runTransfer } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

/** X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT and X509_V_ERR_CERT_HAS_EXPIRED. */
const SELF_SIGNED = 18
const EXPIRED = 10

describeWithPeer('nginx', (path) => {
  let nginx: TlsNginx
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(path)
    writeTestFile(nginx.root, 'small', 1000)
    trusted = { ca: nginx.certificates.authority.certificate, resolve: nginx.resolve }
  })
  afterAll(() => nginx.stop())

  describe.each(drivers)('what is known of TLS, through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, ...options, url })
    const small = (server: 'both' | 'tls12' | 'tls13' | 'plain'): string => `${nginx.urls[server]}/small`

    it('is what was agreed on, on every transfer of the connection', async () => {
      using multi = new Multi()
      for (const connects of [1, 0]) {
        const { info } = (await get(multi, small('tls12'))).transfer
        expect(info.connects).toBe(connects)
        expect(info.tls).toMatchObject({ protocol: 'TLSv1.2', alpn: 'http/1.1', isResumed: false, verifyResult: 0 })
        expect(info.tls?.cipher).toMatch(/^ECDHE-ECDSA-/)
        expect(info.certificates).toEqual([])
      }
      const again = await get(multi, small('tls12'), { freshConnect: true })
      expect(again.transfer.info.tls).toMatchObject({ isResumed: true })
    })

    it('is nothing without TLS, also when a redirect left it', async () => {
      using multi = new Multi()
      expect((await get(multi, small('plain'))).transfer.info.tls).toBeNull()
      const outcome = await get(multi, `${nginx.urls.both}/to-plain/`, { followRedirects: true, certificateInfo: true })
      expect(outcome).toMatchObject({ code: 'OK', text: 'here' })
      expect(outcome.transfer.info).toMatchObject({ tls: null, certificates: [], redirectCount: 1 })
    })

    it('is why a chain does not hold, whether that counts or not', async () => {
      using multi = new Multi()
      const refused = await get(multi, `https://expired.test:${nginx.ports.byName}/small`)
      expect(refused.code).toBe('PEER_FAILED_VERIFICATION')
      expect(refused.transfer.info.verifyResult).toBe(EXPIRED)
      const passed = await get(multi, `https://selfsigned.test:${nginx.ports.byName}/small`, { verifyPeer: false })
      expect(passed.code).toBe('OK')
      expect(passed.transfer.info.verifyResult).toBe(SELF_SIGNED)
      expect(passed.transfer.info.tls?.verifyReason).toMatch(/self.signed/)
    })

    it('is the chain of certificates, in words', async () => {
      using multi = new Multi()
      const { server, authority } = nginx.certificates
      for (const connects of [1, 0]) {
        const { info } = (await get(multi, small('both'), { certificateInfo: true })).transfer
        expect(info.connects).toBe(connects)
        expect(info.certificates).toHaveLength(1)
        const [certificate] = info.certificates
        expect(Buffer.from(certificate?.der ?? [])).toEqual(server.der)
        expect(certificate).toMatchObject({
          subject: 'CN=localhost',
          issuer: `CN=${authority.commonName}`,
          version: 3,
          serialNumber: server.serial.toString(16).toUpperCase(),
          signatureAlgorithm: 'ecdsa-with-SHA256',
          publicKeyAlgorithm: 'ec prime256v1',
          subjectAltName: 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
          fingerprint: new X509Certificate(server.certificate).fingerprint256,
        })
        expect(certificate?.pem.trim()).toBe(server.certificate.trim())
        expect(certificate?.startDate.getTime()).toBeLessThan(Date.now())
        expect(certificate?.expireDate.getTime()).toBeGreaterThan(Date.now())
        expect(String(certificate)).toMatch(/^Subject: CN=localhost\nIssuer: .*\nVersion: 3\nSerial Number: /)
      }
    })
  })

  describe.each(drivers)('sessions that are carried over, through $name', (driver) => {
    const get = async (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<boolean> => {
      const outcome = await runTransfer(driver, multi, { ...trusted, ...options, url })
      expect(outcome.code).toBe('OK')
      return outcome.transfer.info.tls?.isResumed ?? false
    }

    it.each(['tls12', 'tls13'] as const)('begin connections of another Multi (%s)', async (server) => {
      const url = `${nginx.urls[server]}/small`
      let records: TlsSessionRecord[]
      {
        using first = new Multi()
        expect(exportTlsSessions(first)).toEqual([])
        expect(await get(first, url)).toBe(false)
        records = exportTlsSessions(first)
        expect(records.length).toBeGreaterThan(0)
        expect(exportTlsSessions(first)).toHaveLength(records.length)
      }
      using second = new Multi()
      expect(importTlsSessions(second, structuredClone(records))).toBe(records.length)
      expect(await get(second, url, { verifyHost: false })).toBe(false)
      expect(await get(second, url)).toBe(true)
    })

    it('are verified as every other', async () => {
      using first = new Multi()
      await get(first, `${nginx.urls.tls13}/small`)
      using second = new Multi()
      importTlsSessions(second, exportTlsSessions(first))
      const options = { ...trusted, url: `${nginx.urls.tls13}/small`, certificateInfo: true }
      const outcome = await runTransfer(driver, second, options)
      expect(outcome.transfer.info.tls).toMatchObject({ isResumed: true, verifyResult: 0 })
      expect(outcome.transfer.info.certificates.map(({ subject }) => subject)).toEqual(['CN=localhost'])
    })

    it('are passed over when they are none', () => {
      using multi = new Multi()
      const nonsense = new Uint8Array([1, 2, 3])
      expect(importTlsSessions(multi, [{ key: 'x', data: nonsense }])).toBe(0)
      expect(exportTlsSessions(multi)).toEqual([])
    })
  })

  describe('the functions of sessions', () => {
    it('refuse what is no Multi, no list and no record', () => {
      using multi = new Multi()
      expect(() => exportTlsSessions({} as unknown as Multi)).toThrow(/multi/)
      expect(() => importTlsSessions(multi, 'x' as never)).toThrow(/records/)
      expect(() => importTlsSessions(multi, [{ key: 1 } as never])).toThrow(/records\[0\]\.key/)
      expect(() => importTlsSessions(multi, [{ key: 'x', data: 'y' } as never])).toThrow(/records\[0\]\.data/)
    })

    it('refuse a Multi that is closed', () => {
      const multi = new Multi()
      multi.close()
      expect(() => exportTlsSessions(multi)).toThrow(MultiError)
      expect(() => importTlsSessions(multi, [])).toThrow(MultiError)
    })
  })
})

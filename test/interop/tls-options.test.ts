import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { type Certificate, encryptedKey, makeRevocationList } from '../support/certificates.ts'
import { makeDirectory } from '../support/child-server.ts'
import { type Driver, drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, runTransfer } from '../support/outcomes.ts'
import { describeWithPeers } from '../support/peers.ts'
import { type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

const PASSPHRASE = 'open sesame'
const COMMAND_MS_MAX = 10_000

describeWithPeers(['nginx', 'openssl'], ([nginxPath = '', opensslPath = '']) => {
  let nginx: TlsNginx
  let small: TestFile
  let directory: string

  expectNothingLeft(() => [nginx.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(nginxPath)
    small = writeTestFile(nginx.root, 'small', 1000)
    directory = makeDirectory('tls-options')
    // Before anybody asks Node for them: it looks once.
    process.env['SSL_CERT_FILE'] = writeBundle('system.pem', nginx.certificates.authority)
  })
  afterAll(async () => {
    delete process.env['SSL_CERT_FILE']
    rmSync(directory, { recursive: true })
    await nginx.stop()
  })

  function writeBundle(name: string, ...certificates: readonly Certificate[]): string {
    writeFileSync(`${directory}/${name}`, certificates.map(({ certificate }) => certificate).join(''))
    return `${directory}/${name}`
  }

  function openssl(...args: readonly string[]): void {
    const { status, stderr } = spawnSync(opensslPath, args, { encoding: 'utf8', timeout: COMMAND_MS_MAX })
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
  }

  async function get(driver: Driver, url: string, options: Partial<TransferOptions>): Promise<Outcome> {
    using multi = new Multi()
    return await runTransfer(driver, multi, { resolve: nginx.resolve, ...options, url })
  }

  describe.each(drivers)('authorities, through $name', (driver) => {
    const code = async (options: Partial<TransferOptions>, name = 'named.test'): Promise<string> =>
      (await get(driver, `https://${name}:${nginx.ports.byName}/small`, options)).code

    it('are those of a directory of hashed names', async () => {
      const hashed = `${directory}/hashed-${driver.name.length}`
      mkdirSync(hashed)
      writeFileSync(`${hashed}/authority.pem`, nginx.certificates.authority.certificate)
      expect(await code({ caDirectory: hashed })).toBe('PEER_FAILED_VERIFICATION')
      openssl('rehash', hashed)
      expect(await code({ caDirectory: hashed })).toBe('OK')
      expect(await code({ caDirectory: hashed }, 'unknown.test')).toBe('PEER_FAILED_VERIFICATION')
    })

    it('are those of the system, and others besides', async () => {
      expect(await code({ useSystemCa: true })).toBe('OK')
      expect(await code({ useSystemCa: true }, 'selfsigned.test')).toBe('PEER_FAILED_VERIFICATION')
      const ca = nginx.certificates.selfSigned.certificate
      expect(await code({ useSystemCa: true, ca }, 'selfsigned.test')).toBe('OK')
      expect(await code({ useSystemCa: true, ca })).toBe('OK')
      expect(await code({ ca })).toBe('PEER_FAILED_VERIFICATION')
    })

    it('of two files are both trusted', async () => {
      const { authority, selfSigned } = nginx.certificates
      const options = { caFile: writeBundle('two.pem', authority, selfSigned) }
      expect(await code(options)).toBe('OK')
      expect(await code(options, 'selfsigned.test')).toBe('OK')
    })

    it('revoke what their list names, and nothing else', async () => {
      const { authority, named, stapled } = nginx.certificates
      const ca = authority.certificate
      writeFileSync(`${directory}/revoked.crl`, makeRevocationList(authority, [named]))
      for (const revoking of [
        { crlFile: `${directory}/revoked.crl` },
        { crl: readFileSync(`${directory}/revoked.crl`) },
      ]) {
        expect(await code({ ca, ...revoking })).toBe('PEER_FAILED_VERIFICATION')
        expect(await code({ ca, ...revoking }, 'stapled.test')).toBe('OK')
      }
      expect(await code({ ca, crl: makeRevocationList(authority, [stapled]) })).toBe('OK')
      expect(await code({ ca, crlFile: `${directory}/none.crl` })).toBe('SSL_CRL_BADFILE')
    })

    it('stand behind a stapled response where it is asked for', async () => {
      const ca = nginx.certificates.authority.certificate
      for (const tlsMaxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const options = { ca, requireOcspStapling: true, tlsMaxVersion }
        expect(await code(options, 'stapled.test')).toBe('OK')
        expect(await code(options)).toBe('SSL_INVALIDCERTSTATUS')
      }
    })
  })

  describe.each(drivers)("the client's certificate, through $name", (driver) => {
    const ask = (options: Partial<TransferOptions>): Promise<Outcome> => {
      const ca = nginx.certificates.authority.certificate
      return get(driver, `${nginx.urls.clientCertificate}/small`, { ca, ...options })
    }

    function expectKnown(outcome: Outcome): void {
      expect(outcome).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(outcome.head?.headers.get('x-client')).toBe('SUCCESS [CN=Known Client]')
    }

    it('may be PKCS #12, from a file or as bytes, with or without a passphrase', async () => {
      const { client } = nginx.certificates
      writeFileSync(`${directory}/client.pem`, `${client.certificate}${client.key}`)
      for (const keyPassphrase of [PASSPHRASE, '']) {
        const certificateFile = `${directory}/client.p12`
        const source = ['-in', `${directory}/client.pem`, '-out', certificateFile]
        openssl('pkcs12', '-export', ...source, '-passout', `pass:${keyPassphrase}`)
        expectKnown(await ask({ certificateFile, keyPassphrase }))
        expectKnown(await ask({ certificate: readFileSync(certificateFile), keyPassphrase }))
        expect((await ask({ certificateFile, keyPassphrase: 'wrong' })).code).toBe('SSL_CERTPROBLEM')
      }
    })

    it('may have a key under a passphrase', async () => {
      const { client } = nginx.certificates
      const certificateKeyFile = `${directory}/client.key`
      writeFileSync(certificateKeyFile, encryptedKey(client, PASSPHRASE))
      const { certificate } = client
      expectKnown(await ask({ certificate, certificateKeyFile, keyPassphrase: PASSPHRASE }))
      expect((await ask({ certificate, certificateKeyFile, keyPassphrase: 'wrong' })).code).toBe('SSL_CERTPROBLEM')
      expect((await ask({ certificate, certificateKeyFile })).code).toBe('SSL_CERTPROBLEM')
    })

    it('may be DER with a key of its own', async () => {
      const { client } = nginx.certificates
      const certificateKey = client.privateKey.export({ type: 'pkcs8', format: 'der' })
      expectKnown(await ask({ certificate: client.der, certificateKey }))
    })
  })

  describe.each(drivers)('the key log, through $name', (driver) => {
    it.each(['TLSv1.2', 'TLSv1.3'] as const)('has the secrets of every connection (%s)', async (tlsMaxVersion) => {
      const keyLogFile = `${directory}/keys-${tlsMaxVersion}-${driver.name.length}`
      const ca = nginx.certificates.authority.certificate
      for (let count = 0; count < 2; count++) {
        await get(driver, `${nginx.urls.both}/small`, { ca, keyLogFile, tlsMaxVersion })
      }
      const label = tlsMaxVersion === 'TLSv1.2' ? 'CLIENT_RANDOM' : 'CLIENT_TRAFFIC_SECRET_0'
      const lines = readFileSync(keyLogFile, 'latin1').split('\n')
      expect(lines.filter((line) => line.startsWith(`${label} `))).toHaveLength(2)
    })
  })
})

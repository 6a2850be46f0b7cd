import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { accepts, type ChildServer, makeDirectory, startProgram, withFreePorts } from '../support/child-server.ts'
import { type Driver, drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, Recording, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeers } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

/** Each a way into nginx's plain port, but `nowhere`, behind which nobody listens. */
const SERVICES = ['any', 'tls12', 'verifying', 'nowhere'] as const
type Service = (typeof SERVICES)[number]

interface Stunnel extends ChildServer {
  readonly urls: Readonly<Record<Service, string>>
}

async function startStunnel(path: string, nginx: TlsNginx): Promise<Stunnel> {
  return withFreePorts(SERVICES.length + 1, async ([unused = 0, ...numbers]) => {
    const directory = makeDirectory('stunnel')
    const { server, authority } = nginx.certificates
    writeFileSync(`${directory}/server.pem`, `${server.certificate}${server.key}`, { mode: 0o600 })
    writeFileSync(`${directory}/authority.pem`, authority.certificate)
    const service = (name: Service, rest: readonly string[], port: number = nginx.ports.plain): string =>
      [`[${name}]`, `accept = 127.0.0.1:${numbers[SERVICES.indexOf(name)]}`, `connect = 127.0.0.1:${port}`, ...rest]
        .join('\n')
        .concat('\n')
    const configuration = [
      'foreground = yes\nsyslog = no\ndebug = warning\npid =',
      `cert = ${directory}/server.pem`,
      service('any', []),
      service('tls12', ['sslVersionMax = TLSv1.2']),
      service('verifying', ['verifyChain = yes', 'requireCert = yes', `CAfile = ${directory}/authority.pem`]),
      service('nowhere', [], unused),
    ]
    writeFileSync(`${directory}/stunnel.conf`, configuration.join('\n'))
    const last = numbers.at(-1) ?? 0
    const server0 = await startProgram(path, [`${directory}/stunnel.conf`], directory, () =>
      accepts({ host: '127.0.0.1', port: last }),
    )
    const urls = SERVICES.map((name, index) => [name, `https://localhost:${numbers[index]}`])
    return { ...server0, urls: Object.fromEntries(urls) as Stunnel['urls'] }
  })
}

describeWithPeers(['stunnel4', 'nginx'], ([stunnelPath = '', nginxPath = '']) => {
  let nginx: TlsNginx
  let stunnel: Stunnel
  let large: TestFile
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid, stunnel.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(nginxPath)
    stunnel = await startStunnel(stunnelPath, nginx)
    large = writeTestFile(nginx.root, 'large', 3_000_000)
    trusted = { ca: nginx.certificates.authority.certificate }
  })
  afterAll(async () => {
    await stunnel.stop()
    await nginx.stop()
  })

  const get = async (driver: Driver, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> => {
    using multi = new Multi()
    return await runTransfer(driver, multi, { ...trusted, ...options, url })
  }

  describe.each(drivers)('through stunnel and $name', (driver) => {
    it.each(['any', 'tls12'] as const)('bodies come down and go up whole (%s)', async (service) => {
      const down = await get(driver, `${stunnel.urls[service]}/large`)
      expect(down).toMatchObject({ code: 'OK', bytes: large.bytes, sha256: large.sha256 })
      expect(down.transfer.info.tls?.protocol).toBe(service === 'any' ? 'TLSv1.3' : 'TLSv1.2')
      const body = patternBytes(1_500_000, 'stunnel')
      const up = await get(driver, `${stunnel.urls[service]}/dav/stunnel`, { method: 'PUT', body })
      expect(up.code).toBe('OK')
      expect(sha256(readFileSync(`${nginx.uploads}/stunnel`))).toBe(sha256(body))
    })

    it.each(['any', 'tls12'] as const)('sessions are resumed (%s)', async (service) => {
      using multi = new Multi()
      const options = { ...trusted, url: `${stunnel.urls[service]}/empty`, forbidReuse: true }
      const resumed: (boolean | undefined)[] = []
      for (let count = 0; count < 3; count++) {
        const { transfer } = await runTransfer(driver, multi, options)
        resumed.push(transfer.info.tls?.isResumed)
      }
      expect(resumed).toEqual([false, true, true])
    })

    it('a certificate is shown where it is wanted', async () => {
      const { client, strangeClient } = nginx.certificates
      const url = `${stunnel.urls.verifying}/empty`
      const known = await get(driver, url, { certificate: client.certificate, certificateKey: client.key })
      expect(known).toMatchObject({ code: 'OK' })
      for (const tlsMaxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const missing = await get(driver, url, { tlsMaxVersion })
        expect(missing.code).toBe(tlsMaxVersion === 'TLSv1.3' ? 'SSL_CLIENTCERT' : 'SSL_CONNECT_ERROR')
        const { certificate, key } = strangeClient
        const strange = await get(driver, url, { certificate, certificateKey: key, tlsMaxVersion })
        expect(['SSL_CONNECT_ERROR', 'RECV_ERROR', 'SEND_ERROR']).toContain(strange.code)
      }
    })

    it('a way that leads nowhere is no answer', async () => {
      const outcome = await get(driver, `${stunnel.urls.nowhere}/empty`)
      expect(['GOT_NOTHING', 'RECV_ERROR', 'SEND_ERROR', 'SSL_CONNECT_ERROR']).toContain(outcome.code)
    })

    it('many transfers at once do not mix', async () => {
      using multi = new Multi({ maxHostConnections: 8 })
      const files = Array.from({ length: 40 }, (_, index) => writeTestFile(nginx.root, `mix-${index}`, index * 4001))
      const options = files.map(({ name }) => ({ ...trusted, url: `${stunnel.urls.any}/${name}` }))
      const outcomes = await runTransfers(driver, multi, options)
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(files.map((file) => file.sha256))
    })

    it('a body of known length that is cut off is not whole, whoever cuts it', async () => {
      const own = await startStunnel(stunnelPath, nginx)
      try {
        using multi = new Multi()
        const recording = new Recording({ ...trusted, url: `${own.urls.any}/slow/large` })
        multi.add(recording.transfer)
        await driver.drive(multi, { until: () => recording.bytes > 100_000 })
        process.kill(own.pid, 'SIGKILL')
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        expect(['RECV_ERROR', 'PARTIAL_FILE']).toContain(recording.outcome().code)
      } finally {
        await own.stop()
      }
    })
  })
})

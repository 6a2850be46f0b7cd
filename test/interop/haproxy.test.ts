import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { type Certificate, makeCertificate } from '../support/certificates.ts'
import { drivers } from '../support/drivers.ts'
import { type Haproxy, startHaproxy } from '../support/haproxy.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, runTransfer, runTransfers } from '../support/outcomes.ts'
import { describeWithPeer, describeWithPeers } from '../support/peers.ts'
import { type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTinyproxy, type Tinyproxy } from '../support/tinyproxy.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

const VERSIONS = [1, 2] as const

function makeServerCertificate(): { authority: Certificate; pem: string } {
  const authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
  const { certificate, key } = makeCertificate({
    commonName: 'localhost',
    names: ['localhost', '127.0.0.1'],
    issuer: authority,
  })
  return { authority, pem: `${certificate}${key}` }
}

describeWithPeer('haproxy', (path) => {
  let haproxy: Haproxy
  let ca: string

  expectNothingLeft(() => [haproxy.pid])
  beforeAll(async () => {
    const { authority, pem } = makeServerCertificate()
    ca = authority.certificate
    haproxy = await startHaproxy(
      path,
      2,
      { 'server.pem': pem },
      (directory, ports) => `frontend received
  bind unix@${directory}/haproxy.sock accept-proxy
  bind 127.0.0.1:${ports[0]} accept-proxy ssl crt ${directory}/server.pem
  bind 127.0.0.1:${ports[1]} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"`,
    )
  })
  afterAll(() => haproxy.stop())

  describe.each(drivers)('a PROXY header through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ca, ...options, url })
    const urls = (): string[] => [`https://localhost:${haproxy.ports[0]}/`, `http://localhost:${haproxy.ports[1]}/`]

    it.each(VERSIONS)('of version %i tells both ends, before TLS as well', async (sendProxyHeader) => {
      using multi = new Multi()
      for (const url of urls()) {
        const outcome = await get(multi, url, { sendProxyHeader })
        const { localAddress, localPort, primaryAddress, primaryPort } = outcome.transfer.info
        expect(outcome).toMatchObject({
          code: 'OK',
          text: `${localAddress} ${localPort} ${primaryAddress} ${primaryPort}`,
        })
      }
    })

    it.each(VERSIONS)('of version %i goes once per connection', async (sendProxyHeader) => {
      using multi = new Multi()
      for (const url of urls()) {
        const outcomes = [
          await get(multi, url, { sendProxyHeader }),
          await get(multi, url, { sendProxyHeader }),
          await get(multi, url, { sendProxyHeader, freshConnect: true }),
        ]
        expect(outcomes.map(({ code }) => code)).toEqual(['OK', 'OK', 'OK'])
        expect(outcomes.map(({ transfer }) => transfer.info.connects)).toEqual([1, 0, 1])
      }
    })

    it.each(VERSIONS)('of version %i over a unix socket tells of no addresses', async (sendProxyHeader) => {
      using multi = new Multi()
      const unixSocketPath = `${haproxy.directory}/haproxy.sock`
      const outcome = await get(multi, 'http://localhost/', { sendProxyHeader, unixSocketPath })
      expect(outcome.code).toBe('OK')
      expect(outcome.transfer.info.status).toBe(200)
    })

    it('that is missing costs the connection', async () => {
      using multi = new Multi()
      const [secure = '', plain = ''] = urls()
      expect((await get(multi, secure)).code).toBe('SSL_CONNECT_ERROR')
      expect(['RECV_ERROR', 'GOT_NOTHING', 'SEND_ERROR']).toContain((await get(multi, plain)).code)
      expect(multi.stats.connections).toBe(0)
    })

    it('is not forgotten in a crowd', async () => {
      using multi = new Multi({ maxHostConnections: 8 })
      const wanted = Array.from({ length: 60 }, (_, index) => ({
        ca,
        url: urls()[index % 2] ?? '',
        sendProxyHeader: VERSIONS[(index >> 1) % 2] ?? null,
      }))
      const outcomes = await runTransfers(driver, multi, wanted)
      expect(outcomes.map(({ code }) => code)).toEqual(wanted.map(() => 'OK'))
      const told = outcomes.map(({ transfer: { info } }) => `${info.localAddress} ${info.localPort}`)
      expect(outcomes.map(({ text }) => text.split(' ').slice(0, 2).join(' '))).toEqual(told)
    })
  })
})

describeWithPeers(['haproxy', 'nginx', 'tinyproxy'], ([haproxyPath = '', nginxPath = '', tinyproxyPath = '']) => {
  let haproxy: Haproxy
  let nginx: TlsNginx
  let tinyproxy: Tinyproxy
  let proxyAuthority: string
  let file: TestFile

  expectNothingLeft(() => [haproxy.pid, nginx.pid, tinyproxy.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(nginxPath)
    tinyproxy = await startTinyproxy(tinyproxyPath)
    const { authority, pem } = makeServerCertificate()
    proxyAuthority = authority.certificate
    haproxy = await startHaproxy(
      haproxyPath,
      1,
      { 'server.pem': pem },
      (directory, ports) => `listen secure
  mode tcp
  bind 127.0.0.1:${ports[0]} ssl crt ${directory}/server.pem
  server proxy 127.0.0.1:${tinyproxy.port}`,
    )
    file = writeTestFile(nginx.root, 'file', 1_500_000)
  })
  afterAll(async () => {
    await Promise.all([haproxy, nginx, tinyproxy].map((server) => server.stop()))
  })

  describe.each(drivers)('a proxy behind TLS, through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, {
        ca: nginx.certificates.authority.certificate,
        proxy: `https://localhost:${haproxy.ports[0]}`,
        proxyTls: { ca: proxyAuthority },
        ...options,
        url,
      })

    it('forwards http, and tunnels TLS within TLS', async () => {
      using multi = new Multi()
      const plain = await get(multi, `${nginx.urls.plain}/file`)
      expect(plain).toMatchObject({ code: 'OK', sha256: file.sha256 })
      expect(plain.head?.headers.get('via')).toMatch(/tinyproxy/)
      for (const connects of [1, 0]) {
        const secure = await get(multi, `${nginx.urls.both}/file`)
        expect(secure).toMatchObject({ code: 'OK', sha256: file.sha256 })
        expect(secure.head?.headers.get('x-tls')).toBe('TLSv1.3 . [http/1.1] [localhost]')
        expect(secure.transfer.info.connects).toBe(connects)
      }
    })

    it('carries a large body up through both layers', async () => {
      using multi = new Multi()
      const url = `${nginx.urls.both}/dav/upload`
      const outcome = await get(multi, url, { method: 'PUT', body: Buffer.alloc(2_000_000, 'upload') })
      expect(outcome.code).toBe('OK')
      expect([201, 204]).toContain(outcome.transfer.info.status)
      expect(outcome.transfer.info.bytesSent).toBe(2_000_000)
    })

    it('is verified on its own', async () => {
      using multi = new Multi()
      const url = `${nginx.urls.both}/file`
      const codes = [
        (await get(multi, url, { proxyTls: {} })).code,
        (await get(multi, url, { proxyTls: { ca: nginx.certificates.authority.certificate } })).code,
        (await get(multi, url, { ca: proxyAuthority })).code,
        (await get(multi, url, { proxyTls: { verifyPeer: false } })).code,
      ]
      expect(codes).toEqual(['PEER_FAILED_VERIFICATION', 'PEER_FAILED_VERIFICATION', 'PEER_FAILED_VERIFICATION', 'OK'])
    })

    it('carries 30 transfers at once', async () => {
      using multi = new Multi({ maxHostConnections: 6 })
      const files = Array.from({ length: 30 }, (_, index) => writeTestFile(nginx.root, `mix-${index}`, index * 3571))
      const outcomes = await runTransfers(
        driver,
        multi,
        files.map(({ name }) => ({
          ca: nginx.certificates.authority.certificate,
          proxy: `https://localhost:${haproxy.ports[0]}`,
          proxyTls: { ca: proxyAuthority },
          url: `${nginx.urls.both}/${name}`,
        })),
      )
      expect(outcomes.map(({ code }) => code)).toEqual(files.map(() => 'OK'))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(files.map((one) => one.sha256))
    })
  })
})

import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { type Certificate, makeCertificate } from '../support/certificates.ts'
import { accepts, type ChildServer, makeDirectory, startProgram, withFreePorts } from '../support/child-server.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { runTransfer } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
const FLAGS = { TLSv1: '-tls1', 'TLSv1.1': '-tls1_1', 'TLSv1.2': '-tls1_2', 'TLSv1.3': '-tls1_3' } as const
/** The versions of old need signatures that no security level above allows. */
const CIPHERS = 'ALL:@SECLEVEL=0'
const BODY = 'here\n'

interface Server {
  readonly child: ChildServer
  readonly url: string
}

/** Speaks one version only. */
async function startServer(path: string, flag: string, server: Certificate): Promise<Server> {
  return withFreePorts(1, async ([port = 0]) => {
    const directory = makeDirectory('openssl-version')
    writeFileSync(`${directory}/server.pem`, `${server.certificate}${server.key}`, { mode: 0o600 })
    writeFileSync(`${directory}/body`, `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`)
    const keys = ['-cert', 'server.pem', '-key', 'server.pem', '-cipher', CIPHERS]
    const args = ['s_server', '-accept', `127.0.0.1:${port}`, '-HTTP', flag, ...keys]
    const isReady = (): Promise<boolean> => accepts({ host: '127.0.0.1', port })
    return { child: await startProgram(path, args, directory, isReady), url: `https://localhost:${port}/body` }
  })
}

describeWithPeer('openssl', (path) => {
  const authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
  const server = makeCertificate({ commonName: 'localhost', names: ['localhost'], issuer: authority })
  let servers: readonly Server[] = []

  expectNothingLeft(() => servers.map(({ child }) => child.pid))
  beforeAll(async () => {
    servers = await Promise.all(VERSIONS.map((version) => startServer(path, FLAGS[version], server)))
  })
  afterAll(() => Promise.all(servers.map(({ child }) => child.stop())))

  const ranges = VERSIONS.flatMap((tlsMinVersion, least) =>
    VERSIONS.slice(least).map((tlsMaxVersion) => [tlsMinVersion, tlsMaxVersion] as const),
  )

  describe.each(drivers)('a version, through $name', (driver) => {
    it.each(ranges)('is agreed on from %s to %s, and on no other', async (tlsMinVersion, tlsMaxVersion) => {
      using multi = new Multi()
      const options = { ca: authority.certificate, ciphers: CIPHERS, tlsMinVersion, tlsMaxVersion }
      for (const [index, version] of VERSIONS.entries()) {
        const isWithin = index >= VERSIONS.indexOf(tlsMinVersion) && index <= VERSIONS.indexOf(tlsMaxVersion)
        const transfer: TransferOptions = { ...options, url: servers[index]?.url ?? '' }
        const outcome = await runTransfer(driver, multi, transfer)
        const { tls } = outcome.transfer.info
        expect(`${version} ${outcome.code}`).toBe(`${version} ${isWithin ? 'OK' : 'SSL_CONNECT_ERROR'}`)
        expect(tls?.protocol).toBe(isWithin ? version : undefined)
      }
    })

    it('below TLS 1.2 is refused unless it is asked for', async () => {
      using multi = new Multi()
      const codes: string[] = []
      for (const { url } of servers) {
        codes.push((await runTransfer(driver, multi, { ca: authority.certificate, ciphers: CIPHERS, url })).code)
      }
      expect(codes).toEqual(['SSL_CONNECT_ERROR', 'SSL_CONNECT_ERROR', 'OK', 'OK'])
    })
  })
})

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, Recording, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeers } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTinyproxy, type Tinyproxy } from '../support/tinyproxy.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

const MB = 1024 * 1024

describeWithPeers(['nginx', 'tinyproxy'], ([nginxPath = '', tinyproxyPath = '']) => {
  let nginx: TlsNginx
  let tinyproxy: Tinyproxy
  let guarded: Tinyproxy
  let file: TestFile
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid, tinyproxy.pid, guarded.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(nginxPath)
    const tunnelPorts = [nginx.ports.both, nginx.ports.plain]
    tinyproxy = await startTinyproxy(tinyproxyPath, { tunnelPorts })
    guarded = await startTinyproxy(tinyproxyPath, { user: 'alice secret' })
    file = writeTestFile(nginx.root, 'file', 2 * MB)
    trusted = { ca: nginx.certificates.authority.certificate }
  })
  afterAll(async () => {
    await Promise.all([nginx, tinyproxy, guarded].map((server) => server.stop()))
  })

  describe.each(drivers)('a proxy that closes each forwarded connection, through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, proxy: tinyproxy.url, ...options, url })

    it('gets one connection after the other, though the proxy announces no end of any', async () => {
      using multi = new Multi()
      for (let count = 0; count < 3; count++) {
        const outcome = await get(multi, `${nginx.urls.plain}/file`)
        expect(outcome).toMatchObject({ code: 'OK', sha256: file.sha256 })
        expect(outcome.head?.headers.get('via')).toMatch(/tinyproxy/)
        expect(outcome.transfer.info).toMatchObject({ status: 200, connects: 1 })
      }
    })

    it('keeps a tunnel as long as its ends do', async () => {
      using multi = new Multi()
      for (const connects of [1, 0, 0]) {
        const outcome = await get(multi, `${nginx.urls.both}/file`)
        expect(outcome).toMatchObject({ code: 'OK', sha256: file.sha256 })
        expect(outcome.transfer.info.connects).toBe(connects)
      }
    })

    it('carries bodies up, of known and of unknown length', async () => {
      using multi = new Multi()
      const bytes = patternBytes(MB + 1, 'upload')
      const chunkedOf = (): ((bytesMax: number) => Uint8Array | null) => {
        let at = 0
        return (bytesMax) => {
          const piece = bytes.subarray(at, at + bytesMax)
          at += piece.length
          return piece.length === 0 ? null : piece
        }
      }
      for (const [index, origin] of [nginx.urls.plain, nginx.urls.both, nginx.urls.both].entries()) {
        const url = `${origin}/dav/upload-${index}`
        const body = index === 2 ? chunkedOf() : bytes
        const outcome = await get(multi, url, { method: 'PUT', body })
        expect(outcome.code).toBe('OK')
        expect([201, 204]).toContain(outcome.transfer.info.status)
        expect(sha256(readFileSync(`${nginx.uploads}/upload-${index}`))).toBe(sha256(bytes))
      }
    })

    it('carries 40 transfers at once', async () => {
      using multi = new Multi({ maxHostConnections: 8 })
      const files = Array.from({ length: 40 }, (_, index) => writeTestFile(nginx.root, `mix-${index}`, index * 2503))
      const outcomes = await runTransfers(
        driver,
        multi,
        files.map(({ name }, index) => ({
          ...trusted,
          proxy: tinyproxy.url,
          url: `${index % 2 === 0 ? nginx.urls.plain : nginx.urls.both}/${name}`,
        })),
      )
      expect(outcomes.map(({ code }) => code)).toEqual(files.map(() => 'OK'))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(files.map((one) => one.sha256))
    })

    it('refuses tunnels to other ports', async () => {
      using multi = new Multi()
      const outcome = await get(multi, `https://localhost:${nginx.ports.tls12}/file`)
      expect(outcome.code).toBe('RECV_ERROR')
      expect(outcome.message?.error?.message).toMatch(/response 403/)
      expect(multi.stats.connections).toBe(0)
    })

    it('says that the origin is not there', async () => {
      using multi = new Multi()
      const outcome = await get(multi, 'http://127.0.0.1:1/')
      expect(outcome.code).toBe('OK')
      expect(outcome.transfer.info.status).toBeGreaterThanOrEqual(500)
    })

    it('serves who proves himself, and nobody else', async () => {
      using multi = new Multi()
      const proxies = ['alice:secret@', 'alice:wrong@', ''].map((user) => guarded.url.replace('//', `//${user}`))
      const forwarded: number[] = []
      const tunnelled: string[] = []
      for (const proxy of proxies) {
        forwarded.push((await get(multi, `${nginx.urls.plain}/file`, { proxy })).transfer.info.status)
        tunnelled.push((await get(multi, `${nginx.urls.both}/file`, { proxy })).code)
      }
      expect(forwarded[0]).toBe(200)
      for (const status of forwarded.slice(1)) expect([401, 407]).toContain(status)
      expect(tunnelled).toEqual(['OK', 'RECV_ERROR', 'RECV_ERROR'])
    })
  })

  describe.each(drivers)('a proxy that is gone, through $name', (driver) => {
    it('cannot be connected to', async () => {
      const gone = await startTinyproxy(tinyproxyPath)
      using multi = new Multi()
      const get = (url: string, proxy = gone.url): Promise<Outcome> =>
        runTransfer(driver, multi, { ...trusted, proxy, url })
      expect((await get(`${nginx.urls.both}/file`)).sha256).toBe(file.sha256)
      await gone.stop()
      for (const origin of [nginx.urls.plain, nginx.urls.both]) {
        const outcome = await get(`${origin}/file`)
        expect(outcome.code).toBe('COULDNT_CONNECT')
        expect(outcome.message?.error?.cause).toMatchObject({ code: 'ECONNREFUSED', port: gone.port })
      }
      const unknown = await get(`${nginx.urls.plain}/file`, 'http://nowhere.invalid:3128')
      expect(unknown.code).toBe('COULDNT_RESOLVE_PROXY')
      expect(multi.stats.connections).toBe(0)
    })

    it.each(['plain', 'both'] as const)('breaks a body of %s when it is killed', async (origin) => {
      const mortal = await startTinyproxy(tinyproxyPath)
      try {
        using multi = new Multi()
        const url = `${nginx.urls[origin]}/slow/file`
        const recording = new Recording({ ...trusted, proxy: mortal.url, url })
        multi.add(recording.transfer)
        await driver.drive(multi, { until: () => recording.bytes > 20_000 })
        mortal.kill()
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        expect(['RECV_ERROR', 'PARTIAL_FILE']).toContain(recording.outcome().code)
        expect(recording.bytes).toBeLessThan(file.bytes)
        expect(multi.stats.connections).toBe(0)
      } finally {
        await mortal.stop()
      }
    })
  })
})

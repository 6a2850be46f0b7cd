import { statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'

const KB = 1024
const MB = 1024 * KB
const SIZES = [0, 1, 100, 16 * KB, 64 * KB - 1, 64 * KB, 64 * KB + 1, MB, 10 * MB, 100 * MB]

describeWithPeer('nginx', (path) => {
  let nginx: Nginx
  let files: TestFile[]

  expectNothingLeft(() => [...nginx.pids])
  beforeAll(async () => {
    nginx = await startNginx(path)
    files = SIZES.map((bytes) => writeTestFile(nginx.root, `file-${bytes}`, bytes))
  })
  afterAll(() => nginx.stop())

  const fileOf = (bytes: number): TestFile => files[SIZES.indexOf(bytes)] as TestFile

  describe.each(drivers)('files through $name', (driver) => {
    it.each(SIZES)('brings every byte of a file of %i', async (bytes) => {
      using multi = new Multi()
      const file = fileOf(bytes)
      const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/${file.name}` })
      expect(outcome.code).toBe('OK')
      expect(outcome.head?.status).toBe(200)
      expect(outcome.bytes).toBe(bytes)
      expect(outcome.sha256).toBe(file.sha256)
      expect(outcome.transfer.info).toMatchObject({
        status: 200,
        contentLength: bytes,
        bytesReceived: bytes,
        connects: 1,
      })
    })

    it('brings all sizes one after another over one connection', async () => {
      using multi = new Multi()
      const connections = new Set<number>()
      for (const file of files.slice(0, -1)) {
        const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/${file.name}` })
        expect(outcome.sha256).toBe(file.sha256)
        connections.add(outcome.transfer.info.connectionId)
      }
      expect(connections.size).toBe(1)
    })

    it('brings 64 files at once, each whole', async () => {
      using multi = new Multi()
      const wanted = Array.from({ length: 64 }, (_, index) => files[index % 8] as TestFile)
      const outcomes = await runTransfers(
        driver,
        multi,
        wanted.map((file) => ({ url: `${nginx.plain}/${file.name}` })),
      )
      expect(outcomes.map((outcome) => outcome.code)).toEqual(wanted.map(() => 'OK'))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(wanted.map((file) => file.sha256))
      expect(new Set(outcomes.map((outcome) => outcome.transfer.info.connectionId)).size).toBe(64)
    })

    it('brings 500 files over at most 6 connections', async () => {
      using multi = new Multi({ maxHostConnections: 6 })
      const wanted = Array.from({ length: 500 }, (_, index) => files[index % 7] as TestFile)
      const outcomes = await runTransfers(
        driver,
        multi,
        wanted.map((file) => ({ url: `${nginx.plain}/${file.name}` })),
      )
      expect(outcomes.filter((outcome, index) => outcome.sha256 !== wanted[index]?.sha256)).toEqual([])
      expect(outcomes.filter((outcome) => outcome.code !== 'OK')).toEqual([])
      expect(outcomes.reduce((sum, outcome) => sum + outcome.transfer.info.connects, 0)).toBeLessThanOrEqual(6)
    })

    it('uncovers the chunks of a gzipped response', async () => {
      using multi = new Multi()
      const { gunzipSync } = await import('node:zlib')
      const parts: Buffer[] = []
      const outcome = await runTransfer(driver, multi, {
        url: `${nginx.plain}/gzip/file-${MB}`,
        headers: { 'Accept-Encoding': 'gzip' },
        onData: (chunk) => parts.push(Buffer.from(chunk)),
      })
      expect(outcome.code).toBe('OK')
      expect(outcome.head?.headers.first('transfer-encoding')).toBe('chunked')
      expect(outcome.head?.headers.first('content-encoding')).toBe('gzip')
      expect(outcome.transfer.info.contentLength).toBe(-1)
      expect(sha256(gunzipSync(Buffer.concat(parts)))).toBe(fileOf(MB).sha256)
    })

    it.each(['included', 'proxied'])(
      'uncovers the chunks of what is %s, and uses the connection again',
      async (place) => {
        using multi = new Multi()
        for (const connects of [1, 0, 0]) {
          const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/${place}/file-${MB}` })
          expect(outcome.code).toBe('OK')
          expect(outcome.head?.headers.first('transfer-encoding')).toBe('chunked')
          expect(outcome.sha256).toBe(fileOf(MB).sha256)
          expect(outcome.transfer.info.connects).toBe(connects)
        }
      },
    )

    it('talks through a unix socket, apart from connections by TCP', async () => {
      using multi = new Multi()
      const url = `${nginx.plain}/file-${MB}`
      const { unixSocketPath } = nginx
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, { url, unixSocketPath })
        expect(outcome.sha256).toBe(fileOf(MB).sha256)
        expect(outcome.transfer.info.connects).toBe(connects)
      }
      const byTcp = await runTransfer(driver, multi, { url })
      expect(byTcp.transfer.info.connects).toBe(1)
      expect(byTcp.transfer.info.primaryAddress).toBe('127.0.0.1')
    })
  })

  describe.each(drivers)('heads through $name', (driver) => {
    it('tells the length of an answer to HEAD and waits for no body', async () => {
      using multi = new Multi()
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/file-${MB}`, method: 'HEAD' })
        expect(outcome.code).toBe('OK')
        expect(outcome.bytes).toBe(0)
        expect(outcome.transfer.info).toMatchObject({ status: 200, contentLength: MB, connects })
      }
    })

    it('waits for no body after a HEAD of a chunked response', async () => {
      using multi = new Multi()
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/included/file-${MB}`, method: 'HEAD' })
        expect(outcome.code).toBe('OK')
        expect(outcome.transfer.info).toMatchObject({ status: 200, bytesReceived: 0, connects })
      }
    })

    it('takes 204, 302, 404 and 405 for answers, and goes on over the same connection', async () => {
      using multi = new Multi()
      const statuses: number[] = []
      for (const [place, method] of [
        ['empty', 'GET'],
        ['moved', 'GET'],
        ['missing', 'GET'],
        ['file-100', 'POST'],
        ['file-100', 'GET'],
      ]) {
        const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/${place}`, method: method as string })
        expect(outcome.code).toBe('OK')
        expect(outcome.transfer.info.connects).toBe(statuses.length === 0 ? 1 : 0)
        statuses.push(outcome.transfer.info.status)
      }
      expect(statuses).toEqual([204, 302, 404, 405, 200])
    })

    it('waits for no body after 304', async () => {
      using multi = new Multi()
      const modified = statSync(`${nginx.root}/file-${MB}`).mtime.toUTCString()
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, {
          url: `${nginx.plain}/file-${MB}`,
          headers: { 'If-Modified-Since': modified },
        })
        expect(outcome.code).toBe('OK')
        expect(outcome.transfer.info).toMatchObject({ status: 304, bytesReceived: 0, connects })
      }
    })

    it('brings the asked range', async () => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, {
        url: `${nginx.plain}/file-${MB}`,
        headers: { Range: 'bytes=1000-70999' },
      })
      expect(outcome.transfer.info).toMatchObject({ status: 206, bytesReceived: 70_000 })
      expect(outcome.head?.headers.first('content-range')).toBe(`bytes 1000-70999/${MB}`)
      expect(outcome.sha256).toBe(sha256(patternBytes(MB, `file-${MB}`).subarray(1000, 71_000)))
    })

    it.each([
      ['a field of 9 KB', 9_000, 400],
      ['a field that the first send cannot take', 250_000, 400],
    ])('brings the refusal of %s', async (_name, length, status) => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, {
        url: `${nginx.plain}/file-100`,
        headers: { 'X-Long': 'x'.repeat(length) },
      })
      expect([outcome.code, outcome.transfer.info.status]).toEqual(['OK', status])
    })

    it('brings the refusal of a long request line', async () => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/${'x'.repeat(9_000)}` })
      expect([outcome.code, outcome.transfer.info.status]).toEqual(['OK', 414])
    })
  })
})

import { statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Lighttpd, startLighttpd } from '../support/lighttpd.ts'
import { runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'

const KB = 1024
const MB = 1024 * KB
const SIZES = [0, 1, 100, 16 * KB, 64 * KB - 1, 64 * KB, 64 * KB + 1, MB, 10 * MB]

describeWithPeer('lighttpd', (path) => {
  let lighttpd: Lighttpd
  let files: TestFile[]

  expectNothingLeft(() => [lighttpd.pid])
  beforeAll(async () => {
    lighttpd = await startLighttpd(path)
    files = SIZES.map((bytes) => writeTestFile(lighttpd.root, `file-${bytes}`, bytes))
  })
  afterAll(() => lighttpd.stop())

  describe.each(drivers)('through $name', (driver) => {
    it('brings every byte of files of all sizes over one connection', async () => {
      using multi = new Multi()
      for (const [index, file] of files.entries()) {
        const outcome = await runTransfer(driver, multi, { url: `${lighttpd.url}/${file.name}` })
        expect([outcome.code, outcome.bytes, outcome.sha256]).toEqual(['OK', file.bytes, file.sha256])
        expect(outcome.transfer.info.connects).toBe(index === 0 ? 1 : 0)
      }
    })

    it('brings 300 files over at most 5 connections', async () => {
      using multi = new Multi({ maxHostConnections: 5 })
      const wanted = Array.from({ length: 300 }, (_, index) => files[index % 7] as TestFile)
      const outcomes = await runTransfers(
        driver,
        multi,
        wanted.map((file) => ({ url: `${lighttpd.url}/${file.name}` })),
      )
      expect(outcomes.filter((outcome, index) => outcome.sha256 !== wanted[index]?.sha256)).toEqual([])
      expect(outcomes.filter((outcome) => outcome.code !== 'OK')).toEqual([])
    })

    it('talks through a unix socket', async () => {
      using multi = new Multi()
      const { unixSocketPath } = lighttpd
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, { url: `http://localhost/file-${MB}`, unixSocketPath })
        expect([outcome.code, outcome.sha256]).toEqual(['OK', files[SIZES.indexOf(MB)]?.sha256])
        expect(outcome.transfer.info.connects).toBe(connects)
      }
    })

    it('takes HEAD, 304, 206, 404 and 431 for answers', async () => {
      using multi = new Multi()
      const url = `${lighttpd.url}/file-${MB}`
      const modified = statSync(`${lighttpd.root}/file-${MB}`).mtime.toUTCString()
      const outcomes = [
        await runTransfer(driver, multi, { url, method: 'HEAD' }),
        await runTransfer(driver, multi, { url, headers: { 'If-Modified-Since': modified } }),
        await runTransfer(driver, multi, { url, headers: { Range: 'bytes=-5000' } }),
        await runTransfer(driver, multi, { url: `${lighttpd.url}/missing` }),
        await runTransfer(driver, multi, { url, headers: { 'X-Long': 'x'.repeat(20_000) } }),
      ]
      expect(outcomes.map((outcome) => outcome.code)).toEqual(['OK', 'OK', 'OK', 'OK', 'OK'])
      expect(outcomes.map((outcome) => outcome.transfer.info.status)).toEqual([200, 304, 206, 404, 431])
      expect(outcomes[0]?.transfer.info.contentLength).toBe(MB)
      expect(outcomes[2]?.sha256).toBe(sha256(patternBytes(MB, `file-${MB}`).subarray(-5000)))
    })

    it('uncovers the chunks of a program as they come, and uses the connection again', async () => {
      using multi = new Multi()
      for (const connects of [1, 0, 0]) {
        let pieces = 0
        const outcome = await runTransfer(driver, multi, { url: `${lighttpd.url}/stream.sh`, onData: () => pieces++ })
        expect(outcome.head?.headers.first('transfer-encoding')).toBe('chunked')
        expect(outcome.text).toBe('piece 1\npiece 2\npiece 3\npiece 4\npiece 5\n')
        expect(pieces).toBeGreaterThan(1)
        expect(outcome.transfer.info).toMatchObject({ status: 200, contentType: 'text/plain', connects })
      }
    })

    it('tells the trailers of a program, and uses the connection again', async () => {
      using multi = new Multi()
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, {
          url: `${lighttpd.url}/trailers.sh`,
          headers: { TE: 'trailers' },
        })
        expect([outcome.code, outcome.text]).toEqual(['OK', 'hello'])
        expect([...(outcome.trailers ?? [])]).toEqual([['X-Sum', '5']])
        expect(outcome.transfer.info.connects).toBe(connects)
      }
    })

    it('brings what a program sends with a length, with a status, and without end in sight', async () => {
      using multi = new Multi()
      const length = await runTransfer(driver, multi, { url: `${lighttpd.url}/length.sh` })
      expect([length.text, length.transfer.info.contentLength]).toEqual(['length', 6])
      const status = await runTransfer(driver, multi, { url: `${lighttpd.url}/status.sh` })
      expect(status.transfer.info.status).toBe(418)
      expect(status.head?.headers.first('x-odd-case')).toBe('kept')
      const large = await runTransfer(driver, multi, { url: `${lighttpd.url}/large.sh` })
      expect([large.code, large.bytes, large.sha256]).toEqual(['OK', 5_000_000, sha256(Buffer.alloc(5_000_000))])
    })

    it.each([0, 1, 65_536, MB])('gets back %i bytes that a program echoes', async (size) => {
      using multi = new Multi()
      const body = patternBytes(size, 'echo')
      const outcome = await runTransfer(driver, multi, { url: `${lighttpd.url}/echo.sh`, body })
      expect([outcome.code, outcome.bytes, outcome.sha256]).toEqual(['OK', size, sha256(body)])
      expect(outcome.head?.headers.first('x-method')).toBe('POST')
    })

    it('speaks to a program in HTTP/1.0 style when the connection is to be closed', async () => {
      using multi = new Multi()
      const url = `${lighttpd.url}/stream.sh`
      const outcome = await runTransfer(driver, multi, { url, headers: { Connection: 'close' } })
      expect([outcome.code, outcome.text.length]).toEqual(['OK', 40])
      expect(multi.stats.connections).toBe(0)
    })
  })
})

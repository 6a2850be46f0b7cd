import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Form, Multi } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'

const KB = 1024
const MB = 1024 * KB
const SIZES = [0, 1, 100, 64 * KB, MB, 10 * MB]

describeWithPeer('nginx', (path) => {
  let nginx: Nginx
  let files: TestFile[]

  expectNothingLeft(() => [...nginx.pids])
  beforeAll(async () => {
    nginx = await startNginx(path)
    files = SIZES.map((bytes) => writeTestFile(nginx.root, `file-${bytes}`, bytes))
  })
  afterAll(() => nginx.stop())

  describe.each(drivers)('through $name', (driver) => {
    it('undoes the gzip of nginx, whatever the size', async () => {
      using multi = new Multi()
      const outcomes = await runTransfers(
        driver,
        multi,
        files.map(({ name }) => ({ url: `${nginx.plain}/gzip/${name}`, acceptEncoding: '' })),
      )
      for (const [index, outcome] of outcomes.entries()) {
        expect(outcome.code, outcome.message?.error?.message).toBe('OK')
        expect(outcome.sha256).toBe(files[index]?.sha256)
        if (outcome.bytes > 0) expect(outcome.head?.headers.get('content-encoding')).toBe('gzip')
      }
    })

    it('takes what is hardly larger than nothing for what it is: much', async () => {
      using multi = new Multi()
      writeFileSync(`${nginx.root}/zeros`, Buffer.alloc(50 * MB))
      const url = `${nginx.plain}/gzip/zeros`
      const [whole, limited] = await runTransfers(driver, multi, [
        { url, acceptEncoding: 'gzip' },
        { url, acceptEncoding: 'gzip', maxFileSize: MB },
      ])
      expect(whole?.bytes).toBe(50 * MB)
      expect(whole?.transfer.info.bytesReceived).toBeLessThan(MB)
      expect(limited?.code).toBe('FILESIZE_EXCEEDED')
      expect(limited?.bytes).toBeLessThanOrEqual(MB)
    })

    it('goes on where a file broke off', async () => {
      using multi = new Multi()
      const file = files.at(-1) as TestFile
      const whole = readFileSync(`${nginx.root}/${file.name}`)
      const part = `${nginx.directory}/part-${driver.name.replace(/\W/g, '-')}`
      writeFileSync(part, whole.subarray(0, 3 * MB))
      const outcome = await runTransfer(driver, multi, {
        url: `${nginx.plain}/${file.name}`,
        resumeFrom: 3 * MB,
        onData: (chunk) => appendFileSync(part, chunk),
      })
      expect(outcome.code).toBe('OK')
      expect(outcome.transfer.info.status).toBe(206)
      expect(sha256(readFileSync(part))).toBe(file.sha256)
      const complete = await runTransfer(driver, multi, { url: `${nginx.plain}/${file.name}`, resumeFrom: file.bytes })
      expect([complete.code, complete.bytes]).toEqual(['OK', 0])
    })

    it('asks whether a file has changed', async () => {
      using multi = new Multi()
      const url = `${nginx.plain}/file-100`
      const changed = statSync(`${nginx.root}/file-100`).mtime
      const [old, later, fresh] = await runTransfers(driver, multi, [
        { url, ifModifiedSince: changed },
        { url, ifModifiedSince: new Date(Date.now() + 60_000) },
        { url, ifModifiedSince: new Date(0) },
      ])
      // nginx compares for equality, so for any other date the transfer has to look itself.
      expect([later?.head?.status, later?.transfer.info.conditionUnmet, later?.bytes]).toEqual([200, true, 0])
      expect([old?.head?.status, old?.transfer.info.conditionUnmet, old?.bytes]).toEqual([304, true, 0])
      expect([fresh?.head?.status, fresh?.transfer.info.conditionUnmet, fresh?.bytes]).toEqual([200, false, 100])
    })

    it('waits for the word of nginx before a long body, and sends none that is not wanted', async () => {
      using multi = new Multi()
      const bytes = patternBytes(3 * MB, 'expected')
      const options = { method: 'PUT', body: bytes, expect100TimeoutMs: 60_000 }
      const wanted = await runTransfer(driver, multi, { url: `${nginx.plain}/dav/expected`, ...options })
      expect(wanted.informational.map(({ status }) => status)).toEqual([100])
      expect(sha256(readFileSync(`${nginx.uploads}/expected`))).toBe(sha256(bytes))
      const refused = await runTransfer(driver, multi, { url: `${nginx.plain}/small/expected`, ...options })
      expect(refused.head?.status).toBe(413)
      expect(refused.transfer.info.bytesSent).toBe(0)
    })

    it('brings a form with a file to the disk of nginx', async () => {
      using multi = new Multi()
      const file = files.at(-1) as TestFile
      const form = new Form().add('file', { file: `${nginx.root}/${file.name}` }).add('end', 'the end')
      const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/dav/form`, method: 'PUT', form })
      expect(outcome.code, outcome.message?.error?.message).toBe('OK')
      const stored = readFileSync(`${nginx.uploads}/form`)
      const from = stored.indexOf('\r\n\r\n') + 4
      expect(sha256(stored.subarray(from, from + file.bytes))).toBe(file.sha256)
      expect(stored.subarray(from + file.bytes).toString('latin1')).toMatch(/name="end"\r\n\r\nthe end\r\n--.+--\r\n$/)
    })
  })
})

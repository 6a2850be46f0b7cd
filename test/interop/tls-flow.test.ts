import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, Transfer, type TransferOptions, WOULD_BLOCK } from '../../lib/index.ts'
import { pause } from '../support/child-server.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { Recording, runTransfer, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

const WAIT_LIMIT_MS = 5000
const VERSIONS = ['tls12', 'tls13'] as const

describeWithPeer('nginx', (path) => {
  let nginx: TlsNginx
  let large: TestFile
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(path)
    large = writeTestFile(nginx.root, 'large', 300_000)
    trusted = { ca: nginx.certificates.authority.certificate }
  })
  afterAll(() => nginx.stop())

  describe.each(drivers)('the flow through $name', (driver) => {
    it.each(VERSIONS)('keeps to a rate both ways (%s)', async (server) => {
      using multi = new Multi()
      const down = { ...trusted, url: `${nginx.urls[server]}/large`, maxRecvSpeed: 600_000 }
      const received = await runTransfer(driver, multi, down)
      expect(received).toMatchObject({ code: 'OK', sha256: large.sha256 })
      // A tenth of a second's worth may come at once.
      expect(received.transfer.info.totalTime).toBeGreaterThanOrEqual(390_000)
      const body = patternBytes(300_000, 'slow')
      const url = `${nginx.urls[server]}/dav/slow`
      const sent = await runTransfer(driver, multi, { ...trusted, url, method: 'PUT', body, maxSendSpeed: 600_000 })
      expect(sent.code).toBe('OK')
      expect(sent.transfer.info.totalTime).toBeGreaterThanOrEqual(390_000)
      expect(sha256(readFileSync(`${nginx.uploads}/slow`))).toBe(sha256(body))
    })

    it.each(VERSIONS)('of a body stops with a pause and goes on with a resume (%s)', async (server) => {
      using multi = new Multi()
      const body = patternBytes(2_000_000, 'paused')
      let at = 0
      let pauses = 0
      let steps = 0
      let isPaused = false
      const recording = new Recording({
        ...trusted,
        url: `${nginx.urls[server]}/dav/paused`,
        method: 'PUT',
        bodyLength: body.length,
        expect100: false,
        body: () => {
          expect(isPaused).toBe(false)
          const piece = body.subarray(at, at + 50_000)
          at += piece.length
          if (at % 400_000 === 0 && piece.length > 0) {
            isPaused = true
            pauses++
            recording.transfer.pause('send')
          }
          return piece.length === 0 ? null : piece
        },
      })
      multi.add(recording.transfer)
      await driver.drive(multi, {
        onStep: () => {
          if (!isPaused || ++steps % 4 !== 0) return
          isPaused = false
          recording.transfer.resume('send')
        },
      })
      recording.message = multi.infoRead() ?? null
      expect(recording.outcome().code).toBe('OK')
      expect(pauses).toBe(5)
      expect(sha256(readFileSync(`${nginx.uploads}/paused`))).toBe(sha256(body))
    })

    it.each(VERSIONS)('of a raw transfer tells what waits in the TLS layer (%s)', async (server) => {
      using multi = new Multi()
      const transfer = new Transfer({ ...trusted, url: `${nginx.urls[server]}/large`, connectOnly: true })
      expect(transfer.hasPending).toBe(false)
      multi.add(transfer)
      await driver.drive(multi)
      expect(multi.infoRead()?.error).toBeNull()
      const request = Buffer.from('GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      expect(transfer.send(request)).toBe(request.length)
      const pieces: Buffer[] = []
      const into = new Uint8Array(1000)
      let fromPending = 0
      const end = performance.now() + WAIT_LIMIT_MS
      for (;;) {
        const hadPending = transfer.hasPending
        const count = transfer.receive(into)
        if (count === 0) break
        if (count === WOULD_BLOCK) {
          expect(performance.now()).toBeLessThan(end)
          await pause(1)
          continue
        }
        if (hadPending) fromPending++
        pieces.push(Buffer.from(into.subarray(0, count)))
      }
      const answer = Buffer.concat(pieces)
      const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
      expect(sha256(body)).toBe(large.sha256)
      // A record holds sixteen times as much as one call takes.
      expect(fromPending).toBeGreaterThan(200)
      multi.remove(transfer)
      expect(transfer.hasPending).toBe(false)
    })
  })
})

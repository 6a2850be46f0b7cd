import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, PAUSE, type TransferOptions } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { Recording, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes } from '../support/test-files.ts'

const KB = 1024
const MB = 1024 * KB
const SIZES = [0, 1, 100, 16 * KB, 64 * KB - 1, 64 * KB, 64 * KB + 1, MB, 10 * MB]

/** Pieces of many sizes, some of them empty, from a body that is known whole. */
function pull(bytes: Uint8Array): (bytesMax: number) => Uint8Array | null {
  let at = 0
  let calls = 0
  return (bytesMax) => {
    if (at === bytes.length) return null
    const wanted = [bytesMax, 1, 0, 777, bytesMax][calls++ % 5] as number
    const piece = bytes.subarray(at, at + Math.min(wanted, bytesMax))
    at += piece.length
    return piece
  }
}

type Source = (bytes: Uint8Array) => Partial<TransferOptions>

const sources: readonly { name: string; source: Source }[] = [
  { name: 'bytes', source: (body) => ({ body }) },
  { name: 'a callback of known length', source: (bytes) => ({ body: pull(bytes), bodyLength: bytes.length }) },
  { name: 'a callback of unknown length, chunked', source: (bytes) => ({ body: pull(bytes) }) },
]

describeWithPeer('nginx', (path) => {
  let nginx: Nginx

  expectNothingLeft(() => [...nginx.pids])
  beforeAll(async () => {
    nginx = await startNginx(path)
  })
  afterAll(() => nginx.stop())

  const stored = (name: string): string => sha256(readFileSync(`${nginx.uploads}/${name}`))

  describe.each(drivers)('uploads through $name', (driver) => {
    describe.each(sources)('from $name', ({ source }) => {
      it.each(SIZES)('bring %i bytes to the disk', async (size) => {
        using multi = new Multi()
        const bytes = patternBytes(size, `upload ${size}`)
        const url = `${nginx.plain}/dav/upload-${size}`
        const outcome = await runTransfer(driver, multi, { url, method: 'PUT', ...source(bytes) })
        expect(outcome.code).toBe('OK')
        expect([201, 204]).toContain(outcome.transfer.info.status)
        expect(outcome.transfer.info.bytesSent).toBe(size)
        expect(stored(`upload-${size}`)).toBe(sha256(bytes))
      })

      it('follow each other over one connection', async () => {
        using multi = new Multi()
        for (const [index, size] of [70_000, 0, 1, 200_000].entries()) {
          const bytes = patternBytes(size, `sequence ${size}`)
          const url = `${nginx.plain}/dav/sequence`
          const outcome = await runTransfer(driver, multi, { url, method: 'PUT', ...source(bytes) })
          expect(outcome.code).toBe('OK')
          expect(outcome.transfer.info.connects).toBe(index === 0 ? 1 : 0)
          expect(stored('sequence')).toBe(sha256(bytes))
        }
      })
    })

    it('run 40 at once beside as many downloads', async () => {
      using multi = new Multi({ maxHostConnections: 8 })
      const bodies = Array.from({ length: 40 }, (_, index) => patternBytes(index * 5000, `parallel ${index}`))
      const uploads = bodies.map((body, index) => {
        const options = sources[index % sources.length]?.source(body)
        return { url: `${nginx.plain}/dav/parallel-${index}`, method: 'PUT', ...options }
      })
      const stores = await runTransfers(driver, multi, uploads)
      expect(stores.map((outcome) => outcome.code)).toEqual(bodies.map(() => 'OK'))
      expect(bodies.map((_, index) => stored(`parallel-${index}`))).toEqual(bodies.map(sha256))
    })

    it('wait for a body callback that has nothing yet', async () => {
      using multi = new Multi()
      const bytes = patternBytes(200_000, 'paused')
      const next = pull(bytes)
      let asked = 0
      let isResting = false
      const recording = new Recording({
        url: `${nginx.plain}/dav/paused`,
        method: 'PUT',
        body: (bytesMax) => {
          isResting = asked++ % 4 === 3
          return isResting ? PAUSE : next(bytesMax)
        },
      })
      multi.add(recording.transfer)
      await driver.drive(multi, {
        onStep: () => {
          if (isResting) recording.transfer.resume('send')
        },
      })
      recording.message = multi.infoRead() ?? null
      expect(recording.outcome()).toMatchObject({ code: 'OK' })
      expect(stored('paused')).toBe(sha256(bytes))
    })

    it.each(sources)('tell the refusal of a body that is too large, from $name', async ({ source }) => {
      using multi = new Multi()
      const bytes = patternBytes(10 * MB, 'too large')
      const url = `${nginx.plain}/small/too-large`
      const outcome = await runTransfer(driver, multi, { url, method: 'PUT', ...source(bytes) })
      expect([outcome.code, outcome.transfer.info.status]).toEqual(['OK', 413])
      expect(multi.stats.idleConnections).toBe(0)
    })

    it('fail when the callback breaks its promise, and leave no connection', async () => {
      using multi = new Multi()
      const url = `${nginx.plain}/dav/broken`
      const short = await runTransfer(driver, multi, {
        url,
        method: 'PUT',
        body: pull(Buffer.alloc(10)),
        bodyLength: 11,
      })
      const thrown = await runTransfer(driver, multi, {
        url,
        method: 'PUT',
        body: () => {
          throw new Error('no body today')
        },
      })
      expect([short.code, thrown.code]).toEqual(['READ_ERROR', 'ABORTED_BY_CALLBACK'])
      expect(multi.stats.connections).toBe(0)
    })

    it('delete what was stored', async () => {
      using multi = new Multi()
      const url = `${nginx.plain}/dav/short-lived`
      const statuses: number[] = []
      for (const options of [{ method: 'PUT', body: 'x' }, { method: 'DELETE' }, { method: 'DELETE' }]) {
        const outcome = await runTransfer(driver, multi, { url, ...options })
        expect(outcome.code).toBe('OK')
        statuses.push(outcome.transfer.info.status)
      }
      expect(statuses).toEqual([201, 204, 404])
    })
  })
})

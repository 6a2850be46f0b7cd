import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { type Apache, startApache } from '../support/apache.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'

const ALICE = { username: 'alice', password: 'wonder land' }

function pull(bytes: Uint8Array): (bytesMax: number) => Uint8Array | null {
  let at = 0
  return (bytesMax) => {
    const piece = bytes.subarray(at, at + bytesMax)
    at += piece.length
    return piece.length === 0 ? null : piece
  }
}

describeWithPeer('apache2', (path) => {
  let apache: Apache
  let file: TestFile

  expectNothingLeft(() => [apache.pid])
  beforeAll(async () => {
    apache = await startApache(path)
    file = writeTestFile(apache.root, 'file', 300_000)
  })
  afterAll(() => apache.stop())

  describe.each(drivers)('Apache through $name', (driver) => {
    const get = (multi: Multi, place: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...options, url: `${apache.url}${place}` })

    it.each(['digest', 'any', ['digest', 'basic']] as const)('accepts a proof by Digest (%s)', async (httpAuth) => {
      using multi = new Multi()
      const heads: number[] = []
      const onHead = (head: { status: number }): void => void heads.push(head.status)
      const outcome = await get(multi, '/digest/file', { ...ALICE, httpAuth, onHead })
      expect(outcome).toMatchObject({ code: 'OK', sha256: file.sha256 })
      expect(heads).toEqual([401, 200])
      expect(outcome.transfer.info).toMatchObject({ status: 200, authUsed: 'digest', connects: 1 })
      expect(outcome.head?.headers.get('authentication-info')).toMatch(/rspauth=/)
    })

    it('takes the target with its query into the proof', async () => {
      using multi = new Multi()
      const place = '/digest/file?a=%22b%22&c=d,e'
      const outcome = await get(multi, place, { ...ALICE, httpAuth: 'digest' })
      expect(outcome).toMatchObject({ code: 'OK', sha256: file.sha256 })
    })

    it('refuses another password, another name, and nobody at all', async () => {
      using multi = new Multi()
      const wrong = { httpAuth: 'digest', username: 'alice', password: 'looking glass' } as const
      for (const options of [wrong, { ...wrong, username: 'bob' }, {}]) {
        const heads: number[] = []
        const outcome = await get(multi, '/digest/file', { ...options, onHead: (head) => void heads.push(head.status) })
        expect(outcome.code).toBe('OK')
        expect(outcome.transfer.info.status).toBe(401)
        expect(heads.length).toBeLessThanOrEqual(2)
      }
    })

    it('is asked again with its next nonce when the first is stale', async () => {
      using multi = new Multi()
      const heads: number[] = []
      const options = { ...ALICE, httpAuth: 'digest' as const }
      const first = await get(multi, '/stale/file', options)
      expect(first.sha256).toBe(file.sha256)
      // The nonce that is proved is older than a moment, since the answer to the first request is held back so long.
      let isHeld = false
      const outcome = await runTransfer(driver, multi, {
        ...options,
        url: `${apache.url}/stale/file`,
        onHead: (head) => void heads.push(head.status),
        onDebug: () => {
          if (heads.length !== 1 || isHeld) return
          isHeld = true
          const end = performance.now() + 2100
          while (performance.now() < end);
        },
      })
      expect(outcome).toMatchObject({ code: 'OK', sha256: file.sha256 })
      expect(heads).toEqual([401, 401, 200])
    })

    it('gets a body by Digest, sent with the proof', async () => {
      using multi = new Multi()
      const bytes = patternBytes(200_000, 'digest')
      const outcome = await get(multi, '/digest/none', { ...ALICE, httpAuth: 'digest', method: 'PUT', body: bytes })
      // Nothing may be put there; but it is the proof that was accepted.
      expect([403, 404, 405]).toContain(outcome.transfer.info.status)
      expect(outcome.transfer.info.authUsed).toBe('digest')
    })

    it('accepts Basic where that is all it offers', async () => {
      using multi = new Multi()
      expect(await get(multi, '/basic/file', ALICE)).toMatchObject({ code: 'OK', sha256: file.sha256 })
      const any = await get(multi, '/basic/file', { ...ALICE, httpAuth: 'any' })
      expect(any.transfer.info).toMatchObject({ status: 200, authUsed: 'basic' })
      const bad = await get(multi, '/basic/file', { ...ALICE, password: '' })
      expect(bad.transfer.info.status).toBe(401)
    })

    it('sends what programs say in chunks', async () => {
      using multi = new Multi()
      const stream = await get(multi, '/cgi/stream.sh')
      expect(stream).toMatchObject({ code: 'OK', text: 'piece 1\npiece 2\npiece 3\npiece 4\npiece 5\n' })
      expect(stream.transfer.info.contentLength).toBe(-1)
      const large = await get(multi, '/cgi/large.sh')
      expect(large).toMatchObject({ code: 'OK', sha256: sha256(Buffer.alloc(3_000_000)) })
      const status = await get(multi, '/cgi/status.sh')
      expect(status.transfer.info.status).toBe(418)
      expect(status.head?.headers.get('x-odd-case')).toBe('kept')
      expect([stream, large, status].map(({ transfer }) => transfer.info.connects)).toEqual([1, 0, 0])
    })

    it('is sent bodies of known and of unknown length', async () => {
      using multi = new Multi()
      for (const [place, size] of [
        ['/cgi/echo.sh', 50_000],
        ['/dav/stored', 2_000_000],
      ] as const) {
        const bytes = patternBytes(size, place)
        for (const body of [bytes, pull(bytes)]) {
          const method = place === '/dav/stored' ? 'PUT' : 'POST'
          const outcome = await get(multi, place, { method, body })
          expect(outcome.code).toBe('OK')
          expect([200, 201, 204]).toContain(outcome.transfer.info.status)
          const arrived = method === 'PUT' ? sha256(readFileSync(`${apache.uploads}/stored`)) : outcome.sha256
          expect(arrived).toBe(sha256(bytes))
        }
      }
    })

    it('gets a body again where it redirects to with 307', async () => {
      using multi = new Multi()
      const body = patternBytes(50_000, 'redirected')
      const outcome = await get(multi, '/cgi/location.sh', { method: 'POST', body, followRedirects: true })
      expect(outcome).toMatchObject({ code: 'OK', sha256: sha256(body) })
      expect(outcome.transfer.info.redirectCount).toBe(1)
    })

    it('sends what it compressed, which is undone', async () => {
      using multi = new Multi()
      writeTestFile(apache.root, 'random', 100_000)
      const plain = await get(multi, '/gzip/random')
      const coded = await get(multi, '/gzip/random', { acceptEncoding: 'gzip' })
      expect(coded).toMatchObject({ code: 'OK', sha256: plain.sha256 })
      expect(coded.head?.headers.get('content-encoding')).toBe('gzip')
    })

    it('keeps connections, and on its other port none', async () => {
      using multi = new Multi()
      const outcomes: Outcome[] = []
      for (const origin of [apache.url, apache.closing]) {
        for (let count = 0; count < 3; count++) {
          outcomes.push(await runTransfer(driver, multi, { url: `${origin}/file` }))
        }
      }
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(outcomes.map(() => file.sha256))
      expect(outcomes.map(({ transfer }) => transfer.info.connects)).toEqual([1, 0, 0, 1, 1, 1])
      expect(outcomes.map(({ transfer }) => transfer.info.retries)).toEqual(outcomes.map(() => 0))
      expect(multi.stats).toMatchObject({ connections: 1, idleConnections: 1 })
    })

    it('serves 60 at once, who prove themselves in several ways', async () => {
      using multi = new Multi({ maxHostConnections: 10 })
      const places = ['/file', '/basic/file', '/digest/file', '/cgi/large.sh']
      const wanted = Array.from({ length: 60 }, (_, index) => ({
        ...ALICE,
        httpAuth: 'any' as const,
        url: `${index % 3 === 0 ? apache.closing : apache.url}${places[index % places.length]}`,
      }))
      const outcomes = await runTransfers(driver, multi, wanted)
      expect(outcomes.map(({ code, transfer }) => `${code} ${transfer.info.status}`)).toEqual(
        wanted.map(() => 'OK 200'),
      )
      const large = sha256(Buffer.alloc(3_000_000))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(
        wanted.map((_, index) => (index % places.length === 3 ? large : file.sha256)),
      )
    })
  })
})

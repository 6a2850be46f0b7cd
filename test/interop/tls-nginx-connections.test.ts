import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { pause } from '../support/child-server.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, Recording, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'
import { startTlsNginx, type TlsNginx } from '../support/tls-nginx.ts'

const KB = 1024
const MB = 1024 * KB
const SIZES = [0, 1, 100, 16 * KB - 1, 16 * KB, 16 * KB + 1, 64 * KB, MB, 10 * MB]
const VERSIONS = ['tls12', 'tls13'] as const

function isResumed(outcome: Outcome): boolean {
  return outcome.head?.headers.get('x-tls')?.split(' ')[1] === 'r'
}

function connectsOf(outcomes: readonly Outcome[]): number[] {
  return outcomes.map((outcome) => outcome.transfer.info.connects)
}

/** Pieces of many sizes, some of them empty. */
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

describeWithPeer('nginx', (path) => {
  let nginx: TlsNginx
  let small: TestFile
  let large: TestFile
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [nginx.pid])
  beforeAll(async () => {
    nginx = await startTlsNginx(path)
    small = writeTestFile(nginx.root, 'small', 1000)
    large = writeTestFile(nginx.root, 'large', 3 * MB)
    trusted = { ca: nginx.certificates.authority.certificate, resolve: nginx.resolve }
  })
  afterAll(() => nginx.stop())

  describe.each(drivers)('bodies over TLS through $name', (driver) => {
    it.each(SIZES)('come down whole with %i bytes', async (size) => {
      using multi = new Multi()
      const file = writeTestFile(nginx.root, `file-${size}`, size)
      for (const version of VERSIONS) {
        const outcome = await runTransfer(driver, multi, { ...trusted, url: `${nginx.urls[version]}/file-${size}` })
        expect(outcome).toMatchObject({ code: 'OK', bytes: size, sha256: file.sha256 })
      }
    })

    it.each(SIZES)('go up whole with %i bytes', async (size) => {
      using multi = new Multi()
      const bytes = patternBytes(size, `upload ${size}`)
      for (const [index, version] of VERSIONS.entries()) {
        const url = `${nginx.urls[version]}/dav/upload-${size}-${index}`
        const source = index === 0 ? { body: bytes } : { body: pull(bytes) }
        const outcome = await runTransfer(driver, multi, { ...trusted, url, method: 'PUT', ...source })
        expect(outcome.code).toBe('OK')
        expect([201, 204]).toContain(outcome.transfer.info.status)
        expect(outcome.transfer.info.bytesSent).toBe(size)
        expect(sha256(readFileSync(`${nginx.uploads}/upload-${size}-${index}`))).toBe(sha256(bytes))
      }
    })

    it('are held back by a pause and go on with a resume', async () => {
      using multi = new Multi()
      let pauses = 0
      let steps = 0
      let told = 0
      let pausedAt = -1
      const recording = new Recording({
        ...trusted,
        url: `${nginx.urls.both}/large`,
        onData: (chunk) => {
          expect(pausedAt).toBe(-1)
          told += chunk.length
          if (pauses >= 8 || told <= pauses * 300_000) return
          pauses++
          pausedAt = told
          recording.transfer.pause('receive')
        },
      })
      multi.add(recording.transfer)
      await driver.drive(multi, {
        onStep: () => {
          if (pausedAt < 0 || ++steps % 5 !== 0) return
          expect(told).toBe(pausedAt)
          pausedAt = -1
          recording.transfer.resume('receive')
        },
      })
      recording.message = multi.infoRead() ?? null
      expect(recording.outcome()).toMatchObject({ code: 'OK', bytes: large.bytes, sha256: large.sha256 })
      expect(pauses).toBe(8)
    })

    it('of 64 transfers at once do not mix', async () => {
      using multi = new Multi({ maxHostConnections: 16 })
      const files = Array.from({ length: 64 }, (_, index) => writeTestFile(nginx.root, `mix-${index}`, index * 3001))
      const outcomes = await runTransfers(
        driver,
        multi,
        files.map(({ name }, index) => ({ ...trusted, url: `${nginx.urls[VERSIONS[index % 2] ?? 'both']}/${name}` })),
      )
      expect(outcomes.map(({ code }) => code)).toEqual(files.map(() => 'OK'))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(files.map((file) => file.sha256))
      expect(connectsOf(outcomes).reduce((sum, connects) => sum + connects, 0)).toBeLessThanOrEqual(32)
    })
  })

  describe.each(drivers)('TLS connections through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, ...options, url })

    it.each(VERSIONS)('are used again without another handshake (%s)', async (version) => {
      using multi = new Multi()
      const outcomes: Outcome[] = []
      for (let count = 0; count < 3; count++) outcomes.push(await get(multi, `${nginx.urls[version]}/small`))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(outcomes.map(() => small.sha256))
      expect(connectsOf(outcomes)).toEqual([1, 0, 0])
      expect(outcomes[0]?.transfer.info.appConnectTime).toBeGreaterThan(0)
      expect(outcomes[1]?.transfer.info.appConnectTime).toBe(0)
      const connections = outcomes.map((outcome) => outcome.head?.headers.get('x-connection')?.split(' '))
      expect(new Set(connections.map((connection) => connection?.[0])).size).toBe(1)
      expect(connections.map((connection) => connection?.[1])).toEqual(['1', '2', '3'])
    })

    it.each(VERSIONS)('begin from the session of an earlier one (%s)', async (version) => {
      using multi = new Multi()
      const url = `${nginx.urls[version]}/small`
      const outcomes = [
        await get(multi, url, { forbidReuse: true }),
        await get(multi, url, { forbidReuse: true }),
        await get(multi, url, { freshConnect: true }),
      ]
      expect(connectsOf(outcomes)).toEqual([1, 1, 1])
      expect(outcomes.map(isResumed)).toEqual([false, true, true])
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(outcomes.map(() => small.sha256))
    })

    it.each(VERSIONS)('begin anew without a cache of sessions (%s)', async (version) => {
      using multi = new Multi()
      const url = `${nginx.urls[version]}/small`
      const options = { forbidReuse: true, sessionCache: false }
      const outcomes = [await get(multi, url, options), await get(multi, url, options)]
      expect(outcomes.map(isResumed)).toEqual([false, false])
    })

    it('do not begin from the session of another origin or of other settings', async () => {
      using multi = new Multi()
      await get(multi, `${nginx.urls.both}/small`, { forbidReuse: true })
      const { certificate } = nginx.certificates.authority
      const others = [
        await get(multi, `https://127.0.0.1:${nginx.ports.both}/small`),
        await get(multi, `${nginx.urls.both}/small`, { ca: [certificate, certificate] }),
        await get(multi, `${nginx.urls.both}/small`, { verifyHost: false }),
      ]
      expect(others.map(isResumed)).toEqual([false, false, false])
    })

    it('stay usable while tickets lie unread', async () => {
      using multi = new Multi()
      const first = await get(multi, `${nginx.urls.tls13}/empty`)
      await pause(50)
      const second = await get(multi, `${nginx.urls.tls13}/small`)
      expect(connectsOf([first, second])).toEqual([1, 0])
      expect(second.transfer.info.retries).toBe(0)
    })

    it.each([true, false])('that the server closed are not used again (watched: %s)', async (watchIdleConnections) => {
      using multi = new Multi({ watchIdleConnections })
      const first = await get(multi, `${nginx.urls.impatient}/small`)
      expect(multi.stats.idleConnections).toBe(1)
      await pause(300)
      const second = await get(multi, `${nginx.urls.impatient}/small`)
      expect(second).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(connectsOf([first, second])).toEqual([1, 1])
      expect(second.transfer.info.retries).toBe(0)
    })

    it('are closed as soon as an idle one is closed by the server', async () => {
      using multi = new Multi()
      await get(multi, `${nginx.urls.impatient}/small`)
      const keeper = new Recording({ ...trusted, url: `${nginx.urls.both}/slow/large` })
      multi.add(keeper.transfer)
      await driver.drive(multi, { until: () => multi.stats.idleConnections === 0 })
      multi.remove(keeper.transfer)
      expect(multi.stats.connections).toBe(0)
    })

    it('are not kept when the server says that it closes', async () => {
      using multi = new Multi()
      const outcomes = [
        await get(multi, `${nginx.urls.both}/closes`),
        await get(multi, `${nginx.urls.both}/closes`, { headers: { Connection: 'close' } }),
      ]
      expect(outcomes.map((outcome) => outcome.text)).toEqual(['closed', 'closed'])
      expect(connectsOf(outcomes)).toEqual([1, 1])
      expect(multi.stats.connections).toBe(0)
    })

    it('are released when a transfer is removed within its body', async () => {
      using multi = new Multi()
      const recording = new Recording({ ...trusted, url: `${nginx.urls.both}/slow/large` })
      multi.add(recording.transfer)
      await driver.drive(multi, { until: () => recording.bytes > 50_000 })
      multi.remove(recording.transfer)
      expect(multi.stats.connections).toBe(0)
    })

    it('of one server break when it is killed, and a body is not taken for whole', async () => {
      const mortal = await startTlsNginx(path)
      try {
        const ca = mortal.certificates.authority.certificate
        const file = writeTestFile(mortal.root, 'large', 3 * MB)
        using multi = new Multi()
        const idle = await runTransfer(driver, multi, { url: `${mortal.urls.tls12}/large`, ca })
        expect(idle.sha256).toBe(file.sha256)
        const recording = new Recording({ url: `${mortal.urls.both}/slow/large`, ca })
        multi.add(recording.transfer)
        await driver.drive(multi, { until: () => recording.bytes > 20_000 })
        mortal.kill()
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        expect(['RECV_ERROR', 'PARTIAL_FILE']).toContain(recording.outcome().code)
        expect(recording.bytes).toBeLessThan(file.bytes)
        const refused = await runTransfer(driver, multi, { url: `${mortal.urls.tls12}/large`, ca })
        expect(refused.code).toBe('COULDNT_CONNECT')
        expect(multi.stats.connections).toBe(0)
      } finally {
        await mortal.stop()
      }
    })
  })

  describe.each(drivers)('who asks, over TLS through $name', (driver) => {
    const get = (multi: Multi, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, ...options, url })
    const sent = (outcome: Outcome): string | undefined => outcome.head?.headers.get('x-credentials')
    const credentials = { username: 'alice', password: 'wonder land' }
    const basic = `Basic ${Buffer.from('alice:wonder land').toString('base64')}`

    it('is told by name and password, good or bad', async () => {
      using multi = new Multi()
      const url = `${nginx.urls.both}/secret/small`
      const good = await get(multi, url, credentials)
      expect(good).toMatchObject({ code: 'OK', sha256: small.sha256 })
      expect(good.transfer.info).toMatchObject({ status: 200, authUsed: 'basic' })
      const bad = await get(multi, url, { ...credentials, password: 'looking glass' })
      expect(bad.transfer.info.status).toBe(401)
      const none = await get(multi, url)
      expect(none.transfer.info.status).toBe(401)
      const chosen = await get(multi, url, { ...credentials, httpAuth: 'any' })
      expect(chosen.transfer.info.status).toBe(200)
      const inUrl = await get(multi, url.replace('//', '//alice:wonder%20land@'))
      expect(inUrl.transfer.info.status).toBe(200)
    })

    it.each([
      ['plain', '/to-tls/', 'both'],
      ['both', '/to-plain/', 'plain'],
      ['both', '/to-tls/', 'both'],
    ] as const)('is told to the same origin only: from %s by %s to %s', async (from, place, to) => {
      using multi = new Multi()
      const outcome = await get(multi, `${nginx.urls[from]}${place}`, {
        ...credentials,
        cookie: 'secret=1',
        followRedirects: true,
      })
      expect(outcome).toMatchObject({ code: 'OK', text: 'here' })
      expect(outcome.transfer.info).toMatchObject({ redirectCount: 1, effectiveUrl: `${nginx.urls[to]}/where` })
      const isSame = nginx.urls[from] === nginx.urls[to]
      expect(sent(outcome)).toBe(isSame ? `[${basic}] [] [secret=1]` : '[] [] []')
    })

    it('is told to every origin when that is wanted', async () => {
      using multi = new Multi()
      const outcome = await get(multi, `${nginx.urls.plain}/to-tls/`, {
        ...credentials,
        headers: { Cookie: 'given=1' },
        followRedirects: true,
        unrestrictedAuth: true,
      })
      expect(sent(outcome)).toBe(`[${basic}] [] [given=1]`)
    })

    it('does not give away own fields on the way from https to http', async () => {
      using multi = new Multi()
      const outcome = await get(multi, `${nginx.urls.both}/to-plain/`, {
        headers: { Authorization: 'Token abc', Cookie: 'given=1' },
        followRedirects: true,
      })
      expect(sent(outcome)).toBe('[] [] []')
    })

    it('is not led where redirects may not lead', async () => {
      using multi = new Multi()
      const outcome = await get(multi, `${nginx.urls.both}/to-plain/`, {
        followRedirects: true,
        redirectProtocols: ['https'],
      })
      expect(outcome.code).toBe('UNSUPPORTED_PROTOCOL')
    })
  })
})

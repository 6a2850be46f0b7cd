import { spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type SystemError, Transfer, type TransferError, type TransferOptions } from '../../lib/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import { type ChildServer, makeDirectory, startModule } from '../support/child-server.ts'
import { type Driver, drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, runTransfer, runTransfers } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'

interface Ports {
  readonly namesPort: number
  readonly port: number
}

describeWithPeer('curl', (curl) => {
  const directory = makeDirectory('doh')
  const authority = makeCertificate({ commonName: 'authority', isAuthority: true })
  const own = makeCertificate({ commonName: 'names', names: ['localhost', '127.0.0.1'], issuer: authority })
  let server: ChildServer & { readonly ready: Ports }
  let dohUrl: string
  let trusted: Partial<TransferOptions>

  expectNothingLeft(() => [server.pid])
  beforeAll(async () => {
    writeFileSync(`${directory}/cert.pem`, own.certificate)
    writeFileSync(`${directory}/key.pem`, own.key)
    const files = [`${directory}/cert.pem`, `${directory}/key.pem`]
    server = await startModule<Ports>(new URL('./doh-server.mjs', import.meta.url), files)
    dohUrl = `https://127.0.0.1:${server.ready.namesPort}/dns-query`
    trusted = { dohUrl, dohTls: { ca: authority.certificate } }
  })
  afterAll(async () => {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  function urlOf(host: string): string {
    return `http://${host}:${server.ready.port}/`
  }

  function byCurl(host: string): Promise<number | null> {
    const args = ['-sS', '--max-time', '10', '--doh-insecure', '--doh-url', dohUrl, urlOf(host)]
    const child = spawn(curl, args, { stdio: 'ignore' })
    return new Promise((resolve) => child.once('exit', resolve))
  }

  /** Since the last time. */
  async function askedSoFar(driver: Driver, multi: Multi): Promise<string[]> {
    const { text } = await runTransfer(driver, multi, { url: `${urlOf('127.0.0.1')}asked` })
    return JSON.parse(text) as string[]
  }

  function causeOf(outcome: Outcome): SystemError {
    return outcome.message?.error?.cause as SystemError
  }

  describe.each(drivers)('names over TLS through $name', (driver) => {
    const get = (multi: Multi, host: string, options: Partial<TransferOptions> = {}): Promise<Outcome> =>
      runTransfer(driver, multi, { ...trusted, url: urlOf(host), ...options })

    it('are found, once for all who ask, and remembered', async () => {
      using multi = new Multi()
      await askedSoFar(driver, multi)
      const hosts = ['a.test', 'a.test', 'slow.test', 'slow.test', 'b.test']
      const outcomes = await runTransfers(
        driver,
        multi,
        hosts.map((host) => ({ ...trusted, url: urlOf(host) })),
      )
      for (const [index, { code, text }] of outcomes.entries()) {
        expect([code, text]).toEqual(['OK', `hello ${hosts[index]}:${server.ready.port}`])
      }
      await get(multi, 'a.test')
      const asked = await askedSoFar(driver, multi)
      const expected = ['a.test', 'b.test', 'slow.test'].flatMap((host) => [`${host} A`, `${host} AAAA`])
      expect(asked.toSorted()).toEqual(expected)
      expect(multi.stats.connections, 'those to the server are not among them').toBe(multi.stats.idleConnections)
    })

    it.each(['a.test', 'nx.test', 'servfail.test', 'bye.test'])('end as curl has them end: %s', async (host) => {
      using multi = new Multi()
      const outcome = await get(multi, host)
      expect(outcome.message?.code).toBe(await byCurl(host))
    })

    it('are not found, with the reason', async () => {
      using multi = new Multi()
      expect(causeOf(await get(multi, 'nx.test')).code).toBe('ENOTFOUND')
      expect(causeOf(await get(multi, 'servfail.test')).code).toBe('EAI_AGAIN')
      expect((causeOf(await get(multi, 'html.test')).cause as Error).message).toContain('text/html')
      expect((causeOf(await get(multi, 'bye.test')).cause as TransferError).code).toMatch(/GOT_NOTHING|RECV_ERROR/)
    })

    it('of one family are enough when the other keeps silent', async () => {
      using multi = new Multi()
      expect((await get(multi, 'half.test')).code).toBe('OK')
    })

    it('are not asked from a server that cannot be trusted, unless told so', async () => {
      using multi = new Multi()
      const untrusted = await get(multi, 'a.test', { dohTls: {} })
      expect(untrusted.code).toBe('COULDNT_RESOLVE_HOST')
      expect((causeOf(untrusted).cause as TransferError).code).toBe('PEER_FAILED_VERIFICATION')
      expect((await get(multi, 'a.test', { dohTls: { verifyPeer: false, verifyHost: false } })).code).toBe('OK')
    })

    it('can be left alone at any time', async () => {
      for (const wait of [0, 20, 100]) {
        using multi = new Multi()
        const outcome = await get(multi, 'half.test', { timeoutMs: 10 + wait })
        expect(outcome.message?.error?.message).toMatch(/^Resolving timed out/)
      }
    })
  })

  it('needs no readiness: perform and poll will do', () => {
    using multi = new Multi()
    multi.add(new Transfer({ ...trusted, url: urlOf('slow.test') }))
    const end = performance.now() + 10_000
    while (multi.perform() > 0 && performance.now() < end) multi.poll(50)
    expect(multi.infoRead()?.code).toBe(0)
  })

  it('asks for the name of the server from the system', async () => {
    const [driver] = drivers
    if (driver === undefined) throw new Error('no driver')
    using multi = new Multi()
    const local = dohUrl.replace('127.0.0.1', 'localhost')
    expect((await runTransfer(driver, multi, { ...trusted, dohUrl: local, url: urlOf('a.test') })).code).toBe('OK')
  })
})

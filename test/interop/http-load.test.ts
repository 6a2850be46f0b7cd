/** Our HTTP server under load: no request fails, and none while one server takes leave and another takes over. */
import { expect, it } from 'vitest'
import { HttpServer, type HttpServerOptions } from '../../lib/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import { HELLO, type HttpSite, runClient, withSite } from '../support/http-site.ts'
import { describeWithPeer } from '../support/peers.ts'

const CONNECTIONS = 20
const SECONDS = 2
/** Those over a connection each leave their ports behind for a while. */
const REQUESTS = { kept: 20_000, each: 5000 } as const
const RESTARTS = 5
const PAUSE_MS = 50

interface Load {
  readonly requests: number
  /** Anything that is no whole answer with 2xx, as the program counts it. */
  readonly failures: number
  readonly output: string
}

async function wrk(path: string, url: string): Promise<Load> {
  const { stdout: output } = await runClient(path, ['-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, url])
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? []
  const statuses = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0)
  const failures = errors.reduce((sum, text) => sum + Number(text), statuses)
  return { requests: Number(/(\d+) requests in/.exec(output)?.[1]), failures, output }
}

async function ab(path: string, url: string, way: 'kept' | 'each'): Promise<Load> {
  const size = ['-n', String(REQUESTS[way]), '-c', String(CONNECTIONS), ...(way === 'kept' ? ['-k'] : [])]
  const { stdout, stderr, status } = await runClient(path, ['-q', '-S', '-r', ...size, url])
  const count = (name: string): number => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(stdout)?.[1] ?? 0)
  const failures = count('Failed requests') + count('Non-2xx responses') + count('Write errors') + (status ?? 1)
  return { requests: count('Complete requests'), failures, output: stdout + stderr }
}

async function siege(path: string, url: string): Promise<Load> {
  const size = ['-c', String(CONNECTIONS), '-t', `${SECONDS}S`]
  const { stdout: output } = await runClient(path, ['-b', '-q', '--no-follow', '-j', ...size, url])
  const { transactions, failed_transactions } = JSON.parse(output.slice(output.indexOf('{')))
  return { requests: transactions, failures: failed_transactions, output }
}

function expectWell(load: Load, site: HttpSite): void {
  expect(load.failures, load.output).toBe(0)
  expect(load.requests).toBeGreaterThan(500)
  expect(site.errors).toEqual([])
  const { ended } = site.server.stats()
  expect([ended.timeout, ended.aborted]).toEqual([0, 0])
  // At its end wrk leaves in the middle of answers, and first it looks whether somebody is there.
  expect(ended.error).toBeLessThanOrEqual(CONNECTIONS + 1)
}

/** While the load runs, so often: what a deployment does. */
async function during(load: Promise<Load>, act: () => Promise<unknown>): Promise<Load> {
  let isRunning = true
  const ended = load.finally(() => {
    isRunning = false
  })
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  expect(isRunning).toBe(true)
  for (let i = 0; i < RESTARTS && isRunning; i++) {
    await act()
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  return ended
}

/** Each server drains while the next one accepts from its socket. */
class Relay {
  readonly #site: HttpSite
  readonly #options: HttpServerOptions
  #current: HttpServer
  readonly drains: Promise<{ complete: boolean; cut: number }>[] = []

  constructor(site: HttpSite) {
    this.#site = site
    this.#current = site.server
    this.#options = {
      handler: () => ({ headers: { 'content-type': 'text/plain' }, body: HELLO }),
      onError: (error) => site.errors.push(String(error)),
    }
  }

  async handOver(): Promise<void> {
    const listen = this.#current.quiesce().map((fd) => ({ fd }))
    const next = new HttpServer(this.#site.multi, { ...this.#options, listen })
    next.start()
    this.drains.push(this.#current.drain({ deadlineMs: 10_000 }))
    this.#current = next
  }

  async close(): Promise<void> {
    for (const { complete, cut } of await Promise.all(this.drains)) {
      expect({ complete, cut }).toEqual({ complete: true, cut: 0 })
    }
    await this.#current.stop()
  }
}

const restart = (site: HttpSite) => () => site.server.restart({ keepListener: true, graceMs: 10_000 })

describeWithPeer('wrk', (path) => {
  it.each(['/hello', '/chunked', '/file.bin'])('gets %s without a failure', async (target) => {
    await withSite({}, async (site) => {
      const load = await wrk(path, site.url + target)
      expect(load.failures, load.output).toBe(0)
      expect(load.requests).toBeGreaterThan(100)
      expect(site.errors).toEqual([])
    })
  })

  it('gets answers over TLS without a failure', async () => {
    const { certificate, key } = makeCertificate({ commonName: 'localhost' })
    await withSite({ tls: { certificate, certificateKey: key } }, async (site) => {
      expectWell(await wrk(path, `https://127.0.0.1:${site.port}/hello`), site)
    })
  })

  it('loses nothing when the server restarts again and again', async () => {
    await withSite({}, async (site) => {
      const load = await during(wrk(path, `${site.url}/hello`), restart(site))
      expectWell(load, site)
      expect(site.server.state).toBe('listening')
    })
  })

  it('loses nothing when one server takes over from another', async () => {
    await withSite({}, async (site) => {
      const relay = new Relay(site)
      const load = await during(wrk(path, `${site.url}/hello`), () => relay.handOver())
      await relay.close()
      expectWell(load, site)
    })
  })
})

describeWithPeer('ab', (path) => {
  const ways = ['kept', 'each'] as const

  it.each(ways)('gets answers without a failure, connections: %s', async (way) => {
    await withSite({}, async (site) => {
      const load = await ab(path, `${site.url}/hello`, way)
      expectWell(load, site)
      expect(load.requests).toBe(REQUESTS[way])
      // It opens a few at its end that it has no use for.
      const { accepted } = site.server.stats()
      if (way === 'kept') expect(accepted).toBeLessThanOrEqual(2 * CONNECTIONS)
      else expect(accepted).toBeGreaterThanOrEqual(REQUESTS.each)
    })
  })

  it.each(ways)('loses nothing when the server restarts again and again, connections: %s', async (way) => {
    await withSite({}, async (site) => {
      const load = await during(ab(path, `${site.url}/hello`, way), restart(site))
      expectWell(load, site)
      expect(load.requests).toBe(REQUESTS[way])
    })
  })

  it.each(ways)('loses nothing when one server takes over from another, connections: %s', async (way) => {
    await withSite({}, async (site) => {
      const relay = new Relay(site)
      const load = await during(ab(path, `${site.url}/hello`, way), () => relay.handOver())
      await relay.close()
      expectWell(load, site)
      expect(load.requests).toBe(REQUESTS[way])
    })
  })
})

describeWithPeer('siege', (path) => {
  it('gets answers without a failure', async () => {
    await withSite({}, async (site) => {
      expectWell(await siege(path, `${site.url}/hello`), site)
    })
  })
})

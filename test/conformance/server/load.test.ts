/** Control under load, with Node's client: nobody may notice a restart, and a drain fails no request. */
import { Agent, get } from 'node:http'
import { afterEach, expect, it } from 'vitest'
import { attachToNodeLoop, HttpServer, type HttpServerOptions, Multi } from '../../../lib/index.ts'
import { ownedCount } from '../../../lib/sys/native.ts'

const CLIENTS = 16
const ownedBefore = ownedCount()

afterEach(() => expect(ownedCount(), 'descriptors left open').toBe(ownedBefore))

interface Load {
  readonly answered: number
  /** By client. */
  readonly answers: readonly number[]
  readonly failures: string[]
  end(): Promise<void>
}

/** Each client asks again as soon as it is answered, on a connection that it keeps. */
function load(port: number): Load {
  const failures: string[] = []
  let answered = 0
  let isEnding = false
  const fetch = (agent: Agent): Promise<boolean> =>
    new Promise((resolve) => {
      const request = get({ host: '127.0.0.1', port, agent }, (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('close', () => {
          const isWhole = response.complete && body === 'hello'
          if (isWhole) answered++
          else failures.push(`half an answer: ${body}`)
          resolve(isWhole)
        })
      })
      request.on('error', (error) => {
        failures.push(error.message)
        resolve(false)
      })
    })
  const agents = Array.from({ length: CLIENTS }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  const answers = agents.map(() => 0)
  const clients = agents.map(async (agent, index) => {
    while (!isEnding) if (await fetch(agent)) answers[index] = (answers[index] as number) + 1
    agent.destroy()
  })
  return {
    get answered() {
      return answered
    },
    answers,
    failures,
    end: async () => {
      isEnding = true
      await Promise.all(clients)
    },
  }
}

async function underLoad(
  options: Partial<HttpServerOptions>,
  run: (server: HttpServer, load: Load) => Promise<void>,
): Promise<void> {
  const multi = new Multi()
  const loop = attachToNodeLoop(multi)
  const server = new HttpServer(multi, {
    listen: { host: '127.0.0.1', port: 0 },
    handler: () => ({ body: 'hello' }),
    ...options,
  } as HttpServerOptions)
  server.start()
  const clients = load(server.listeners[0]?.address.port ?? 0)
  try {
    await until(() => clients.answered > 100)
    await run(server, clients)
  } finally {
    const ended = clients.end()
    await until(() => server.state === 'stopped' || server.listening)
    await ended
    await server.stop()
    loop.detach()
    multi.close()
  }
}

async function until(isEnough: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 8000
  while (!isEnough()) {
    if (performance.now() > giveUpAt) throw new Error('not so after 8 s')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

it('a restart under load fails no request', async () => {
  await underLoad({}, async (server, clients) => {
    for (let round = 0; round < 5; round++) {
      const before = clients.answered
      const report = await server.restart({ graceMs: 5000 })
      expect(report.cut).toBe(0)
      await until(() => clients.answered > before + 100)
    }
    expect(clients.failures).toEqual([])
  })
})

it('a suspension under load fails no request', async () => {
  await underLoad({}, async (server, clients) => {
    for (let round = 0; round < 5; round++) {
      server.suspend({ forMs: 20 })
      await until(() => server.listening)
    }
    expect(clients.failures).toEqual([])
  })
})

it('at its limit of connections nobody starves when idle ones make room', async () => {
  await underLoad({ limits: { connections: 5 }, evictIdle: true }, async (server, clients) => {
    await until(() => clients.answers.every((count) => count > 0))
    expect(server.stats().ended.policy).toBeGreaterThan(0)
    expect(server.stats().connections).toBeLessThanOrEqual(5)
  })
})

it('a stop under load ends every connection with its reason', async () => {
  const reasons = new Set<string>()
  await underLoad({ onDisconnect: (_, reason) => void reasons.add(reason) }, async (server) => {
    const report = await server.stop()
    expect(report.cut).toBe(CLIENTS)
    expect(server.stats()).toMatchObject({ connections: 0, ended: { shutdown: CLIENTS } })
  })
  expect([...reasons]).toEqual(['shutdown'])
})

import { expect, it } from 'vitest'
import { ManagedServer, ServerGroup } from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { Client, moduleFile, openSockets, until } from './support.ts'

/** More of them under the sanitizers: SOCKMUX_ROUNDS=1000 npm run test:asan -- test/threads/teardown.test.ts */
const ROUNDS = Number(process.env['SOCKMUX_ROUNDS'] ?? 50)
const ROUND_MS_MAX = 5000

const PATHS = ['/', '/slow20', '/slow5000', '/busy30'] as const

/** Requests that are answered, waited for and half sent, and connections that say nothing. */
async function fill(port: number): Promise<Client[]> {
  const clients = await Promise.all(Array.from({ length: 6 }, () => Client.open(port)))
  for (const [index, client] of clients.entries()) {
    const path = PATHS[index]
    if (path !== undefined) client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    else if (index === PATHS.length) client.send('GET / HT')
  }
  return clients
}

it(
  'ends a thread with everything in flight and leaves nothing, however often',
  async () => {
    const before = openSockets().length
    for (let round = 0; round < ROUNDS; round++) {
      const server = await ManagedServer.start({
        module: moduleFile('group.mjs'),
        listen: { host: '127.0.0.1', port: 0 },
      })
      const clients = await fill(server.addresses[0]?.port ?? 0)
      if (round % 2 === 0) await clients[0]?.received('200')
      if (round % 3 === 0) await server.stop({ reset: round % 2 === 0 })
      else await server.terminate()
      for (const client of clients) expect(await client.ended()).not.toBe('')
      await until(() => openSockets().length <= before)
      expect(ownedCount()).toBe(0)
    }
  },
  ROUNDS * ROUND_MS_MAX,
)

it(
  'ends a group while connections are handed over and threads crash, and leaves nothing',
  async () => {
    const before = openSockets().length
    for (let round = 0; round < ROUNDS / 5; round++) {
      const group = await ServerGroup.start({
        module: moduleFile('group.mjs'),
        listen: { host: '127.0.0.1', port: 0 },
        share: round % 2 === 0 ? 'handoff' : 'reuseport',
        workers: 2,
        onWorker: () => {},
      })
      const clients = await fill(group.addresses[0]?.port ?? 0)
      const crashing = clients[5]?.send('GET /crash HTTP/1.1\r\nHost: x\r\n\r\n')
      if (round % 3 === 0) await crashing?.ended()
      if (round % 3 === 1) void group.terminate(round % 2)
      await group.stop()
      for (const client of clients) expect(await client.ended()).not.toBe('')
      await until(() => openSockets().length <= before)
      expect(ownedCount()).toBe(0)
    }
  },
  ROUNDS * ROUND_MS_MAX,
)

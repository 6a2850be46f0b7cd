import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { ServerGroup, ServerGroupOptions } from '../../lib/index.ts'
import { root } from '../support/source-tree.ts'
import { groupStage, portOf } from './group-stage.ts'
import { type Client, moduleFile, until } from './support.ts'

const stage = groupStage()
const env = { ...process.env, SOCKMUX_INDEX: pathToFileURL(join(root, 'dist/bundle/index.js')).href }

function startPool(options: Partial<ServerGroupOptions> = {}): Promise<ServerGroup> {
  return stage.start({
    module: moduleFile('blocking.mjs'),
    share: 'handoff',
    workers: { min: 1, max: 3, idleMs: 200 },
    connectionsPerWorker: 1,
    stuckMs: 0,
    worker: { env },
    ...options,
  })
}

async function say(client: Client, line: string, answer: string): Promise<string> {
  client.text = ''
  client.send(`${line}\n`)
  await client.received(answer)
  return client.text
}

describe('a thread per connection', () => {
  it('is started as connections come, up to the most, and ended when nobody needs it', async () => {
    const group = await startPool()
    expect(group.workers).toHaveLength(1)
    const clients: Client[] = []
    const threads = new Set<string>()
    for (let count = 0; count < 3; count++) {
      const client = await stage.client(portOf(group))
      clients.push(client)
      threads.add((await say(client, 'hello', 'hello')).split(' ')[0] ?? '')
    }
    expect([threads.size, group.workers.length]).toEqual([3, 3])
    // All are busy: the fourth one waits in the queue of the kernel.
    const fourth = await stage.client(portOf(group))
    fourth.send('hello\n')
    for (const client of clients) expect(await say(client, 'again', 'again')).toContain('again')
    expect([group.connections, fourth.text]).toEqual([3, ''])
    clients[1]?.send('bye\n')
    await fourth.received('hello')
    for (const client of [clients[0], clients[2], fourth]) client?.send('bye\n')
    await until(() => group.workers.length === 1)
    const again = await stage.client(portOf(group))
    expect(await say(again, 'once more', 'once more')).toContain('once more')
  })

  it('waits no longer than it is told, and writes more than the system takes at once', async () => {
    const group = await startPool()
    const client = await stage.client(portOf(group))
    expect(await say(client, 'impatient', 'TIMEOUT')).toBe('TIMEOUT\n')
    client.text = ''
    client.send('much\n')
    await until(() => client.text.length === 4 << 20)
    client.close()
    await until(() => group.connections === 0)
  })

  it('sees that it is to end while it computes, and may say a last word', async () => {
    const group = await startPool()
    const client = await stage.client(portOf(group))
    await say(client, 'compute', 'computing')
    const report = group.stop({ graceMs: 5000 })
    await client.received('closing')
    expect(await client.ended()).toBe('end')
    expect(await report).toMatchObject({ cut: 0 })
  })

  it('never keeps its group from stopping, whether it waits for bytes or hangs', async () => {
    const group = await startPool()
    const [waiting, hanging, reading] = [
      await stage.client(portOf(group)),
      await stage.client(portOf(group)),
      await stage.client(portOf(group)),
    ]
    await say(waiting, 'hello', 'hello')
    await say(hanging, 'hang', 'hanging')
    await say(reading, 'hello', 'hello')
    const queued = await stage.client(portOf(group))
    queued.send('hello\n')
    await group.stop()
    expect(group.state).toBe('stopped')
    for (const client of [waiting, hanging, reading, queued]) expect(await client.ended()).not.toBe('')
  })
})

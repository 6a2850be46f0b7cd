/** Groups under test: each is stopped at the end, and nothing of it may be left then. */
import { afterEach, beforeEach, expect } from 'vitest'
import { ServerGroup, type ServerGroupOptions, setPanicHandler, type WorkerChange } from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { Client, moduleFile, openSockets, until } from './support.ts'

export interface GroupStage {
  readonly changes: WorkerChange[]
  start(options?: Partial<ServerGroupOptions>): Promise<ServerGroup>
  client(port: number): Promise<Client>
}

export function groupStage(): GroupStage {
  const groups: ServerGroup[] = []
  const clients: Client[] = []
  const changes: WorkerChange[] = []
  let socketsBefore: string[] = []
  beforeEach(() => {
    socketsBefore = openSockets()
    changes.length = 0
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close()
    for (const group of groups.splice(0)) await group.stop()
    setPanicHandler(null)
    await until(() => openSockets().length <= socketsBefore.length)
    expect(ownedCount()).toBe(0)
  })
  return {
    changes,
    start: async (options = {}) => {
      const group = await ServerGroup.start({
        module: moduleFile('group.mjs'),
        listen: { host: '127.0.0.1', port: 0 },
        onWorker: (change) => changes.push(change),
        ...options,
      })
      groups.push(group)
      return group
    },
    client: async (port) => {
      const client = await Client.open(port)
      clients.push(client)
      return client
    },
  }
}

export function portOf(group: ServerGroup): number {
  return group.addresses[0]?.port ?? 0
}

/** One request on that connection; the text of the answer. */
export async function ask(client: Client, path = '/'): Promise<string> {
  client.text = ''
  client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await client.received('\r\n\r\n')
  const length = /content-length: (\d+)/i.exec(client.text)?.[1] ?? '0'
  await until(() => client.text.slice(client.text.indexOf('\r\n\r\n') + 4).length >= Number(length))
  return client.text.slice(client.text.indexOf('\r\n\r\n') + 4)
}

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ManagedServer, type ManagedServerOptions, type ServerState, setPanicHandler } from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { Client, moduleFile, openSockets, until } from './support.ts'

interface EchoData {
  greeting: string
  log: string[]
  turns: number
}

const servers: ManagedServer<EchoData>[] = []
const clients: Client[] = []
let socketsBefore: string[] = []

beforeEach(() => {
  socketsBefore = openSockets()
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const server of servers.splice(0)) await server.terminate()
  setPanicHandler(null)
  // Node closes the sockets of the test's own clients a turn later.
  await until(() => openSockets().length <= socketsBefore.length)
  expect(ownedCount()).toBe(0)
})

async function start(options: Partial<ManagedServerOptions<EchoData>> = {}): Promise<ManagedServer<EchoData>> {
  const server = await ManagedServer.start<EchoData>({
    module: moduleFile('echo.mjs'),
    listen: { host: '127.0.0.1', port: 0 },
    data: { greeting: '> ', log: [], turns: 0 },
    ...options,
  })
  servers.push(server)
  return server
}

const portOf = (server: ManagedServer<EchoData>): number => server.addresses[0]?.port ?? 0

async function open(server: ManagedServer<EchoData>): Promise<Client> {
  const client = await Client.open(portOf(server))
  clients.push(client)
  return client
}

const logOf = async (server: ManagedServer<EchoData>): Promise<string[]> => (await server.getData()).log

describe('a server in a thread of its own', () => {
  it('serves by the module, and tells it everything in order', async () => {
    const states: ServerState[] = []
    const server = await start({ onState: (state) => states.push(state) })
    expect(server.state).toBe('listening')
    expect([server.active, server.listening, server.locked]).toEqual([true, true, false])
    expect(server.threadId).toBeGreaterThan(0)
    const client = await open(server)
    await client.send('hello').received('> hello')
    client.socket.end()
    expect(await client.ended()).toBe('end')
    await until(async () => (await logOf(server)).includes('idle'))
    expect((await logOf(server)).filter((text) => text !== 'writable')).toEqual([
      'setup',
      'start',
      'accept',
      'connect',
      'disconnect done',
      'idle',
    ])
    const report = await server.stop()
    expect(report.cut).toBe(0)
    expect(server.state).toBe('stopped')
    expect(states).toEqual(['listening', 'draining', 'stopping', 'stopped'])
    await expect(Client.open(portOf(server))).rejects.toThrow()
    await expect(server.stats()).rejects.toMatchObject({ code: 'GONE' })
    await server.stop()
  })
})

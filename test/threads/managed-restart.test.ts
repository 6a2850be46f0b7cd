import { rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ManagedServer, type ManagedServerOptions, setPanicHandler } from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { Load } from './load.ts'
import { Client, moduleFile, openSockets, until } from './support.ts'

const LOCAL = { host: '127.0.0.1', port: 0 }
const PATH = join(tmpdir(), `sockmux-managed-${process.pid}`)

const servers: ManagedServer[] = []
const clients: Client[] = []
let socketsBefore: string[] = []

beforeEach(() => {
  socketsBefore = openSockets()
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const server of servers.splice(0)) await server.terminate()
  rmSync(PATH, { force: true })
  await until(() => openSockets().length <= socketsBefore.length)
  expect(ownedCount()).toBe(0)
})

async function start(options: Partial<ManagedServerOptions> = {}): Promise<ManagedServer> {
  const server = await ManagedServer.start({ module: moduleFile('hello.mjs'), listen: LOCAL, ...options })
  servers.push(server)
  return server
}

const portOf = (server: ManagedServer): number => server.addresses[0]?.port ?? 0

async function open(server: ManagedServer): Promise<Client> {
  const client = await Client.open(portOf(server))
  clients.push(client)
  return client
}

const GET = 'GET / HTTP/1.1\r\nHost: any\r\n\r\n'

describe('restart', () => {
  it('brings new code under load, again and again, and no request fails', async () => {
    const server = await start()
    const load = new Load({ port: portOf(server) }, 8)
    await load.answers(200)
    const threads = new Set([server.threadId])
    for (const name of ['hello-again.mjs', 'hello.mjs', 'hello-again.mjs']) {
      const report = await server.restart({ module: moduleFile(name), graceMs: 10_000 })
      expect(report.cut).toBe(0)
      threads.add(server.threadId)
      await load.answers(200)
    }
    const { requests, failed, errors, bodies } = await load.stop()
    expect({ failed, errors: [...errors] }).toEqual({ failed: 0, errors: [] })
    expect(requests).toBeGreaterThan(800)
    expect(threads.size).toBe(4)
    // Everybody was answered by one of the four threads.
    expect(new Set([...bodies.keys()].map((body) => Number(body.split(' ')[1])))).toEqual(threads)
    expect(server.listening).toBe(true)
  })

  it('waits for what is under way, and cuts it after the grace', async () => {
    const server = await start()
    const [patient, idle] = [await open(server), await open(server)]
    await idle.send(GET).received('first')
    patient.send('GET /slow HTTP/1.1\r\nHost: any\r\n\r\n')
    await until(async () => (await server.clients()).length === 2)
    const [report] = await Promise.all([server.restart(), patient.received('slow')])
    expect(report).toMatchObject({ finished: 2, cut: 0 })
    const stuck = await open(server)
    stuck.send('GET /slow HT')
    await until(async () => (await server.stats()).accepted === 1)
    expect(await server.restart({ graceMs: 20 })).toMatchObject({ cut: 1 })
    await stuck.ended()
  })

  it('goes on with the old code when the new one cannot begin', async () => {
    const server = await start()
    const { threadId } = server
    await expect(server.restart({ module: moduleFile('missing.mjs') })).rejects.toThrow(/missing/)
    expect([server.threadId, server.listening]).toEqual([threadId, true])
    const client = await open(server)
    await client.send(GET).received('first')
    await server.restart()
    const again = await open(server)
    await again.send(GET).received(`first ${server.threadId}`)
  })

  it('keeps data, limits and priority', async () => {
    const server = await start({ data: { a: 1 }, priority: 'low' })
    await server.setData({ a: 2 })
    await server.throttle({ connections: 7 })
    await server.restart()
    expect(await server.getData()).toEqual({ a: 2 })
    expect(await server.status()).toMatchObject({ limits: { connections: 7 }, priority: 'low' })
  })

  it('can listen anew, at the same port, also after a stop', async () => {
    const server = await start()
    const port = portOf(server)
    await server.restart({ keepListener: false, graceMs: 0 })
    expect([portOf(server), server.listening]).toEqual([port, true])
    await server.stop()
    await expect(open(server)).rejects.toThrow()
    await server.restart()
    const client = await open(server)
    await client.send(GET).received('first')
    await server.stop()
    const squatter = createServer().listen(port, '127.0.0.1')
    await new Promise((resolve) => squatter.once('listening', resolve))
    await expect(server.restart()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(server.state).toBe('stopped')
    await new Promise((resolve) => squatter.close(resolve))
  })
})

describe('verbs that meet', () => {
  it('restarts take turns, and a stop comes after them', async () => {
    const server = await start()
    const restarts = [server.restart(), server.restart({ module: moduleFile('hello-again.mjs') })]
    const stopped = server.stop()
    await Promise.all([...restarts, stopped])
    expect([server.state, server.active, server.threadId]).toEqual(['stopped', false, -1])
    await server.restart()
    const client = await open(server)
    await client.send(GET).received('second')
  })

  it('terminate ends what is being started as well', async () => {
    const server = await start()
    const restart = expect(server.restart()).rejects.toMatchObject({ code: 'GONE' })
    await until(() => server.threadId >= 0)
    await server.terminate()
    await restart
    expect([server.state, server.active]).toEqual(['stopped', false])
    await Promise.all([server.stop(), server.drain(), server.terminate()])
  })

  it('a stop shortens a drain, and both end', async () => {
    const server = await start()
    const client = await open(server)
    client.send('GET / HT')
    await until(async () => (await server.stats()).accepted === 1)
    const drained = server.drain()
    const stopped = server.stop()
    expect(await Promise.all([drained, stopped])).toMatchObject([{ cut: 1 }, { cut: 1 }])
    expect(server.state).toBe('stopped')
  })
})

describe('a server in a thread', () => {
  it('listens at a unix socket, whose file goes with it', async () => {
    const server = await start({ listen: { path: PATH, mode: 0o600 } })
    expect(statSync(PATH).mode & 0o777).toBe(0o600)
    const client = await Client.open({ path: PATH })
    clients.push(client)
    await client.send(GET).received('first')
    await server.restart()
    expect(statSync(PATH).isSocket()).toBe(true)
    await server.stop()
    expect(() => statSync(PATH)).toThrow()
  })

  it('listens at several places', async () => {
    const server = await start({ listen: [LOCAL, { path: PATH }, LOCAL] })
    expect(server.addresses.map(({ port }) => port > 0)).toEqual([true, false, true])
    for (const { port } of server.addresses) {
      const client = await Client.open(port > 0 ? { port, host: '127.0.0.1' } : { path: PATH })
      clients.push(client)
      await client.send(GET).received('first')
    }
  })

  it('tells of single connections to those who want to hear it', async () => {
    const told: string[] = []
    const server = await start({
      limits: { connections: 1 },
      overload: 'reject',
      onConnect: ({ id, peer }) => told.push(`connect ${id} ${peer?.address}`),
      onDisconnect: ({ id }, reason, error) => told.push(`disconnect ${id} ${reason} ${error}`),
      onDrop: ({ reason }) => told.push(`drop ${reason}`),
      onIdle: () => told.push('idle'),
    })
    const client = await open(server)
    await client.send(GET).received('first')
    const [info] = await server.clients()
    await (await open(server)).ended()
    client.close()
    await until(() => told.includes('idle'))
    const id = info?.id
    expect(told).toEqual([`connect ${id} 127.0.0.1`, 'drop connections', `disconnect ${id} peer null`, 'idle'])
  })

  it('ends although its module has left something running', async () => {
    const module = 'data:text/javascript,setInterval(() => {}, 1000); export const handler = () => ({ body: "x" })'
    const server = await start({ module })
    const client = await open(server)
    await client.send(GET).received('x')
    await server.stop()
    expect(server.active).toBe(false)
  })

  it('tells what it throws when there is nobody else to hear it', async () => {
    const panics: string[] = []
    setPanicHandler(({ operation, message }) => panics.push(`${operation}: ${message}`))
    const module =
      'data:text/javascript,export const start = () => { throw new Error("no") }; export const session = start'
    const server = await start({ module })
    await until(() => panics.length > 0)
    expect(panics).toEqual(['onStart: onStart: no'])
    expect(server.listening).toBe(true)
    setPanicHandler(null)
  })

  it('is disposed of', async () => {
    let used: ManagedServer
    {
      await using server = await start()
      used = server
    }
    expect(used.state).toBe('stopped')
  })
})

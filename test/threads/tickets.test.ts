import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  attachToNodeLoop,
  type Connection,
  kernel,
  Listener,
  type ListenOptions,
  ManagedServer,
  Multi,
  Server,
  type SocketAddress,
  type SocketTicket,
} from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { connectClient } from '../support/local-client.ts'
import { Client, moduleFile, openSockets, until } from './support.ts'

const PATH = join(tmpdir(), `sockmux-tickets-${process.pid}`)
const LOCAL = { host: '127.0.0.1', port: 0 }

const managed: ManagedServer<SocketTicket[]>[] = []
const workers: Worker[] = []
const clients: Client[] = []
let multi = new Multi()
let socketsBefore: string[] = []

beforeEach(() => {
  multi = new Multi()
  attachToNodeLoop(multi)
  socketsBefore = openSockets()
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const server of managed.splice(0)) await server.terminate()
  for (const worker of workers.splice(0)) await worker.terminate()
  multi.close()
  rmSync(PATH, { force: true })
  await until(() => openSockets().length <= socketsBefore.length)
})

async function start(name: string, listen?: ListenOptions): Promise<ManagedServer<SocketTicket[]>> {
  const options = { module: moduleFile(name), data: [] as SocketTicket[] }
  const server = await ManagedServer.start(listen === undefined ? options : { ...options, listen })
  managed.push(server)
  return server
}

function startTaker(): { worker: Worker; take(message: object): Promise<string> } {
  const worker = new Worker(moduleFile('taker.mjs'))
  workers.push(worker)
  const take = (message: object): Promise<string> => {
    worker.postMessage(message)
    return new Promise((resolve) => worker.once('message', resolve))
  }
  return { worker, take }
}

async function open(options: Parameters<typeof Client.open>[0]): Promise<Client> {
  const client = await Client.open(options)
  clients.push(client)
  return client
}

/** A server here whose connections are given away once their first bytes were read. */
function gate(listen: ListenOptions, tickets: SocketTicket[], unclaimedMs = 30_000): Server {
  const server = new Server(multi, {
    listen,
    strategy: {
      callback: (connection: Connection) => {
        const bytes = connection.readView()
        if (typeof bytes === 'number') return
        connection.unread(bytes)
        tickets.push(connection.detach({ unclaimedMs }))
      },
    },
  })
  server.start()
  return server
}

const addressOf = (server: Server): { host: string; port: number } => ({
  host: '127.0.0.1',
  port: server.listeners[0]?.address.port ?? 0,
})

describe('a ticket', () => {
  const families: [string, ListenOptions][] = [
    ['a TCP socket', LOCAL],
    ['a unix socket', { path: PATH }],
    ['an abstract socket', { path: `\0${PATH}` }],
  ]
  for (const [name, listen] of families) {
    it(`takes ${name} to another thread, with the bytes that were read, once`, async () => {
      const tickets: SocketTicket[] = []
      const server = gate(listen, tickets)
      const [one, other] = [startTaker(), startTaker()]
      const client = connectClient(null, server.listeners[0]?.address as SocketAddress)
      client.write('first')
      await until(() => tickets.length === 1)
      const ticket = tickets[0] as SocketTicket
      expect(server.stats()).toMatchObject({ connections: 0, ended: { 'handed-over': 1 } })
      const answers = await Promise.all([one.take({ ticket }), other.take({ ticket })])
      expect(answers.sort()).toEqual(['ESTALE', 'taken'])
      const received = (): string => (client.isOver ? 'over' : client.received)
      await until(() => received() === 'taken first')
      client.write('second')
      await until(() => received() === 'taken firsttaken second')
      expect(() => server.adopt(ticket)).toThrow(/ESTALE/)
      client.close()
      await server.stop()
    })
  }

  it('is worth nothing when the thread ends that gave it, and the client sees a close', async () => {
    const giver = await start('relay.mjs', LOCAL)
    const client = await open(giver.addresses[0]?.port ?? 0)
    client.send('first')
    await until(async () => (await giver.getData()).length === 1)
    const [ticket] = (await giver.getData()) as [SocketTicket]
    await giver.terminate()
    await client.ended()
    expect(await startTaker().take({ ticket })).toBe('ESTALE')
  })

  it('is closed with the thread that took it', async () => {
    const tickets: SocketTicket[] = []
    const server = gate(LOCAL, tickets)
    const client = await open(addressOf(server))
    client.send('first')
    await until(() => tickets.length === 1)
    const { worker, take } = startTaker()
    expect(await take({ ticket: tickets[0] })).toBe('taken')
    await client.received('taken first')
    await worker.terminate()
    await client.ended()
    await server.stop()
  })

  it('that is never claimed is closed after its time, and counted', async () => {
    const giver = await start('relay.mjs', LOCAL)
    const client = await open(giver.addresses[0]?.port ?? 0)
    await client.send('short').ended()
    expect((await giver.stats()).ticketsLost).toBe(1)
    const [ticket] = (await giver.getData()) as [SocketTicket]
    expect(await startTaker().take({ ticket })).toBe('ESTALE')
  })

  it('is adopted by a server in a thread, which closes what it cannot take', async () => {
    const tickets: SocketTicket[] = []
    const server = gate(LOCAL, tickets)
    const target = await start('relay.mjs')
    const client = await open(addressOf(server))
    client.send('first')
    await until(() => tickets.length === 1)
    expect(await target.adopt(tickets[0] as SocketTicket)).toBeGreaterThan(0)
    // It gives it away itself.
    await until(async () => (await target.getData()).length === 1)
    const [again] = (await target.getData()) as [SocketTicket]
    expect(Buffer.from(again.head ?? []).toString()).toBe('first')
    await target.throttle({ connections: 0 })
    await expect(target.adopt(again)).rejects.toMatchObject({ code: 'REFUSED' })
    await client.ended()
    const pair = new Int32Array(2)
    expect(kernel.socketPair(pair)).toBe(0)
    const ends = [pair[1] as number]
    const owned = ownedCount()
    await expect(target.adopt(pair[0] as number)).rejects.toThrow(/connections/)
    await target.stop()
    expect(kernel.socketPair(pair)).toBe(0)
    await expect(target.adopt(pair[0] as number)).rejects.toMatchObject({ code: 'GONE' })
    expect(kernel.generation(pair[0] as number)).toBeLessThan(0)
    ends.push(pair[1] as number)
    expect(ownedCount()).toBe(owned)
    for (const fd of ends) kernel.close(fd)
    await server.stop()
  })

  it('is given 20,000 times, and no descriptor is left', async () => {
    const tickets: SocketTicket[] = []
    const server = gate(LOCAL, tickets)
    const target = await start('relay.mjs')
    const client = await open(addressOf(server))
    client.send('x')
    await until(() => tickets.length === 1)
    let here = server.adopt(tickets[0] as SocketTicket)
    const before = openSockets().length
    for (let round = 0; round < 19_000; round++) here = server.adopt(here.detach())
    let ticket = here.detach()
    for (let round = 0; round < 500; round++) {
      await target.adopt(ticket)
      await until(async () => {
        const given = await target.getData()
        if (given.length === 0) return false
        await target.setData([])
        ticket = given[0] as SocketTicket
        return true
      })
      here = server.adopt(ticket)
      ticket = here.detach()
    }
    expect(openSockets().length).toBe(before)
    server.adopt(ticket)
    await server.stop()
    await client.ended()
  })
})

describe('a listening socket', () => {
  it('goes to another thread with its queue, once', async () => {
    const listener = new Listener(multi, LOCAL)
    const { address } = listener
    const early = await open(address.port)
    const handle = listener.release()
    const offered = { ...handle, generation: kernel.offer(handle.fd) }
    const { worker, take } = startTaker()
    expect(await take({ handle: offered })).toBe('taken')
    expect(await take({ handle: offered })).toBe('ESTALE')
    await early.send('early').received('taken early')
    const late = await open(address.port)
    await late.send('late').received('taken late')
    await worker.terminate()
    await Promise.all([early.ended(), late.ended()])
    await expect(Client.open(address.port)).rejects.toThrow()
  })
})

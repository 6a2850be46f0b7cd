import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type ListenHandle,
  ManagedServer,
  type ManagedServerOptions,
  type RemoteErrorContext,
  type ServerState,
  setPanicHandler,
} from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { makeCertificate } from '../support/certificates.ts'
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

describe('the module', () => {
  it('may be sessions, and export options that cannot be cloned', async () => {
    const server = await start({ module: moduleFile('session.mjs') })
    const foreign = await Client.open({ host: '127.0.0.1', port: portOf(server), localAddress: '127.0.0.2' })
    clients.push(foreign)
    await foreign.ended()
    const [first, second] = [await open(server), await open(server)]
    await first.send('hello').received('0 hello')
    second.send('too')
    await first.send('leave').ended()
    await second.received('1 too')
    await second.ended()
    // The session heard of it as well.
    await until(async () => (await logOf(server)).length === 2)
    expect(await logOf(server)).toEqual(['timeout', expect.stringMatching(/^session .*ETIMEDOUT/)])
    expect((await server.stats()).dropped).toMatchObject({ policy: 1 })
  })

  it('speaks TLS with certificates that the owner has', async () => {
    const { certificate, key } = makeCertificate({ commonName: 'threads', names: ['localhost'] })
    const server = await start({ tls: { certificate, certificateKey: key } })
    const answer = async (ca: string): Promise<string> => {
      const socket = connectTls({ port: portOf(server), host: '127.0.0.1', servername: 'localhost', ca })
      socket.write('secret')
      const text = await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
      socket.destroy()
      return String(text)
    }
    expect(await answer(certificate)).toBe('> secret')
    const next = makeCertificate({ commonName: 'next', names: ['localhost'] })
    await expect(server.reloadTls({ certificate: 'nonsense', certificateKey: 'nonsense' })).rejects.toThrow(/tls/)
    await server.reloadTls({ certificate: next.certificate, certificateKey: next.key })
    expect(await answer(next.certificate)).toBe('> secret')
    await server.restart()
    expect(await answer(next.certificate)).toBe('> secret')
    await expect(start({ tls: { certificate: 'nonsense', certificateKey: 'nonsense' } })).rejects.toThrow(/tls/)
    await expect(start({ tls: { sni: () => null } as object })).rejects.toThrow(/cannot go to another thread/)
  })

  it('must not be two things at once', async () => {
    const http = 'export const handler = () => ({});'
    for (const [other, pattern] of [
      ['export const readable = () => {}', /readable.*HTTP/],
      ['export const start = 3', /start.*function/],
    ] as const) {
      await expect(start({ module: `data:text/javascript,${http}${other}` })).rejects.toThrow(pattern)
    }
    const two = 'data:text/javascript,export const session = () => {}; export const writable = () => {}'
    await expect(start({ module: two })).rejects.toThrow(/session/)
  })
})

describe('its verbs', () => {
  it('find, rename-proof, and steer its clients', async () => {
    const server = await start()
    const [first, second] = [await open(server), await open(server)]
    await first.send('name Ada').received('> name Ada')
    await second.send('hi').received('> hi')
    const clients = await server.clients()
    expect(clients).toHaveLength(2)
    const ada = await server.find('ADA')
    expect(ada).toMatchObject({ name: 'Ada', bytesRead: 8, local: { port: portOf(server) } })
    expect(await server.find(ada?.id ?? 0)).toMatchObject({ name: 'Ada' })
    expect(await server.find('nobody')).toBeNull()
    expect(await server.setClientPriority('ada', 'high')).toBe('normal')
    expect(await server.find('ada')).toMatchObject({ priority: 'high' })
    expect(await server.setClientPriority('nobody', 'high')).toBeNull()
    await expect(server.setClientPriority('ada', 'urgent' as 'high')).rejects.toThrow(/priority.*"urgent"/)
    expect(await server.broadcast('to all')).toBe(2)
    await Promise.all([first.received('to all'), second.received('to all')])
    expect(await server.broadcast('but Ada', { except: ada?.id ?? 0 })).toBe(1)
    expect(await server.disconnect('ada')).toBe(true)
    expect(await server.disconnect('ada')).toBe(false)
    await first.ended()
    expect(first.text).not.toContain('but Ada')
    expect(await logOf(server)).toEqual(expect.arrayContaining(['cancel shutdown', 'disconnect shutdown']))
    expect(await server.stats()).toMatchObject({ connections: 1, accepted: 2, ended: { shutdown: 1 }, ticketsLost: 0 })
  })

  it('suspend and resume, throttle and set priorities', async () => {
    const server = await start()
    await server.suspend({ pending: 'reject' })
    expect([server.state, server.listening]).toEqual(['suspended', false])
    const refused = await open(server)
    await refused.ended()
    await server.resume()
    await until(() => server.listening)
    const previous = await server.throttle({ connections: 1, perPrefix: Number.POSITIVE_INFINITY })
    expect(previous.connections).toBeGreaterThan(1)
    expect((await server.status()).limits).toMatchObject({ connections: 1, perPrefix: Number.POSITIVE_INFINITY })
    const report = await server.setPriority('background')
    expect(report).toMatchObject({ previous: 'normal', applied: true, code: null })
    expect([server.priority, (await server.status()).priority]).toEqual(['background', 'background'])
    await open(server)
    await until(async () => (await server.clients())[0]?.priority === 'background')
    await expect(server.throttle({ connections: -1 })).rejects.toThrow(/connections.*-1/)
    await expect(server.suspend({ pending: 'later' as 'queue' })).rejects.toThrow(RangeError)
  })

  it('get and set its data, as copies', async () => {
    const server = await start()
    await server.setData({ greeting: '* ', log: ['mine'], turns: 3 })
    const client = await open(server)
    await client.send('x').received('* x')
    expect(await server.getData()).toMatchObject({ greeting: '* ', turns: 3 })
    await expect(server.setData((() => {}) as unknown as EchoData)).rejects.toThrow(/setData cannot go/)
    await expect(server.broadcast(3 as unknown as string)).rejects.toThrow(TypeError)
    await expect(server.find({} as string)).rejects.toThrow(/find/)
    await expect(server.stop({ grace: 1 } as object)).rejects.toThrow(/grace/)
    await expect(server.restart({ module: 3 as unknown as string })).rejects.toThrow(/module/)
    expect(server.listening).toBe(true)
  })

  it('let nothing happen while a section runs, and go on when it takes too long', async () => {
    const server = await start()
    const client = await open(server)
    await client.send('one').received('> one')
    const before = (await server.stats()).bytesRead
    await server.exclusive(async () => {
      expect(server.locked).toBe(true)
      expect((await server.status()).locked).toBe(true)
      client.send('two')
      await open(server)
      for (let turn = 0; turn < 20; turn++) expect((await server.clients())[0]?.bytesRead).toBe(3)
      await expect(server.exclusive(() => 0, { timeoutMs: 10 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    })
    expect(server.locked).toBe(false)
    expect(before).toBe(0)
    await client.received('> two')
    const late = server.exclusive(() => client.send('three').received('> three'), { holdMs: 30 })
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT', message: expect.stringContaining('30 ms') })
    await expect(server.exclusive(() => Promise.reject(new Error('ours')))).rejects.toThrow('ours')
    await client.send('four').received('> four')
    expect(await server.exclusive(() => 7)).toBe(7)
  })

  it('hand out the listening sockets, and drain', async () => {
    const server = await start()
    const client = await open(server)
    await client.send('one').received('> one')
    const handles = await server.quiesce()
    expect(handles).toHaveLength(1)
    expect(await server.quiesce()).toEqual([])
    expect(server.state).toBe('draining')
    const late = await open(server)
    await client.send('two').received('two')
    const drained = server.drain({ deadlineMs: 50 })
    expect(await drained).toMatchObject({ cut: 1, complete: false })
    await client.ended()
    const next = await start({ listen: { fd: handles[0] as ListenHandle } })
    await late.send('from the queue').received('> from the queue')
    expect(portOf(next)).toBe(handles[0]?.address.port)
  })
})

describe('when something goes wrong', () => {
  it('an error in a callback ends that connection, and is told with its stack', async () => {
    const errors: [Error, RemoteErrorContext][] = []
    const server = await start({ onError: (error, context) => errors.push([error, context]) })
    const [client, other] = [await open(server), await open(server)]
    await client.send('throw').ended()
    await until(() => errors.length > 0)
    expect(errors[0]?.[0]).toBeInstanceOf(RangeError)
    expect(errors[0]?.[0].stack).toContain('echo.mjs')
    expect(errors[0]?.[1]).toMatchObject({ operation: 'callback', connectionId: expect.any(Number), isHandled: false })
    await other.send('still here').received('> still here')
    expect(server.fault).toBeNull()
  })

  it('an uncaught error leaves it faulted, with the stack, and it can be restarted on the same port', async () => {
    const faults: Error[] = []
    const server = await start({ onFault: (fault) => faults.push(fault) })
    const port = portOf(server)
    const client = await open(server)
    client.send('crash')
    await client.ended()
    await until(() => server.state === 'faulted')
    expect(faults).toEqual([server.fault])
    expect(server.fault).toMatchObject({ message: 'the module is broken', stack: expect.stringContaining('echo.mjs') })
    expect([server.active, server.threadId]).toEqual([false, -1])
    await expect(server.clients()).rejects.toMatchObject({ code: 'GONE', message: expect.stringContaining('faulted') })
    // Who comes meanwhile waits.
    const patient = await open(server)
    await server.restart()
    expect([server.state, server.fault, portOf(server)]).toEqual(['listening', null, port])
    await patient.send('at last').received('> at last')
  })

  it('a module that cannot be loaded, or a server that cannot listen, is what start rejects with', async () => {
    await expect(start({ module: moduleFile('missing.mjs') })).rejects.toThrow(/missing\.mjs/)
    await expect(start({ module: 'data:text/javascript,throw new RangeError("no good")' })).rejects.toThrow('no good')
    await expect(start({ module: 'data:text/javascript,export const port = 1' })).rejects.toThrow(/exports nothing/)
    await expect(start({ module: 'echo.mjs' })).rejects.toThrow(/module.*absolute/)
    await expect(start({ listen: { port: -1 } })).rejects.toThrow(/port/)
    await expect(start({ timeouts: { idleMs: -1 } })).rejects.toThrow(/idleMs/)
    await expect(start({ limits: { connection: 1 } as object })).rejects.toThrow(/connection/)
    await expect(
      start({ startMs: 1, module: 'data:text/javascript,await new Promise(() => {})' }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/TIMEOUT|GONE/) })
    const server = await start()
    const taken = start({ listen: { host: '127.0.0.1', port: portOf(server) } })
    await expect(taken).rejects.toMatchObject({ code: 'EADDRINUSE', syscall: 'bind' })
  })

  it('a thread that does not answer is ended by stop all the same', async () => {
    const server = await start({ callMs: 200 })
    const client = await open(server)
    client.send('hang')
    await expect(until(async () => (await server.stats()) === undefined)).rejects.toMatchObject({ code: 'TIMEOUT' })
    await server.stop()
    expect([server.state, server.fault?.message]).toEqual(['stopped', expect.stringContaining('200 ms')])
    await client.ended()
  })

  it('terminate in the middle of everything leaves no descriptor, and clients see a close', async () => {
    const server = await start()
    const all: Client[] = []
    for (let count = 0; count < 20; count++) all.push(await open(server))
    for (const client of all) client.send('big')
    await until(async () => (await server.stats()).accepted === 20)
    const during = openSockets().length
    const pending = server.clients()
    const terminated = server.terminate()
    await expect(pending.then(() => 0))
      .resolves.toBe(0)
      .catch(() => {})
    await terminated
    expect(server.state).toBe('stopped')
    for (const client of all) await client.ended()
    await until(() => openSockets().length <= during - 41)
    expect(openSockets()).toEqual(socketsBefore)
  })

  it('a module that stops its server ends the thread', async () => {
    const server = await start()
    const client = await open(server)
    client.send('stop')
    await client.ended()
    await until(() => server.state === 'stopped' && !server.active)
    await expect(Client.open(portOf(server))).rejects.toThrow()
  })
})

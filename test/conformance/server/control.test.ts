import { expect } from 'vitest'
import type { Connection, ServerOptions } from '../../../lib/index.ts'
import { Listener, ServerError, SystemError, stopServers } from '../../../lib/index.ts'
import { scenario } from '../drivers.ts'
import { LOCAL, Stage } from './stage.ts'

/** Answers each line; 'bye' ends. */
const lines: ServerOptions = {
  onConnect: (connection) => {
    connection.onData = (_, chunk) => {
      const text = Buffer.from(chunk).toString('latin1')
      connection.write(text.toUpperCase())
      if (text.includes('bye')) connection.close()
    }
  },
}

/** As `lines`, and ends when the server takes leave and it was asked once more. */
function leaving(connection: Connection): void {
  lines.onConnect?.(connection)
  connection.onDrain = () => {
    connection.write('leaving')
  }
}

scenario('suspended, a server leaves peers in the queue and serves those it has', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server } = stage
  const [before] = await stage.connected(1)
  server.suspend()
  expect(server.state).toBe('suspended')
  expect([server.active, server.listening]).toEqual([true, false])
  const late = stage.connect()
  before?.write('still')
  await stage.until(() => before?.received === 'STILL')
  await stage.pass()
  expect(stage.count('accept')).toBe(1)
  server.resume()
  server.resume()
  late.write('there')
  await stage.until(() => late.received === 'THERE')
  expect(late.failed).toBe(null)
  await stage.stop()
})

scenario('suspended to reject, a server turns peers away with its word, or resets them', async (bench) => {
  const stage = Stage.start(bench, { ...lines, rejection: Buffer.from('421 later\r\n'), limits: { connections: 1 } })
  const { server } = stage
  // Full as well: those who are turned away need no place.
  const [present] = await stage.connected(1)
  server.suspend({ pending: 'reject' })
  const rejected = stage.connect()
  await stage.until(() => rejected.ended)
  expect(rejected.received).toBe('421 later\r\n')
  server.suspend({ pending: 'reset' })
  const reset = stage.connect()
  await stage.until(() => reset.isOver)
  expect(reset.received).toBe('')
  expect(server.stats().dropped).toMatchObject({ suspended: 2 })
  expect(stage.count('accept')).toBe(1)
  present?.close()
  server.resume()
  await stage.connected(1)
  await stage.stop()
})

scenario('suspended for a while, a server resumes by itself, and may part from its clients', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server } = stage
  const [client] = await stage.connected(1)
  server.suspend({ clients: 'disconnect', forMs: 60 })
  await stage.until(() => client?.isOver === true)
  expect(stage.told).toContain('disconnect 1 shutdown')
  const late = stage.connect()
  await stage.until(() => stage.count('connect') === 2)
  expect(server.state).toBe('listening')
  expect(late.failed).toBe(null)
  await stage.stop()
})

scenario('throttled, a server keeps everybody and takes no more until there is room', async (bench) => {
  const stage = Stage.start(bench, { ...lines, limits: { connections: 5 }, timeouts: { lingerMs: 20 } })
  const { server } = stage
  const clients = await stage.connected(3)
  expect(server.throttle({ connections: 1 })).toEqual({ connections: 5, perPrefix: 'default', rate: null })
  const late = stage.connect()
  await stage.pass()
  expect(stage.count('disconnect')).toBe(0)
  expect(stage.count('accept')).toBe(3)
  for (const client of clients) client.write('bye')
  await stage.until(() => stage.count('connect') === 4)
  expect(late.failed).toBe(null)
  const previous = server.throttle({ rate: { perSecond: 10, burst: 3 }, perPrefix: 7 })
  expect(server.limits).toEqual({ connections: 1, perPrefix: 7, rate: { minIntervalMs: 100, burst: 3 } })
  server.throttle(previous)
  expect(server.limits).toEqual({ connections: 1, perPrefix: 'default', rate: null })
  await stage.stop()
})

scenario('quiesced, a server hands out listeners with their queues and serves who is there', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server, multi } = stage
  const { address } = stage
  const [client] = await stage.connected(1)
  const [handle] = server.quiesce()
  expect(server.state).toBe('draining')
  expect(server.quiesce()).toEqual([])
  const late = stage.connect(address)
  await stage.pass(30)
  expect(stage.count('accept')).toBe(1)
  client?.write('alive')
  await stage.until(() => client?.received === 'ALIVE')
  // Usable at once, by anybody.
  if (handle === undefined) throw new Error('no handle')
  const listener = new Listener(multi, { fd: handle }, (connection) => {
    connection.write('from the heir')
    connection.close()
  })
  await stage.until(() => late.ended)
  expect(late.received).toBe('from the heir')
  await stage.stop()
  expect(listener.fd).toBe(handle.fd)
  listener.close()
})

scenario('a stop ends everything with the reason, and a second one is as good', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server } = stage
  const clients = await stage.connected(4)
  const first = server.stop()
  expect(server.state).toBe('stopped')
  const second = server.stop()
  await stage.until(() => clients.every((client) => client.isOver))
  expect(await first).toMatchObject({ finished: 0, cut: 4 })
  expect(await second).toMatchObject({ finished: 0, cut: 0 })
  expect(stage.count('disconnect')).toBe(4)
  for (let i = 1; i <= 4; i++) expect(stage.told).toContain(`disconnect ${i} shutdown`)
  expect(stage.told.slice(-4)).toEqual(['draining', 'stopping', 'stopped', 'stop'])
  expect(server.listeners).toEqual([])
  expect(stage.multi.active).toBe(false)
  await stage.stop()
})

scenario(
  'a stop takes out of the queue who waits there, and resets nobody',
  async (bench) => {
    const stage = Stage.start(bench, lines)
    const { server } = stage
    server.suspend()
    const waiting = Array.from({ length: 5 }, () => stage.connect())
    // The handshake is the kernel's: it needs no turn of the server.
    await stage.pass(50)
    void server.stop()
    await stage.until(() => waiting.every((client) => client.isOver))
    expect(waiting.map((client) => client.failed)).toEqual(new Array(5).fill(null))
    expect(stage.count('disconnect')).toBe(5)
    await stage.stop()
  },
  { calm: true },
)

scenario('a server that was stopped starts again', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server } = stage
  for (let round = 0; round < 3; round++) {
    const [client] = await stage.connected(1)
    client?.write('a')
    await stage.until(() => client?.received === 'A')
    void server.stop()
    await stage.until(() => server.state === 'stopped')
    server.start()
  }
  expect(() => server.start()).toThrow(ServerError)
  await stage.stop()
})

scenario(
  'a drain waits for its connections, and cuts them at the deadline',
  async (bench) => {
    const stage = Stage.start(bench, { onConnect: leaving })
    const { server } = stage
    const [finishes, stays] = await stage.connected(2)
    const drained = server.drain({ deadlineMs: 150 })
    expect(server.state).toBe('draining')
    await stage.until(() => finishes?.received === 'leaving' && stays?.received === 'leaving')
    finishes?.write('bye')
    await stage.until(() => finishes?.isOver === true)
    expect(server.state).toBe('draining')
    await stage.until(() => server.state === 'stopped')
    expect(await drained).toMatchObject({ finished: 1, cut: 1, complete: false })
    expect(stage.told).toContain('disconnect 1 done')
    expect(stage.told).toContain('disconnect 2 shutdown')
    await stage.stop()
  },
  { calm: true },
)

scenario('a drain without connections is over at once; a stop shortens a drain', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server } = stage
  const empty = server.drain()
  expect(server.state).toBe('stopped')
  expect(await empty).toMatchObject({ finished: 0, cut: 0, complete: true })
  server.start()
  await stage.connected(1)
  server.onState = null
  for (const connection of stage.connections) connection.onDrain = () => {}
  const drained = server.drain({ deadlineMs: 60_000 })
  const stopped = server.stop()
  expect(server.state).toBe('stopped')
  expect(await drained).toMatchObject({ cut: 1, complete: false })
  expect(await stopped).toMatchObject({ cut: 1 })
  await stage.stop()
})

scenario('a restart keeps the listening socket and its queue', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server, address } = stage
  const { fd } = server.listeners[0] ?? { fd: -2 }
  const [before] = await stage.connected(1)
  const restarted = server.restart({ graceMs: 100 })
  expect(server.state).toBe('draining')
  const late = Array.from({ length: 5 }, () => stage.connect(address))
  for (const client of late) client.write('hello')
  await stage.until(() => late.every((client) => client.received === 'HELLO'))
  expect(before?.isOver).toBe(true)
  expect(await restarted).toMatchObject({ cut: 1 })
  expect(server.state).toBe('listening')
  expect(server.listeners[0]?.fd).toBe(fd)
  expect(stage.told).not.toContain('stop')
  await stage.stop()
})

scenario('a restart with new listening sockets has the same addresses', async (bench) => {
  const stage = Stage.start(bench, { ...lines, listen: [LOCAL, LOCAL] })
  const { server } = stage
  const addresses = server.listeners.map((listener) => listener.address)
  void server.restart({ keepListener: false })
  expect(server.state).toBe('listening')
  expect(server.listeners.map((listener) => listener.address)).toEqual(addresses)
  const [client] = await stage.connected(1, addresses[1])
  client?.write('x')
  await stage.until(() => client?.received === 'X')
  await stage.stop()
})

scenario('closing callbacks are called when everybody has left, the last one first, and awaited', async (bench) => {
  const stage = Stage.start(bench, lines)
  const { server, told } = stage
  let finish = (): void => {}
  server.onClose(() => told.push('first'))
  server.onClose(() => {
    told.push('second')
    return new Promise<void>((resolve) => {
      finish = resolve
    })
  })
  server.onClose(() => {
    told.push('third')
    throw new Error('of the program')
  })
  await stage.connected(1)
  const stopped = server.stop()
  expect(server.state).toBe('stopping')
  expect(told.slice(-5)).toEqual(['draining', 'stopping', 'third', 'error onClose', 'second'])
  finish()
  await stopped
  expect(told.slice(-3)).toEqual(['first', 'stopped', 'stop'])
  await stage.stop()
})

scenario('what cannot be opened is said, and nothing is left open', async (bench) => {
  const stage = Stage.start(bench)
  const taken = stage.address
  const second = new Stage(bench, { listen: [LOCAL, { host: '127.0.0.1', port: taken.port }] }, stage.multi)
  let thrown: unknown = null
  try {
    second.server.start()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(SystemError)
  expect(thrown).toMatchObject({ code: 'EADDRINUSE', port: taken.port })
  expect(second.server.state).toBe('idle')
  expect(second.server.listeners).toEqual([])
  await stage.stop()
  second.server.start()
  await second.stop()
})

scenario('all servers of a Multi are stopped together, and start again', async (bench) => {
  const first = Stage.start(bench, lines)
  const second = Stage.start(bench, lines, first.multi)
  await first.connected(2)
  await second.connected(1)
  const reports = await stopServers(first.multi)
  expect(reports).toMatchObject([{ cut: 2 }, { cut: 1 }])
  expect(await stopServers(first.multi)).toEqual([])
  second.server.start()
  await second.connected(1)
  expect(await stopServers(first.multi)).toMatchObject([{ cut: 1 }])
  await first.stop()
  await second.stop()
})

scenario('a Multi that closes takes its servers along without a word, and promises settle', async (bench) => {
  const stage = Stage.start(bench, { onConnect: leaving })
  const { server, told } = stage
  await stage.connected(2)
  const drained = server.drain()
  const before = [...told]
  stage.multi.close()
  expect(told).toEqual(before)
  expect(await drained).toMatchObject({ finished: 0 })
  expect(server.state).toBe('stopped')
  expect(await server.stop()).toMatchObject({ cut: 0 })
  expect([...server.clients()]).toEqual([])
  expect(() => server.start()).toThrow(/closed/)
  await stage.stop()
})

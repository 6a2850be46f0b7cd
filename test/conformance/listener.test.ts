import { expect } from 'vitest'
import { Listener, type ListenOptions, type Multi, type SocketAddress } from '../../lib/index.ts'
import type { Connection } from '../../lib/server/connection/connection.ts'
import { setPanicHandler } from '../../lib/server/panic.ts'
import type { Simulation } from '../sim/simulation.ts'
import { connectClient, type LocalClient } from '../support/local-client.ts'
import type { Bench } from './bench.ts'
import { scenario } from './drivers.ts'

const LOCAL = { host: '127.0.0.1', port: 0 }

/** A listener, its Multi, and what it accepted. */
interface Stage {
  readonly multi: Multi
  readonly listener: Listener
  readonly accepted: Connection[]
  connect(to?: SocketAddress): LocalClient
  until(isEnough: () => boolean): Promise<void>
  /** Time passes in which nothing more may happen. */
  pass(): Promise<void>
  close(): void
}

function stage(
  bench: Bench,
  options: ListenOptions = LOCAL,
  onAccept?: (stage: Stage, one: Connection) => void,
): Stage {
  const multi = bench.multi()
  const accepted: Connection[] = []
  const clients: LocalClient[] = []
  const listener = new Listener(multi, options, (connection) => {
    accepted.push(connection)
    onAccept?.(self, connection)
  })
  const self: Stage = {
    multi,
    listener,
    accepted,
    connect: (to = listener.address) => {
      const client = connectClient(bench.simulation, to)
      clients.push(client)
      return client
    },
    until: (isEnough) => bench.drive(multi, isEnough),
    pass: () => bench.pass(multi, 150),
    close: () => {
      for (const client of clients) client.close()
      listener.close()
    },
  }
  return self
}

scenario('a listener at port 0 says which port it got, and takes connections there', async (bench) => {
  const { listener, accepted, connect, until, close } = stage(bench, LOCAL, (_, connection) => {
    connection.write(Buffer.from('hello'))
    connection.close()
  })
  expect(listener.address).toMatchObject({ address: '127.0.0.1', port: expect.any(Number) })
  expect(listener.address.port).toBeGreaterThan(0)
  expect(listener.fd).toBeGreaterThanOrEqual(0)
  expect(listener.enabled).toBe(true)
  const clients = Array.from({ length: 5 }, () => connect())
  await until(() => clients.every((client) => client.ended))
  expect(clients.map((client) => client.received)).toEqual(new Array(5).fill('hello'))
  expect(new Set(accepted.map((connection) => connection.id)).size).toBe(5)
  close()
  expect(listener.fd).toBe(-1)
  expect(listener.enabled).toBe(false)
})

scenario('disabled in its callback, a listener takes nobody more until it is enabled', async (bench) => {
  const { listener, accepted, connect, until, pass, close } = stage(bench, LOCAL, (self) => {
    if (self.accepted.length === 1) self.listener.disable()
  })
  for (let i = 0; i < 4; i++) connect()
  await until(() => accepted.length === 1)
  await pass()
  expect(accepted).toHaveLength(1)
  expect(listener.enabled).toBe(false)
  // Delivered all the same, and alive.
  expect(accepted[0]?.fd).toBeGreaterThanOrEqual(0)
  listener.disable()
  listener.enable()
  listener.enable()
  await until(() => accepted.length === 4)
  close()
})

scenario('closed in its callback, a listener is gone, and the connection is not', async (bench) => {
  const { listener, accepted, connect, until, close } = stage(bench, LOCAL, (self) => {
    self.listener.close()
    expect(self.listener.fd).toBe(-1)
  })
  const { address } = listener
  const first = connect()
  await until(() => accepted.length === 1)
  const late = connect(address)
  await until(() => late.failed !== null)
  expect(late.failed).toBe('ECONNREFUSED')
  accepted[0]?.write(Buffer.from('still here'))
  accepted[0]?.close()
  await until(() => first.ended)
  expect(first.received).toBe('still here')
  close()
})

scenario('closed at once, a listener leaves nothing behind', async (bench) => {
  const { multi, listener, accepted, connect, until, close } = stage(bench)
  const { address } = listener
  listener.close()
  listener.close()
  listener.enable()
  const late = connect(address)
  await until(() => late.failed !== null)
  expect(accepted).toEqual([])
  expect(multi.active).toBe(false)
  expect(multi.waitFds()).toEqual([])
  close()
})

scenario('without a callback a listener takes nobody until it has one', async (bench) => {
  const { multi, listener, accepted, connect, until, pass, close } = stage(bench)
  const { onAccept } = listener
  listener.onAccept = null
  connect()
  await pass()
  expect(multi.waitFds()).toEqual([])
  expect(accepted).toEqual([])
  listener.onAccept = onAccept
  await until(() => accepted.length === 1)
  listener.onAccept = (connection) => {
    listener.onAccept = null
    accepted.push(connection)
  }
  connect()
  connect()
  await until(() => accepted.length === 2)
  await pass()
  expect(accepted).toHaveLength(2)
  close()
})

scenario('a callback that throws costs its own connection, and nothing else', async (bench) => {
  const { accepted, connect, until, close } = stage(bench, LOCAL, (self, connection) => {
    connection.onClose = (_, reason) => ends.push(reason)
    if (self.accepted.length === 1) throw new Error('from onAccept')
    connection.write(Buffer.from('fine'))
    connection.close()
  })
  const ends: string[] = []
  const panics: string[] = []
  const before = setPanicHandler((error) => panics.push(error.message))
  try {
    const first = connect()
    await until(() => first.isOver)
    const second = connect()
    await until(() => second.ended)
    expect(second.received).toBe('fine')
    expect(accepted).toHaveLength(2)
    expect(panics).toEqual(['onAccept: from onAccept'])
  } finally {
    setPanicHandler(before)
  }
  close()
})

scenario('a closed Multi closes its listeners, disabled ones as well', async (bench) => {
  const { multi, listener, connect, close } = stage(bench)
  const disabled = new Listener(multi, { ...LOCAL, enabled: false }, () => {})
  connect()
  multi.close()
  expect([listener.fd, disabled.fd]).toEqual([-1, -1])
  listener.close()
  disabled.enable()
  listener.onAccept = null
  close()
})

scenario('a released listener keeps its queue for the next', async (bench) => {
  const { multi, listener, accepted, connect, until, pass, close } = stage(bench, { ...LOCAL, enabled: false })
  const client = connect()
  await pass()
  const handle = listener.release()
  expect(listener.closed).toBe(true)
  expect(handle.address).toEqual(listener.address)
  const next = new Listener(multi, { fd: handle }, (connection) => {
    connection.write(Buffer.from('taken over'))
    connection.close()
  })
  await until(() => client.ended)
  expect(client.received).toBe('taken over')
  expect(accepted).toEqual([])
  next.close()
  close()
})

scenario(
  'two listeners share a port, and a third without leave is refused',
  async (bench) => {
    const multi = bench.multi()
    const shared = { ...LOCAL, reusePort: true }
    const first = new Listener(multi, shared, (connection) => connection.close())
    const second = new Listener(multi, { ...shared, port: first.address.port }, (connection) => connection.close())
    expect(() => new Listener(multi, { ...LOCAL, port: first.address.port })).toThrow(/bind EADDRINUSE 127\.0\.0\.1/)
    const client = connectClient(bench.simulation, first.address)
    await bench.drive(multi, () => client.isOver)
    client.close()
    first.close()
    second.close()
  },
  { calm: true },
)

scenario(
  'without descriptors, the end of a connection lets the next one in at once',
  async (bench) => {
    const { listener, accepted, connect, until, close } = stage(bench)
    const { table } = (bench.simulation as Simulation).kernel
    const errors: [string, number][] = []
    listener.onError = ({ code, retryInMs }) => errors.push([code, retryInMs])
    table.limit = table.openCount + 1
    connect()
    connect()
    await until(() => errors.length === 1)
    const restsFrom = bench.now()
    accepted[0]?.abort()
    await until(() => accepted.length === 2)
    expect(bench.now()).toBeLessThan(restsFrom + 10)
    expect(errors).toEqual([['EMFILE', 10]])
    table.limit = 4096
    close()
  },
  { on: 'simulated', calm: true },
)

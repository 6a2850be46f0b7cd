import { expect } from 'vitest'
import { type Connection, ServerError } from '../../../lib/index.ts'
import { scenario } from '../drivers.ts'
import { Stage } from './stage.ts'

scenario('a server calls back when there is something to read', async (bench) => {
  const stage = Stage.start(bench, {
    strategy: {
      callback: (connection) => {
        const bytes = new Uint8Array(100)
        const count = connection.read(bytes)
        if (count > 0) connection.write(bytes.subarray(0, count))
      },
    },
  })
  const [client] = await stage.connected(1)
  client?.write('echo')
  await stage.until(() => client?.received === 'echo')
  client?.end()
  await stage.until(() => client?.isOver === true)
  client?.close()
  await stage.until(() => stage.told.includes('idle'))
  await stage.stop()
  expect(stage.told).toEqual([
    'starting',
    'listening',
    'start',
    'accept 1',
    'connect 1',
    'disconnect 1 peer',
    'idle',
    'draining',
    'stopping',
    'stopped',
    'stop',
  ])
})

scenario('a session has the connection until it returns', async (bench) => {
  const stage = Stage.start(bench, {
    strategy: {
      session: async (connection) => {
        for await (const chunk of connection) {
          const text = Buffer.from(chunk).toString('latin1')
          await connection.send(text.toUpperCase())
          if (text.includes('bye')) return
        }
      },
    },
  })
  const clients = await stage.connected(3)
  for (const client of clients) client.write('bye')
  for (const client of clients) {
    // A loop that never lets promises run could not await anything.
    for (let i = 0; i < 1000 && !client.isOver; i++) {
      await stage.pass(2)
      await Promise.resolve()
    }
    expect(client.received).toBe('BYE')
    client.close()
  }
  await stage.until(() => stage.count('disconnect') === 3)
  expect(stage.told.filter((text) => text.startsWith('disconnect')).every((text) => text.endsWith('done'))).toBe(true)
  await stage.stop()
})

scenario('a session that throws resets its connection, is heard of, and disturbs nobody', async (bench) => {
  const stage = Stage.start(bench, {
    strategy: {
      session: async (connection) => {
        await Promise.resolve()
        if (connection.id % 2 === stage.connections[0]?.id) throw new Error('of the program')
        throw new TypeError('of the program')
      },
    },
  })
  const clients = [stage.connect(), stage.connect()]
  for (let i = 0; i < 1000 && stage.count('error session') < 2; i++) {
    await stage.pass(2)
    await Promise.resolve()
  }
  await stage.until(() => clients.every((client) => client.isOver))
  expect(stage.count('error session')).toBe(2)
  expect(stage.told).toContain('disconnect 1 aborted')
  expect(stage.told).toContain('disconnect 2 aborted')
  await stage.stop()
})

scenario(
  'as many sessions as allowed run at once; who finds none waits, and a stop waits for nobody',
  async (bench) => {
    let running = 0
    let most = 0
    const release: (() => void)[] = []
    const stage = Stage.start(bench, {
      strategy: {
        session: async () => {
          most = Math.max(most, ++running)
          await new Promise<void>((resolve) => release.push(resolve))
          running--
        },
        concurrency: { max: 2, queue: 1 },
      },
    })
    const clients = Array.from({ length: 5 }, () => stage.connect())
    await stage.until(() => stage.count('connect') === 3)
    await stage.pass()
    // Two in their sessions, one in line, two in the queue of the kernel.
    expect([stage.count('accept'), running]).toEqual([3, 2])
    release[0]?.()
    for (let i = 0; i < 1000 && stage.count('accept') < 4; i++) {
      await stage.pass(2)
      await Promise.resolve()
    }
    expect([stage.count('accept'), running, most]).toEqual([4, 2, 2])
    void stage.server.stop()
    expect(stage.server.state).toBe('stopped')
    await stage.until(() => clients.every((client) => client.isOver))
    for (const end of release) end()
    await stage.stop()
  },
)

scenario(
  'a broadcast reaches everybody but who sends it',
  async (bench) => {
    const counts: number[] = []
    const stage = Stage.start(bench, {
      onConnect: (connection) => {
        connection.onData = (_, chunk) => counts.push(stage.server.broadcast(Buffer.from(chunk)))
      },
    })
    const clients = await stage.connected(4)
    clients[1]?.write('hello')
    await stage.until(() => clients.filter((client) => client.received === 'hello').length === 3)
    expect(counts).toEqual([3])
    expect(clients[1]?.received).toBe('')
    const [first, second] = stage.connections
    expect(stage.server.broadcast(' all')).toBe(4)
    expect(stage.server.broadcast(' but one', { except: first as Connection })).toBe(3)
    expect(stage.server.broadcast(' but two', { except: [first as Connection, second as Connection] })).toBe(2)
    await stage.until(() => clients.filter((client) => client.received.endsWith(' all but one but two')).length === 2)
    expect(() => stage.server.broadcast(1 as never)).toThrow(TypeError)
    await stage.stop()
  },
  { calm: true },
)

scenario(
  'a client that takes nothing holds up no broadcast',
  async (bench) => {
    const stage = Stage.start(bench)
    const [slow, quick] = await stage.connected(2)
    const [connection] = stage.connections
    const much = new Uint8Array(200_000)
    // More than any buffer between holds, however much of it goes at once.
    for (let i = 0; i < 100 && (connection?.writableLength ?? 0) <= 1_000_000; i++) connection?.write(much)
    expect(stage.server.broadcast('skip')).toBe(1)
    expect(stage.server.broadcast('queue', { slow: 'queue' })).toBe(2)
    expect(stage.server.broadcast('end', { slow: 'disconnect' })).toBe(1)
    expect(stage.told).toContain('disconnect 1 policy')
    await stage.until(() => quick?.received === 'skipqueueend')
    slow?.close()
    await stage.stop()
  },
  { calm: true },
)

scenario(
  'clients are found by id and by name, whatever its case, and parted from',
  async (bench) => {
    const stage = Stage.start(bench)
    const { server } = stage
    const clients = await stage.connected(3)
    const [first, second, third] = stage.connections as [Connection, Connection, Connection]
    first.name = 'Alice'
    second.name = 'Bob'
    expect(server.find('ALICE')).toBe(first)
    expect(server.find(third.id)).toBe(third)
    expect([server.find('carol'), server.find(-1)]).toEqual([null, null])
    expect(() => {
      third.name = 'aLiCe'
    }).toThrow(RangeError)
    first.name = ''
    third.name = 'alice'
    expect(server.find('Alice')).toBe(third)
    expect([...server.clients()].map(({ name }) => name)).toEqual(['', 'Bob', 'alice'])
    expect(server.disconnect('BOB', 'policy')).toBe(true)
    expect(server.disconnect('BOB')).toBe(false)
    expect(server.disconnect(third)).toBe(true)
    expect(stage.told.slice(-2)).toEqual(['disconnect 2 policy', 'disconnect 3 shutdown'])
    // Names come free with their holders.
    first.name = 'bob'
    await stage.until(() => clients.filter((client) => client.isOver).length === 2)
    expect([...server.clients()]).toMatchObject([{ id: first.id, name: 'bob', bytesRead: 0 }])
    await stage.stop()
  },
  { calm: true },
)

scenario('exclusive sections run one after the other, and nobody comes in meanwhile', async (bench) => {
  const stage = Stage.start(bench)
  const { server } = stage
  const order: string[] = []
  let finish = (): void => {}
  const first = server.exclusive(async () => {
    order.push('first in')
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    order.push('first out')
    return 1
  })
  const second = server.exclusive(() => {
    order.push('second')
    throw new Error('of the program')
  })
  const late = server.exclusive(() => order.push('late'), { timeoutMs: 20 })
  void late.catch(() => {})
  void second.catch(() => {})
  expect([server.locked, order]).toEqual([true, []])
  await Promise.resolve()
  expect(order).toEqual(['first in'])
  const client = stage.connect()
  await stage.pass(60)
  expect(stage.count('accept')).toBe(0)
  await expect(late).rejects.toThrow(ServerError)
  finish()
  expect(await first).toBe(1)
  await expect(second).rejects.toThrow('of the program')
  expect(order).toEqual(['first in', 'first out', 'second'])
  await stage.until(() => stage.count('connect') === 1)
  expect([server.locked, client.failed]).toEqual([false, null])
  await stage.stop()
})

scenario('callbacks that throw reset their own connection and are heard of', async (bench) => {
  const stage = Stage.start(bench, {
    onAccept: (connection) => {
      if (stage.numberOf(connection) === 1) throw new Error('in onAccept')
    },
    onConnect: (connection) => {
      if (stage.numberOf(connection) === 2) throw new Error('in onConnect')
      connection.onData = () => {
        throw new Error('in onData')
      }
    },
    onDisconnect: () => {
      throw new Error('in onDisconnect')
    },
  })
  for (let i = 1; i <= 3; i++) {
    const client = stage.connect()
    client.write('x')
    await stage.until(() => stage.count('disconnect') === i)
    expect(stage.told).toContain(`disconnect ${i} aborted`)
  }
  expect(stage.errors.map((error) => (error as Error).message)).toEqual([
    'in onAccept',
    'in onDisconnect',
    'in onConnect',
    'in onDisconnect',
    'in onDisconnect',
    'in onData',
  ])
  expect(stage.server.listening).toBe(true)
  await stage.stop()
})

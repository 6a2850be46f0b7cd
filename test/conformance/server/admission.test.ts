import { expect } from 'vitest'
import { type Drop, Family, type ServerOptions, SystemError } from '../../../lib/index.ts'
import { scenario } from '../drivers.ts'
import { LOCAL, Stage } from './stage.ts'

const echo: ServerOptions = {
  onConnect: (connection) => {
    connection.onData = (_, chunk) => connection.write(Buffer.from(chunk))
  },
}

scenario('at its limit a server leaves peers in the queue until somebody leaves', async (bench) => {
  const stage = Stage.start(bench, { ...echo, limits: { connections: 2 } })
  const [first] = await stage.connected(2)
  const late = stage.connect()
  await stage.pass()
  expect(stage.count('accept')).toBe(2)
  expect(late.isOver).toBe(false)
  first?.close()
  late.write('in')
  await stage.until(() => late.received === 'in')
  expect(stage.server.stats()).toMatchObject({ connections: 2, accepted: 3 })
  expect(stage.count('drop')).toBe(0)
  await stage.stop()
})

scenario('at its limit a server may turn peers away, and tells it after the close', async (bench) => {
  const seen: unknown[] = []
  const stage = Stage.start(bench, {
    ...echo,
    limits: { connections: 1 },
    overload: 'reject',
    onDrop: ({ peer, reason }) => seen.push([reason, peer?.address, stage.server.stats().connections]),
  })
  await stage.connected(1)
  const late = stage.connect()
  await stage.until(() => late.isOver)
  expect(late.received).toBe('')
  expect(seen).toEqual([['connections', '127.0.0.1', 1]])
  expect(stage.server.stats().dropped).toMatchObject({ connections: 1 })
  await stage.stop()
})

scenario('peers are turned away by FIN, by a reset, or with bytes, as the options say', async (bench) => {
  for (const rejection of ['close', 'reset', Buffer.from('503 busy\r\n')] as const) {
    const stage = Stage.start(bench, { rejection, policy: () => false })
    const peer = stage.connect()
    peer.write('unread bytes must not spoil the answer')
    await stage.until(() => peer.isOver && stage.count('drop') === 1)
    if (typeof rejection !== 'string')
      expect(peer).toMatchObject({ received: '503 busy\r\n', ended: true, failed: null })
    else expect(peer.received).toBe('')
    await stage.stop()
  }
})

scenario('a policy says who may come in, and how the others are turned away', async (bench) => {
  const asked: string[] = []
  let verdict: ReturnType<NonNullable<ServerOptions['policy']>> = true
  const stage = Stage.start(bench, {
    ...echo,
    rejection: 'reset',
    policy: (peer) => {
      asked.push(peer.address)
      return verdict
    },
  })
  await stage.connected(1)
  verdict = { reject: Buffer.from('not you') }
  const refused = stage.connect()
  await stage.until(() => refused.ended)
  expect(refused.received).toBe('not you')
  expect(asked).toEqual(['127.0.0.1', '127.0.0.1'])
  expect(stage.told.filter((text) => text.startsWith('drop'))).toEqual(['drop policy'])
  await stage.stop()
})

scenario('a policy that throws lets nobody in and is heard of', async (bench) => {
  const stage = Stage.start(bench, {
    policy: () => {
      throw new Error('of the program')
    },
  })
  const refused = stage.connect()
  await stage.until(() => refused.isOver)
  expect(stage.told.slice(-2)).toEqual(['error policy', 'drop policy'])
  expect(stage.server.stats().connections).toBe(0)
  await stage.stop()
})

scenario('one address has no more connections than its share, and gets them back', async (bench) => {
  const drops: Drop[] = []
  const stage = Stage.start(bench, { ...echo, limits: { perPrefix: 2 }, onDrop: (drop) => drops.push(drop) })
  const [first] = await stage.connected(2)
  const third = stage.connect()
  await stage.until(() => third.isOver && drops.length === 1)
  expect(drops).toMatchObject([{ reason: 'address', peer: { address: '127.0.0.1' } }])
  first?.close()
  await stage.until(() => stage.count('disconnect') === 1)
  await stage.connected(1)
  expect(stage.server.stats()).toMatchObject({ connections: 2, accepted: 3 })
  await stage.stop()
})

scenario(
  'connections come no faster than the rate, and wait for their turn',
  async (bench) => {
    const at: number[] = []
    const stage = Stage.start(bench, {
      limits: { rate: { minIntervalMs: 40, burst: 2 } },
      onAccept: () => at.push(bench.now()),
    })
    const peers = Array.from({ length: 5 }, () => stage.connect())
    await stage.until(() => at.length === 5)
    // Two at once, then one each 40 ms; the clock of the engine may be a little behind ours.
    expect((at[4] as number) - (at[0] as number)).toBeGreaterThan(100)
    expect(peers.map((peer) => peer.failed)).toEqual(new Array(5).fill(null))
    expect(stage.count('drop')).toBe(0)
    await stage.stop()
  },
  { calm: true },
)

scenario(
  'with overload reject, what is faster than the rate is turned away',
  async (bench) => {
    const stage = Stage.start(bench, { limits: { rate: { perSecond: 0.01, burst: 2 } }, overload: 'reject' })
    const peers = Array.from({ length: 5 }, () => stage.connect())
    await stage.until(() => stage.count('connect') === 2 && peers.filter((peer) => peer.isOver).length === 3)
    expect(stage.count('drop rate')).toBe(3)
    await stage.stop()
  },
  { calm: true },
)

scenario('at the limit an idle connection makes room when the options say so', async (bench) => {
  const stage = Stage.start(bench, { ...echo, limits: { connections: 1 }, evictIdle: true })
  await stage.connected(1)
  // Nothing says that one is idle but its driver, and one of bytes never is.
  const late = stage.connect()
  await stage.pass()
  expect([stage.count('accept'), late.isOver]).toEqual([1, false])
  await stage.stop()
})

scenario('a server without listeners lives on what it adopts', async (bench) => {
  const multi = bench.multi()
  const stage = Stage.start(bench, { ...echo, listen: [], limits: { connections: 2 } }, multi)
  const kernel = bench.simulation?.kernel ?? (await import('../../../lib/index.ts')).kernel
  const pair = new Int32Array(2)
  const ours: number[] = []
  const adoptOne = (): ReturnType<typeof stage.server.adopt> => {
    expect(kernel.socketPair(pair)).toBe(0)
    ours.push(pair[1] as number)
    return stage.server.adopt(pair[0] as number, { family: Family.UNIX, address: 'named by us', port: 0 })
  }
  expect(stage.server.listeners).toEqual([])
  const connection = adoptOne()
  expect(connection.peer?.address).toBe('named by us')
  const [end] = ours
  kernel.sendBytes(end as number, Buffer.from('hello'), 0, 5)
  await stage.until(() => stage.count('connect') === 1 && connection.bytesWritten === 5)
  adoptOne()
  // Over the limit: closed, with the reason.
  expect(() => adoptOne()).toThrow(/connections/)
  expect(kernel.generation(pair[0] as number)).toBeLessThan(0)
  expect(stage.told.at(-1)).toBe('drop connections')
  // No socket that is connected: closed as well.
  const lonely = kernel.socket(Family.IPV4)
  expect(() => stage.server.adopt(lonely)).toThrow(SystemError)
  expect(kernel.generation(lonely)).toBeLessThan(0)
  await stage.stop()
  expect(kernel.socketPair(pair)).toBe(0)
  ours.push(pair[1] as number)
  expect(() => stage.server.adopt(pair[0] as number)).toThrow(/not started/)
  expect(kernel.generation(pair[0] as number)).toBeLessThan(0)
  for (const fd of ours) kernel.close(fd)
})

scenario('a detached connection goes on in another server', async (bench) => {
  const multi = bench.multi()
  const second = Stage.start(bench, { ...echo, listen: [] }, multi)
  const first = Stage.start(
    bench,
    {
      listen: LOCAL,
      onConnect: (connection) => {
        connection.onData = () => {
          connection.unread(Buffer.from('head and '))
          second.server.adopt(connection.detach())
        }
      },
    },
    multi,
  )
  const [client] = await first.connected(1)
  client?.write('x')
  await second.until(() => second.count('connect') === 1)
  client?.write('body')
  await second.until(() => client?.received === 'head and body')
  expect(first.told).toContain('disconnect 1 handed-over')
  await first.stop()
  await second.stop()
})

scenario(
  'descriptors that run out are reported once, and nobody is lost',
  async (bench) => {
    const { simulation } = bench
    const stage = Stage.start(bench, echo)
    await stage.connected(1)
    if (simulation === null) return stage.stop()
    simulation.kernel.table.limit = simulation.kernel.table.openList().length
    const late = Array.from({ length: 3 }, () => stage.connect())
    await stage.pass(500)
    expect(stage.count('error accept')).toBe(1)
    expect(stage.errors).toMatchObject([{ code: 'EMFILE', syscall: 'accept' }])
    simulation.kernel.table.limit = 4096
    for (const peer of late) peer.write('in')
    await stage.until(() => late.every((peer) => peer.received === 'in'))
    expect(stage.server.stats().acceptErrors).toBe(1)
    return stage.stop()
  },
  { on: 'simulated', calm: true },
)

scenario(
  'more connections than descriptors are warned of at the start',
  async (bench) => {
    const stage = Stage.start(bench, { limits: { connections: 1_000_000 } })
    expect(stage.errors).toMatchObject([{ code: 'DESCRIPTORS', message: expect.stringContaining('1000000') }])
    await stage.stop()
    const modest = Stage.start(bench)
    expect(modest.errors).toEqual([])
    expect(modest.server.limits.connections).toBe(4096 - 64)
    await modest.stop()
  },
  { on: 'simulated' },
)

scenario(
  'behind a proxy it is the client that is admitted, counted and turned away',
  async (bench) => {
    const asked: string[] = []
    const drops: Drop[] = []
    const stage = Stage.start(bench, {
      ...echo,
      proxyProtocol: { from: ['127.0.0.1'] },
      rejection: Buffer.from('421 enough\r\n'),
      limits: { perPrefix: 4 },
      policy: (peer) => {
        asked.push(peer.address)
        return peer.address !== '203.0.113.66'
      },
      onDrop: (drop) => drops.push(drop),
    })
    const { server } = stage
    const from = async (address: string, text: string): Promise<ReturnType<typeof stage.connect>> => {
      const client = stage.connect()
      client.write(`PROXY TCP4 ${address} 192.0.2.1 1234 80\r\n${text}`)
      await stage.until(() => client.isOver || client.received === text)
      return client
    }
    await from('203.0.113.7', 'hello')
    expect(asked).toEqual(['127.0.0.1', '203.0.113.7'])
    expect(stage.connections[0]?.peer?.address).toBe('203.0.113.7')
    expect(stage.connections[0]?.rawPeer?.address).toBe('127.0.0.1')
    const refused = await from('203.0.113.66', 'hello')
    expect(refused.received).toBe('421 enough\r\n')
    refused.close()
    await stage.until(() => drops.length === 1)
    expect(drops).toMatchObject([{ reason: 'policy', peer: { address: '203.0.113.66' } }])
    server.throttle({ perPrefix: 1 })
    const second = await from('203.0.113.7', 'hello')
    expect(second.received).toBe('421 enough\r\n')
    second.close()
    await stage.until(() => drops.length === 2)
    expect(drops[1]).toMatchObject({ reason: 'address', peer: { address: '203.0.113.7' } })
    // The proxy itself is counted for as long as nobody knows for whom it speaks.
    await from('203.0.113.8', 'hello')
    expect(server.stats()).toMatchObject({ connections: 2, accepted: 4, ended: { policy: 2 } })
    await stage.stop()
  },
  { calm: true },
)

scenario('peers over a unix socket are counted by user, where a limit says so', async (bench) => {
  const stage = Stage.start(bench, {
    ...echo,
    listen: { path: `\0admission-${process.pid}` },
    limits: { perPrefix: 1 },
  })
  const [first] = await stage.connected(1)
  const second = stage.connect()
  await stage.until(() => second.isOver && stage.count('drop address') === 1)
  first?.close()
  await stage.until(() => stage.count('disconnect') === 1)
  await stage.connected(1)
  await stage.stop()
})

/** Listeners on the real kernel: both families, the system's options, descriptors from elsewhere, too few of them. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  Family,
  kernel,
  Listener,
  type ListenFd,
  Multi,
  Server,
  type SocketAddress,
  SocketOption,
  Transfer,
} from '../../lib/index.ts'
import type { Connection } from '../../lib/server/connection/connection.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { drivers } from '../support/drivers.ts'
import { connectClient } from '../support/local-client.ts'
import { describeWhen, describeWithPeer } from '../support/peers.ts'
import { startTypeScriptProcess } from './typescript-worker.ts'

const LOCAL = { host: '127.0.0.1', port: 0 }
const CHILD = 'test/conformance/listening-process.ts'
const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))

let multi: Multi
let ownedBefore: number

beforeEach(() => {
  ownedBefore = ownedCount()
  multi = new Multi()
})

afterEach(() => {
  multi.close()
  expect(ownedCount()).toBe(ownedBefore)
})

async function drive(until: () => boolean): Promise<void> {
  await drivers[0]?.drive(multi, { until })
}

/** Who comes to this listener from that address; the peer as it sees it. */
async function peerFrom(listener: Listener, address: SocketAddress): Promise<SocketAddress | null> {
  let peer: SocketAddress | null = null
  listener.onAccept = (connection) => {
    peer = connection.rawPeer
    connection.close()
  }
  const client = connectClient(null, address)
  await drive(() => client.isOver)
  client.close()
  return peer
}

describeWhen(hasIpv6, 'every address', 'needs IPv6', () => {
  it('is of both families on one socket', async () => {
    const listener = new Listener(multi, { port: 0 })
    const { port } = listener.address
    expect(listener.address).toMatchObject({ family: Family.IPV6, address: '::' })
    expect(kernel.getOption(listener.fd, SocketOption.V6_ONLY)).toBe(0)
    const four = await peerFrom(listener, { family: Family.IPV4, address: '127.0.0.1', port })
    expect(four?.address).toBe('::ffff:127.0.0.1')
    const six = await peerFrom(listener, { family: Family.IPV6, address: '::1', port })
    expect(six?.address).toBe('::1')
  })

  it('of IPv6 alone leaves the port of IPv4 to others', async () => {
    const listener = new Listener(multi, { host: '::', port: 0, ipv6Only: true })
    const { port } = listener.address
    // An address that nobody else has a use for: the port may be somebody's at the usual one.
    const address = '127.77.0.1'
    const client = connectClient(null, { family: Family.IPV4, address, port })
    await drive(() => client.isOver)
    expect(client.failed).toBe('ECONNREFUSED')
    new Listener(multi, { host: address, port })
  })
})

describe('what the system refuses is thrown, and nothing is left open', () => {
  it('a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const expected = {
      code: 'EADDRINUSE',
      syscall: 'bind',
      address: '127.0.0.1',
      port,
      errno: -kernel.errno.EADDRINUSE,
    }
    expect(() => new Listener(multi, { ...LOCAL, port })).toThrow(expect.objectContaining(expected))
    other.close()
    expect(multi.active).toBe(false)
  })

  it('an address of somebody else', () => {
    expect(() => new Listener(multi, { host: '192.0.2.1', port: 0 })).toThrow(/bind EADDRNOTAVAIL 192\.0\.2\.1/)
  })

  it('a descriptor that is no listening socket', () => {
    const pair = new Int32Array(2)
    kernel.socketPair(pair)
    const [fd = -1, peer = -1] = pair
    expect(() => new Listener(multi, { fd: 100_000 })).toThrow(/fcntl EBADF descriptor 100000/)
    expect(() => new Listener(multi, { fd })).toThrow(`listen EINVAL descriptor ${fd}`)
    expect(() => new Listener(multi, { fd, backlog: 0 })).toThrow(/listen EINVAL/)
    kernel.close(fd)
    kernel.close(peer)
  })

  it('misuse, before anything is opened', () => {
    expect(() => new Listener({} as Multi, LOCAL)).toThrow(/Listener: expected a Multi/)
    expect(() => new Listener(multi, LOCAL, 'no' as unknown as null)).toThrow(/option onAccept must be a function/)
    const closed = new Multi()
    closed.close()
    expect(() => new Listener(closed, LOCAL)).toThrow(/this Multi is closed/)
  })

  it('a Multi whose functions failed, until it is empty', () => {
    let fails = true
    const dead = new Multi({
      socketFunction() {
        if (fails) throw new Error('from socketFunction')
      },
    })
    const failed = new Listener(dead, LOCAL, () => {})
    const transfer = new Transfer({ url: 'http://127.0.0.1:1/' })
    dead.add(transfer)
    dead.perform()
    expect(failed.closed).toBe(true)
    expect(() => new Listener(dead, LOCAL)).toThrow(/a socket or timer function failed/)
    fails = false
    dead.remove(transfer)
    const listener = new Listener(dead, LOCAL, () => {})
    dead.perform()
    expect(dead.waitFds()).toEqual([{ fd: listener.fd, interest: 1, readiness: 0 }])
    dead.close()
  })
})

describeWhen(process.platform === 'linux', 'on Linux', 'needs Linux', () => {
  it('several listeners on one port all get connections', async () => {
    const counts = [0, 0]
    const shared = { ...LOCAL, reusePort: true }
    const first = new Listener(multi, shared, (connection) => count(0, connection))
    new Listener(multi, { ...shared, port: first.address.port }, (connection) => count(1, connection))
    const count = (which: number, connection: Connection): void => {
      counts[which] = (counts[which] as number) + 1
      connection.close()
    }
    const clients = Array.from({ length: 60 }, () => connectClient(null, first.address))
    await drive(() => clients.every((client) => client.isOver))
    for (const client of clients) client.close()
    expect(counts[0]).toBeGreaterThan(0)
    expect(counts[1]).toBeGreaterThan(0)
    expect((counts[0] as number) + (counts[1] as number)).toBe(60)
  })

  it('deferred, a client that speaks comes before one that is silent, which comes all the same', async () => {
    const peers: number[] = []
    const listener = new Listener(multi, { ...LOCAL, deferAccept: true }, (connection) => {
      peers.push(connection.peer?.port ?? 0)
    })
    const silent = connectClient(null, listener.address)
    const speaker = connectClient(null, listener.address)
    speaker.write('x')
    await drive(() => peers.length === 1)
    expect(speaker.failed).toBe(null)
    await drive(() => peers.length === 2)
    expect(silent.failed).toBe(null)
    silent.close()
    speaker.close()
  })

  it('connections send at once however little it is, unless they are told not to', async () => {
    for (const noDelay of [undefined, true, false]) {
      const connections: Connection[] = []
      const options = noDelay === undefined ? LOCAL : { ...LOCAL, noDelay }
      const listener = new Listener(multi, options, (connection) => connections.push(connection))
      const client = connectClient(null, listener.address)
      await drive(() => connections.length === 1)
      const set = kernel.getOption(connections[0]?.fd ?? -1, SocketOption.NO_DELAY)
      expect(set === 0).toBe(noDelay === false)
      client.close()
      listener.close()
    }
  })

  it('connections from elsewhere send at once as well', async () => {
    const listening = kernel.socket(Family.IPV4)
    kernel.bind(listening, Family.IPV4, '127.0.0.1', 0)
    kernel.listen(listening, 8)
    const client = connectClient(null, kernel.localAddress(listening) as SocketAddress)
    let accepted = -1
    await expect
      .poll(() => {
        accepted = kernel.accept(listening)
        return accepted
      })
      .toBeGreaterThan(0)
    expect(kernel.getOption(accepted, SocketOption.NO_DELAY)).toBe(0)
    const server = new Server(multi, { listen: [] })
    server.start()
    const connection = server.adopt(accepted)
    expect(kernel.getOption(connection.fd, SocketOption.NO_DELAY)).not.toBe(0)
    connection.abort()
    kernel.close(listening)
    client.close()
  })

  it('data may come with the first packet', () => {
    const listener = new Listener(multi, { ...LOCAL, fastOpen: 12 })
    expect(kernel.getOption(listener.fd, SocketOption.FAST_OPEN)).toBe(12)
  })
})

it('a descriptor that was given is given back, and listens on', async () => {
  const fd = kernel.socket(Family.IPV4)
  kernel.bind(fd, Family.IPV4, '127.0.0.1', 0)
  const generation = kernel.generation(fd)
  kernel.disown(fd, generation)
  const listener = new Listener(multi, { fd, backlog: 8 })
  expect(listener.address.port).toBeGreaterThan(0)
  expect((await peerFrom(listener, listener.address))?.family).toBe(Family.IPV4)
  listener.close()
  expect(kernel.generation(fd)).toBe(-kernel.errno.EBADF)
  const again = new Listener(multi, { fd, backlog: 0, closeOnEnd: true })
  expect(again.address).toEqual(listener.address)
  again.close()
  expect(kernel.adopt(fd)).toBe(-kernel.errno.EBADF)
})

/** The first line that the child says. */
async function firstLine(child: ChildProcess): Promise<unknown> {
  if (child.stdout === null) throw new Error('the child has no stdout')
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line)
  throw new Error('the child said nothing')
}

describeWithPeer('prlimit', () => {
  it('without descriptors a listener reports once, rests, and goes on when some are free', async () => {
    const child = startTypeScriptProcess(CHILD, ['descriptors'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    const seen = (await firstLine(child)) as { acceptedWhenFull: number; acceptsWhileFull: number; errors: object[] }
    expect(await exited).toEqual([0, null])
    expect(seen).toMatchObject({ accepted: 20, enabled: true })
    expect(seen.acceptedWhenFull).toBeLessThan(20)
    expect(seen.errors).toEqual([{ code: 'EMFILE', syscall: 'accept', retryInMs: 10, fatal: false }])
    // Once per rest, which grows; armed, it would be hundreds of thousands.
    expect(seen.acceptsWhileFull).toBeLessThan(10)
  })
})

interface Passed {
  readonly passed: readonly ListenFd[]
  readonly again: readonly ListenFd[]
  readonly addresses: readonly SocketAddress[]
}

async function expectAnswer(address: SocketAddress, answer: string): Promise<void> {
  const client = connectClient(null, address)
  await drive(() => client.isOver)
  expect(client.received).toBe(answer)
  client.close()
}

it('descriptors that a parent passed are known by their names', async () => {
  const [web, admin] = [new Listener(multi, LOCAL), new Listener(multi, LOCAL)]
  const child = startTypeScriptProcess(CHILD, ['passed'], {
    stdio: ['pipe', 'pipe', 'inherit', web.fd, admin.fd],
    env: { ...process.env, LISTEN_PID: 'mine', LISTEN_FDS: '2', LISTEN_FDNAMES: 'web:admin' },
  })
  const exited = once(child, 'exit')
  const { passed, again, addresses } = (await firstLine(child)) as Passed
  expect(passed).toEqual([
    { name: 'web', fd: 3, family: Family.IPV4, accepting: true },
    { name: 'admin', fd: 4, family: Family.IPV4, accepting: true },
  ])
  expect(again).toEqual([])
  expect(addresses).toEqual([web.address, admin.address])
  await expectAnswer(web.address, 'web')
  await expectAnswer(admin.address, 'admin')
  child.stdin?.end()
  expect(await exited).toEqual([0, null])
})

import { describe, expect, it } from 'vitest'
import { Family, type Kernel, POLL_STRIDE, SocketOption } from '../../lib/sys/kernel.ts'
import { Readiness } from '../../lib/sys/readiness.ts'
import { serveEcho } from './echo.ts'
import { errnoName } from './open-file.ts'
import { Peer } from './peer.ts'
import { type Simulation, simulate } from './simulation.ts'
import { NothingWillHappen } from './world.ts'

const LOCAL = '127.0.0.1'

function pair(kernel: Kernel): [number, number] {
  const fds = new Int32Array(2)
  expect(kernel.socketPair(fds)).toBe(0)
  return [fds[0] as number, fds[1] as number]
}

function listenAt(kernel: Kernel, port: number, backlog = 16): number {
  const fd = kernel.socket(Family.IPV4)
  expect(kernel.bind(fd, Family.IPV4, LOCAL, port)).toBe(0)
  expect(kernel.listen(fd, backlog)).toBe(0)
  return fd
}

/** A connected TCP pair: [client, server]. */
function connected(kernel: Kernel, port = 7000): [number, number] {
  const listener = listenAt(kernel, port)
  const client = kernel.socket(Family.IPV4)
  expect(errnoName(kernel.connect(client, Family.IPV4, LOCAL, port))).toBe('EINPROGRESS')
  const server = kernel.accept(listener)
  expect(server).toBeGreaterThan(0)
  kernel.close(listener)
  return [client, server]
}

function readiness(kernel: Kernel, fd: number, interest = 3, timeoutMs = 0): number {
  const entries = new Int32Array(POLL_STRIDE)
  entries.set([fd, interest])
  kernel.poll(entries, 1, timeoutMs)
  return entries[2] as number
}

function outcome(result: number): string | number {
  return result < 0 ? errnoName(result) : result
}

function setUp(options = {}): Simulation & { buffer: number; bytes: Uint8Array } {
  const simulation = simulate(1, options)
  const { id, bytes } = simulation.kernel.allocate(1 << 20)
  return { ...simulation, buffer: id, bytes }
}

describe('descriptors', () => {
  it('hands out the lowest free number and a new generation', () => {
    const { kernel } = setUp()
    const [a, b] = pair(kernel)
    const generation = kernel.generation(a)
    kernel.close(a)
    expect(outcome(kernel.generation(a))).toBe('EBADF')
    const again = kernel.socket(Family.IPV4)
    expect(again).toBe(a)
    expect(outcome(kernel.close(a, generation))).toBe('ESTALE')
    expect(kernel.generation(a)).not.toBe(generation)
    expect(kernel.close(again)).toBe(0)
    expect(kernel.close(b)).toBe(0)
    expect(kernel.violations).toEqual([])
  })

  it('hands out the number closed last when asked to', () => {
    const { kernel } = setUp({ kernel: { reuse: 'latest' } })
    const [, b] = pair(kernel)
    const [, d] = pair(kernel)
    kernel.close(b)
    kernel.close(d)
    expect(kernel.socket(Family.UNIX)).toBe(d)
    expect(kernel.socket(Family.UNIX)).toBe(b)
  })

  it('answers EMFILE at the limit', () => {
    const { kernel } = setUp({ kernel: { descriptorLimit: 3 } })
    pair(kernel)
    expect(outcome(kernel.pipe(new Int32Array(2)))).toBe('EMFILE')
    expect(outcome(kernel.socket(Family.IPV4))).toBe('EMFILE')
  })

  it('notes what a correct library never does', () => {
    const { kernel, poller, buffer } = setUp()
    const [a, b] = pair(kernel)
    poller.add(a, 1)
    kernel.close(a)
    kernel.close(a)
    kernel.recv(a, buffer, 0, 1)
    expect(() => kernel.recv(b, buffer, 1 << 20, 1)).toThrow(RangeError)
    expect(kernel.violations).toHaveLength(4)
    expect(poller.size).toBe(0)
  })
})

describe('streams', () => {
  it('carries bytes both ways and ends with FIN', () => {
    const { kernel, buffer, bytes } = setUp()
    const [client, server] = connected(kernel)
    bytes.set([1, 2, 3])
    expect(kernel.send(client, buffer, 0, 3)).toBe(3)
    expect(kernel.shutdownWrite(client)).toBe(0)
    expect(kernel.peek(server, buffer, 100, 2)).toBe(2)
    expect(kernel.recv(server, buffer, 100, 10)).toBe(3)
    expect([...bytes.subarray(100, 103)]).toEqual([1, 2, 3])
    expect(kernel.recv(server, buffer, 100, 10)).toBe(0)
    expect(kernel.send(server, buffer, 0, 2)).toBe(2)
    expect(kernel.recv(client, buffer, 0, 10)).toBe(2)
    expect(outcome(kernel.recv(client, buffer, 0, 10))).toBe('EAGAIN')
    expect(outcome(kernel.send(client, buffer, 0, 1))).toBe('EPIPE')
  })

  it('stops a sender whose peer does not read, and lets it go on', () => {
    const { kernel, buffer } = setUp()
    const [client, server] = connected(kernel)
    let sent = 0
    for (let count = 0; (count = kernel.send(client, buffer, 0, 1 << 20)) > 0; ) sent += count
    expect(sent).toBeGreaterThan(1000)
    expect(readiness(kernel, client)).toBe(0)
    let received = 0
    for (let count = 0; (count = kernel.recv(server, buffer, 0, 1 << 20)) > 0; ) received += count
    expect(received).toBe(sent)
    expect(readiness(kernel, client)).toBe(Readiness.WRITABLE)
  })

  it('resets the peer when closed with unread bytes, or with linger 0', () => {
    for (const lingers of [true, false]) {
      const { kernel, buffer } = setUp()
      const [client, server] = connected(kernel)
      if (lingers) kernel.setOption(server, SocketOption.LINGER, 0)
      else kernel.send(client, buffer, 0, 5)
      kernel.close(server)
      expect(readiness(kernel, client, 1)).toBe(Readiness.READABLE | Readiness.ERROR)
      expect(outcome(kernel.recv(client, buffer, 0, 1))).toBe('ECONNRESET')
      expect(kernel.recv(client, buffer, 0, 1)).toBe(0)
      expect(outcome(kernel.send(client, buffer, 0, 1))).toBe('EPIPE')
    }
  })

  it('answers the first send after the peer closed and breaks the next', () => {
    const { kernel, buffer } = setUp()
    const [client, server] = connected(kernel)
    kernel.close(server)
    expect(kernel.recv(client, buffer, 0, 1)).toBe(0)
    expect(kernel.send(client, buffer, 0, 1)).toBe(1)
    expect(outcome(kernel.send(client, buffer, 0, 1))).toBe('EPIPE')
    expect(kernel.getOption(client, SocketOption.ERROR)).toBe(0)
  })

  it('delivers after the latency of the link', () => {
    const link = {
      latencyMs: 10,
      jitterMs: 0,
      bytesPerMs: 1,
      segmentBytes: 4,
      sendBuffer: 64,
      receiveBuffer: 8,
      loss: 0,
    }
    const { kernel, world, buffer } = setUp({ links: link })
    const listener = listenAt(kernel, 7000)
    const client = kernel.socket(Family.IPV4)
    const start = world.now
    kernel.connect(client, Family.IPV4, LOCAL, 7000)
    expect(outcome(kernel.accept(listener))).toBe('EAGAIN')
    expect(readiness(kernel, client, 2, -1)).toBe(Readiness.WRITABLE)
    expect(world.now - start).toBeCloseTo(20)
    const server = kernel.accept(listener)
    expect(kernel.send(client, buffer, 0, 100)).toBe(64)
    expect(readiness(kernel, server, 1, 5)).toBe(0)
    expect(readiness(kernel, server, 1, 100)).toBe(1)
    expect(kernel.recv(server, buffer, 0, 100)).toBe(4)
    let received = 4
    while (received < 64 && readiness(kernel, server, 1, 100) === 1) received += kernel.recv(server, buffer, 0, 100)
    expect(received).toBe(64)
  })
})

describe('connections', () => {
  it('reports a refused connection through SocketOption.ERROR once', () => {
    const { kernel } = setUp()
    const { errno } = kernel
    const client = kernel.socket(Family.IPV4)
    kernel.connect(client, Family.IPV4, LOCAL, 9)
    expect(readiness(kernel, client) & Readiness.ERROR).toBe(Readiness.ERROR)
    expect(kernel.getOption(client, SocketOption.ERROR)).toBe(errno.ECONNREFUSED)
    expect(kernel.getOption(client, SocketOption.ERROR)).toBe(0)
  })

  it('never answers from a black hole until the kernel gives up', () => {
    const { kernel } = setUp()
    kernel.network.setRoute('192.0.2.1', 'blackhole')
    const client = kernel.socket(Family.IPV4)
    expect(outcome(kernel.connect(client, Family.IPV4, '192.0.2.1', 80))).toBe('EINPROGRESS')
    expect(outcome(kernel.connect(client, Family.IPV4, '192.0.2.1', 80))).toBe('EALREADY')
    expect(readiness(kernel, client, 2, 60_000)).toBe(0)
    expect(readiness(kernel, client, 2, 120_000) & Readiness.ERROR).toBe(Readiness.ERROR)
    expect(kernel.getOption(client, SocketOption.ERROR)).toBe(kernel.errno.ETIMEDOUT)
  })

  it('refuses a second listener unless both share the port', () => {
    const { kernel } = setUp()
    const share = (): number => {
      const fd = kernel.socket(Family.IPV4)
      kernel.setOption(fd, SocketOption.REUSE_PORT, 1)
      return fd
    }
    listenAt(kernel, 7000)
    const other = kernel.socket(Family.IPV4)
    expect(outcome(kernel.bind(other, Family.IPV4, '0.0.0.0', 7000))).toBe('EADDRINUSE')
    for (const fd of [share(), share()]) {
      expect(kernel.bind(fd, Family.IPV4, LOCAL, 7001)).toBe(0)
      expect(kernel.listen(fd, 1)).toBe(0)
    }
  })

  it('connects by unix names, and keeps the name after close', () => {
    const { kernel } = setUp()
    const listener = kernel.socket(Family.UNIX)
    expect(kernel.bind(listener, Family.UNIX, '/run/a', 0)).toBe(0)
    const client = kernel.socket(Family.UNIX)
    expect(outcome(kernel.connect(client, Family.UNIX, '/run/none', 0))).toBe('ENOENT')
    expect(outcome(kernel.connect(client, Family.UNIX, '/run/a', 0))).toBe('ECONNREFUSED')
    expect(kernel.listen(listener, 1)).toBe(0)
    expect(kernel.connect(client, Family.UNIX, '/run/a', 0)).toBe(0)
    expect(kernel.accept(listener)).toBeGreaterThan(0)
    kernel.close(listener)
    const next = kernel.socket(Family.UNIX)
    expect(outcome(kernel.bind(next, Family.UNIX, '/run/a', 0))).toBe('EADDRINUSE')
    expect(kernel.unlink('/run/a')).toBe(0)
    expect(kernel.bind(next, Family.UNIX, '/run/a', 0)).toBe(0)
  })

  it('maps an IPv4 client of an IPv6 wildcard listener', () => {
    const { kernel } = setUp()
    const listener = kernel.socket(Family.IPV6)
    expect(kernel.bind(listener, Family.IPV6, '::', 7000)).toBe(0)
    expect(kernel.listen(listener, 1)).toBe(0)
    const client = kernel.socket(Family.IPV4)
    kernel.connect(client, Family.IPV4, LOCAL, 7000)
    const server = kernel.accept(listener)
    expect(kernel.peerAddress(server)).toMatchObject({ family: Family.IPV6, address: '::ffff:127.0.0.1' })
    expect(kernel.peerAddress(client)).toEqual({ family: Family.IPV4, address: LOCAL, port: 7000 })
  })
})

describe('waiting', () => {
  it('moves time to what comes next, and refuses to wait for nothing', () => {
    const { kernel, world } = setUp()
    const [a] = pair(kernel)
    const start = world.now
    expect(readiness(kernel, a, 1, 25.2)).toBe(0)
    expect(world.now - start).toBe(26)
    expect(() => readiness(kernel, a, 1, -1)).toThrow(NothingWillHappen)
  })

  it('reports through the poller what poll reports', () => {
    const { kernel, poller, buffer } = setUp()
    const [a, b] = pair(kernel)
    poller.add(a, 1)
    expect(poller.wait(0)).toBe(0)
    kernel.send(b, buffer, 0, 1)
    expect(poller.wait(-1)).toBe(1)
    expect([...poller.ready.subarray(0, 2)]).toEqual([a, 1])
    poller.modify(a, 3)
    expect(poller.wait(-1)).toBe(1)
    expect([...poller.ready.subarray(0, 2)]).toEqual([a, 3])
    poller.remove(a)
    poller.wakeup()
    expect(poller.wait(-1)).toBe(0)
  })

  it('reports an edge once', () => {
    const { kernel, poller, buffer } = setUp()
    const [a, b] = pair(kernel)
    poller.add(a, 1, { edgeTriggered: true })
    kernel.send(b, buffer, 0, 1)
    expect(poller.wait(0)).toBe(1)
    expect(poller.wait(0)).toBe(0)
    kernel.send(b, buffer, 0, 1)
    expect(poller.wait(0)).toBe(1)
  })

  it('announces wakeups and answers of the resolver', () => {
    const { kernel, poller, resolver } = setUp()
    const wakeup = kernel.openWakeup()
    poller.add(wakeup, 1)
    expect(kernel.wake(wakeup, kernel.generation(wakeup))).toBe(0)
    expect(poller.wait(-1)).toBe(1)
    expect(kernel.clearWakeup(wakeup)).toBe(1)
    expect(kernel.clearWakeup(wakeup)).toBe(0)
    resolver.set('two.test', { addresses: ['::1', '127.0.0.1'], delayMs: 40 })
    poller.add(resolver.fd, 1)
    const dropped = resolver.lookup('two.test', null)
    const query = resolver.lookup('two.test', Family.IPV4)
    resolver.cancel(dropped)
    expect(poller.wait(-1)).toBe(1)
    const answers: unknown[] = []
    expect(resolver.collect((id, answer) => answers.push([id, answer]))).toBe(1)
    expect(answers).toEqual([[query, { addresses: [{ family: 4, address: '127.0.0.1', port: 0 }], error: null }]])
  })
})

describe('faults', () => {
  it('fails the n-th call that may fail, and no other', () => {
    const { kernel } = setUp()
    kernel.failNth(2, 'ENOBUFS')
    const fd = kernel.socket(Family.IPV4)
    expect(outcome(kernel.setOption(fd, SocketOption.NO_DELAY, 1))).toBe('ENOBUFS')
    expect(kernel.setOption(fd, SocketOption.NO_DELAY, 1)).toBe(0)
    expect(kernel.gate.injected).toBe(`setOption ${fd} ENOBUFS`)
    expect(kernel.calls).toEqual({ socket: 1, setOption: 2 })
  })

  it('reads and writes in part', () => {
    const { kernel, buffer } = setUp({ faults: { partialRead: 1, partialWrite: 1, poison: 1 } })
    const [a, b] = pair(kernel)
    let sent = 0
    while (sent < 1000) sent += kernel.send(a, buffer, 0, 1000 - sent)
    let calls = 0
    for (let received = 0; received < 1000; calls++) received += kernel.recv(b, buffer, 0, 1000)
    expect(calls).toBeGreaterThan(1)
  })
})

it('echoes to a scripted peer across a slow link', () => {
  const { world, kernel } = simulate(3, { links: 'random', faults: 'survivable' })
  const at = { family: Family.IPV4, address: '10.0.0.9', port: 7 }
  serveEcho(world, kernel.network, at)
  const sent = Buffer.alloc(5000, 'echo')
  const received: Uint8Array[] = []
  let ended = false
  const peer: Peer = Peer.connect(
    world,
    kernel.network,
    at,
    {
      data: (bytes) => received.push(bytes),
      ended: () => {
        ended = true
      },
    },
    true,
  )
  peer.write(sent)
  peer.end()
  world.waitUntil(() => ended, Number.POSITIVE_INFINITY)
  expect(Buffer.concat(received).equals(sent)).toBe(true)
})

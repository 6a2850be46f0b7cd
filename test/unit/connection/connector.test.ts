import { describe, expect, it } from 'vitest'
import {
  CONNECT_ADDRESSES_MAX,
  Connector,
  type ConnectTarget,
  HAPPY_EYEBALLS_DELAY_MS,
  type TcpTarget,
  UNIX_RETRY_DELAY_MS,
} from '../../../lib/connection/connector.ts'
import { FilterStatus } from '../../../lib/connection/filter.ts'
import type { LocalEnd } from '../../../lib/connection/local-end.ts'
import { nameService } from '../../../lib/connection/names.ts'
import { Family, SocketOption } from '../../../lib/sys/kernel.ts'
import { Interest } from '../../../lib/sys/readiness.ts'
import { FakeEngine, type FakeKernel, Interests, ip, Waiter } from './fake-engine.ts'

const { PENDING, DONE, FAILED } = FilterStatus

interface Rig {
  engine: FakeEngine
  kernel: FakeKernel
  connector: Connector
  waiter: Waiter
  watched(): number[]
  /** Addresses in the order in which they were tried. */
  tried(): string[]
}

function rig(target: ConnectTarget): Rig {
  const engine = new FakeEngine()
  const waiter = new Waiter(engine)
  const connector = new Connector(engine, waiter.task, target)
  const watched = (): number[] => {
    const interests = new Interests()
    connector.interest(interests)
    for (const [, interest] of interests.entries) expect(interest).toBe(Interest.WRITABLE)
    return interests.entries.map(([fd]) => fd)
  }
  const tried = (): string[] =>
    engine.fake.log.filter((line) => line.startsWith('connect')).map((line) => line.split(' ')[2] as string)
  return { engine, kernel: engine.fake, connector, waiter, watched, tried }
}

/** A rig whose addresses are known, in this order. */
function rigOf(addresses: string[], options: Partial<TcpTarget> = {}): Rig {
  const known = addresses.map((text) => ip(text))
  const all = rig({ kind: 'tcp', host: 'a.test', port: 80, addresses: known, ...options })
  all.connector.start(0)
  return all
}

describe('a single address', () => {
  it('connects when the descriptor becomes writable', () => {
    const { connector, kernel, watched } = rigOf(['10.0.0.1'])
    expect(connector.run(0)).toBe(PENDING)
    expect(connector.phase).toBe('connecting')
    expect(watched()).toEqual([3])
    expect(connector.deadline()).toBe(Number.POSITIVE_INFINITY)
    kernel.succeed('10.0.0.1')
    expect(connector.run(7)).toBe(DONE)
    expect(watched()).toEqual([])
    expect([connector.nameResolvedAt, connector.connectedAt]).toEqual([0, 7])
    const socket = connector.take()
    expect([socket.fd, socket.peer]).toEqual([3, ip('10.0.0.1', 80)])
    expect(() => connector.take()).toThrow('taken already')
    connector.abort()
    expect(kernel.open.size).toBe(1)
  })

  it.each(['connected', 'EISCONN'] as const)('is done at once when connect answers %s', (script) => {
    const { connector, kernel } = rigOf(['10.0.0.1'])
    kernel.scripts.set('10.0.0.1', script)
    expect(connector.run(0)).toBe(DONE)
    expect(connector.run(1)).toBe(DONE)
    expect(connector.connectedAt).toBe(0)
    expect(connector.take().peer).toEqual(ip('10.0.0.1', 80))
  })

  it.each(['EALREADY', 'EINTR', 'EINPROGRESS'] as const)('waits when connect answers %s', (script) => {
    const { connector, kernel, watched } = rigOf(['10.0.0.1'])
    kernel.scripts.set('10.0.0.1', script)
    expect(connector.run(0)).toBe(PENDING)
    expect(watched()).toEqual([3])
  })

  it('does not believe a writable report while the connect is under way', () => {
    const { connector, kernel, watched } = rigOf(['10.0.0.1'])
    connector.run(0)
    for (let i = 1; i < 5; i++) expect(connector.run(i)).toBe(PENDING)
    expect(watched()).toEqual([3])
    kernel.fail('10.0.0.1', 'ECONNREFUSED')
    expect(connector.run(9)).toBe(FAILED)
    expect(kernel.open.size).toBe(0)
  })

  it('fails with the system error, its address and port', () => {
    const { connector, kernel } = rigOf(['::1'])
    connector.run(0)
    kernel.fail('::1', 'ECONNREFUSED')
    connector.run(1)
    expect(connector.failure?.error).toBe('COULDNT_CONNECT')
    expect(connector.failure?.cause).toMatchObject({
      code: 'ECONNREFUSED',
      errno: -kernel.errno.ECONNREFUSED,
      syscall: 'connect',
      address: '::1',
      port: 80,
    })
    expect(connector.failure?.cause.cause).toBeUndefined()
    expect(connector.run(2)).toBe(FAILED)
    expect(() => connector.take()).toThrow()
  })
})

describe('several addresses', () => {
  it('are tried in turn by family, each a delay after the one before', () => {
    const { connector, tried, watched } = rigOf(['::1', '::2', '10.0.0.1'])
    connector.run(0)
    expect(tried()).toEqual(['::1'])
    expect(connector.deadline()).toBe(HAPPY_EYEBALLS_DELAY_MS)
    connector.run(HAPPY_EYEBALLS_DELAY_MS - 1)
    expect(tried()).toEqual(['::1'])
    connector.run(HAPPY_EYEBALLS_DELAY_MS)
    expect(tried()).toEqual(['::1', '10.0.0.1'])
    expect(connector.deadline()).toBe(2 * HAPPY_EYEBALLS_DELAY_MS)
    connector.run(1000)
    expect(tried()).toEqual(['::1', '10.0.0.1', '::2'])
    expect(watched()).toEqual([3, 4, 5])
    expect(connector.deadline()).toBe(Number.POSITIVE_INFINITY)
  })

  it('begin at once when the attempt before has failed, in the number that it had', () => {
    const { connector, kernel, tried, watched } = rigOf(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    connector.run(0)
    kernel.fail('10.0.0.1', 'ECONNREFUSED')
    connector.run(5)
    expect(tried()).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(watched()).toEqual([3])
    expect(connector.deadline()).toBe(5 + HAPPY_EYEBALLS_DELAY_MS)
  })

  it('begin at once when any of several attempts has failed', () => {
    const { connector, kernel, tried, watched } = rigOf(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    connector.run(0)
    connector.run(200)
    kernel.fail('10.0.0.1', 'ECONNREFUSED')
    expect(connector.run(201)).toBe(PENDING)
    expect(tried()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    expect(watched().sort()).toEqual([3, 4])
  })

  it.each(['ENETUNREACH', 'EAFNOSUPPORT', 'EADDRNOTAVAIL', 'ECONNREFUSED', 'EACCES', 'EAGAIN'] as const)(
    'go on within the same run when connect answers %s',
    (script) => {
      const { connector, kernel } = rigOf(['::1', '10.0.0.1', '::2'])
      kernel.scripts.set('::1', script)
      kernel.scripts.set('10.0.0.1', script)
      kernel.scripts.set('::2', 'connected')
      expect(connector.run(0)).toBe(DONE)
      expect(connector.take().peer?.address).toBe('::2')
      expect(kernel.open.size).toBe(1)
    },
  )

  it('go on when the system has no such family', () => {
    const { connector, kernel, tried } = rigOf(['::1', '10.0.0.1'])
    kernel.refusedFamilies.set(Family.IPV6, 'EAFNOSUPPORT')
    expect(connector.run(0)).toBe(PENDING)
    expect(tried()).toEqual(['10.0.0.1'])
  })

  it('let the first that connects win and close the others', () => {
    const { connector, kernel, tried } = rigOf(['::1', '10.0.0.1', '::2'])
    connector.run(0)
    connector.run(200)
    connector.run(400)
    kernel.succeed('10.0.0.1')
    expect(connector.run(401)).toBe(DONE)
    expect(connector.take().peer?.address).toBe('10.0.0.1')
    expect([...kernel.open.keys()]).toEqual([4])
    expect(tried()).toHaveLength(3)
  })

  it('prefer the earlier attempt when two have connected', () => {
    const { connector, kernel } = rigOf(['::1', '10.0.0.1', '::2'])
    for (const now of [0, 200, 400]) connector.run(now)
    kernel.fail('::1', 'ECONNRESET')
    kernel.succeed('10.0.0.1')
    kernel.succeed('::2')
    expect(connector.run(401)).toBe(DONE)
    expect(connector.take().peer?.address).toBe('10.0.0.1')
    expect(kernel.open.size).toBe(1)
  })

  it('fail together: the last to fail is the cause, all are beneath it', () => {
    const { connector, kernel } = rigOf(['::1', '10.0.0.1'])
    connector.run(0)
    connector.run(200)
    kernel.fail('10.0.0.1', 'ECONNREFUSED')
    expect(connector.run(201)).toBe(PENDING)
    kernel.fail('::1', 'ETIMEDOUT')
    expect(connector.run(202)).toBe(FAILED)
    const cause = connector.failure?.cause
    expect(cause).toMatchObject({ code: 'ETIMEDOUT', address: '::1', port: 80 })
    const all = cause?.cause as AggregateError
    expect(all).toBeInstanceOf(AggregateError)
    expect(all.errors.map(({ code, address }) => `${code} ${address}`)).toEqual([
      'ECONNREFUSED 10.0.0.1',
      'ETIMEDOUT ::1',
    ])
    expect(all.errors).not.toContain(cause)
    expect(kernel.open.size).toBe(0)
  })

  it('are bounded in number', () => {
    const { connector, kernel, tried } = rigOf(Array.from({ length: 40 }, (_, i) => `10.0.0.${i}`))
    for (let i = 0; i < 40; i++) kernel.scripts.set(`10.0.0.${i}`, 'ECONNREFUSED')
    expect(connector.run(0)).toBe(FAILED)
    expect(tried()).toHaveLength(CONNECT_ADDRESSES_MAX)
  })

  it('never begin faster than ten milliseconds', () => {
    const { connector } = rigOf(['10.0.0.1', '10.0.0.2'], { happyEyeballsDelayMs: 0 })
    connector.run(0)
    expect(connector.deadline()).toBe(10)
  })

  it('go to the port of the target', () => {
    const { connector, kernel } = rig({ kind: 'tcp', host: 'a', port: 81, addresses: [ip('10.0.0.1', 9999)] })
    kernel.scripts.set('10.0.0.1', 'connected')
    connector.start(0)
    connector.run(0)
    expect(connector.take().peer?.port).toBe(81)
  })
})

describe('without descriptors', () => {
  it('ends with EMFILE instead of trying every address', () => {
    const { connector, kernel } = rigOf(['10.0.0.1', '10.0.0.2'])
    kernel.descriptorsMax = 0
    expect(connector.run(0)).toBe(FAILED)
    expect(connector.failure?.cause).toMatchObject({ code: 'EMFILE', syscall: 'socket' })
    expect(connector.failure?.cause.cause).toBeUndefined()
  })

  it('lets an attempt under way go on, and uses its descriptor when it fails', () => {
    const { connector, kernel, tried } = rigOf(['10.0.0.1', '10.0.0.2'])
    kernel.descriptorsMax = 1
    connector.run(0)
    expect(connector.run(200)).toBe(PENDING)
    expect(connector.deadline()).toBe(400)
    kernel.fail('10.0.0.1', 'ECONNREFUSED')
    expect(connector.run(201)).toBe(PENDING)
    expect(tried()).toEqual(['10.0.0.1', '10.0.0.2'])
  })
})

function localEnd(address: string | null, port = 0, portCount = 1, device: string | null = null): LocalEnd {
  return { device, address: address === null ? null : ip(address), port, portCount }
}

describe('families and local addresses', () => {
  it('tries only the family that was asked for', () => {
    const { connector, tried } = rigOf(['::1', '10.0.0.1'], { family: Family.IPV4 })
    connector.run(0)
    expect(tried()).toEqual(['10.0.0.1'])
  })

  it('binds before connecting and tries only the family of the local address', () => {
    const { connector, kernel } = rigOf(['::1', '10.0.0.1'], { local: localEnd('192.0.2.1') })
    connector.run(0)
    expect(kernel.log.slice(0, 2)).toEqual(['bind 3 192.0.2.1:0', 'connect 3 10.0.0.1'])
  })

  it('names the local address when it cannot be bound', () => {
    const { connector, kernel } = rigOf(['10.0.0.1'], { local: localEnd('192.0.2.1', 5) })
    kernel.bindResult = 'EADDRINUSE'
    expect(connector.run(0)).toBe(FAILED)
    expect(connector.failure?.cause).toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'bind',
      address: '192.0.2.1',
      port: 5,
    })
    expect(kernel.open.size).toBe(0)
  })

  it('tries one port after the other while they are taken, from any address when none is wanted', () => {
    const { connector, kernel } = rigOf(['10.0.0.1'], { local: localEnd(null, 5000, 4) })
    kernel.takenPorts.add(5000).add(5001)
    connector.run(0)
    expect(kernel.log.slice(0, 3)).toEqual(['bind 3 0.0.0.0:5000', 'bind 3 0.0.0.0:5001', 'bind 3 0.0.0.0:5002'])
    expect(kernel.log[3]).toBe('connect 3 10.0.0.1')
  })

  it('names the last port when all are taken, and the first when it is refused for another reason', () => {
    const taken = rigOf(['::1'], { local: localEnd(null, 5000, 3) })
    for (const port of [5000, 5001, 5002, 5003]) taken.kernel.takenPorts.add(port)
    expect(taken.connector.run(0)).toBe(FAILED)
    expect(taken.connector.failure?.cause).toMatchObject({ code: 'EADDRINUSE', address: '::', port: 5002 })
    const refused = rigOf(['10.0.0.1'], { local: localEnd(null, 80, 3) })
    refused.kernel.bindResult = 'EACCES'
    expect(refused.connector.run(0)).toBe(FAILED)
    expect(refused.connector.failure?.cause).toMatchObject({ code: 'EACCES', port: 80 })
    expect(refused.kernel.log.length).toBe(2)
  })

  it('holds to a device, or binds to its address where that is not allowed', () => {
    const held = rigOf(['10.0.0.1'], { local: localEnd(null, 0, 1, 'eth0') })
    held.connector.run(0)
    expect(held.kernel.log.slice(0, 2)).toEqual(['device 3 eth0', 'connect 3 10.0.0.1'])
    const bound = rigOf(['::1', '10.0.0.1'], { local: localEnd(null, 0, 1, 'eth0') })
    bound.kernel.deviceResult = 'EPERM'
    bound.kernel.devices.set('eth0', [ip('192.0.2.9')])
    expect(bound.connector.run(0)).toBe(PENDING)
    expect(bound.kernel.log).toContain('bind 3 192.0.2.9:0')
    expect(bound.tried()).toEqual(['10.0.0.1'])
    bound.kernel.fail('10.0.0.1', 'ECONNREFUSED')
    bound.connector.run(1)
    expect(bound.connector.failure?.cause.code, 'not that the device has no IPv6').toBe('ECONNREFUSED')
  })

  it('says which device there is not', () => {
    const { connector, kernel } = rigOf(['10.0.0.1'], { local: localEnd(null, 0, 1, 'eth9') })
    kernel.deviceResult = 'ENODEV'
    expect(connector.run(0)).toBe(FAILED)
    expect(connector.failure?.cause).toMatchObject({ code: 'ENODEV', syscall: 'bind', address: 'eth9' })
    expect(kernel.open.size).toBe(0)
  })

  it('fails when no address fits', () => {
    const { connector } = rigOf(['::1'], { family: Family.IPV4 })
    expect(connector.run(0)).toBe(FAILED)
    expect(connector.failure?.cause).toMatchObject({ code: 'EAFNOSUPPORT', address: 'a.test', port: 80 })
  })

  it('sets no-delay unless refused, and keep-alive when asked', () => {
    const options = (target: Partial<TcpTarget>): Map<number, number> => {
      const { connector, kernel } = rigOf(['10.0.0.1'], target)
      connector.run(0)
      return kernel.open.get(3)?.options ?? new Map()
    }
    expect([...options({})]).toEqual([[SocketOption.NO_DELAY, 1]])
    expect([...options({ noDelay: false, keepAlive: { idleSeconds: 60, count: 3 } })]).toEqual([
      [SocketOption.KEEP_ALIVE, 1],
      [SocketOption.KEEP_ALIVE_IDLE, 60],
      [SocketOption.KEEP_ALIVE_COUNT, 3],
    ])
  })
})

describe('a name', () => {
  it('is resolved first, and the owner is woken by the answer', () => {
    const { engine, connector, waiter, tried, watched } = rig({ kind: 'tcp', host: 'a.test', port: 80 })
    connector.start(0)
    expect(connector.run(0)).toBe(PENDING)
    expect([connector.phase, connector.deadline(), watched()]).toEqual(['resolving', Number.POSITIVE_INFINITY, []])
    engine.resolver.answer('a.test', ['::1', '10.0.0.1'])
    engine.pass()
    expect(engine.dirty).toEqual([waiter.task])
    expect(connector.run(30)).toBe(PENDING)
    expect([connector.phase, connector.nameResolvedAt]).toEqual(['connecting', 30])
    expect(tried()).toEqual(['::1'])
  })

  it('that is an IP literal or cached connects in the first run', () => {
    const { connector, kernel } = rig({ kind: 'tcp', host: '[::1]', port: 80 })
    kernel.scripts.set('::1', 'connected')
    connector.start(0)
    expect(connector.run(0)).toBe(DONE)
  })

  it('is looked for again whenever the owner is run without readiness', () => {
    const { engine, connector, waiter } = rig({ kind: 'tcp', host: 'a.test', port: 80 })
    connector.start(0)
    engine.pass()
    engine.resolver.answer('a.test', ['10.0.0.1'])
    connector.run(1)
    engine.pass()
    expect(engine.dirty).toEqual([waiter.task])
  })

  it('that does not exist fails with the error of the lookup', () => {
    const { engine, connector } = rig({ kind: 'tcp', host: 'a.test', port: 80 })
    connector.start(0)
    engine.resolver.answer('a.test', [], 'ENOTFOUND')
    engine.pass()
    expect(connector.run(1)).toBe(FAILED)
    expect(connector.failure).toMatchObject({
      error: 'COULDNT_RESOLVE_HOST',
      cause: { code: 'ENOTFOUND', address: 'a.test' },
    })
    expect(connector.nameResolvedAt).toBe(-1)
  })
})

describe('abort', () => {
  it('cancels the lookup', () => {
    const { engine, connector } = rig({ kind: 'tcp', host: 'a.test', port: 80 })
    connector.start(0)
    connector.abort()
    expect(engine.resolver.cancelled).toEqual([1])
    expect(engine.facility(nameService).outstanding).toBe(0)
    expect(connector.run(1)).toBe(FAILED)
    expect(connector.failure).toBeNull()
  })

  it('leaves no descriptor open, whether connecting or connected', () => {
    for (const connected of [false, true]) {
      const { connector, kernel, watched } = rigOf(['::1', '10.0.0.1'])
      connector.run(0)
      connector.run(200)
      if (connected) kernel.succeed('::1')
      connector.run(201)
      connector.abort()
      connector.abort()
      expect(kernel.open.size).toBe(0)
      expect(watched()).toEqual([])
      expect(connector.deadline()).toBe(Number.POSITIVE_INFINITY)
    }
  })
})

describe('a unix socket', () => {
  const path = '/run/test'

  it('connects at once, without options of TCP', () => {
    const { connector, kernel } = rig({ kind: 'unix', path })
    kernel.scripts.set(path, 'connected')
    connector.start(0)
    expect(connector.phase).toBe('connecting')
    expect(connector.run(0)).toBe(DONE)
    expect(kernel.open.get(3)?.options.size).toBe(0)
    expect(connector.take().peer).toEqual({ family: Family.UNIX, address: path, port: 0 })
  })

  it('fails with its path', () => {
    const { connector, kernel } = rig({ kind: 'unix', path: '\0name' })
    kernel.scripts.set('\0name', 'ECONNREFUSED')
    connector.start(0)
    expect(connector.run(0)).toBe(FAILED)
    expect(connector.failure?.cause.message).toBe('connect ECONNREFUSED @name')
  })

  it('is tried again while the queue of its listener is full, without watching the descriptor', () => {
    const { connector, kernel, watched } = rig({ kind: 'unix', path })
    kernel.scripts.set(path, 'EAGAIN')
    connector.start(0)
    expect(connector.run(0)).toBe(PENDING)
    expect(watched()).toEqual([])
    expect(connector.deadline()).toBe(UNIX_RETRY_DELAY_MS)
    expect(connector.run(UNIX_RETRY_DELAY_MS)).toBe(PENDING)
    expect(connector.deadline()).toBe(2 * UNIX_RETRY_DELAY_MS)
    kernel.scripts.set(path, 'connected')
    expect(connector.run(2 * UNIX_RETRY_DELAY_MS)).toBe(DONE)
    expect(kernel.open.size).toBe(1)
  })
})

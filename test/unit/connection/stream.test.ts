import { describe, expect, it } from 'vitest'
import { type Filter, FilterStatus } from '../../../lib/connection/filter.ts'
import { SocketFilter } from '../../../lib/connection/socket-filter.ts'
import { ByteStream } from '../../../lib/connection/stream.ts'
import type { InterestSet } from '../../../lib/multi/machine.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { Interest } from '../../../lib/sys/readiness.ts'
import { errnoName } from '../../../lib/sys/system-error.ts'
import { ERRNO, FakeEngine, type FakeKernel, Interests, ip } from './fake-engine.ts'

/** A layer that shakes hands for a number of rounds, must read in order to write, and holds bytes back. */
class Envelope implements Filter {
  readonly name: string
  readonly below: Filter
  readonly log: string[]
  rounds: number
  hasPending = false
  failure: Error | null = null

  constructor(name: string, below: Filter, log: string[], rounds = 1) {
    this.name = name
    this.below = below
    this.log = log
    this.rounds = rounds
  }

  connect(now: number): FilterStatus {
    const status = this.below.connect(now)
    if (status !== FilterStatus.DONE) return status
    this.log.push(`connect ${this.name}`)
    return this.rounds-- > 0 ? FilterStatus.PENDING : FilterStatus.DONE
  }

  interest(wants: number, into: InterestSet): void {
    this.below.interest(wants === 0 ? 0 : Interest.READABLE, into)
  }

  recv(bufferId: number, offset: number, length: number): number {
    this.log.push(`recv ${this.name}`)
    return this.below.recv(bufferId, offset, length)
  }

  send(bufferId: number, offset: number, length: number): number {
    this.log.push(`send ${this.name}`)
    return this.below.send(bufferId, offset, length)
  }

  sendBytes(bytes: Uint8Array, offset: number, length: number): number {
    this.log.push(`sendBytes ${this.name}`)
    return this.below.sendBytes(bytes, offset, length)
  }

  shutdownWrite(): number {
    this.log.push(`shutdownWrite ${this.name}`)
    return this.below.shutdownWrite()
  }

  checkIdle(): boolean {
    return !this.hasPending && this.below.checkIdle()
  }

  close(): void {
    this.log.push(`close ${this.name}`)
    this.below.close()
  }
}

function setUp(): { engine: FakeEngine; kernel: FakeKernel; stream: ByteStream; fd: number } {
  const engine = new FakeEngine()
  const fd = engine.fake.socket(Family.IPV4)
  const descriptor = engine.fake.open.get(fd)
  if (descriptor) Object.assign(descriptor, { state: 'connected', peer: ip('10.0.0.1', 80) })
  const socket = new SocketFilter(engine, fd, engine.fake.generation(fd))
  return { engine, kernel: engine.fake, stream: new ByteStream(engine, socket, 5), fd }
}

function watched(stream: ByteStream, wants: number): [number, number][] {
  const interests = new Interests()
  stream.interest(wants, interests)
  return interests.entries
}

describe('a stream of one socket', () => {
  it('is connected, passes bytes and interest straight through', () => {
    const { stream, fd } = setUp()
    expect(stream.connect(0)).toBe(FilterStatus.DONE)
    expect(stream.fd).toBe(fd)
    expect(stream.createdAt).toBe(5)
    expect(stream.send(1, 0, 10)).toBe(10)
    expect(stream.sendBytes(new Uint8Array(4), 0, 4)).toBe(4)
    expect(stream.recv(1, 0, 10)).toBe(0)
    expect(stream.shutdownWrite()).toBe(0)
    expect(stream.hasPending).toBe(false)
    expect(watched(stream, Interest.READABLE_WRITABLE)).toEqual([[fd, Interest.READABLE_WRITABLE]])
    expect(watched(stream, Interest.NONE)).toEqual([])
  })

  it('asks for its addresses when they are looked at, once', () => {
    const { stream, kernel } = setUp()
    expect(kernel.log).toEqual([])
    for (let i = 0; i < 3; i++) {
      expect(stream.peer).toEqual(ip('10.0.0.1', 80))
      expect(stream.local?.address).toBe('192.0.2.100')
    }
    expect(kernel.log).toEqual(['peer 3', 'local 3'])
    stream.close()
    expect(stream.peer).toEqual(ip('10.0.0.1', 80))
  })

  it('closes once, and knows no descriptor afterwards', () => {
    const { stream, kernel, engine } = setUp()
    stream.close()
    const reused = kernel.socket(Family.IPV4)
    expect(reused).toBe(3)
    stream.close()
    expect(kernel.open.has(reused)).toBe(true)
    expect(stream.fd).toBe(-1)
    expect(stream.recv(1, 0, 1)).toBe(-ERRNO.EBADF)
    expect(stream.connect(0)).toBe(FilterStatus.FAILED)
    expect(stream.checkIdle()).toBe(false)
    expect(stream.peer).toBeNull()
    expect(watched(stream, Interest.READABLE)).toEqual([])
    engine.facilities.close()
  })

  it('releases its descriptor without closing it', () => {
    const { stream, kernel, fd } = setUp()
    expect(stream.socket.release()).toBe(fd)
    stream.close()
    expect(kernel.open.has(fd)).toBe(true)
  })

  it('gives ids that are not reused', () => {
    const { engine, stream } = setUp()
    stream.close()
    const fd = engine.fake.socket(Family.IPV4)
    const next = new ByteStream(engine, new SocketFilter(engine, fd, engine.fake.generation(fd)), 0)
    expect(next.fd).toBe(3)
    expect(next.id).toBe(stream.id + 1)
  })
})

describe('an idle stream', () => {
  it('is usable while it is silent', () => {
    const { stream, kernel, engine } = setUp()
    expect(stream.checkIdle()).toBe(true)
    engine.facilities.close()
    expect(kernel.log).toContain('release 1')
  })

  it.each([
    ['the end of the stream', { state: 'shut' }],
    ['an error', { error: ERRNO.ECONNRESET }],
    ['stray bytes', { received: [1] }],
  ])('is not usable after %s', (_what, change) => {
    const { stream, kernel } = setUp()
    Object.assign(kernel.open.get(3) ?? {}, change)
    expect(stream.checkIdle()).toBe(false)
  })
})

describe('a stack of layers', () => {
  function stack(): { stream: ByteStream; log: string[]; upper: Envelope; fd: number; kernel: FakeKernel } {
    const { stream, fd, kernel } = setUp()
    const log: string[] = []
    stream.push(new Envelope('lower', stream.top, log))
    const upper = new Envelope('upper', stream.top, log)
    stream.push(upper)
    return { stream, log, upper, fd, kernel }
  }

  it('connects from the bottom up, one layer after the other', () => {
    const { stream, log } = stack()
    const statuses = [0, 1, 2].map((now) => stream.connect(now))
    expect(statuses).toEqual([FilterStatus.PENDING, FilterStatus.PENDING, FilterStatus.DONE])
    expect(log).toEqual(['connect lower', 'connect lower', 'connect upper', 'connect lower', 'connect upper'])
  })

  it('passes bytes from the top down', () => {
    const { stream, log } = stack()
    stream.send(1, 0, 1)
    stream.sendBytes(new Uint8Array(1), 0, 1)
    stream.recv(1, 0, 1)
    stream.shutdownWrite()
    const verbs = ['send', 'sendBytes', 'recv', 'shutdownWrite']
    expect(log).toEqual(verbs.flatMap((verb) => [`${verb} upper`, `${verb} lower`]))
  })

  it('waits for what the lower layer needs, with one entry for the descriptor', () => {
    const { stream, fd } = stack()
    expect(watched(stream, Interest.WRITABLE)).toEqual([[fd, Interest.READABLE]])
    expect(watched(stream, Interest.NONE)).toEqual([])
  })

  it('tells bytes that a layer holds, which also make it unfit for idling', () => {
    const { stream, upper } = stack()
    expect([stream.hasPending, stream.checkIdle()]).toEqual([false, true])
    upper.hasPending = true
    expect([stream.hasPending, stream.checkIdle()]).toEqual([true, false])
  })

  it('tells why its top failed', () => {
    const { stream, upper } = stack()
    upper.failure = new Error('bad certificate')
    expect(stream.failure).toBe(upper.failure)
  })

  it('closes from the top down, the descriptor last', () => {
    const { stream, log, kernel } = stack()
    stream.close()
    expect(log).toEqual(['close upper', 'close lower'])
    expect(kernel.open.size).toBe(0)
  })
})

describe('errnoName', () => {
  it('knows names by number, and says so when it does not', () => {
    const { kernel } = setUp()
    expect(errnoName(kernel, -ERRNO.EPIPE)).toBe('EPIPE')
    expect(errnoName(kernel, -9999)).toBe('UNKNOWN')
    expect(errnoName({ errno: { ...ERRNO, ESTALE: 0 } }, 0)).toBe('UNKNOWN')
  })
})

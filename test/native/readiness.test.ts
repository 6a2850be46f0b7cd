import { describe, expect, it } from 'vitest'
import { Family } from '../../lib/sys/kernel.ts'
import { kernel, Poller, pollerBackends, systemCalls } from '../../lib/sys/native.ts'
import type { PollerAddOptions, PollerBackend } from '../../lib/sys/poller.ts'
import { Interest, Readiness } from '../../lib/sys/readiness.ts'
import { describeWhen } from '../support/peers.ts'
import {
  answer,
  checkForLeaks,
  closeAll,
  connectTcp,
  fill,
  LOCAL,
  listen,
  must,
  openPair,
  recvText,
  sendText,
  WAIT_MS,
} from './support.ts'

const { READABLE, WRITABLE, READABLE_WRITABLE, NONE, REMOVE } = Interest
const HANG_UP = [READABLE, READABLE | Readiness.ERROR]

checkForLeaks()

/** Ready pairs of one wait, by descriptor. */
function waitFor(poller: Poller, timeoutMs: number = WAIT_MS): Map<number, number> {
  const count = poller.wait(timeoutMs)
  const pairs = new Map<number, number>()
  for (let i = 0; i < count; i++) pairs.set(poller.ready[2 * i]!, poller.ready[2 * i + 1]!)
  expect(pairs.size).toBe(count)
  return pairs
}

function withPair(make: (pair: Int32Array) => number, body: (first: number, second: number) => void): void {
  const [first, second] = openPair(make)
  try {
    body(first, second)
  } finally {
    kernel.close(first)
    kernel.close(second)
  }
}

function codeOf(action: () => void): unknown {
  try {
    action()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return undefined
}

describe.each(pollerBackends)('%s', (backend: PollerBackend) => {
  function withPoller(body: (poller: Poller) => void, capacity?: number): void {
    using poller = new Poller(capacity === undefined ? { backend } : { backend, capacity })
    body(poller)
  }

  function withWatched(options: PollerAddOptions, body: (poller: Poller, fd: number, peer: number) => void): void {
    withPoller((poller) =>
      withPair(kernel.socketPair, (fd, peer) => {
        poller.add(fd, READABLE, options)
        body(poller, fd, peer)
      }),
    )
  }

  it('reports nothing while nothing is ready', () => {
    withWatched({}, (poller) => expect(waitFor(poller, 0)).toEqual(new Map()))
  })

  it('reports readable data again and again until it is read', () => {
    withWatched({}, (poller, fd, peer) => {
      must(sendText(peer, 'x'))
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
      expect(recvText(fd)).toBe('x')
      expect(waitFor(poller, 0)).toEqual(new Map())
    })
  })

  it('merges both directions into one readiness', () => {
    withWatched({}, (poller, fd, peer) => {
      poller.modify(fd, READABLE_WRITABLE)
      must(sendText(peer, 'x'))
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE_WRITABLE]]))
    })
  })

  it('reports only what was asked for', () => {
    withWatched({}, (poller, fd, peer) => {
      must(sendText(peer, 'x'))
      poller.modify(fd, WRITABLE)
      expect(waitFor(poller)).toEqual(new Map([[fd, WRITABLE]]))
    })
  })

  it('reports writable when a full socket has room again', () => {
    withWatched({}, (poller, fd, peer) => {
      poller.modify(fd, WRITABLE)
      fill(fd)
      expect(waitFor(poller, 0)).toEqual(new Map())
      while (recvText(peer) !== 'EAGAIN');
      expect(waitFor(poller)).toEqual(new Map([[fd, WRITABLE]]))
    })
  })

  it('reports once after one-shot, and again after modify', () => {
    withWatched({ oneShot: true }, (poller, fd, peer) => {
      must(sendText(peer, 'x'))
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
      expect(waitFor(poller, 0)).toEqual(new Map())
      poller.modify(fd, READABLE)
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
      expect(waitFor(poller, 0)).toEqual(new Map())
    })
  })

  it('stays silent in both directions after one-shot fired in one', () => {
    withWatched({ oneShot: true }, (poller, fd, peer) => {
      poller.modify(fd, READABLE_WRITABLE)
      expect(waitFor(poller)).toEqual(new Map([[fd, WRITABLE]]))
      must(sendText(peer, 'x'))
      expect(waitFor(poller, 0)).toEqual(new Map())
    })
  })

  it('gives back the place of a one-shot that fired', () => {
    withWatched({ oneShot: true }, (poller, fd, peer) =>
      withPair(kernel.socketPair, (other, otherPeer) => {
        poller.add(other, READABLE, { oneShot: true })
        must(sendText(peer, 'x'))
        must(sendText(otherPeer, 'x'))
        expect(waitFor(poller).size).toBe(2)
        poller.remove(fd)
        poller.modify(other, READABLE)
        expect(waitFor(poller)).toEqual(new Map([[other, READABLE]]))
      }),
    )
  })

  it('forgets the options of a removed descriptor', () => {
    withWatched({ oneShot: true }, (poller, fd, peer) => {
      poller.remove(fd)
      poller.modify(fd, READABLE)
      must(sendText(peer, 'x'))
      expect(waitFor(poller).size).toBe(1)
      expect(waitFor(poller).size).toBe(1)
    })
  })

  it('takes the options of a second add', () => {
    withWatched({ oneShot: true }, (poller, fd, peer) => {
      poller.add(fd, READABLE)
      must(sendText(peer, 'x'))
      expect(waitFor(poller).size).toBe(1)
      expect(waitFor(poller).size).toBe(1)
      poller.add(fd, READABLE, { oneShot: true })
      expect(waitFor(poller).size).toBe(1)
      expect(waitFor(poller, 0).size).toBe(0)
    })
  })

  it('adds by modify what is not there', () => {
    withPoller((poller) =>
      withPair(kernel.socketPair, (fd) => {
        poller.modify(fd, WRITABLE)
        expect(waitFor(poller)).toEqual(new Map([[fd, WRITABLE]]))
      }),
    )
  })

  it.each([
    ['NONE', NONE],
    ['REMOVE', REMOVE],
  ] as const)('removes by the interest %s', (_, interest) => {
    withWatched({}, (poller, fd, peer) => {
      kernel.close(peer)
      poller.modify(fd, interest)
      expect(waitFor(poller, 0)).toEqual(new Map())
      poller.modify(fd, READABLE)
      expect(HANG_UP).toContain(waitFor(poller).get(fd))
      poller.add(fd, interest)
      expect(waitFor(poller, 0)).toEqual(new Map())
    })
  })

  it('removes what is not there, and what is closed', () => {
    withPoller((poller) =>
      withPair(kernel.socketPair, (fd, peer) => {
        poller.remove(fd)
        poller.remove(-1)
        poller.modify(-1, READABLE)
        poller.add(peer, READABLE)
        poller.add(fd, READABLE)
        kernel.close(fd)
        poller.modify(fd, READABLE_WRITABLE)
        poller.remove(fd)
        poller.remove(fd)
        kernel.close(peer)
        poller.remove(peer)
        expect(waitFor(poller, 0)).toEqual(new Map())
      }),
    )
  })

  it('says nothing about a closed descriptor', () => {
    withWatched({}, (poller, fd) => {
      kernel.close(fd)
      expect(waitFor(poller, 0)).toEqual(new Map())
      expect(waitFor(poller, 0)).toEqual(new Map())
    })
  })

  it('watches a number that was closed and given out again', () => {
    withPoller((poller) => {
      const [first, firstPeer] = openPair()
      poller.add(first, READABLE, { oneShot: true })
      closeAll(first, firstPeer)
      withPair(kernel.socketPair, (second, secondPeer) => {
        expect([first, firstPeer]).toContain(second)
        poller.modify(second, READABLE)
        poller.modify(secondPeer, READABLE)
        must(sendText(secondPeer, 'x'))
        expect(waitFor(poller)).toEqual(new Map([[second, READABLE]]))
      })
    })
  })

  it('refuses a descriptor that is not open', () => {
    withPoller((poller) => {
      const [fd, peer] = openPair()
      closeAll(fd, peer)
      expect(codeOf(() => poller.add(fd, READABLE))).toBe('EBADF')
      expect(codeOf(() => poller.add(-1, READABLE))).toBe('EBADF')
    })
  })

  it('reports the end of the stream as readable', () => {
    withWatched({}, (poller, fd, peer) => {
      must(kernel.shutdownWrite(peer))
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
      expect(recvText(fd)).toBe('')
    })
  })

  it('reports a hang-up as the direction that was asked for', () => {
    withWatched({}, (poller, fd, peer) => {
      kernel.close(peer)
      expect(HANG_UP).toContain(waitFor(poller).get(fd))
      poller.modify(fd, WRITABLE)
      expect(waitFor(poller).get(fd)! & READABLE_WRITABLE).toBe(WRITABLE)
    })
  })

  it('reports the last writer of a pipe going away', () => {
    withPoller((poller) =>
      withPair(kernel.pipe, (reader, writer) => {
        poller.add(reader, READABLE)
        kernel.close(writer)
        expect(waitFor(poller)).toEqual(new Map([[reader, READABLE]]))
      }),
    )
  })

  it('reports the last reader of a pipe going away to the writer', () => {
    withPoller((poller) =>
      withPair(kernel.pipe, (reader, writer) => {
        fill(writer, kernel.write)
        poller.add(writer, WRITABLE)
        expect(waitFor(poller, 0).size).toBe(0)
        kernel.close(reader)
        expect(waitFor(poller).get(writer)! & WRITABLE).toBe(WRITABLE)
      }),
    )
  })

  it('reports a refused connection as an error with the directions asked for', () => {
    withPoller((poller) => {
      const listener = listen()
      closeAll(listener.fd)
      const fd = must(kernel.socket(Family.IPV4))
      poller.add(fd, NONE)
      const result = answer(kernel.connect(fd, Family.IPV4, LOCAL, listener.port))
      expect(['EINPROGRESS', 'ECONNREFUSED']).toContain(result)
      poller.add(fd, WRITABLE)
      expect(waitFor(poller).get(fd)! & (result === 'EINPROGRESS' ? WRITABLE | Readiness.ERROR : WRITABLE)).not.toBe(0)
      closeAll(fd)
    })
  })

  it('reports a connection that was reset', () => {
    withPoller((poller) => {
      const [client, server] = connectTcp()
      poller.add(client, READABLE)
      must(kernel.setOption(server, 9, 0))
      closeAll(server)
      expect(waitFor(poller).get(client)).toBe(READABLE | Readiness.ERROR)
      expect(recvText(client)).toBe('ECONNRESET')
      closeAll(client)
    })
  })

  it('returns at once after a wakeup, without a pair', () => {
    withWatched({}, (poller) => {
      poller.wakeup()
      poller.wakeup()
      expect(poller.wait(-1)).toBe(0)
      poller.wakeup()
      expect(poller.wait(-1)).toBe(0)
    })
  })

  it('reports what is ready beside a wakeup', () => {
    withWatched({}, (poller, fd, peer) => {
      must(sendText(peer, 'x'))
      poller.wakeup()
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
    })
  })

  it('starves nobody when fewer pairs fit than are ready', () => {
    withPoller((poller) => {
      const pairs = Array.from({ length: 10 }, () => openPair())
      for (const [fd] of pairs) poller.add(fd, WRITABLE)
      const seen = new Set<number>()
      for (let i = 0; i < 4; i++) for (const fd of waitFor(poller).keys()) seen.add(fd)
      expect(seen.size).toBe(10)
      for (const pair of pairs) closeAll(...pair)
    }, 3)
  })

  it('keeps going round while descriptors are removed', () => {
    withPoller((poller) => {
      const pairs = Array.from({ length: 9 }, () => openPair())
      for (const [fd] of pairs) poller.add(fd, WRITABLE)
      const left = new Set(pairs.map(([fd]) => fd))
      while (left.size > 0) {
        const ready = waitFor(poller)
        expect(ready.size).toBeGreaterThan(0)
        for (const fd of ready.keys()) {
          expect(left.has(fd)).toBe(true)
          poller.remove(fd)
          left.delete(fd)
        }
      }
      for (const pair of pairs) closeAll(...pair)
    }, 2)
  })

  it('takes fractions, infinity and very long waits', () => {
    withWatched({}, (poller, fd, peer) => {
      expect(poller.wait(0.25)).toBe(0)
      must(sendText(peer, 'x'))
      for (const ms of [1e12, Number.POSITIVE_INFINITY, -1, -0.5, 2 ** 31]) {
        expect(waitFor(poller, ms)).toEqual(new Map([[fd, READABLE]]))
      }
    })
  })

  it('never ends a wait before its time', () => {
    withWatched({}, (poller) => {
      const start = performance.now()
      poller.wait(2.5)
      expect(performance.now() - start).toBeGreaterThanOrEqual(2.4)
    })
  })

  it('watches hundreds of descriptors', () => {
    withPoller((poller) => {
      const pairs = Array.from({ length: 300 }, () => openPair())
      for (const [fd, peer] of pairs) {
        poller.add(fd, READABLE)
        must(sendText(peer, 'x'))
      }
      expect(waitFor(poller).size).toBe(300)
      for (const [fd] of pairs.slice(0, 150)) poller.remove(fd)
      expect(waitFor(poller).size).toBe(150)
      for (const pair of pairs) closeAll(...pair)
    })
  })

  it('makes no system call for what it knows already', () => {
    withWatched({}, (poller, fd) => {
      poller.remove(fd)
      const before = systemCalls()
      poller.remove(fd)
      poller.modify(fd, NONE)
      poller.remove(12345)
      expect(systemCalls()).toEqual(before)
    })
  })
})

const edgeBackends = pollerBackends.filter((backend) => backend !== 'poll')

describeWhen(edgeBackends.length > 0, 'edge-triggered', 'the platform has poll(2) only', () => {
  it.each(edgeBackends)('%s reports once per change', (backend) => {
    using poller = new Poller({ backend })
    withPair(kernel.socketPair, (fd, peer) => {
      poller.add(fd, READABLE, { edgeTriggered: true })
      must(sendText(peer, 'x'))
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
      expect(waitFor(poller, 0)).toEqual(new Map())
      must(sendText(peer, 'y'))
      expect(waitFor(poller)).toEqual(new Map([[fd, READABLE]]))
      expect(recvText(fd)).toBe('xy')
    })
  })

  it.each(edgeBackends)('%s keeps it over modify', (backend) => {
    using poller = new Poller({ backend })
    withPair(kernel.socketPair, (fd) => {
      poller.add(fd, READABLE, { edgeTriggered: true })
      poller.modify(fd, READABLE_WRITABLE)
      expect(waitFor(poller)).toEqual(new Map([[fd, WRITABLE]]))
      expect(waitFor(poller, 0)).toEqual(new Map())
    })
  })

  it.each(edgeBackends)('%s nests in poll(2) and in a poller of the same kind', (backend) => {
    using inner = new Poller({ backend })
    using outer = new Poller({ backend })
    using plain = new Poller({ backend: 'poll' })
    withPair(kernel.socketPair, (fd, peer) => {
      inner.add(fd, READABLE)
      outer.add(inner.fd, READABLE)
      plain.add(inner.fd, READABLE)
      expect(waitFor(outer, 0).size).toBe(0)
      must(sendText(peer, 'x'))
      expect(waitFor(outer)).toEqual(new Map([[inner.fd, READABLE]]))
      expect(waitFor(plain)).toEqual(new Map([[inner.fd, READABLE]]))
      expect(waitFor(inner, 0)).toEqual(new Map([[fd, READABLE]]))
    })
  })
})

describeWhen(pollerBackends.includes('epoll'), 'exclusive', 'the platform has no exclusive wakeup', () => {
  it('watches one listener from two pollers', () => {
    using first = new Poller({ backend: 'epoll' })
    using second = new Poller({ backend: 'epoll' })
    const listener = listen()
    first.add(listener.fd, READABLE, { exclusive: true })
    second.add(listener.fd, READABLE, { exclusive: true })
    const client = must(kernel.socket(Family.IPV4))
    kernel.connect(client, Family.IPV4, LOCAL, listener.port)
    expect(waitFor(first, 1000).size + waitFor(second, 0).size).toBeGreaterThanOrEqual(1)
    closeAll(client, listener.fd)
  })

  it('is kept over modify', () => {
    using poller = new Poller({ backend: 'epoll' })
    withPair(kernel.socketPair, (fd) => {
      poller.add(fd, READABLE, { exclusive: true })
      poller.modify(fd, WRITABLE)
      expect(waitFor(poller)).toEqual(new Map([[fd, WRITABLE]]))
      poller.add(fd, WRITABLE)
      expect(waitFor(poller)).toEqual(new Map([[fd, WRITABLE]]))
    })
  })
})

import { describe, expect, it } from 'vitest'
import { kernel, ownedCount, Poller, pollerBackends, systemCalls } from '../../lib/sys/native.ts'
import type { PollerAddOptions, PollerBackend, PollerOptions } from '../../lib/sys/poller.ts'
import { Interest } from '../../lib/sys/readiness.ts'
import { describeWhen } from '../support/peers.ts'
import { checkForLeaks, closeAll, must, openPair } from './support.ts'

checkForLeaks()

function withOptions(options: unknown): () => Poller {
  return () => new Poller(options as PollerOptions)
}

describe('a poller', () => {
  it('takes the best backend of the platform', () => {
    using poller = new Poller()
    expect(poller.backend).toBe(pollerBackends[0])
    expect(poller.ready.length).toBe(2048)
    expect(poller.fd >= 0).toBe(poller.backend !== 'poll')
  })

  it.each(pollerBackends)('has a descriptor unless its backend has none: %s', (backend) => {
    using poller = new Poller({ backend, capacity: 7 })
    expect(poller.backend).toBe(backend)
    expect(poller.ready.length).toBe(14)
    expect(poller.fd >= 0).toBe(backend !== 'poll')
  })

  it('names the option and the value that it refuses', () => {
    expect(withOptions({ backend: 'select' })).toThrow(/backend .*'select'/)
    expect(withOptions({ backend: 'select' })).toThrow(RangeError)
    expect(withOptions({ backend: 3 })).toThrow(TypeError)
    expect(withOptions({ capacity: '8' })).toThrow(/capacity .*8/)
    expect(withOptions({ capacity: '8' })).toThrow(TypeError)
    for (const capacity of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
      expect(withOptions({ capacity })).toThrow(RangeError)
      expect(withOptions({ capacity })).toThrow(/capacity/)
    }
    expect(withOptions({ capacityMax: 1 })).toThrow(/capacityMax/)
    expect(withOptions(null)).toThrow(TypeError)
    expect(withOptions(8)).toThrow(TypeError)
  })

  it('throws after close, which may be called twice', () => {
    const poller = new Poller()
    const { ready } = poller
    poller.close()
    poller.close()
    const [fd, peer] = openPair()
    for (const use of [
      () => poller.add(fd, Interest.READABLE),
      () => poller.modify(fd, Interest.READABLE),
      () => poller.remove(fd),
      () => poller.wait(0),
      () => poller.wakeup(),
    ]) {
      expect(use).toThrow('Poller is closed')
    }
    expect(ready[0]).toBe(0)
    closeAll(fd, peer)
  })

  it('reaches no other poller after close', () => {
    const first = new Poller()
    first.close()
    using second = new Poller()
    expect(() => first.wait(0)).toThrow('Poller is closed')
    expect(second.wait(0)).toBe(0)
  })

  it('checks its arguments', () => {
    using poller = new Poller()
    const bad: Array<[unknown, unknown]> = [
      ['1', 1],
      [1, '1'],
      [undefined, 1],
      [1, undefined],
      [{}, 1],
    ]
    for (const [fd, interest] of bad) {
      expect(() => poller.add(fd as number, interest as number)).toThrow(TypeError)
      expect(() => poller.modify(fd as number, interest as number)).toThrow(TypeError)
    }
    for (const interest of [-1, 5, 1.5, 2 ** 32, Number.NaN]) {
      expect(() => poller.add(1, interest)).toThrow(RangeError)
      expect(() => poller.modify(1, interest)).toThrow(RangeError)
    }
    expect(() => poller.remove(2 ** 32)).toThrow(RangeError)
    expect(() => poller.wait('1' as unknown as number)).toThrow(TypeError)
    expect(() => poller.wait(Number.NaN)).toThrow(RangeError)
  })

  it('has descriptors that no verb reaches', () => {
    using poller = new Poller()
    if (poller.fd >= 0) {
      expect(kernel.close(poller.fd)).toBe(-kernel.errno.EBADF)
      expect(kernel.generation(poller.fd)).toBe(-kernel.errno.EBADF)
    }
    expect(poller.wait(0)).toBe(0)
  })

  it('that is dropped closes when it is collected', async () => {
    const { gc } = globalThis
    if (gc === undefined) throw new Error('run with --expose-gc')
    const before = ownedCount()
    for (let i = 0; i < 20; i++) new Poller({ capacity: 1 })
    for (let i = 0; i < 50 && ownedCount() > before; i++) {
      gc()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(ownedCount()).toBe(before)
  })

  it('waits in one system call', () => {
    using poller = new Poller()
    const [fd, peer] = openPair()
    poller.add(fd, Interest.WRITABLE)
    const total = (): number => Object.values(systemCalls()).reduce((sum, count) => sum + count, 0)
    const before = total()
    expect(poller.wait(-1)).toBe(1)
    expect(total() - before).toBe(1)
    closeAll(fd, peer)
  })
})

const refusals: Array<[PollerBackend, keyof PollerAddOptions]> = [
  ['poll', 'edgeTriggered'],
  ['poll', 'exclusive'],
  ['kqueue', 'exclusive'],
]
const possible = refusals.filter(([backend]) => pollerBackends.includes(backend))

describe('options of add', () => {
  it.each(possible)('%s refuses %s by name', (backend, option) => {
    using poller = new Poller({ backend })
    const [fd, peer] = openPair()
    const add = (): void => poller.add(fd, Interest.READABLE, { [option]: true })
    expect(add).toThrow(TypeError)
    expect(add).toThrow(new RegExp(`${backend}.*${option}`))
    poller.add(fd, Interest.READABLE, { [option]: false })
    closeAll(fd, peer)
  })

  it('are checked', () => {
    using poller = new Poller()
    const add = (options: unknown) => (): void => poller.add(0, Interest.READABLE, options as PollerAddOptions)
    expect(add({ edge: true })).toThrow(/edge/)
    expect(add({ oneShot: 1 })).toThrow(/oneShot must be a boolean/)
    expect(add(null)).toThrow(TypeError)
  })
})

describeWhen(pollerBackends.includes('epoll'), 'epoll', 'the platform has no epoll', () => {
  it('refuses exclusive with one-shot', () => {
    using poller = new Poller({ backend: 'epoll' })
    expect(() => poller.add(0, Interest.READABLE, { exclusive: true, oneShot: true })).toThrow(TypeError)
  })

  it('throws a SystemError for what cannot be watched', () => {
    using poller = new Poller({ backend: 'epoll' })
    const fd = must(kernel.openWakeup())
    closeAll(fd)
    const expected = { name: 'SystemError', code: 'EBADF', errno: -kernel.errno.EBADF, syscall: 'epoll_ctl' }
    expect(() => poller.add(fd, Interest.READABLE)).toThrow(expect.objectContaining(expected))
    expect(() => poller.add(poller.fd, Interest.READABLE)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })
})

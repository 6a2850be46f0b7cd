import { describe, expect, it } from 'vitest'
import {
  NAME_CACHE_MAX,
  NAME_NEGATIVE_TTL_MS,
  NAME_TTL_MS,
  type NameService,
  nameService,
} from '../../../lib/connection/names.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { Interest } from '../../../lib/sys/readiness.ts'
import { FakeEngine, Interests, Waiter } from './fake-engine.ts'

function setUp(): { engine: FakeEngine; names: NameService; waiter: Waiter } {
  const engine = new FakeEngine()
  const waiter = new Waiter(engine)
  return { engine, names: engine.facility(nameService), waiter }
}

function watched(names: NameService): [number, number][] {
  const interests = new Interests()
  names.interest(interests)
  return interests.entries
}

function resolve(engine: FakeEngine, names: NameService, waiter: Waiter, host: string, addresses: string[]): void {
  names.lookup(host, null, waiter.task, engine.now)
  engine.resolver.answer(host, addresses)
  engine.pass()
  engine.pass()
}

describe('a lookup', () => {
  it('waits at the resolver descriptor, then wakes the waiter', () => {
    const { engine, names, waiter } = setUp()
    const lookup = names.lookup('a.test', null, waiter.task, 0)
    expect(lookup.state).toBe('pending')
    expect(watched(names)).toEqual([[engine.resolver.fd, Interest.READABLE]])
    expect(names.dormant).toBe(false)
    engine.pass()
    expect(lookup.state).toBe('pending')
    engine.resolver.answer('a.test', ['10.0.0.1', '::1'])
    names.poke()
    engine.pass()
    expect(lookup.state).toBe('done')
    expect(lookup.addresses.map(({ address }) => address)).toEqual(['10.0.0.1', '::1'])
    expect(watched(names)).toEqual([])
    expect(names.dormant).toBe(true)
    engine.pass()
    expect(waiter.runs).toBe(1)
  })

  it('answers IP literals at once, without the resolver', () => {
    const { engine, names, waiter } = setUp()
    expect(names.lookup('127.0.0.1', null, waiter.task, 0).addresses[0]?.address).toBe('127.0.0.1')
    expect(names.lookup('[::1]', Family.IPV6, waiter.task, 0).addresses[0]?.address).toBe('::1')
    expect(names.lookup('127.0.0.1', Family.IPV6, waiter.task, 0).error?.code).toBe('ENOTFOUND')
    expect(engine.resolver.asked).toEqual([])
    expect(engine.dirty).toEqual([])
  })

  it('refuses names that cannot exist without asking', () => {
    const { engine, names, waiter } = setUp()
    for (const host of ['', 'a'.repeat(256), 'a\0b']) {
      expect(names.lookup(host, null, waiter.task, 0).error?.code).toBe('ENOTFOUND')
    }
    expect(engine.resolver.asked).toEqual([])
  })

  it('fails with the error of the resolver, spelled as Node spells it', () => {
    const { engine, names, waiter } = setUp()
    const lookup = names.lookup('a.test', null, waiter.task, 0)
    engine.resolver.answer('a.test', [], 'ENOTFOUND')
    engine.pass()
    expect(lookup.state).toBe('failed')
    expect(lookup.error).toMatchObject({ code: 'ENOTFOUND', errno: -3008, syscall: 'getaddrinfo', address: 'a.test' })
    expect(lookup.error?.message).toBe('getaddrinfo ENOTFOUND a.test')
  })

  it('fails when the query cannot be started, and asks anew next time', () => {
    const { engine, names, waiter } = setUp()
    engine.resolver.refusal = 'ENOMEM'
    expect(names.lookup('a.test', null, waiter.task, 0).error?.code).toBe('ENOMEM')
    engine.resolver.refusal = null
    expect(names.lookup('a.test', null, waiter.task, 0).state).toBe('pending')
  })

  it('treats an answer without addresses as no such host', () => {
    const { engine, names, waiter } = setUp()
    const lookup = names.lookup('a.test', null, waiter.task, 0)
    engine.resolver.answer('a.test', [])
    engine.pass()
    expect(lookup.error?.code).toBe('ENOTFOUND')
  })
})

describe('single flight', () => {
  it('asks once per host and family, whatever the case', () => {
    const { engine, names, waiter } = setUp()
    const lookups = ['a.test', 'A.test', 'a.TEST'].map((host) => names.lookup(host, null, waiter.task, 0))
    names.lookup('a.test', Family.IPV6, waiter.task, 0)
    expect(engine.resolver.asked).toEqual(['a.test any', 'a.test 6'])
    engine.resolver.answer('a.test', ['10.0.0.1'])
    engine.pass()
    expect(lookups.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
  })

  it('cancels the query when the last waiter lets go, not before', () => {
    const { engine, names, waiter } = setUp()
    const first = names.lookup('a.test', null, waiter.task, 0)
    const second = names.lookup('a.test', null, waiter.task, 0)
    names.release(first)
    names.release(first)
    expect(engine.resolver.cancelled).toEqual([])
    names.release(second)
    expect(engine.resolver.cancelled).toEqual([1])
    expect(watched(names)).toEqual([])
    names.release(second)
    expect(engine.resolver.cancelled).toEqual([1])
    expect(names.lookup('a.test', null, waiter.task, 0).state).toBe('pending')
    expect(engine.resolver.asked).toHaveLength(2)
  })
})

describe('the cache', () => {
  it('answers for a minute, then asks again', () => {
    const { engine, names, waiter } = setUp()
    resolve(engine, names, waiter, 'a.test', ['10.0.0.1'])
    expect(names.lookup('a.test', null, waiter.task, NAME_TTL_MS - 1).state).toBe('done')
    expect(names.lookup('a.test', null, waiter.task, NAME_TTL_MS).state).toBe('pending')
    expect(engine.resolver.asked).toHaveLength(2)
  })

  it('takes as old an answer as the caller allows', () => {
    const { engine, names, waiter } = setUp()
    resolve(engine, names, waiter, 'a.test', ['10.0.0.1'])
    expect(names.lookup('a.test', null, waiter.task, 1e9, Number.POSITIVE_INFINITY).state).toBe('done')
    expect(names.lookup('a.test', null, waiter.task, 0, 0).state).toBe('pending')
  })

  it('believes "no such host" for a moment, and "try again" not at all', () => {
    const { engine, names, waiter } = setUp()
    names.lookup('a.test', null, waiter.task, 0)
    names.lookup('b.test', null, waiter.task, 0)
    engine.resolver.answer('a.test', [], 'ENOTFOUND')
    engine.resolver.answer('b.test', [], 'EAI_AGAIN')
    engine.pass()
    expect(names.lookup('a.test', null, waiter.task, NAME_NEGATIVE_TTL_MS - 1).state).toBe('failed')
    expect(names.lookup('a.test', null, waiter.task, NAME_NEGATIVE_TTL_MS).state).toBe('pending')
    expect(names.lookup('b.test', null, waiter.task, 0).state).toBe('pending')
  })

  it('is bounded, and drops what was unused for longest', () => {
    const { engine, names, waiter } = setUp()
    for (let i = 0; i < NAME_CACHE_MAX; i++) resolve(engine, names, waiter, `h${i}.test`, ['10.0.0.1'])
    expect(names.lookup('h0.test', null, waiter.task, 0).state).toBe('done')
    resolve(engine, names, waiter, 'one-more.test', ['10.0.0.1'])
    expect(names.cached).toBe(NAME_CACHE_MAX)
    expect(names.lookup('h0.test', null, waiter.task, 0).state).toBe('done')
    expect(names.lookup('h1.test', null, waiter.task, 0).state).toBe('pending')
  })

  it('forgets everything on clear, even what is still being asked', () => {
    const { engine, names, waiter } = setUp()
    resolve(engine, names, waiter, 'a.test', ['10.0.0.1'])
    const early = names.lookup('b.test', null, waiter.task, 0)
    names.lookup('c.test', null, waiter.task, 0)
    names.clear()
    expect(names.lookup('a.test', null, waiter.task, 0).state).toBe('pending')
    const late = names.lookup('b.test', null, waiter.task, 0)
    expect(engine.resolver.asked).toEqual(['a.test any', 'b.test any', 'c.test any', 'a.test any', 'b.test any'])
    engine.resolver.answer('b.test', ['10.0.0.2'])
    engine.resolver.answer('c.test', ['10.0.0.3'])
    engine.pass()
    expect([early.state, late.state]).toEqual(['done', 'done'])
    expect(names.cached).toBe(1)
  })
})

describe('closing', () => {
  it('cancels what is out, tells the waiters and starts afresh when asked again', () => {
    const { engine, names, waiter } = setUp()
    const lookup = names.lookup('a.test', null, waiter.task, 0)
    const task = engine.dirty[0]
    engine.facilities.close()
    expect(engine.resolver.cancelled).toEqual([1])
    expect(lookup.error?.code).toBe('EAI_CANCELED')
    expect(task?.alive).toBe(false)
    names.release(lookup)
    expect(engine.resolver.cancelled).toEqual([1])
    expect(names.lookup('a.test', null, waiter.task, 0).state).toBe('pending')
    expect(names.outstanding).toBe(1)
  })
})

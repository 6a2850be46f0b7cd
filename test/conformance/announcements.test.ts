import { describe, expect, it } from 'vitest'
import { Interest, Multi, SOCKET_TIMEOUT, Transfer } from '../../lib/index.ts'
import { NOW, OutwardTimer } from '../../lib/multi/outward-timer.ts'
import { simulate } from '../sim/simulation.ts'
import { Fetch, readMessages } from './fetches.ts'
import { HandLoop } from './hand-loop.ts'

function open() {
  const simulation = simulate(1)
  const loop = new HandLoop(simulation)
  const url = (path: string): string => `http://${simulation.origin.host}${path}`
  const transfer = (path: string): Transfer => new Transfer({ url: url(path) })
  const close = (): void => {
    loop.multi.close()
    simulation.assertQuiescent()
  }
  return { simulation, loop, multi: loop.multi, url, transfer, close }
}

/** What was said of descriptors, without timers. */
function sockets(told: readonly string[]): string[] {
  return told.filter((line) => !line.startsWith('timer'))
}

function timers(told: readonly string[]): number[] {
  return told.filter((line) => line.startsWith('timer')).map((line) => Number(line.slice(6)))
}

describe('socketFunction', () => {
  it('hears WRITABLE, READABLE, and REMOVE before the close, of a connection used once', () => {
    const { simulation, loop, multi, url, close } = open()
    multi.add(new Transfer({ url: url('/slow/5/10'), forbidReuse: true }))
    loop.run()
    const told = sockets(loop.told)
    const fd = Number(told[0]?.split(' ')[0])
    expect(told).toEqual([`${fd} 2`, `${fd} 1`, `${fd} 4`])
    expect(simulation.kernel.table.openList()).not.toContain(fd)
    close()
  })

  it('hears nothing between requests on one connection', () => {
    const { loop, multi, transfer, close } = open()
    multi.add(transfer('/bytes/10'))
    loop.run()
    const before = sockets(loop.told).length
    for (let i = 0; i < 10; i++) {
      multi.add(transfer('/bytes/10'))
      loop.run()
    }
    expect(sockets(loop.told).slice(before)).toEqual([])
    close()
  })

  it('hears REMOVE while idle when idle connections are unwatched, and on reuse all anew, without the data', () => {
    const simulation = simulate(1)
    const loop = new HandLoop(simulation, { watchIdleConnections: false })
    const { multi } = loop
    const data: unknown[] = []
    loop.hooks = {
      onSocket: (fd, interest, socketData) => {
        data.push(socketData)
        if (interest !== Interest.REMOVE) multi.assign(fd, 'mine')
        return undefined
      },
    }
    for (let i = 0; i < 2; i++) {
      multi.add(new Transfer({ url: `http://${simulation.origin.host}/slow/5/10` }))
      loop.run()
      expect(multi.waitFds()).toEqual([])
      expect(loop.interests.size).toBe(0)
    }
    expect(simulation.origin.connections).toBe(1)
    const kinds = sockets(loop.told).map((line) => line.split(' ')[1])
    expect(kinds).toEqual(['2', '1', '4', '1', '4'])
    expect(data).toEqual([undefined, 'mine', 'mine', undefined, 'mine'])
    multi.close()
    simulation.assertQuiescent()
  })

  it('hears REMOVE of the old and then the news of a descriptor with the same number in one action', () => {
    const { loop, multi, url, close } = open()
    const data: unknown[] = []
    loop.hooks = {
      onSocket: (fd, interest, socketData) => {
        data.push(interest === Interest.REMOVE ? 'removed' : socketData)
        if (interest === Interest.READABLE) multi.assign(fd, 'old')
        return undefined
      },
    }
    const second = new Transfer({ url: url('/bytes/2'), freshConnect: true })
    multi.add(new Transfer({ url: url('/bytes/1'), forbidReuse: true, onData: () => multi.add(second) }))
    loop.run()
    const told = sockets(loop.told)
    const fd = told[0]?.split(' ')[0]
    expect(told).toEqual([`${fd} 2`, `${fd} 1`, `${fd} 4`, `${fd} 2`, `${fd} 1`])
    expect(data).toEqual([undefined, undefined, 'removed', undefined, undefined])
    close()
  })

  it('set late hears everything that is watched, once', () => {
    const { loop, multi, transfer, close } = open()
    multi.add(transfer('/hang'))
    multi.add(transfer('/hang'))
    loop.run(() => loop.interests.size === 2)
    loop.pass(5)
    const late: string[] = []
    multi.setSocketFunction((fd, interest) => {
      late.push(`${fd} ${interest}`)
    })
    expect(late.sort()).toEqual(
      multi
        .waitFds()
        .map(({ fd, interest }) => `${fd} ${interest}`)
        .sort(),
    )
    expect(late.length).toBe(2)
    expect(loop.interests.size).toBe(0)
    late.length = 0
    multi.close()
    expect(late.every((line) => line.endsWith(' 4'))).toBe(true)
    expect(late.length).toBe(2)
    close()
  })

  it('can assign in the first announcement, and no longer after REMOVE', () => {
    const { loop, multi, url, close } = open()
    const seen: unknown[] = []
    loop.hooks = {
      onSocket: (fd, _interest, socketData) => {
        seen.push(socketData)
        if (seen.length === 1) multi.assign(fd, { number: 1 })
        return undefined
      },
    }
    multi.add(new Transfer({ url: url('/slow/5/1'), forbidReuse: true }))
    loop.run()
    expect(seen).toEqual([undefined, { number: 1 }, { number: 1 }])
    const fd = Number(sockets(loop.told)[0]?.split(' ')[0])
    expect(() => multi.assign(fd, 'late')).toThrow(expect.objectContaining({ code: 'BAD_SOCKET' }))
    close()
  })

  it('is told everything anew by socketAll', () => {
    const simulation = simulate(1)
    const told: string[] = []
    const { kernel, clock, resolver, origin } = simulation
    const socketFunction = (fd: number, interest: number): void => void told.push(`${fd} ${interest}`)
    const multi = new Multi({ kernel, clock, resolver, socketFunction })
    multi.add(new Transfer({ url: `http://${origin.host}/hang` }))
    multi.socketAll()
    const once = told.length
    expect(once).toBe(1)
    multi.socketAll()
    expect(told.length).toBe(once + 1)
    multi.close()
    simulation.assertQuiescent()
  })
})

describe('a stale or invented event', () => {
  it('changes nothing, and due timers are handled all the same', () => {
    const { simulation, loop, multi, url, close } = open()
    const fetch = new Fetch({ url: url('/hang'), timeoutMs: 50 })
    multi.add(fetch.transfer)
    loop.run(() => simulation.origin.requests.length > 0 || loop.interests.size > 0)
    const before = { told: loop.told.length, stats: multi.stats, timeout: multi.timeout() }
    for (const fd of [9999, 0, 123_456]) expect(multi.socketAction(fd, 7)).toBe(1)
    expect({ told: loop.told.length, stats: multi.stats, timeout: multi.timeout() }).toEqual(before)
    simulation.world.advanceTo(simulation.world.now + 60)
    expect(multi.socketAction(9999, 1)).toBe(0)
    readMessages(multi, [fetch])
    expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
    close()
  })

  it('of a descriptor that was removed a moment ago changes nothing', () => {
    const { loop, multi, url, close } = open()
    multi.add(new Transfer({ url: url('/bytes/1'), forbidReuse: true }))
    loop.run()
    const fd = Number(sockets(loop.told)[0]?.split(' ')[0])
    const before = loop.told.length
    expect(multi.socketAction(fd, 3)).toBe(0)
    expect(multi.socketActionBatch(Int32Array.from([fd, 1, fd, 2, fd, 4]), 3)).toBe(0)
    expect(loop.told.length).toBe(before)
    close()
  })

  it('with any bits on a live descriptor neither hangs nor fails it', () => {
    const { simulation, loop, multi, url, close } = open()
    const fetch = new Fetch({ url: url('/slow/20/3000') })
    multi.add(fetch.transfer)
    loop.run(() => loop.interests.size > 0)
    while (multi.running > 0) {
      const [fd] = loop.interests.keys()
      for (let bits = 0; bits < 8 && fd !== undefined; bits++) multi.socketAction(fd, bits)
      simulation.world.advanceTo(simulation.world.now + 1)
      if (loop.deadline <= simulation.world.now) multi.socketAction(SOCKET_TIMEOUT)
    }
    readMessages(multi, [fetch])
    expect(fetch.outcome).toBe('OK')
    close()
  })
})

describe('timerFunction', () => {
  it('hears one 0 for a thousand adds', () => {
    const { loop, multi, transfer, close } = open()
    for (let i = 0; i < 1000; i++) multi.add(transfer('/bytes/1'))
    expect(loop.told).toEqual(['timer 0'])
    close()
  })

  it('hears -1 when nothing is left to wait for, once', () => {
    const { loop, multi, transfer, close } = open()
    const added = transfer('/hang')
    multi.add(added)
    loop.run(() => loop.interests.size > 0)
    loop.pass(5)
    multi.remove(added)
    expect(timers(loop.told).at(-1)).toBe(-1)
    expect(timers(loop.told).filter((ms) => ms === -1).length).toBe(1)
    close()
  })

  it('takes back a 0 that became pointless, at the latest when it fires', () => {
    const { loop, multi, transfer, close } = open()
    const added = transfer('/bytes/1')
    multi.add(added)
    multi.remove(added)
    if (loop.deadline !== Number.POSITIVE_INFINITY) multi.socketAction(SOCKET_TIMEOUT)
    expect(timers(loop.told)).toEqual([0, -1])
    expect(multi.timeout()).toBe(-1)
    close()
  })

  it('hears the time again after the timer fired early', () => {
    const { simulation, loop, multi, url, close } = open()
    multi.add(new Transfer({ url: url('/hang'), timeoutMs: 100 }))
    loop.run(() => simulation.kernel.calls['send'] === 1)
    loop.told.length = 0
    simulation.world.advanceTo(simulation.world.now + 30)
    multi.socketAction(SOCKET_TIMEOUT)
    const again = timers(loop.told)
    expect(again.length).toBe(1)
    expect(again[0]).toBeGreaterThan(50)
    multi.socketAction(SOCKET_TIMEOUT)
    expect(timers(loop.told)).toEqual([again[0], again[0]])
    close()
  })

  it('is called again for a second short time after a long one in between', () => {
    const { simulation, loop, multi, url, close } = open()
    const long = new Transfer({ url: url('/hang'), timeoutMs: 60_000 })
    multi.add(long)
    loop.pass(5)
    for (let i = 0; i < 3; i++) {
      const short = new Fetch({ url: url('/hang'), timeoutMs: 20 })
      multi.add(short.transfer)
      loop.run(() => multi.running === 1)
      readMessages(multi, [short])
      expect(short.outcome).toBe('OPERATION_TIMEDOUT')
      multi.remove(short.transfer)
    }
    expect(simulation.world.now).toBeLessThan(2000)
    close()
  })
})

it('has one 0 for what is dirty and for what is due', () => {
  const timer = new OutwardTimer()
  expect(timer.move(50, 60)).toBe(0)
  expect(timer.move(NOW, 60)).toBeNull()
  expect(timer.move(55, 61)).toBeNull()
  timer.fired()
  expect(timer.move(NOW, 61)).toBe(0)
  expect(timer.move(70, 61)).toBe(9)
})

describe('messages', () => {
  it('come in the order of completion', () => {
    const { loop, multi, url, close } = open()
    const fetches = [30, 10, 20].map((ms) => new Fetch({ url: url(`/slow/${ms}/1`) }))
    for (const { transfer } of fetches) multi.add(transfer)
    loop.run()
    const messages = readMessages(multi, fetches)
    expect(messages.map(({ transfer }) => fetches.findIndex((fetch) => fetch.transfer === transfer))).toEqual([1, 2, 0])
    expect(messages.map(({ remaining }) => remaining)).toEqual([2, 1, 0])
    expect(multi.infoRead()).toBeUndefined()
    close()
  })

  it('are dropped when the transfer is removed, and so is their count', () => {
    const { loop, multi, transfer, close } = open()
    const three = [transfer('/bytes/1'), transfer('/bytes/2'), transfer('/bytes/3')]
    for (const each of three) multi.add(each)
    loop.run()
    multi.remove(three[0]!)
    multi.remove(three[2]!)
    expect(multi.infoRead()).toMatchObject({ transfer: three[1], remaining: 0 })
    expect(multi.infoRead()).toBeUndefined()
    close()
  })

  it('are announced when the queue turns non-empty only, and every end once', () => {
    const simulation = simulate(1)
    const kinds: string[] = []
    const loop: HandLoop = new HandLoop(simulation, { notifyFunction: (kind) => void kinds.push(kind) })
    const { multi } = loop
    for (let i = 0; i < 3; i++) multi.add(new Transfer({ url: `http://${simulation.origin.host}/slow/${i * 9}/1` }))
    loop.run()
    expect([...kinds].sort()).toEqual(['done', 'done', 'done', 'message'])
    while (multi.infoRead() !== undefined);
    multi.add(new Transfer({ url: `http://${simulation.origin.host}/bytes/1` }))
    loop.run()
    expect(kinds.filter((kind) => kind === 'message').length).toBe(2)
    multi.close()
    simulation.assertQuiescent()
  })
})

describe('close', () => {
  it('of a Multi that was never used opens and tells nothing', () => {
    const { simulation, loop, multi } = open()
    const calls = simulation.kernel.totalCalls
    multi.close()
    multi.close()
    expect(loop.told).toEqual([])
    expect(simulation.kernel.totalCalls).toBe(calls)
    expect(multi.closed).toBe(true)
    simulation.assertQuiescent()
  })

  it('in every state tells REMOVE for all that was announced, and -1', () => {
    for (let steps = 0; steps < 12; steps++) {
      const { simulation, loop, multi, url } = open()
      for (const path of ['/slow/3/2000', '/bytes/5', '/stall/10']) multi.add(new Transfer({ url: url(path) }))
      multi.add(new Transfer({ url: 'http://origin.test/bytes/4' }))
      for (let step = 0; step < steps; step++) {
        simulation.world.plan(simulation.world.now + 5, () => {})
        loop.step()
      }
      multi.close()
      expect(loop.interests.size).toBe(0)
      expect(loop.deadline).toBe(Number.POSITIVE_INFINITY)
      expect(multi.infoRead()).toBeUndefined()
      expect(multi.transfers).toEqual([])
      simulation.assertQuiescent()
    }
  })

  it('leaves its transfers free for another Multi', () => {
    const { loop, multi, transfer } = open()
    const other = open()
    const moved = transfer('/hang')
    multi.add(moved)
    loop.pass(5)
    multi.close()
    const fresh = new Transfer({ url: other.url('/bytes/1') })
    other.multi.add(fresh)
    other.multi.add(moved)
    other.loop.run(() => other.multi.running === 1)
    other.close()
  })

  it('lets REMOVE remove transfers', () => {
    const { simulation, loop, multi, transfer } = open()
    const added = transfer('/hang')
    multi.add(added)
    loop.pass(5)
    const errors: unknown[] = []
    loop.hooks = {
      onSocket: () => {
        try {
          multi.remove(added)
        } catch (error) {
          errors.push(error)
        }
        return undefined
      },
    }
    multi.close()
    expect(errors).toEqual([])
    simulation.assertQuiescent()
  })
})

describe('a transfer', () => {
  it('is refused while a Multi has it, taken back when not added, and refused by a stranger', () => {
    const { multi, transfer, close } = open()
    const other = open()
    const added = transfer('/bytes/1')
    multi.remove(added)
    multi.add(added)
    expect(() => multi.add(added)).toThrow(expect.objectContaining({ code: 'ADDED_ALREADY', number: 7 }))
    expect(() => other.multi.add(added)).toThrow(expect.objectContaining({ code: 'ADDED_ALREADY' }))
    expect(() => other.multi.remove(added)).toThrow(expect.objectContaining({ code: 'BAD_EASY_HANDLE', number: 2 }))
    expect(() => added.reset()).toThrow(expect.objectContaining({ code: 'ADDED_ALREADY' }))
    multi.remove(added)
    multi.remove(added)
    other.multi.add(added)
    other.close()
    close()
  })

  it('runs again after it was removed, from the handler of its own end too', () => {
    const { loop, multi, transfer, close } = open()
    const again = transfer('/bytes/3')
    let runs = 0
    multi.setNotifyFunction((kind) => {
      if (kind !== 'done' || ++runs === 4) return
      multi.remove(again)
      multi.add(again)
    })
    multi.add(again)
    loop.run()
    expect(runs).toBe(4)
    expect(again.info.connects).toBe(0)
    close()
  })
})

import { describe, expect, it } from 'vitest'
import type { ShareMode } from '../../lib/index.ts'
import { setPanicHandler } from '../../lib/index.ts'
import { ask, groupStage, portOf } from './group-stage.ts'
import { Load } from './load.ts'
import { type Client, openSockets, until } from './support.ts'

const stage = groupStage()

async function clientsOfAll(port: number, count: number): Promise<Map<string, Client[]>> {
  const clients = new Map<string, Client[]>()
  for (let index = 0; index < count; index++) {
    const client = await stage.client(port)
    const thread = await ask(client)
    clients.set(thread, [...(clients.get(thread) ?? []), client])
  }
  return clients
}

describe('a thread of a group', () => {
  for (const share of ['reuseport', 'handoff'] as const satisfies ShareMode[]) {
    it(`that crashes loses its own connections only, and is replaced ('${share}')`, async () => {
      const group = await stage.start({ workers: 3, share })
      const clients = await clientsOfAll(portOf(group), 30)
      expect(clients.size).toBe(3)
      const [broken, sound] = [...clients.values()] as [Client[], Client[]]
      broken[0]?.send('GET /crash HTTP/1.1\r\nHost: x\r\n\r\n')
      for (const client of broken) await client.ended()
      for (const client of sound) expect(await ask(client)).toMatch(/^one/)
      await until(() => group.workers.length === 3 && stage.changes.some(({ kind }) => kind === 'crashed'))
      expect(stage.changes.find(({ kind }) => kind === 'crashed')?.error?.message).toBe('the worker is broken')
      await until(() => group.connections === 30 - broken.length)
      expect((await clientsOfAll(portOf(group), 30)).size).toBe(3)
    })
  }

  it('that is terminated leaves no descriptor, and its clients see a close', async () => {
    const group = await stage.start({ workers: 2, share: 'handoff' })
    const before = openSockets().length
    const clients = await clientsOfAll(portOf(group), 20)
    const first = group.workers[0]
    await group.terminate(0)
    const lost = clients.get(`one ${first?.threadId}`) as Client[]
    expect(lost).toHaveLength(10)
    for (const client of lost) expect(await client.ended()).not.toBe('')
    // Both ends of the ten that live on.
    await until(() => openSockets().length === before + 20 && group.workers.length === 2)
    expect(group.connections).toBe(10)
  })

  it('that keeps crashing is started after longer and longer pauses, and others serve meanwhile', async () => {
    const group = await stage.start({ workers: 2, share: 'reuseport' })
    const crashes = (): number[] => stage.changes.filter(({ kind }) => kind === 'crashed').map((one) => one.retryInMs)
    for (let count = 1; count <= 3; count++) {
      await until(() => group.workers.length === 2)
      await group.terminate(1)
      // The queue of the one that is missing is served by the other.
      await clientsOfAll(portOf(group), 8)
      expect(crashes()).toHaveLength(count)
    }
    expect(crashes()).toEqual([0, 100, 200])
  })

  it('whose module stops its server is replaced', async () => {
    const group = await stage.start({ workers: 2, share: 'handoff' })
    await ask(await stage.client(portOf(group)), '/stop')
    await until(() => stage.changes.some(({ kind }) => kind === 'crashed') && group.workers.length === 2)
    expect(stage.changes.find(({ kind }) => kind === 'crashed')?.error?.message).toMatch(/is stopped/)
    expect((await clientsOfAll(portOf(group), 4)).size).toBe(2)
  })

  it('that is stuck is noticed, relieved of new connections, and trusted again', async () => {
    const group = await stage.start({ workers: 2, share: 'reuseport', stuckMs: 150 })
    const clients = await clientsOfAll(portOf(group), 16)
    const [busy] = [...clients.values()][0] as Client[]
    busy?.send('GET /busy1500 HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => stage.changes.some(({ kind }) => kind === 'stuck'))
    const stuck = group.workers.find((worker) => worker.stuck)?.threadId
    const served = await clientsOfAll(portOf(group), 16)
    expect([...served.keys()]).not.toContain(`one ${stuck}`)
    await until(() => stage.changes.some(({ kind }) => kind === 'recovered'))
    expect([...(await clientsOfAll(portOf(group), 32)).keys()]).toContain(`one ${stuck}`)
  })

  it('is named in a warning of the process when nobody listens to changes', async () => {
    const panics: string[] = []
    setPanicHandler(({ operation }) => panics.push(operation))
    const group = await stage.start({ workers: 1, onWorker: null })
    await group.terminate(0)
    await until(() => group.workers.length === 1)
    expect(panics).toEqual(['a worker of a group has crashed'])
  })
})

describe('the lock of a group', () => {
  it('holds all threads still, lets them go on, and has a deadline', async () => {
    for (const share of ['reuseport', 'handoff'] as const) {
      const group = await stage.start({ workers: 2, share })
      const load = new Load({ port: portOf(group) }, 8)
      await load.answers(100)
      const during = await group.exclusive(async () => {
        expect(group.locked).toBe(true)
        // What was sent before the threads stood still arrives.
        await new Promise((resolve) => setTimeout(resolve, 50))
        const before = load.report.requests
        await new Promise((resolve) => setTimeout(resolve, 200))
        return load.report.requests - before
      })
      expect(during).toBe(0)
      await load.answers(100)
      await expect(group.exclusive(() => new Promise(() => {}), { holdMs: 50 })).rejects.toThrow(
        'exclusive: not done within 50 ms',
      )
      await load.answers(100)
      expect((await load.stop()).failed).toBe(0)
    }
  }, 30_000)

  it('is given to one after the other, and not to who waits too long or meets a stuck thread', async () => {
    const group = await stage.start({ workers: 2, share: 'handoff', callMs: 500, stuckMs: 100 })
    const order: string[] = []
    const section = (name: string) => async () => {
      order.push(`${name} begins`)
      await new Promise((resolve) => setTimeout(resolve, 50))
      order.push(`${name} ends`)
    }
    const late = { code: 'TIMEOUT' }
    const sections = Promise.all([group.exclusive(section('one')), group.exclusive(section('two'))])
    await expect(group.exclusive(section('three'), { timeoutMs: 20 })).rejects.toMatchObject(late)
    expect(order).not.toContain('two ends')
    await sections
    expect(order).toEqual(['one begins', 'one ends', 'two begins', 'two ends'])
    const client = await stage.client(portOf(group))
    client.send('GET /busy1500 HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => stage.changes.some(({ kind }) => kind === 'stuck'))
    await expect(group.exclusive(section('four'), { timeoutMs: 100 })).rejects.toMatchObject(late)
    expect(group.locked).toBe(false)
    await client.received('200')
    await group.exclusive(section('five'))
    expect(order.at(-1)).toBe('five ends')
  })
})

describe('who gets a connection', () => {
  it('is picked by its first bytes, which stay in the socket', async () => {
    const group = await stage.start({
      workers: 3,
      share: 'handoff',
      pick: (_peer, bytes) => {
        const text = Buffer.from(bytes).toString('latin1')
        if (!text.includes('\r\n')) return undefined
        return text.startsWith('GET /third') ? 2 : 0
      },
    })
    const [first, , third] = group.workers.map(({ threadId }) => `one ${threadId}`)
    expect(await ask(await stage.client(portOf(group)), '/third')).toBe(third)
    expect(await ask(await stage.client(portOf(group)), '/other')).toBe(first)
    const slow = await stage.client(portOf(group))
    for (const piece of ['GE', 'T /thi', 'rd HTTP/1.1\r', '\nHost: x\r\n\r\n']) {
      slow.send(piece)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await slow.received(third as string)
  })

  it('is anybody when it says nothing in time, and nobody when the function throws', async () => {
    const panics: string[] = []
    setPanicHandler(({ operation }) => panics.push(operation))
    const group = await stage.start({
      workers: 2,
      share: 'handoff',
      pickMs: 50,
      pick: () => {
        throw new Error('no idea')
      },
    })
    const silent = await stage.client(portOf(group))
    await until(() => group.connections === 1)
    expect(await ask(silent)).toMatch(/^one/)
    const thrown = await stage.client(portOf(group))
    thrown.send('GET / HTTP/1.1\r\n\r\n')
    expect(await thrown.ended()).toBe('ECONNRESET')
    expect(panics).toEqual(['pick'])
  })

  it('is the one with the fewest connections, if that is asked for', async () => {
    const group = await stage.start({ workers: 2, share: 'handoff', balance: 'least-connections' })
    const clients = [...(await clientsOfAll(portOf(group), 10)).entries()]
    expect(clients.map(([, of]) => of.length)).toEqual([5, 5])
    for (const client of clients[0]?.[1] ?? []) client.close()
    await until(() => group.connections === 5)
    const more = await clientsOfAll(portOf(group), 5)
    expect([...more.keys()]).toEqual([clients[0]?.[0]])
  })
})

describe('the end of a group', () => {
  it('leaves nothing, with everything in flight, however often', async () => {
    for (let round = 0; round < 12; round++) {
      const share = (['reuseport', 'handoff', 'exclusive'] as const)[round % 3] as ShareMode
      const group = await stage.start({ workers: 2, share })
      const port = portOf(group)
      const clients = await Promise.all(Array.from({ length: 10 }, () => stage.client(port)))
      for (const client of clients) client.send('GET /slow50 HTTP/1.1\r\nHost: x\r\n\r\n')
      const others: Promise<unknown>[] = []
      if (round % 2 === 0) others.push(group.recycle({ graceMs: 0 }).catch(() => {}))
      if (round % 4 === 1) others.push(group.terminate(0))
      if (round % 4 === 3) others.push(group.exclusive(() => {}).catch(() => {}))
      await group.stop({ graceMs: round % 3 === 0 ? 100 : 0 })
      await Promise.all(others)
      for (const client of clients) expect(await client.ended()).not.toBe('')
      expect([group.state, group.workers]).toEqual(['stopped', []])
    }
  }, 60_000)
})

import { describe, expect, it } from 'vitest'
import { ServerGroup, type ShareMode } from '../../lib/index.ts'
import { ask, groupStage, portOf } from './group-stage.ts'
import { Load } from './load.ts'
import { type Client, moduleFile, until } from './support.ts'

const SHARES: readonly ShareMode[] = ['reuseport', 'handoff', 'exclusive', 'single']
const stage = groupStage()

function workersOf(share: ShareMode, count: number): number {
  return share === 'single' ? 1 : count
}

describe('a group of servers', () => {
  for (const share of SHARES) {
    it(`shares one port among its threads by '${share}', each with its part`, async () => {
      const workers = workersOf(share, 4)
      const group = await stage.start({ share, workers })
      const counts = new Map<string, number>()
      for (let count = 0; count < 400; count++) {
        const client = await stage.client(portOf(group))
        const thread = await ask(client)
        counts.set(thread, (counts.get(thread) ?? 0) + 1)
        client.close()
      }
      const balance = group.workers.map(({ threadId }) => counts.get(`one ${threadId}`) ?? 0)
      process.stderr.write(`balance of 400 connections over ${workers} by ${share}: ${balance.join('/')}\n`)
      expect(balance.reduce((sum, count) => sum + count, 0)).toBe(400)
      if (share === 'handoff') expect(balance).toEqual([100, 100, 100, 100])
      if (share === 'reuseport') expect(Math.min(...balance)).toBeGreaterThan(40)
    }, 30_000)

    it(`has connections send at once, or not, as its listener was told by '${share}'`, async () => {
      const module = moduleFile('no-delay.mjs')
      for (const noDelay of [true, false]) {
        const listen = { host: '127.0.0.1', port: 0, noDelay }
        const group = await stage.start({ share, workers: workersOf(share, 2), module, listen })
        for (let count = 0; count < 4; count++) {
          expect((await ask(await stage.client(portOf(group)))) !== '0').toBe(noDelay)
        }
      }
    })

    it(`recycles every thread and restarts with new code under load by '${share}', failing nobody`, async () => {
      const group = await stage.start({ share, workers: workersOf(share, 2) })
      const load = new Load({ port: portOf(group) }, 8)
      await load.answers(200)
      const before = group.workers.map(({ threadId }) => threadId)
      await group.recycle()
      await load.answers(200)
      const report = await group.restart({ module: moduleFile('group-next.mjs') })
      await load.answers(500)
      const { failed, errors, bodies, requests } = await load.stop()
      expect({ failed, errors: [...errors] }).toEqual({ failed: 0, errors: [] })
      expect(requests).toBeGreaterThan(900)
      expect(report.cut).toBe(0)
      expect(group.workers.some(({ threadId }) => before.includes(threadId))).toBe(false)
      expect([...bodies.keys()].filter((body) => body.startsWith('two'))).toHaveLength(workersOf(share, 2))
    }, 60_000)
  }

  it('keeps the old code when the new one cannot start', async () => {
    const group = await stage.start({ workers: 2 })
    const missing = moduleFile('not-there.mjs')
    await expect(group.restart({ module: missing })).rejects.toThrow(/not-there/)
    await group.recycle()
    expect(await ask(await stage.client(portOf(group)))).toMatch(/^one/)
  })

  it('opens nothing when its module cannot be loaded, or its port is taken', async () => {
    const group = await stage.start({ workers: 2 })
    const port = portOf(group)
    const module = moduleFile('group.mjs')
    await expect(stage.start({ module: moduleFile('not-there.mjs') })).rejects.toThrow(/not-there/)
    // Although both would bind with SO_REUSEPORT.
    const taken = { code: 'EADDRINUSE', syscall: 'bind', port }
    const again = ServerGroup.start({ module, workers: 2, share: 'reuseport', listen: { host: '127.0.0.1', port } })
    await expect(again).rejects.toMatchObject(taken)
  })

  it('is steered as one', async () => {
    const group = await stage.start({ workers: 2, share: 'handoff' })
    const clients = await Promise.all(Array.from({ length: 6 }, () => stage.client(portOf(group))))
    await Promise.all(clients.map((client) => ask(client)))
    expect(group.connections).toBe(6)
    const infos = await group.clients()
    expect(new Set(infos.map(({ id }) => id)).size).toBe(6)
    expect((await group.stats()).accepted).toBe(6)
    const chosen = infos[3]?.id as number
    expect(await group.find(chosen)).toMatchObject({ id: chosen, priority: 'normal' })
    expect(await group.setClientPriority(chosen, 'low')).toBe('normal')
    expect(await group.find(chosen)).toMatchObject({ priority: 'low' })
    expect(await group.setClientPriority(0, 'low')).toBeNull()
    expect(await group.disconnect(chosen)).toBe(true)
    expect(await group.disconnect(chosen)).toBe(false)
    await until(() => clients.filter(({ end }) => end !== '').length === 1)
    expect(await group.throttle({ connections: 5 })).toMatchObject({ perPrefix: 'default', rate: null })
    const late = await stage.client(portOf(group))
    late.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await group.throttle({ connections: 6 })
    await late.received('200')
    await group.suspend()
    const waiting = await stage.client(portOf(group))
    waiting.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(await ask(late)).toMatch(/^one/)
    expect([group.state, group.connections, waiting.text]).toEqual(['suspended', 6, ''])
    await group.throttle({ connections: 100 })
    await group.resume()
    await waiting.received('200')
    expect(await group.drain({ deadlineMs: 2000 })).toMatchObject({ cut: 0, complete: true })
    expect([group.state, group.workers]).toEqual(['stopped', []])
  })

  it('counts on while its threads are replaced', async () => {
    const group = await stage.start({ workers: 2, share: 'reuseport' })
    for (let count = 0; count < 10; count++) {
      const client = await stage.client(portOf(group))
      await ask(client)
      client.close()
    }
    await until(() => group.connections === 0)
    await group.recycle()
    await group.recycle({ worker: 1 })
    expect(await group.stats()).toMatchObject({ accepted: 10, connections: 0 })
    expect(stage.changes.map(({ kind }) => kind).filter((kind) => kind === 'retired')).toHaveLength(3)
  })

  it('refuses wrong options by name', async () => {
    const module = moduleFile('group.mjs')
    const wrong: [object, RegExp][] = [
      [{ workers: 0 }, /option workers/],
      [{ workers: { min: 3, max: 2 } }, /option workers: min/],
      [{ workers: { min: 1, max: 2 }, share: 'reuseport' }, /go with share 'handoff'/],
      [{ share: 'fair' }, /option share/],
      [{ share: 'single', workers: 2 }, /one worker/],
      [{ pick: () => 0, share: 'reuseport' }, /option pick goes with/],
      [{ balance: 'random' }, /option balance/],
      [{ stuckMs: -1 }, /option stuckMs/],
      [{ module: 7 }, /option module/],
      [{ colour: 'red' }, /unknown option "colour"/],
    ]
    for (const [options, message] of wrong) {
      await expect(ServerGroup.start({ module, ...options })).rejects.toThrow(message)
    }
  })
})

describe('limits of a group', () => {
  it('hold exactly while connects race in all threads', async () => {
    const group = await stage.start({
      workers: 4,
      share: 'reuseport',
      limits: { connections: 10, perPrefix: 1000 },
      overload: 'reject',
    })
    const clients = await Promise.all(Array.from({ length: 60 }, () => stage.client(portOf(group))))
    const answered = (): Client[] => clients.filter(({ text }) => text.includes('200'))
    for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => answered().length + clients.filter(({ end }) => end !== '').length === 60)
    expect([answered().length, group.connections]).toEqual([10, 10])
    for (const client of answered()) client.close()
    await until(() => group.connections === 0)
    expect(await ask(await stage.client(portOf(group)))).toMatch(/^one/)
  })

  it('leave peers in the queue while they are reached, whoever else takes the last place', async () => {
    const group = await stage.start({ workers: 4, share: 'reuseport', limits: { connections: 3 } })
    const load = new Load({ port: portOf(group) }, 16)
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, group.connections)
    }, 1)
    await load.answers(600)
    const { failed, errors } = await load.stop()
    clearInterval(watch)
    expect({ failed, errors: [...errors] }).toEqual({ failed: 0, errors: [] })
    expect(most).toBe(3)
    expect((await group.stats()).dropped.connections).toBe(0)
  }, 60_000)

  it('hold per address over all threads', async () => {
    const group = await stage.start({ workers: 4, share: 'reuseport', limits: { perPrefix: 7 } })
    const clients = await Promise.all(Array.from({ length: 40 }, () => stage.client(portOf(group))))
    for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const answered = (): number => clients.filter(({ text }) => text.includes('200')).length
    await until(() => answered() + clients.filter(({ end }) => end !== '').length === 40)
    expect(answered()).toBe(7)
  })
})

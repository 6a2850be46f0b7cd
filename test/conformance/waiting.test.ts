import { afterAll, describe, expect, it } from 'vitest'
import { Interest, kernel, Multi, type PollFd, Readiness, Transfer } from '../../lib/index.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { simulate } from '../sim/simulation.ts'
import { originThread } from './drivers.ts'
import { startTypeScriptWorker } from './typescript-worker.ts'

describe('waitFds', () => {
  it('is empty for an empty Multi, and after an add that nothing has driven', () => {
    const simulation = simulate(1)
    const { kernel, clock, resolver, origin } = simulation
    const multi = new Multi({ kernel, clock, resolver })
    expect(multi.waitFds()).toEqual([])
    multi.add(new Transfer({ url: `http://${origin.host}/hang` }))
    expect(multi.waitFds()).toEqual([])
    expect(multi.timeout()).toBe(0)
    multi.close()
  })

  it('has one entry per connection, with what it is watched for', () => {
    const simulation = simulate(1)
    const { kernel, clock, resolver, origin, world } = simulation
    const multi = new Multi({ kernel, clock, resolver })
    for (let i = 0; i < 2; i++) multi.add(new Transfer({ url: `http://${origin.host}/hang` }))
    multi.perform()
    expect(multi.waitFds().map(({ interest }) => interest)).toEqual([Interest.WRITABLE, Interest.WRITABLE])
    world.advanceTo(world.now + 5)
    multi.perform()
    expect(multi.waitFds().map(({ interest, readiness }) => [interest, readiness])).toEqual([
      [Interest.READABLE, 0],
      [Interest.READABLE, 0],
    ])
    const copy = multi.waitFds()
    copy[0]!.interest = 99
    expect(multi.waitFds()[0]?.interest).toBe(Interest.READABLE)
    multi.close()
    expect(multi.waitFds()).toEqual([])
    simulation.assertQuiescent()
  })
})

describe('poll', () => {
  it('returns at once after a wakeup that came before it, and many collapse into one', () => {
    const multi = new Multi()
    for (let i = 0; i < 100; i++) multi.wakeup()
    expect(multi.poll(10_000)).toBe(0)
    const begin = performance.now()
    expect(multi.poll(20)).toBe(0)
    expect(performance.now() - begin).toBeGreaterThanOrEqual(19)
    multi.close()
  })

  it('keeps a wakeup over perform, socketAction and everything else', () => {
    const multi = new Multi()
    multi.wakeup()
    multi.perform()
    multi.socketAction(-1)
    multi.socketAll()
    multi.timeout()
    multi.waitFds()
    multi.infoRead()
    expect(multi.poll(-1)).toBe(0)
    multi.close()
  })

  it('fills what came of the descriptors that are given besides', () => {
    const multi = new Multi()
    const pair = new Int32Array(2)
    expect(kernel.socketPair(pair)).toBe(0)
    const [near, far] = pair as unknown as [number, number]
    const extra: PollFd[] = [
      { fd: near, interest: Interest.READABLE_WRITABLE, readiness: 7 },
      { fd: far, interest: Interest.READABLE, readiness: 7 },
    ]
    expect(multi.poll(1000, extra)).toBe(1)
    expect(extra.map(({ readiness }) => readiness)).toEqual([Readiness.WRITABLE, 0])
    kernel.sendBytes(near, Buffer.from('x'), 0, 1)
    expect(multi.poll(1000, extra.slice(1))).toBe(1)
    expect(extra[1]?.readiness).toBe(Readiness.READABLE)
    multi.wakeup()
    expect(multi.poll(1000, extra), 'a wakeup is not counted').toBe(2)
    for (const fd of pair) kernel.close(fd)
    multi.close()
  })

  it('tells nothing of an earlier wait when the system call fails', () => {
    const simulation = simulate(1)
    const { clock, resolver } = simulation
    const multi = new Multi({ kernel: simulation.kernel, clock, resolver })
    const pair = new Int32Array(2)
    simulation.kernel.socketPair(pair)
    const extra: PollFd[] = [{ fd: pair[0] as number, interest: Interest.WRITABLE, readiness: 0 }]
    expect(multi.poll(10, extra)).toBe(1)
    simulation.kernel.failNth(1, 'ENOMEM')
    expect(multi.poll(10, extra)).toBe(0)
    expect(extra[0]?.readiness).toBe(0)
    multi.close()
  })

  it('ends no later than the next deadline', () => {
    const simulation = simulate(1)
    const { kernel, clock, resolver, world } = simulation
    kernel.network.setRoute('10.0.0.1', 'blackhole')
    const multi = new Multi({ kernel, clock, resolver })
    multi.add(new Transfer({ url: 'http://10.0.0.1/', connectTimeoutMs: 70 }))
    const begin = world.now
    while (multi.perform() > 0) multi.poll(-1)
    expect(world.now - begin).toBeGreaterThanOrEqual(70)
    expect(world.now - begin).toBeLessThan(75)
    multi.close()
    simulation.assertQuiescent()
  })
})

describe('another thread', () => {
  it('wakes poll by the waker', async () => {
    const multi = new Multi()
    const worker = startTypeScriptWorker('test/conformance/waking-worker.ts', { workerData: multi.waker })
    await new Promise((resolve) => worker.once('message', resolve))
    expect(multi.poll(15_000)).toBe(0)
    expect(multi.clearWakeup()).toBe(false)
    multi.close()
    await new Promise((resolve) => worker.once('exit', resolve))
  })

  it('has a Multi of its own, and takes its descriptors along when it is stopped in the middle', async () => {
    const { port, origin } = await originThread().open({})
    const owned = ownedCount()
    for (const end of ['stops', 'is terminated', 'exits']) {
      const workerData = { url: `http://127.0.0.1:${port}`, end }
      const worker = startTypeScriptWorker('test/conformance/transferring-worker.ts', { workerData })
      const exited = new Promise<number>((resolve) => worker.once('exit', resolve))
      const message = await new Promise((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      })
      expect(message).toBe('5 bytes')
      if (end === 'is terminated') await worker.terminate()
      await exited
    }
    for (let tries = 0; tries < 200 && (await originThread().look(origin)).open > 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect((await originThread().look(origin)).open, 'connections that outlived their thread').toBe(0)
    expect(ownedCount()).toBe(owned)
  })
})

afterAll(() => {
  expect(ownedCount()).toBe(0)
})

import { spawnSync } from 'node:child_process'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { addonPath, kernel, NodeLoop, Poller, pollerBackends } from '../../lib/sys/native.ts'
import { describeWhen } from '../support/peers.ts'
import { checkForLeaks, closeAll, openPair, recvText, sendText } from './support.ts'

checkForLeaks()

const hasDescriptor = pollerBackends[0] !== 'poll'

function never(): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new Error('nothing happened')), 5000).unref())
}

/** Runs a script in a process of its own, with a poller on Node's loop. */
function runChild(script: string, variables: object = {}): { status: number | null; stdout: string; stderr: string } {
  const prelude = `
    const addon = require(process.env.SOCKMUX_TEST_ADDON)
    const poller = addon.pollerOpen(Object.keys(addon.pollerBackends)[0], 8)
    const open = (callback) => addon.nodeLoopOpen(poller.fd, callback)
  `
  const env = { ...process.env, SOCKMUX_TEST_ADDON: addonPath(), ...variables }
  return spawnSync(process.execPath, ['-e', prelude + script], { env, timeout: 15_000, encoding: 'utf8' })
}

/** A process that ends in the middle frees nothing, which the leak check of a sanitizer build must not mind. */
const ABRUPT = { ASAN_OPTIONS: `${process.env['ASAN_OPTIONS'] ?? ''}:detect_leaks=0` }

describeWhen(hasDescriptor, 'a poller on Node’s loop', 'the platform has poll(2) only', () => {
  it('calls back when a descriptor is ready', async () => {
    using poller = new Poller()
    const [fd, peer] = openPair()
    poller.add(fd, 1)
    const heard = new Promise<boolean>((resolve) => {
      const loop = new NodeLoop(poller.fd, (timedOut) => {
        expect(poller.wait(0)).toBe(1)
        expect(recvText(fd)).toBe('x')
        loop.close()
        resolve(timedOut)
      })
    })
    sendText(peer, 'x')
    expect(await Promise.race([heard, never()])).toBe(false)
    closeAll(fd, peer)
  })

  it('calls back when its timer is due, once', async () => {
    using poller = new Poller()
    const calls: boolean[] = []
    const start = performance.now()
    const loop = new NodeLoop(poller.fd, (timedOut) => calls.push(timedOut))
    loop.setTimer(1000)
    loop.setTimer(3.5)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(calls).toEqual([true])
    expect(performance.now() - start).toBeGreaterThan(3.5)
    loop.setTimer(1)
    loop.setTimer(-1)
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(calls).toEqual([true])
    loop.close()
  })

  it('never fires a timer early, though JavaScript held the loop before', async () => {
    using poller = new Poller()
    for (let round = 0; round < 10; round++) {
      for (const until = performance.now() + 4; performance.now() < until; );
      const start = performance.now()
      const elapsed = await new Promise<number>((resolve) => {
        const loop = new NodeLoop(poller.fd, () => {
          loop.close()
          resolve(performance.now() - start)
        })
        loop.setTimer(2.25)
      })
      expect(elapsed).toBeGreaterThanOrEqual(2.25)
    }
  })

  it('takes 0 as soon, but never from inside the call', async () => {
    using poller = new Poller()
    const order: string[] = []
    await new Promise<void>((resolve) => {
      const loop = new NodeLoop(poller.fd, () => {
        order.push('timer')
        void Promise.resolve().then(() => order.push('promise of the timer'))
        if (order.includes('second')) {
          loop.close()
          setImmediate(resolve)
          return
        }
        loop.setTimer(0)
        order.push('second')
      })
      loop.setTimer(0)
      order.push('set')
      void Promise.resolve().then(() => order.push('promise'))
    })
    const second = ['second', 'promise of the timer', 'timer', 'promise of the timer']
    expect(order).toEqual(['set', 'promise', 'timer', ...second])
  })

  it('lets other work of the loop through while it asks for 0 again and again', async () => {
    using poller = new Poller()
    let running = true
    const loop = new NodeLoop(poller.fd, () => {
      if (running) loop.setTimer(0)
    })
    loop.setTimer(0)
    await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise((resolve) => setImmediate(resolve))
    running = false
    loop.close()
  })

  it('does nothing after close, which may be called twice', async () => {
    using poller = new Poller()
    const [fd, peer] = openPair()
    poller.add(fd, 1)
    const loop = new NodeLoop(poller.fd, () => expect.unreachable())
    loop.setTimer(0)
    sendText(peer, 'x')
    loop.close()
    loop.close()
    loop.setTimer(0)
    loop.ref()
    loop.unref()
    await new Promise((resolve) => setTimeout(resolve, 10))
    closeAll(fd, peer)
  })

  it('is attached and detached many times', async () => {
    using poller = new Poller()
    for (let i = 0; i < 50; i++) {
      const loop = new NodeLoop(poller.fd, () => undefined)
      loop.close()
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  })

  it('checks its arguments', () => {
    using poller = new Poller()
    expect(() => new NodeLoop('1' as unknown as number, () => undefined)).toThrow(TypeError)
    expect(() => new NodeLoop(-1, () => undefined)).toThrow(RangeError)
    expect(() => new NodeLoop(poller.fd, undefined as unknown as () => void)).toThrow(TypeError)
    expect(() => new NodeLoop(100_000, () => undefined)).toThrow(expect.objectContaining({ code: 'EBADF' }))
    const loop = new NodeLoop(poller.fd, () => undefined)
    expect(() => new NodeLoop(poller.fd, () => undefined)).toThrow(expect.objectContaining({ code: 'EEXIST' }))
    expect(() => loop.setTimer('1' as unknown as number)).toThrow(TypeError)
    expect(() => loop.setTimer(Number.NaN)).toThrow(RangeError)
    loop.close()
  })

  it('keeps the process alive while it is ref’d', () => {
    // The timer of Node is unref’d: it fires only when something else keeps the process alive.
    const probe = 'setTimeout(() => { process.exitCode = 7; addon.nodeLoopClose(id) }, 100).unref();'
    expect(runChild(`const id = open(() => {}); ${probe}`).status).toBe(7)
    expect(runChild(`const id = open(() => {}); addon.nodeLoopUnref(id); ${probe}`).status).toBe(0)
    expect(runChild(`const id = open(() => {}); addon.nodeLoopUnref(id); addon.nodeLoopRef(id); ${probe}`).status).toBe(
      7,
    )
    expect(runChild(`const id = open(() => {}); addon.nodeLoopClose(id); ${probe}`).status).toBe(0)
  })

  it('does not keep the process alive with its timer alone', () => {
    for (const ms of [1, 60_000]) {
      const child = runChild(`const id = open(() => {}); addon.nodeLoopUnref(id); addon.nodeLoopSetTimer(id, ${ms})`)
      expect([child.status, child.stderr]).toEqual([0, ''])
    }
  })

  it('turns an exception into uncaughtException, and goes on', () => {
    const child = runChild(`
      const seen = []
      process.on('uncaughtException', (error) => seen.push(error))
      const values = [new Error('first'), null, undefined, 'text']
      let calls = 0
      const id = open(() => {
        const value = values[calls++]
        if (calls <= values.length) { addon.nodeLoopSetTimer(id, 0); throw value }
        addon.nodeLoopClose(id)
        setImmediate(() => console.log(JSON.stringify(seen.map(String))))
      })
      addon.nodeLoopSetTimer(id, 0)
    `)
    expect(child.stderr).toBe('')
    expect(JSON.parse(child.stdout)).toEqual(['Error: first', 'null', 'undefined', 'text'])
  })

  it('ends the process by an exception that nobody handles', () => {
    const child = runChild(
      `const id = open(() => { throw new Error('unhandled') }); addon.nodeLoopSetTimer(id, 0)`,
      ABRUPT,
    )
    expect(child.status).toBe(1)
    expect(child.stderr).toContain('Error: unhandled')
  })

  it('ends cleanly when the process does', () => {
    const child = runChild('const id = open(() => process.exit(3)); addon.nodeLoopSetTimer(id, 1)', ABRUPT)
    expect([child.status, child.stderr]).toEqual([3, ''])
  })
})

describeWhen(hasDescriptor, 'a worker with a poller on its loop', 'the platform has poll(2) only', () => {
  const cases: Array<[string, string]> = [
    ['idle', ''],
    ['asking for 0 for ever', 'addon.nodeLoopSetTimer(id, 0)'],
    ['busy inside the callback', 'busy = true; addon.nodeLoopSetTimer(id, 0)'],
    ['closing', 'addon.nodeLoopClose(id)'],
  ]

  it.each(cases)('is terminated while %s', async (_, code) => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads')
      const addon = require(workerData)
      const poller = addon.pollerOpen(Object.keys(addon.pollerBackends)[0], 8)
      let busy = false
      let calls = 0
      const id = addon.nodeLoopOpen(poller.fd, () => {
        if (calls++ === 0) parentPort.postMessage('running')
        while (busy);
        addon.nodeLoopSetTimer(id, 0)
      })
      ${code}
      if (!${code.includes('nodeLoopSetTimer')}) { parentPort.postMessage('running'); setInterval(() => {}, 1000) }
    `
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(script, { eval: true, workerData: addonPath() })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      expect(await worker.terminate()).toBe(1)
    }
    expect(kernel.poll(new Int32Array(0), 0, 0)).toBe(0)
  })
})

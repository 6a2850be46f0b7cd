import { expect, it } from 'vitest'
import { SimulatedBench } from './bench.ts'
import { fetchOne } from './fetches.ts'
import { serveScript } from './scripted.ts'

const POISON = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison'

it('reads a head in two pieces after a response that ended with its connection', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, ({ peer, number }) => {
    if (number === 1) {
      peer.write('HTTP/1.1 200 OK\r\n\r\nuntil the end')
      peer.end()
      return
    }
    peer.write('HTTP/1.1 20')
    bench.simulation.world.after(50, () => peer.write('0 OK\r\ncontent-length: 2\r\n\r\nok'))
  })
  const multi = bench.multi()
  expect((await fetchOne(bench, multi, { url: server.url })).body.toString()).toBe('until the end')
  const second = await fetchOne(bench, multi, { url: server.url })
  expect(second.outcome, second.message?.error?.message).toBe('OK')
  expect(second.body.toString()).toBe('ok')
  await bench.close()
})

it('never takes bytes behind one response for the answer on another connection', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, ({ peer, number }) => {
    if (number === 1) peer.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst${'\r\n'.repeat(100)}${POISON}`)
    else peer.close()
  })
  const multi = bench.multi()
  expect((await fetchOne(bench, multi, { url: server.url })).body.toString()).toBe('first')
  expect(multi.stats.connections).toBe(0)
  const second = await fetchOne(bench, multi, { url: server.url })
  expect(second.outcome).toBe('GOT_NOTHING')
  expect(second.chunks).toEqual([])
  await bench.close()
})

it('never takes bytes behind one response for the answer to the next request', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, ({ peer, number }) => {
    const body = number === 1 ? 'first' : 'other'
    peer.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n${body}${number === 1 ? POISON : ''}`)
  })
  const multi = bench.multi()
  expect((await fetchOne(bench, multi, { url: server.url })).body.toString()).toBe('first')
  expect((await fetchOne(bench, multi, { url: server.url })).body.toString()).toBe('other')
  expect(server.connections.length).toBe(2)
  await bench.close()
})

it('never takes bytes that came to an idle connection for an answer, however late', async () => {
  for (const delayMs of [1, 20, 500, 999, 1500]) {
    const bench = new SimulatedBench('', 1, {}, false)
    const server = serveScript(bench.simulation, 81, ({ peer, number }) => {
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n${number === 1 ? 'first' : 'other'}`)
      if (number === 1) bench.simulation.world.after(delayMs, () => peer.write(POISON))
    })
    const multi = bench.multi()
    await fetchOne(bench, multi, { url: server.url })
    await bench.pass(multi, delayMs + 5)
    const second = await fetchOne(bench, multi, { url: server.url })
    expect(second.body.toString(), `junk after ${delayMs} ms`).toBe('other')
    await bench.close()
  }
})

it('never takes bytes that came to an idle connection for an answer, though no loop has looked since', async () => {
  for (const watchIdleConnections of [true, false]) {
    const bench = new SimulatedBench('', 1, {}, false)
    const { world } = bench.simulation
    const server = serveScript(bench.simulation, 81, ({ peer, number }) => {
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n${number === 1 ? 'first' : 'other'}`)
      if (number === 1) world.after(5, () => peer.write(POISON))
    })
    const multi = bench.multi({ watchIdleConnections })
    await fetchOne(bench, multi, { url: server.url })
    world.advanceTo(world.now + 50)
    const second = await fetchOne(bench, multi, { url: server.url })
    expect(second.body.toString(), `watched: ${watchIdleConnections}`).toBe('other')
    await bench.close()
  }
})

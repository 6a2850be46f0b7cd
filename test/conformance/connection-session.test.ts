import { expect } from 'vitest'
import type { Connection, ServerOptions } from '../../lib/index.ts'
import type { Bench } from './bench.ts'
import { scenario } from './drivers.ts'
import { Stage } from './server/stage.ts'

function serving(bench: Bench, session: (connection: Connection) => unknown, options: ServerOptions = {}): Stage {
  return Stage.start(bench, { ...options, strategy: { session } })
}

/** Promises go on only when the loop has returned. */
async function until(stage: Stage, isEnough: () => boolean): Promise<void> {
  for (let turns = 0; !isEnough(); turns++) {
    if (turns > 2_000) throw new Error('waited too long')
    await stage.pass(stage.bench.simulation === null ? 1 : 500)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

scenario('a session awaits bytes and sends them back, and its connection closes when it returns', async (bench) => {
  const stage = serving(bench, async (connection) => {
    for await (const chunk of connection) await connection.send(chunk)
  })
  const text = 'The quick brown fox jumps over the lazy dog. '.repeat(3_000)
  const client = stage.connect()
  client.write(text)
  client.end()
  await until(stage, () => client.ended)
  expect(client.received === text).toBe(true)
  await until(stage, () => stage.count('disconnect 1 done') === 1)
  await stage.stop()
})

scenario('a session that throws resets its connection', async (bench) => {
  const stage = serving(bench, async (connection) => {
    await connection.receive()
    throw new Error('from the session')
  })
  const client = stage.connect()
  client.write('x')
  await until(stage, () => client.isOver)
  expect(client.failed).toBe('ECONNRESET')
  await until(stage, () => stage.count('disconnect 1 aborted') === 1)
  await until(stage, () => stage.errors.length === 1)
  expect(String(stage.errors[0])).toMatch(/from the session/)
  await stage.stop()
})

scenario('a session hears of a connection that breaks, in what it awaits and by its signal', async (bench) => {
  const heard: string[] = []
  const stage = serving(bench, async (connection) => {
    connection.signal.addEventListener('abort', () => heard.push('signal'))
    await connection.receive()
    try {
      await connection.receive()
      heard.push('received')
    } catch (error) {
      heard.push((error as Error).name)
    }
    await connection.send('late').catch(() => heard.push('send'))
    heard.push(String(await connection.receive().catch(() => 'receive')))
  })
  const client = stage.connect()
  client.write('x')
  await until(stage, () => (stage.connections[0]?.bytesRead ?? 0) > 0)
  client.reset()
  await until(stage, () => heard.length === 4)
  expect(heard.sort()).toEqual(['SystemError', 'receive', 'send', 'signal'])
  await stage.stop()
})

scenario('a session that does not read holds its peer back', async (bench) => {
  let release = (): void => {}
  let received = 0
  const stage = serving(bench, async (connection) => {
    await new Promise<void>((resolve) => {
      release = resolve
    })
    for (let chunk = await connection.receive(); chunk !== null; chunk = await connection.receive()) {
      received += chunk.length
    }
    await connection.send('thanks')
  })
  const client = stage.connect()
  client.write('x'.repeat(200_000))
  client.end()
  await until(stage, () => stage.count('connect') === 1)
  await stage.pass(30)
  expect(stage.connections[0]?.bytesRead).toBe(0)
  release()
  await until(stage, () => client.ended)
  expect([received, client.received]).toEqual([200_000, 'thanks'])
  await stage.stop()
})

scenario('send waits for a slow reader', async (bench) => {
  const piece = Buffer.alloc(bench.simulation === null ? 300_000 : 40_000, 'x')
  let sent = 0
  const stage = serving(bench, async (connection) => {
    for (; sent < 30; sent++) await connection.send(piece)
  })
  const client = stage.connect()
  client.pauseReading()
  await until(stage, () => stage.count('connect') === 1)
  for (let turns = 0; turns < 20; turns++) await stage.pass(5)
  expect(sent).toBeLessThan(30)
  client.resumeReading()
  await until(stage, () => client.ended)
  expect(client.received.length).toBe(30 * piece.length)
  await stage.stop()
})

import { expect, it } from 'vitest'
import { PAUSE, type TransferOptions } from '../../lib/index.ts'
import { originBytes } from '../sim/origin.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchOne, readMessages } from './fetches.ts'
import { type ScriptedConnection, type ScriptedServer, serveScript } from './scripted.ts'

const DONE = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone'

interface Run {
  readonly fetch: Fetch
  readonly server: ScriptedServer
  readonly idle: number
}

/** One transfer to a server whose first connection answers as it is told, the others with DONE to a whole request. */
async function run(
  first: (connection: ScriptedConnection, fresh: string) => void,
  options: Partial<TransferOptions>,
): Promise<Run> {
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, (connection, fresh) => {
    if (connection.number === 1) return first(connection, fresh)
    const [head = '', body = ''] = connection.received.split('\r\n\r\n')
    if (body.length === Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)) connection.peer.write(DONE)
  })
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, { url: server.url, followRedirects: true, timeoutMs: 60_000, ...options })
  const idle = multi.stats.idleConnections
  await bench.close()
  return { fetch, server, idle }
}

/** Answers once, as soon as a head is there. */
function answerAtOnce(
  response: string,
  after?: (connection: ScriptedConnection) => void,
): (c: ScriptedConnection) => void {
  let isAnswered = false
  return (connection) => {
    if (isAnswered) return
    isAnswered = true
    connection.peer.write(response)
    after?.(connection)
  }
}

const LARGE = Buffer.from(originBytes('upload', 400_000))
  .toString('latin1')
  .replace(/[^a-z]/g, '-')

it('sends an upload to where a redirect leads that came before its end', async () => {
  for (const end of [undefined, (connection: ScriptedConnection) => connection.peer.close()]) {
    const moved = answerAtOnce('HTTP/1.1 307 Moved\r\nlocation: /there\r\ncontent-length: 5\r\n\r\nmoved', end)
    const { fetch, server } = await run(moved, { body: LARGE })
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(fetch.body.toString()).toBe('done')
    expect(fetch.heads.map(({ status }) => status)).toEqual([307, 200])
    expect(server.connections.length).toBe(2)
    expect(server.connections[1]?.received.startsWith('POST /there ')).toBe(true)
    expect(server.connections[1]?.received.endsWith(LARGE)).toBe(true)
    expect(fetch.transfer.info.bytesSent).toBe(LARGE.length)
  }
})

it('drops an upload that a redirect makes a GET', async () => {
  const moved = answerAtOnce('HTTP/1.1 303 Moved\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n')
  const { fetch, server } = await run(moved, { body: LARGE })
  expect(fetch.outcome).toBe('OK')
  expect(server.connections[1]?.received).toMatch(/^GET \/there HTTP\/1\.1\r\n(?!.*content-length)/is)
})

it('proves who asks on a new connection when the challenge ends the old one', async () => {
  const challenge =
    'HTTP/1.1 401 Who\r\nwww-authenticate: Digest realm="r", nonce="n", qop="auth"\r\nconnection: close\r\n\r\n'
  const refused = answerAtOnce(challenge, ({ peer }) => peer.close())
  const { fetch, server } = await run(refused, { httpAuth: 'any', username: 'u', password: 'p' })
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.heads.map(({ status }) => status)).toEqual([401, 200])
  expect(server.connections[0]?.received).not.toMatch(/authorization/i)
  expect(server.connections[1]?.received).toMatch(/Authorization: Digest username="u"/)
})

it('goes on although the body of a redirect is broken off, garbled, endless or never comes to its end', async () => {
  const head = 'HTTP/1.1 302 Moved\r\nlocation: /there\r\n'
  const responses: [response: string, after?: (connection: ScriptedConnection) => void][] = [
    [`${head}content-length: 500\r\n\r\nshort`, ({ peer }) => peer.close()],
    [`${head}transfer-encoding: chunked\r\n\r\nno size\r\n`],
    [`${head}content-length: 5000000\r\n\r\n`],
    [`${head}\r\n${'x'.repeat(1000)}`],
    [`${head}transfer-encoding: chunked\r\n\r\n${`2000\r\n${'x'.repeat(0x2000)}\r\n`.repeat(20)}`],
  ]
  for (const [response, after] of responses) {
    const { fetch, server } = await run(answerAtOnce(response, after), {})
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(fetch.body.toString()).toBe('done')
    expect(server.connections.length).toBe(2)
  }
})

it('still ends by its time limit when the body of a redirect stalls', async () => {
  const stalled = answerAtOnce('HTTP/1.1 302 Moved\r\nlocation: /there\r\ncontent-length: 50\r\n\r\nhalf')
  expect((await run(stalled, { timeoutMs: 500 })).fetch.outcome).toBe('OPERATION_TIMEDOUT')
  const silent = answerAtOnce('HTTP/1.1 302 Moved\r\nlocation: /there\r\ncontent-length: 50\r\n\r\nhalf')
  expect((await run(silent, { idleTimeoutMs: 500 })).fetch.outcome).toBe('OPERATION_TIMEDOUT')
})

it('never follows a server around in circles', async () => {
  const around =
    'HTTP/1.1 401 Who\r\nwww-authenticate: Digest realm="r", nonce="n", stale=true\r\ncontent-length: 0\r\n\r\n'
  const stale = await run(({ peer }) => peer.write(around), { httpAuth: 'digest', username: 'u', password: 'p' })
  expect(stale.fetch.outcome).toBe('OK')
  expect(stale.fetch.transfer.info.status).toBe(401)
  expect(stale.fetch.heads.length).toBeLessThanOrEqual(6)
  expect(stale.idle).toBe(1)
  const self = 'HTTP/1.1 302 Again\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'
  const loop = await run(({ peer }) => peer.write(self), {})
  expect(loop.fetch.outcome).toBe('TOO_MANY_REDIRECTS')
  expect(loop.fetch.heads.length).toBe(31)
  let turn = 0
  const both = await run(({ peer }) => peer.write(turn++ % 2 === 0 ? self : around), {
    httpAuth: 'digest',
    username: 'u',
    password: 'p',
  })
  expect(both.fetch.outcome).toBe('TOO_MANY_REDIRECTS')
})

it('repeats itself exactly when its dice are given', async () => {
  const challenge =
    'HTTP/1.1 401 Who\r\nwww-authenticate: Digest realm="r", nonce="n", qop=auth\r\ncontent-length: 0\r\n\r\n'
  const received: string[] = []
  for (let round = 0; round < 2; round++) {
    let turn = 0
    const { server } = await run(({ peer }) => peer.write(turn++ === 0 ? challenge : DONE), {
      httpAuth: 'digest',
      username: 'u',
      password: 'p',
      randomBytes: (size) => new Uint8Array(size).fill(7),
    })
    received.push(server.connections[0]?.received ?? '')
  }
  expect(received[0]).toContain('cnonce="BwcHBwcH')
  expect(received[1]).toBe(received[0])
})

scenario('keeps sending after an early answer when told to, and serves on over that connection', async (bench) => {
  const multi = bench.multi()
  const body = originBytes('kept', 700_000)
  for (const status of [413, 200]) {
    const kept = await fetchOne(bench, multi, {
      url: bench.url(`/eager/${status}`),
      body,
      expect100: false,
      keepSendingOnError: true,
    })
    expect(kept.outcome, kept.message?.error?.message).toBe('OK')
    expect(kept.transfer.info.status).toBe(status)
    expect(kept.body.toString()).toBe('eager')
    expect(kept.transfer.info.bytesSent).toBe(body.length)
  }
  expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/5') }), '/bytes/5')
  const { requests, connections } = await bench.look()
  expect(requests.map(({ body: got }) => Buffer.from(got).equals(body))).toEqual([true, true, false])
  expect(connections).toBe(1)
  expect(multi.stats.idleConnections).toBe(1)
})

scenario('keeps sending what a callback gives after an early answer, also behind a pause', async (bench) => {
  const multi = bench.multi()
  let given = 0
  const fetch = new Fetch({
    url: bench.url('/eager/400'),
    keepSendingOnError: true,
    body: () => (given++ === 3 ? PAUSE : given > 6 ? null : 'x'.repeat(60_000)),
  })
  multi.add(fetch.transfer)
  await bench.drive(multi, () => given === 4 && fetch.chunks.length > 0)
  await bench.pass(multi, 20)
  expect(fetch.outcome).toBe('running')
  fetch.transfer.resume('send')
  await bench.drive(multi)
  readMessages(multi, [fetch])
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  multi.remove(fetch.transfer)
  expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/5') }), '/bytes/5')
  const { requests, connections } = await bench.look()
  expect(requests[0]?.body.length).toBe(300_000)
  expect(connections).toBe(1)
})

it('takes the early answer when the rest cannot be sent, and does not use that connection again', async () => {
  const ends: ((connection: ScriptedConnection) => void)[] = [({ peer }) => peer.reset(), ({ peer }) => peer.close()]
  for (const end of ends) {
    const answer = answerAtOnce('HTTP/1.1 413 Enough\r\ncontent-length: 0\r\n\r\n', end)
    const { fetch, idle } = await run(answer, { body: LARGE, keepSendingOnError: true })
    expect(['OK', 'RECV_ERROR', 'SEND_ERROR']).toContain(fetch.outcome)
    expect(idle).toBe(0)
  }
})

it('uses no connection again on which more came behind the early answer', async () => {
  const answer = 'HTTP/1.1 413 Enough\r\ncontent-length: 0\r\n\r\n'
  let arrivals = 0
  const { fetch, idle } = await run(
    ({ peer }) => {
      if (arrivals++ === 0) peer.write(answer)
      else if (arrivals === 3) peer.write('HTTP/1.1 200 Stray\r\n\r\n')
    },
    { body: LARGE, keepSendingOnError: true },
  )
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.transfer.info.status).toBe(413)
  expect(idle).toBe(0)
})

it('ends by its time limit when nobody takes the rest behind an early answer', async () => {
  const { fetch } = await run(answerAtOnce('HTTP/1.1 413 Enough\r\ncontent-length: 0\r\n\r\n'), {
    bodyLength: 10,
    body: () => PAUSE,
    keepSendingOnError: true,
    timeoutMs: 500,
  })
  expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
})

import { expect, it } from 'vitest'
import { originBytes } from '../sim/origin.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'
import { serveScript } from './scripted.ts'

scenario('removes paused transfers in every state, and others go on', async (bench) => {
  const multi = bench.multi()
  const other = new Fetch({ url: bench.url('/bytes/50000') })
  const paused = [
    new Fetch({ url: bench.url('/bytes/100000') }),
    new Fetch({ url: bench.url('/bytes/100000'), onHead: () => paused[1]?.transfer.pause() }),
    new Fetch({ url: bench.url('/chunked/100000'), onData: () => paused[2]?.transfer.pause() }),
    new Fetch({
      url: bench.url('/encoded/gzip/100000'),
      acceptEncoding: '',
      onData: () => paused[3]?.transfer.pause(),
    }),
  ]
  paused[0]?.transfer.pause()
  for (const { transfer } of [...paused, other]) multi.add(transfer)
  await bench.drive(multi, () => [1, 2, 3].every((at) => (paused[at]?.heads.length ?? 0) > 0))
  await bench.pass(multi, 10)
  for (const { transfer } of paused) multi.remove(transfer)
  await bench.drive(multi)
  readMessages(multi, [other])
  expectBody(other, '/bytes/50000')
  multi.remove(other.transfer)
  expect(paused.map(({ outcome }) => outcome)).toEqual(paused.map(() => 'running'))
  expect(multi.stats.connections).toBe(multi.stats.idleConnections)
})

scenario('pauses in a body that ends with its connection, and loses nothing', async (bench) => {
  const multi = bench.multi()
  let pauses = 0
  const fetch = new Fetch({
    url: bench.url('/close/200000'),
    onData: () => {
      if (pauses++ < 5) fetch.transfer.pause('receive')
    },
  })
  multi.add(fetch.transfer)
  for (let round = 1; round <= 5; round++) {
    await bench.drive(multi, () => pauses >= round || multi.running === 0)
    // The end of the connection comes meanwhile.
    await bench.pass(multi, 5)
    fetch.transfer.resume('receive')
  }
  await bench.drive(multi)
  readMessages(multi, [fetch])
  expectBody(fetch, '/close/200000')
  multi.remove(fetch.transfer)
})

scenario('asks with URLs of any length', async (bench) => {
  const multi = bench.multi()
  for (const length of [100, 2000, 8192, 16_384, 65_535, 200_000]) {
    const path = `/bytes/10/?${'q'.repeat(length)}`
    expectBody(await fetchOne(bench, multi, { url: bench.url(path) }), path)
  }
  const { requests } = await bench.look()
  expect(requests.at(-1)?.target.length).toBe('/bytes/10/?'.length + 200_000)
})

scenario('brings many bodies that come byte by byte', async (bench) => {
  const paths = Array.from({ length: 60 }, (_, index) => `/drip/${10 + (index % 7)}/${index}`)
  const fetches = await fetchAll(
    bench,
    bench.multi(),
    paths.map((path) => ({ url: bench.url(path), timeoutMs: 600_000 })),
  )
  for (const { outcome } of fetches) expect(outcome).toBe('OK')
  const lengths = fetches.map(({ body }) => body.length)
  expect(lengths).toEqual(paths.map((_, index) => 10 + (index % 7)))
})

scenario('is removed in the middle of a handshake of TLS', async (bench) => {
  const multi = bench.multi()
  // That origin waits for a request in the clear.
  const url = `https://${bench.address}:${bench.port}/`
  const fetches = [new Fetch({ url }), new Fetch({ url }), new Fetch({ url })]
  for (const { transfer } of fetches) multi.add(transfer)
  await bench.pass(multi, 30)
  for (const { transfer } of fetches) multi.remove(transfer)
  await bench.pass(multi, 5)
  expect([multi.running, multi.stats.connections]).toEqual([0, 0])
  expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/10') }), '/bytes/10')
})

it.each(['close', 'reset'] as const)('ends an upload whose peer does a %s at any moment of it', async (end) => {
  const body = originBytes('upload', 300_000)
  for (const after of [0, 1, 3]) {
    for (const answer of ['', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf']) {
      const bench = new SimulatedBench('', 1, {}, false)
      let arrivals = 0
      const server = serveScript(bench.simulation, 81, ({ peer }) => {
        if (arrivals++ !== after) return
        peer.write(answer)
        bench.simulation.world.after(answer === '' ? 0 : 20, () => peer[end]())
      })
      const multi = bench.multi()
      const fetch = await fetchOne(bench, multi, { url: server.url, body, expect100: false, timeoutMs: 60_000 })
      const codes = ['SEND_ERROR', 'RECV_ERROR', 'GOT_NOTHING', 'PARTIAL_FILE']
      expect(codes, `${after} ${answer}: ${fetch.message?.error?.message}`).toContain(fetch.outcome)
      expect(multi.stats.connections).toBe(0)
      await bench.close()
    }
  }
})

it('sends a body from a callback again where a forwarding proxy asks for Digest', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"'
  const server = serveScript(bench.simulation, 81, (connection) => {
    const [head = '', sent = ''] = connection.received.split('\r\n\r\n')
    if (!sent.endsWith('end')) return
    connection.received = ''
    const isProved = /\r\nproxy-authorization: digest /i.test(head)
    if (!isProved) connection.peer.write(`HTTP/1.1 407 Who\r\n${challenge}\r\ncontent-length: 0\r\n\r\n`)
    else connection.peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${sent.length}\r\n\r\n${sent}`)
  })
  const pieces = ['from ', 'the ', 'callback to the end']
  let at = 0
  let rewinds = 0
  const fetch = await fetchOne(bench, bench.multi(), {
    url: 'http://origin.test/upload',
    proxy: server.url.replace('//', '//me:secret@'),
    bodyLength: pieces.join('').length,
    body: () => pieces[at++] ?? null,
    rewindBody: () => {
      rewinds++
      at = 0
    },
  })
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.heads.map(({ status }) => status)).toEqual([407, 200])
  expect([fetch.body.toString(), rewinds]).toEqual([pieces.join(''), 1])
  await bench.close()
})

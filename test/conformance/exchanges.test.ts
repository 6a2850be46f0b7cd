import { expect } from 'vitest'
import { PAUSE } from '../../lib/index.ts'
import { originBytes } from '../sim/origin.ts'
import { scenario } from './drivers.ts'
import { expectBody, Fetch, fetchAll, fetchOne } from './fetches.ts'

const PATHS = ['/bytes/0', '/bytes/1', '/bytes/200000', '/chunked/1', '/chunked/50000', '/close/3000', '/trailers/500']

scenario('gives every byte of every kind of body', async (bench) => {
  const multi = bench.multi()
  const fetches = await fetchAll(
    bench,
    multi,
    PATHS.map((path) => ({ url: bench.url(path) })),
  )
  for (const [index, path] of PATHS.entries()) expectBody(fetches[index]!, path)
  expect(multi.running).toBe(0)
  expect(multi.transfers).toEqual([])
})

scenario('tells trailers after the last byte', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/trailers/500') })
  expectBody(fetch, '/trailers/500')
  expect(fetch.trailers.map((trailers) => [...trailers])).toEqual([
    [
      ['x-sum', '1'],
      ['x-end', 'yes'],
    ],
  ])
})

scenario('tells each 1xx head, and the final head once', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/1xx/100') })
  expectBody(fetch, '/1xx/100')
  expect(fetch.informational.map(({ status }) => status)).toEqual([103, 103])
  expect(fetch.informational[0]?.headers.get('link')).toBe('</style>')
  expect(fetch.heads.map(({ status }) => status)).toEqual([200])
  expect(fetch.transfer.info.status).toBe(200)
})

scenario('ends a HEAD, a 204 and a 304 at the head, and keeps the connection', async (bench) => {
  const multi = bench.multi()
  for (const options of [
    { url: bench.url('/bytes/1000'), method: 'HEAD' },
    { url: bench.url('/chunked/1000'), method: 'HEAD' },
    { url: bench.url('/status/204') },
    { url: bench.url('/status/304') },
  ]) {
    const fetch = await fetchOne(bench, multi, options)
    expect(fetch.outcome).toBe('OK')
    expect(fetch.body.length).toBe(0)
  }
  expect((await bench.look()).connections).toBe(1)
})

scenario('keeps the content length of a HEAD as information', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/bytes/1000'), method: 'HEAD' })
  expect(fetch.transfer.info.contentLength).toBe(1000)
  expect(fetch.transfer.info.bytesReceived).toBe(0)
})

scenario('gives the status as it is, an error of the server being no error of the transfer', async (bench) => {
  const multi = bench.multi()
  for (const status of [200, 404, 500, 503]) {
    const fetch = await fetchOne(bench, multi, { url: bench.url(`/status/${status}`) })
    expectBody(fetch, `/status/${status}`)
    expect(fetch.transfer.info.status).toBe(status)
  }
})

scenario('sends a body of bytes, of text, and from a callback with and without its length', async (bench) => {
  const multi = bench.multi()
  const large = originBytes('large', 300_000)
  const pieces = (): (() => Uint8Array | null) => {
    let at = 0
    return () => {
      const piece = large.subarray(at, at + 7001)
      at += 7001
      return piece.length === 0 ? null : piece
    }
  }
  const fetches = await fetchAll(bench, multi, [
    { url: bench.url('/echo'), body: large },
    { url: bench.url('/echo'), body: 'żółw' },
    { url: bench.url('/echo'), body: pieces() },
    { url: bench.url('/echo'), body: pieces(), bodyLength: large.length },
    { url: bench.url('/echo'), body: '' },
    { url: bench.url('/echo'), body: () => null, method: 'PUT' },
  ])
  expect(fetches.map(({ outcome }) => outcome)).toEqual(fetches.map(() => 'OK'))
  for (const index of [0, 2, 3]) expect(fetches[index]?.body.equals(large)).toBe(true)
  expect(fetches[1]?.body.toString()).toBe('żółw')
  expect(fetches[4]?.body.length).toBe(0)
  expect(fetches[5]?.body.length).toBe(0)
  const { requests } = await bench.look()
  expect(requests.map(({ method }) => method).sort()).toEqual(['POST', 'POST', 'POST', 'POST', 'POST', 'PUT'])
  expect(fetches[0]?.transfer.info.bytesSent).toBe(large.length)
  expect(fetches[2]?.transfer.info.bytesSent).toBe(large.length)
})

scenario('takes PAUSE from a body callback and goes on after resume', async (bench) => {
  const multi = bench.multi()
  const script = ['one ', PAUSE, 'two ', PAUSE, PAUSE, 'three', null] as const
  let at = 0
  const { transfer } = new Fetch({ url: bench.url('/echo'), body: () => script[at++] ?? null })
  multi.add(transfer)
  for (let pauses = 0; pauses < 3; pauses++) {
    await bench.drive(multi, () => script[at - 1] === PAUSE)
    const asked = at
    await bench.pass(multi, 30)
    expect(at, 'asked while paused').toBe(asked)
    expect(multi.running).toBe(1)
    transfer.resume('send')
    await bench.drive(multi, () => at > asked)
  }
  await bench.drive(multi)
  const message = multi.infoRead()
  expect(message?.code).toBe(0)
  expect((await bench.look()).requests.map(({ body }) => Buffer.from(body).toString())).toEqual(['one two three'])
})

scenario('fails a body that ends before its length, and one that gives more than was asked for', async (bench) => {
  const multi = bench.multi()
  const short = await fetchOne(bench, multi, { url: bench.url('/echo'), body: oneThenNull('abc'), bodyLength: 10 })
  expect(short.outcome).toBe('READ_ERROR')
  expect(short.error.message).toContain('3 of 10')
  const long = await fetchOne(bench, multi, { url: bench.url('/echo'), body: oneThenNull('abcdef'), bodyLength: 3 })
  expect(long.outcome).toBe('READ_ERROR')
  expect(long.error.cause).toBeInstanceOf(RangeError)
  const wrong = await fetchOne(bench, multi, { url: bench.url('/echo'), body: (() => 5) as unknown as () => null })
  expect(wrong.outcome).toBe('READ_ERROR')
  expect(wrong.error.cause).toBeInstanceOf(TypeError)
  expect(multi.stats.idleConnections).toBe(0)
})

function oneThenNull(text: string): () => string | null {
  let asked = 0
  return () => (asked++ === 0 ? text : null)
}

scenario('takes an early answer to a body that is still being sent', async (bench) => {
  const multi = bench.multi()
  const endless = new Uint8Array(50_000)
  let given = 0
  const fetch = await fetchOne(bench, multi, {
    url: bench.url('/reject/413'),
    body: () => {
      given++
      return given > 400 ? null : endless
    },
  })
  expect(['OK', 'SEND_ERROR', 'RECV_ERROR', 'PARTIAL_FILE'], fetch.message?.error?.message).toContain(fetch.outcome)
  if (fetch.heads.length > 0) expect(fetch.heads[0]?.status).toBe(413)
  // The simulated origin reads the whole of it first.
  if (given <= 400) expect(multi.stats.idleConnections, 'a half sent request leaves no usable connection').toBe(0)
  const next = await fetchOne(bench, multi, { url: bench.url('/bytes/10') })
  expectBody(next, '/bytes/10')
})

scenario('names what went wrong when the origin breaks off', async (bench) => {
  const multi = bench.multi()
  const outcomes: Record<string, string> = {}
  for (const path of ['/early-close', '/early-close/5000', '/reset', '/reset/5000']) {
    const fetch = await fetchOne(bench, multi, { url: bench.url(path), freshConnect: true })
    outcomes[path] = fetch.outcome
  }
  expect(outcomes['/early-close']).toBe('GOT_NOTHING')
  expect(outcomes['/early-close/5000']).toBe('PARTIAL_FILE')
  expect(outcomes['/reset']).toBe('RECV_ERROR')
  expect(outcomes['/reset/5000']).toMatch(/RECV_ERROR|PARTIAL_FILE/)
  expect(multi.stats.connections).toBe(0)
})

scenario('refuses a head that is too long', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/bytes/10'), maxHeadBytes: 20 })
  expect(fetch.outcome).not.toBe('OK')
  expect(fetch.chunks).toEqual([])
})

scenario('sends very long headers and gives long ones back whole', async (bench) => {
  const long = 'v'.repeat(60_000)
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, { url: bench.url('/bytes/10'), headers: { 'x-long': long } })
  expectBody(fetch, '/bytes/10')
  const { requests } = await bench.look()
  expect(requests[0]?.headers.get('x-long')?.length).toBe(long.length)
})

scenario('sends a head that is longer than the shared memory', async (bench) => {
  const headers = { 'x-a': 'a'.repeat(50_000), 'x-b': 'b'.repeat(50_000) }
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/echo'), headers, body: 'small' })
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.body.toString()).toBe('small')
})

scenario('puts the time line in order', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/slow/20/100') })
  const { info } = fetch.transfer
  const line = [
    info.queueTime,
    info.nameLookupTime,
    info.connectTime,
    info.preTransferTime,
    info.postTransferTime,
    info.startTransferTime,
    info.totalTime,
  ]
  expect([...line].sort((a, b) => a - b)).toEqual(line)
  expect(info.startTransferTime).toBeGreaterThanOrEqual(18_000)
  expect(info.connects).toBe(1)
  expect(info.primaryPort).toBe(bench.port)
  expect(info.bytesReceived).toBe(100)
  expect(info.effectiveUrl).toBe(new URL(bench.url('/slow/20/100')).href)
})

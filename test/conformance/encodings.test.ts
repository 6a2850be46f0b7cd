import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import type { TransferOptions } from '../../lib/index.ts'
import { contentText, encode } from '../sim/content.ts'
import { zstdCompressSync } from '../support/zstd.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'
import { serveScript } from './scripted.ts'

const CODINGS = ['gzip', 'deflate', 'deflate-raw', 'br', 'gzip+br', 'br+gzip+deflate']
if (zstdCompressSync !== null) CODINGS.push('zstd', 'zstd+gzip')

scenario('undoes each coding, and several one upon the other', async (bench) => {
  const paths = CODINGS.flatMap((codings) => [0, 1, 300_000].map((length) => ({ codings, length })))
  const fetches = await fetchAll(
    bench,
    bench.multi(),
    paths.map(({ codings, length }) => ({ url: bench.url(`/encoded/${codings}/${length}`), acceptEncoding: '' })),
  )
  for (const [index, { codings, length }] of paths.entries()) {
    const { outcome, body, transfer, message } = fetches[index] as Fetch
    expect(outcome, message?.error?.message).toBe('OK')
    expect(body.equals(contentText(length)), `${codings} of ${length}`).toBe(true)
    expect(transfer.info.bytesDelivered).toBe(length)
    expect(transfer.info.bytesReceived).toBe(encode(codings, contentText(length)).length)
  }
  const { requests, connections } = await bench.look()
  expect(requests[0]?.headers.get('accept-encoding')).toBe(
    `gzip, deflate, br${zstdCompressSync === null ? '' : ', zstd'}`,
  )
  expect(connections).toBeLessThanOrEqual(paths.length)
})

scenario('asks for what it is told to ask for, and leaves alone what nobody asked for', async (bench) => {
  const url = bench.url('/encoded/gzip/1000')
  const [listed, none, asItIs] = await fetchAll(bench, bench.multi({ maxHostConnections: 1 }), [
    { url, acceptEncoding: 'br;q=0.5, GZIP' },
    { url },
    { url, acceptEncoding: 'gzip', contentDecoding: false },
  ])
  expect(listed?.body.equals(contentText(1000))).toBe(true)
  for (const fetch of [none, asItIs]) expect(fetch?.body.equals(encode('gzip', contentText(1000)))).toBe(true)
  const { requests, connections } = await bench.look()
  const sent = requests.map(({ headers }) => headers.get('accept-encoding'))
  expect(sent.map(String).sort()).toEqual(['br;q=0.5, GZIP', 'gzip', 'undefined'])
  expect(connections).toBe(1)
})

scenario('keeps what it has not decoded while it is paused', async (bench) => {
  const multi = bench.multi()
  const length = 3_000_000
  let pauses = 0
  const fetch = new Fetch({
    url: bench.url(`/encoded/gzip+br/${length}`),
    acceptEncoding: '',
    onData: () => {
      if (pauses++ < 4) fetch.transfer.pause('receive')
    },
  })
  multi.add(fetch.transfer)
  for (let round = 1; round <= 4; round++) {
    await bench.drive(multi, () => pauses === round)
    await bench.pass(multi, 10)
    expect(fetch.chunks.length, 'told while paused').toBe(round)
    fetch.transfer.resume('receive')
  }
  await bench.drive(multi)
  readMessages(multi, [fetch])
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.body.equals(contentText(length))).toBe(true)
})

/** The outcome of a response of these bytes, cut at that many bytes per piece. */
async function answeredWith(fields: string, body: Uint8Array, options: Partial<TransferOptions> = {}): Promise<Fetch> {
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, ({ peer }) => {
    peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${fields}\r\n\r\n`)
    peer.write(body)
  })
  const fetch = await fetchOne(bench, bench.multi(), { url: server.url, acceptEncoding: '', ...options })
  await bench.close()
  return fetch
}

const text = contentText(5000)
const GZIP = 'content-encoding: gzip'

it('reads the members of a gzip file one after the other, and passes over junk behind them', async () => {
  const member = gzipSync(text)
  const several = await answeredWith(GZIP, Buffer.concat([member, gzipSync(''), member]))
  expect(several.body.equals(Buffer.concat([text, text]))).toBe(true)
  for (const junk of ['\0\0\0', 'junk']) {
    const fetch = await answeredWith(GZIP, Buffer.concat([member, Buffer.from(junk)]))
    expect(fetch.outcome).toBe('OK')
    expect(fetch.body.equals(text)).toBe(true)
  }
})

it('reads the frames of zstd one after the other, or says that this Node cannot', async () => {
  const fields = 'content-encoding: zstd'
  if (zstdCompressSync === null) {
    expect((await answeredWith(fields, text)).outcome).toBe('BAD_CONTENT_ENCODING')
    return
  }
  const frame = zstdCompressSync(text)
  const skippable = Buffer.of(0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3)
  const several = await answeredWith(fields, Buffer.concat([skippable, frame, skippable, frame, Buffer.from('junk')]))
  expect(several.outcome).toBe('OK')
  expect(several.body.equals(Buffer.concat([text, text]))).toBe(true)
  for (const broken of [frame.subarray(0, -3), Buffer.concat([frame, frame.subarray(0, 9)]), Buffer.from('none')]) {
    expect((await answeredWith(fields, broken)).outcome).toBe('BAD_CONTENT_ENCODING')
  }
  const zeros = zstdCompressSync(Buffer.alloc(40_000_000))
  expect((await answeredWith(fields, zeros)).outcome).toBe('TOO_LARGE')
  // A window beyond what RFC 9659 allows takes memory before a byte is told.
  const greedy = Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00)
  expect((await answeredWith(fields, greedy)).outcome).toBe('BAD_CONTENT_ENCODING')
})

it.each([
  ['not what the coding says', GZIP, Buffer.from('this is no gzip at all')],
  ['cut off', GZIP, gzipSync(text).subarray(0, -5)],
  ['cut off in its first byte', 'content-encoding: deflate', Buffer.of(0x78)],
  ['cut off in a later member', GZIP, Buffer.concat([gzipSync(text), gzipSync(text).subarray(0, 15)])],
  ['damaged', GZIP, Buffer.concat([gzipSync(text).subarray(0, -8), Buffer.alloc(8)])],
  ['in an unknown coding', 'content-encoding: compress', text],
  ['in too many codings', `content-encoding: ${Array(6).fill('gzip').join(', ')}`, text],
])('refuses a body that is %s', async (_name, fields, body) => {
  const fetch = await answeredWith(fields, body)
  expect(fetch.outcome).toBe('BAD_CONTENT_ENCODING')
  expect(fetch.error.number).toBe(61)
  expect(text.subarray(0, fetch.body.length).equals(fetch.body.subarray(0, 5000))).toBe(true)
})

it('accepts a body without a byte, whatever its coding is, and spells codings as servers do', async () => {
  expect((await answeredWith(GZIP, Buffer.alloc(0))).outcome).toBe('OK')
  expect((await answeredWith('content-encoding: identity', text)).body.equals(text)).toBe(true)
  expect((await answeredWith('Content-Encoding: X-GZip', gzipSync(text))).body.equals(text)).toBe(true)
  const twice = await answeredWith('content-encoding: gzip\r\ncontent-encoding: gzip', gzipSync(gzipSync(text)))
  expect(twice.body.equals(text)).toBe(true)
})

it('stops a body that grows beyond all measure', async () => {
  const zeros = gzipSync(Buffer.alloc(40_000_000))
  const once = await answeredWith(GZIP, zeros)
  expect(once.outcome).toBe('OK')
  expect(once.transfer.info.bytesDelivered).toBe(40_000_000)
  const twice = await answeredWith('content-encoding: gzip, gzip', gzipSync(zeros))
  expect(twice.outcome).toBe('TOO_LARGE')
  expect(twice.error.message).toContain('maxExpansion 1100')
  expect(twice.transfer.info.bytesDelivered).toBeLessThan(17_000_000)
  const allowed = await answeredWith('content-encoding: gzip, gzip', gzipSync(zeros), { maxExpansion: 0 })
  expect(allowed.outcome).toBe('OK')
  const limited = await answeredWith(GZIP, zeros, { maxDecodedBytes: 1000 })
  expect(limited.outcome).toBe('TOO_LARGE')
  expect(limited.body.length).toBe(0)
})

it('lets others have their turn while a small body becomes a large one', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const zeros = gzipSync(Buffer.alloc(30_000_000))
  const server = serveScript(bench.simulation, 81, ({ peer }) => {
    peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${zeros.length}\r\n${GZIP}\r\n\r\n`)
    peer.write(zeros)
  })
  const multi = bench.multi()
  const order: string[] = []
  const large = new Fetch({ url: server.url, acceptEncoding: '', onData: () => void order.push('large') })
  const small = new Fetch({ url: bench.url('/drip/20'), onData: () => void order.push('small') })
  multi.add(large.transfer)
  multi.add(small.transfer)
  await bench.drive(multi)
  expect(order.length).toBeGreaterThan(400)
  expect(large.chunks.every((chunk) => chunk.length <= 65_536)).toBe(true)
  multi.remove(large.transfer)
  multi.remove(small.transfer)
  await bench.close()
})

it('decodes for any cuts of what comes', async () => {
  for (const size of [1, 2, 3, 7, 100]) {
    const bench = new SimulatedBench('', 1, {}, false)
    const { world } = bench.simulation
    const body = encode('deflate+gzip', text)
    const server = serveScript(bench.simulation, 81, ({ peer }) => {
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\ncontent-encoding: deflate, gzip\r\n\r\n`)
      for (let at = 0; at < body.length; at += size) {
        world.after(at, () => peer.write(body.subarray(at, at + size)))
      }
    })
    const fetch = await fetchOne(bench, bench.multi(), { url: server.url, acceptEncoding: '' })
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(fetch.body.equals(text)).toBe(true)
    await bench.close()
  }
})

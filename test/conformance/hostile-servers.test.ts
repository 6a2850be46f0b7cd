import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import type { TransferCodeName, TransferOptions } from '../../lib/index.ts'
import { type Hostility, hostilePath } from '../sim/hostile.ts'
import { type Bench, SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { expectBody, fetchAll, fetchOne } from './fetches.ts'
import { serveScript } from './scripted.ts'

type Row = readonly [
  name: string,
  says: Partial<Hostility>,
  outcomes: TransferCodeName | readonly TransferCodeName[],
  options?: Partial<TransferOptions>,
]

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`
const SIZED = `${OK}content-length: 50\r\n\r\n`
/** Long enough for a fast server, and no test waits long for it. */
const TIMEOUT_MS = 150

/** Each ends as it should, on a connection that nobody uses again, beside a transfer that notices nothing. */
async function endure(bench: Bench, common: Partial<TransferOptions>, rows: readonly Row[]): Promise<void> {
  const multi = bench.multi()
  for (const [name, says, outcomes, options] of rows) {
    const url = bench.url(hostilePath(says))
    const [hostile, bystander] = await fetchAll(bench, multi, [
      { url, ...common, ...options },
      { url: bench.url('/drip/9') },
    ])
    expect([outcomes].flat(), `${name}: ${hostile?.message?.error?.message}`).toContain(hostile?.outcome)
    if (bystander !== undefined) expectBody(bystander, '/drip/9')
    // The bystander's own may idle on.
    expect(multi.stats.connections, `${name}: its connection is closed`).toBeLessThanOrEqual(1)
    expect(multi.stats.idleConnections).toBe(multi.stats.connections)
  }
  expectBody(await fetchOne(bench, multi, { url: bench.url('/bytes/100') }), '/bytes/100')
}

// biome-ignore format: a table
scenario('survives what has no end in and before heads', (bench) =>
  endure(bench, { maxHeadBytes: 20_000 }, [
    ['fields', { first: OK, again: 'x-a: b\r\n' }, 'TOO_LARGE'],
    ['the value of a field', { first: `${OK}x-a: `, again: 'b' }, 'TOO_LARGE'],
    ['the name of a field', { first: OK, again: 'b' }, 'TOO_LARGE'],
    ['a reason', { first: 'HTTP/1.1 200 ', again: 'O' }, 'TOO_LARGE'],
    ['empty lines', { again: '\r\n' }, 'TOO_LARGE'],
    ['informational heads', { again: 'HTTP/1.1 103 Early\r\n\r\n' }, 'TOO_LARGE'],
    ['heads of 100', { again: 'HTTP/1.1 100 Continue\r\n\r\n' }, 'TOO_LARGE'],
    ['heads of 100 before a body', { again: 'HTTP/1.1 100 Continue\r\n\r\n' }, 'TOO_LARGE',
      { body: 'x', expect100: true }],
    ['junk', { again: '\0\xff' }, 'UNSUPPORTED_PROTOCOL'],
  ]),
)

// biome-ignore format: a table
scenario('survives what has no end in bodies', (bench) =>
  endure(bench, { maxFileSize: 50_000, maxHeadBytes: 20_000 }, [
    ['a body until the end', { first: `${OK}\r\n`, again: 'x' }, 'FILESIZE_EXCEEDED'],
    ['chunks of one byte', { first: CHUNKED, again: '1\r\nx\r\n' }, 'FILESIZE_EXCEEDED'],
    ['an extension of a chunk', { first: `${CHUNKED}5;`, again: 'x' }, 'RECV_ERROR'],
    ['extensions of chunks', { first: CHUNKED, again: `1;${'x'.repeat(15_000)}\r\nx\r\n` },
      'RECV_ERROR'],
    ['the size of a chunk', { first: CHUNKED, again: '0' }, 'RECV_ERROR'],
    ['a size beyond all numbers', { first: CHUNKED, again: 'f' }, 'RECV_ERROR'],
    ['trailers', { first: `${CHUNKED}0\r\n`, again: 'x-a: b\r\n' }, 'TOO_LARGE'],
    ['what follows a response', { first: SIZED, again: 'x' }, 'OK'],
  ]),
)

// biome-ignore format: a table
scenario('takes no response that two readers could end in two places', (bench) =>
  endure(bench, {}, [
    ['two lengths', { first: `${OK}content-length: 5\r\ncontent-length: 6\r\n\r\nhello!` }, 'WEIRD_SERVER_REPLY'],
    ['two lengths in one', { first: `${OK}content-length: 5, 6\r\n\r\nhello!` }, 'WEIRD_SERVER_REPLY'],
    ['a length that is none', { first: `${OK}content-length: +5\r\n\r\nhello` }, 'WEIRD_SERVER_REPLY'],
    ['a negative length', { first: `${OK}content-length: -1\r\n\r\n` }, 'WEIRD_SERVER_REPLY'],
    ['chunked before another', { first: `${OK}transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n` },
      'BAD_CONTENT_ENCODING'],
    ['a size in decimals', { first: `${CHUNKED}5.0\r\nhello\r\n0\r\n\r\n` }, 'RECV_ERROR'],
    ['a chunk that is longer than it says', { first: `${CHUNKED}5\r\nhello!\r\n0\r\n\r\n` }, 'RECV_ERROR'],
  ]),
)

// biome-ignore format: a table
scenario('waits for slow drips no longer than it is told to', (bench) =>
  endure(bench, { timeoutMs: TIMEOUT_MS }, [
    ['nothing at all', {}, 'OPERATION_TIMEDOUT'],
    ['fields', { first: OK, again: 'x-a: b\r\n', everyMs: 10 }, 'OPERATION_TIMEDOUT'],
    ['informational heads', { again: 'HTTP/1.1 103 Early\r\n\r\n', everyMs: 10 }, 'OPERATION_TIMEDOUT'],
    ['a body', { first: SIZED, again: 'x', everyMs: 10 }, 'OPERATION_TIMEDOUT'],
    ['the size of a chunk', { first: CHUNKED, again: '0', everyMs: 15 }, 'OPERATION_TIMEDOUT'],
    ['a head, by its own limit', { first: OK, again: 'x-a: b\r\n', everyMs: 10 }, 'OPERATION_TIMEDOUT',
      { timeoutMs: 0, serverResponseTimeoutMs: TIMEOUT_MS }],
    ['a silent body, by its own limit', { first: SIZED }, 'OPERATION_TIMEDOUT',
      { timeoutMs: 0, idleTimeoutMs: TIMEOUT_MS }],
  ]),
)

// biome-ignore format: a table
scenario('says what was cut off by a reset, in every phase', (bench) =>
  endure(bench, {}, [
    ['before a byte', { ending: 'reset' }, 'RECV_ERROR'],
    ['in the status line', { first: 'HTTP/1.1 2', ending: 'reset' }, 'RECV_ERROR'],
    ['in a field', { first: `${OK}x-a`, ending: 'reset' }, 'RECV_ERROR'],
    ['behind an informational head', { first: 'HTTP/1.1 103 Early\r\n\r\n', ending: 'reset' }, 'RECV_ERROR'],
    ['behind the head', { first: SIZED, ending: 'reset' }, ['RECV_ERROR', 'PARTIAL_FILE']],
    ['in the body', { first: `${SIZED}half`, ending: 'reset' }, ['RECV_ERROR', 'PARTIAL_FILE']],
    ['in a body until the end', { first: `${OK}\r\nhalf`, ending: 'reset' }, ['RECV_ERROR', 'PARTIAL_FILE']],
    ['in the size of a chunk', { first: `${CHUNKED}1`, ending: 'reset' }, ['RECV_ERROR', 'PARTIAL_FILE']],
    ['in a chunk', { first: `${CHUNKED}5\r\nha`, ending: 'reset' }, ['RECV_ERROR', 'PARTIAL_FILE']],
    ['between chunks', { first: `${CHUNKED}1\r\nx\r\n`, ending: 'reset' }, ['RECV_ERROR', 'PARTIAL_FILE']],
    ['in the trailers', { first: `${CHUNKED}0\r\nx-a`, ending: 'reset' }, ['RECV_ERROR', 'PARTIAL_FILE']],
  ]),
)

// biome-ignore format: a table
scenario('follows nobody to where it may not', (bench) => {
  const to = (location: string): Partial<Hostility> => ({
    first: `HTTP/1.1 302 Go\r\nlocation: ${location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
    ending: 'close',
  })
  return endure(bench, { followRedirects: true }, [
    ['a file', to('file:///etc/passwd'), ['UNSUPPORTED_PROTOCOL', 'URL_MALFORMAT']],
    ['a script', to('javascript:alert(1)'), ['UNSUPPORTED_PROTOCOL', 'URL_MALFORMAT']],
    ['a raw connection', to('tcp://127.0.0.1:1'), 'UNSUPPORTED_PROTOCOL'],
    ['a WebSocket', to('ws://127.0.0.1:1/'), 'UNSUPPORTED_PROTOCOL'],
    ['nowhere', to('http://'), 'URL_MALFORMAT'],
    ['a port that is none', to('http://127.0.0.1:99999/'), 'URL_MALFORMAT'],
  ])
})

it('undoes no more of a bomb than it may', async () => {
  const zeros = gzipSync(gzipSync(Buffer.alloc(50_000_000)))
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, ({ peer }) => {
    peer.write(`${OK}content-encoding: gzip, gzip\r\ncontent-length: ${zeros.length}\r\n\r\n`)
    peer.write(zeros)
  })
  const multi = bench.multi()
  const limits: readonly [Partial<TransferOptions>, TransferCodeName, number][] = [
    [{}, 'TOO_LARGE', 17_000_000],
    [{ maxDecodedBytes: 100_000 }, 'TOO_LARGE', 100_000],
    [{ maxFileSize: 100_000 }, 'FILESIZE_EXCEEDED', 100_000],
  ]
  for (const [options, code, most] of limits) {
    const [bomb, bystander] = await fetchAll(bench, multi, [
      { url: server.url, acceptEncoding: '', ...options },
      { url: bench.url('/drip/9') },
    ])
    expect(bomb?.outcome).toBe(code)
    expect(bomb?.body.length).toBeLessThanOrEqual(most)
    if (bystander !== undefined) expectBody(bystander, '/drip/9')
    expect(multi.stats.idleConnections).toBe(1)
  }
  await bench.close()
})

/** Whole, it is the body 'hello there' with a trailer. */
const WHOLE = `HTTP/1.1 103 Early\r\nx: y\r\n\r\n${CHUNKED}5;a="b"\r\nhello\r\n6\r\n there\r\n0\r\nx-sum: 1\r\n\r\n`

it.each(['close', 'reset'] as const)(
  'is never mistaken about a response that ends with a %s at any byte',
  async (end) => {
    for (let at = 0; at <= WHOLE.length; at++) {
      const bench = new SimulatedBench('', 1, {}, false)
      const server = serveScript(bench.simulation, 81, ({ peer }) => {
        peer.write(WHOLE.slice(0, at))
        bench.simulation.world.after(20, () => peer[end]())
      })
      const multi = bench.multi()
      const fetch = await fetchOne(bench, multi, { url: server.url })
      const where = `cut at ${at}: ${fetch.message?.error?.message}`
      if (at === WHOLE.length) {
        expect(fetch.outcome, where).toBe('OK')
        expect(fetch.body.toString()).toBe('hello there')
      } else {
        const isBody = fetch.heads.length > 0
        const expected =
          end === 'reset' ? 'RECV_ERROR' : isBody ? 'PARTIAL_FILE' : at === 0 ? 'GOT_NOTHING' : 'RECV_ERROR'
        expect(fetch.outcome, where).toBe(expected)
        expect('hello there'.startsWith(fetch.body.toString()), where).toBe(true)
        expect(fetch.trailers).toEqual([])
        expect(multi.stats.connections).toBe(0)
      }
      await bench.close()
    }
  },
)

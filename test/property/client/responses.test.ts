import { deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TransferOptions } from '../../../lib/index.ts'
import { SimulatedBench } from '../../conformance/bench.ts'
import { Fetch, fetchOne, readMessages } from '../../conformance/fetches.ts'
import { serveScript } from '../../conformance/scripted.ts'

/** What callbacks were told, with data joined, and how it ended. */
interface Telling {
  readonly events: readonly string[]
  readonly body: string
  readonly outcome: string
  readonly isReused: boolean
}

/** One transfer to a server that says these bytes in these pieces, and then closes unless it is to stay. */
async function tell(pieces: readonly Uint8Array[], ends: boolean, options: Partial<TransferOptions>): Promise<Telling> {
  const bench = new SimulatedBench('', 1, {}, false)
  const { world } = bench.simulation
  const server = serveScript(bench.simulation, 81, ({ peer, number }, fresh) => {
    if (number > 1 || !fresh.includes('\r\n\r\n')) return
    for (const [index, piece] of pieces.entries()) world.after(index + 1, () => peer.write(piece))
    if (ends) world.after(pieces.length + 1, () => peer.close())
  })
  const multi = bench.multi()
  const events: string[] = []
  let body = ''
  const fetch = await fetchOne(bench, multi, {
    url: server.url,
    timeoutMs: 60_000,
    onInformational: ({ status }) => events.push(`informational ${status}`),
    onHead: ({ status, headers }) => events.push(`head ${status} ${JSON.stringify(headers.raw)}`),
    onData: (chunk) => {
      if (body === '') events.push('data')
      body += Buffer.from(chunk).toString('latin1')
    },
    onTrailers: (trailers) => events.push(`trailers ${JSON.stringify(trailers.raw)}`),
    ...options,
  })
  const telling = { events, body, outcome: fetch.outcome, isReused: multi.stats.idleConnections > 0 }
  await bench.close()
  return telling
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...places, bytes.length].map((place, index) => bytes.slice(places[index - 1] ?? 0, place))
}

const eachByte = (bytes: Uint8Array): Uint8Array[] => Array.from(bytes, (byte) => Uint8Array.of(byte))

const text = fc.string({ maxLength: 60 }).map((content) => Buffer.from(content))
const coding = fc.constantFrom('', 'gzip', 'deflate')
const encode = (content: Buffer, name: string): Buffer =>
  name === 'gzip' ? gzipSync(content) : name === 'deflate' ? deflateSync(content) : content

/** Each is a status line, fields and a framed body; some are wrong. */
const response = fc
  .record({
    informational: fc.nat(2),
    status: fc.constantFrom(200, 206, 304, 404),
    content: text,
    coding,
    framing: fc.constantFrom('length', 'chunked', 'close', 'short', 'both'),
    trailer: fc.boolean(),
    damage: fc.option(fc.tuple(fc.nat(), fc.constantFrom('\r', '\n', '\0', ':', ' ', '0', 'x')), { freq: 2 }),
  })
  .map(({ informational, status, content, coding: name, framing, trailer, damage }) => {
    const body = encode(content, name)
    const fields = name === '' ? '' : `Content-Encoding: ${name}\r\n`
    const early = 'HTTP/1.1 103 Early\r\nA: b\r\n\r\n'.repeat(informational)
    const half = Math.ceil(body.length / 2)
    const chunks = [body.subarray(0, half), body.subarray(half)].filter(({ length }) => length > 0)
    const chunked = Buffer.concat([
      ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)};x\r\n`), chunk, Buffer.from('\r\n')]),
      Buffer.from(`0\r\n${trailer ? 'T: v\r\n' : ''}\r\n`),
    ])
    const length = framing === 'short' ? body.length + 1 : body.length
    const size = framing === 'close' || framing === 'chunked' ? '' : `Content-Length: ${length}\r\n`
    const isChunked = framing === 'chunked' || framing === 'both'
    const transferCoding = isChunked ? 'Transfer-Encoding: chunked\r\n' : ''
    const head = `${early}HTTP/1.1 ${status} Fine\r\n${fields}${size}${transferCoding}\r\n`
    const whole = Buffer.concat([Buffer.from(head), isChunked ? chunked : body])
    if (damage === null) return whole
    const [at, put] = damage
    const place = at % (whole.length + 1)
    return Buffer.concat([whole.subarray(0, place), Buffer.from(put), whole.subarray(place)])
  })

/** How much of a damaged coding is told before the damage is seen depends on the pieces. */
function expectSame(one: Telling, other: Telling): void {
  if (one.outcome !== 'BAD_CONTENT_ENCODING') expect(one.body).toBe(other.body)
  else expect(one.body.startsWith(other.body) || other.body.startsWith(one.body)).toBe(true)
}

function withoutData({ events, outcome }: Telling): readonly string[] {
  return outcome === 'BAD_CONTENT_ENCODING' ? events.filter((event) => event !== 'data') : events
}

describe('a transfer', () => {
  it('is told the same of a response whole, byte by byte and in any pieces', async () => {
    const cuts = fc.array(fc.nat(1000), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(response, cuts, fc.boolean(), async (bytes, places, decodes) => {
        const options = decodes ? { acceptEncoding: '' } : {}
        const whole = await tell([bytes], true, options)
        for (const pieces of [eachByte(bytes), cutAt(bytes, places)]) {
          const other = await tell(pieces, true, options)
          expect(other.outcome).toBe(whole.outcome)
          expectSame(other, whole)
          expect(withoutData(other)).toEqual(withoutData(whole))
        }
      }),
      { numRuns: 150 },
    )
  })

  it('is told the same though it pauses at every piece', async () => {
    await fc.assert(
      fc.asyncProperty(response, fc.boolean(), async (bytes, decodes) => {
        const options = decodes ? { acceptEncoding: '' } : {}
        const whole = await tell([bytes], true, options)
        const paused = await tellWithPauses(bytes, options)
        expect(paused.outcome).toBe(whole.outcome)
        expectSame(paused, whole)
      }),
      { numRuns: 100 },
    )
  })

  it('ends, whatever comes, and never leaves a connection to others on which garbage came', async () => {
    const odd = fc.array(fc.constantFrom('HTTP/1.1 200 OK', '\r\n', 'Content-Length: 3', ':', '\0', 'x', '0', ' '), {
      maxLength: 20,
    })
    await fc.assert(
      fc.asyncProperty(odd, fc.boolean(), async (parts, ends) => {
        const bytes = Buffer.from(parts.join(''))
        const { outcome, isReused } = await tell([bytes], ends, { timeoutMs: 1000 })
        if (isReused) expect(outcome).toBe('OK')
        if (outcome === 'OK') expect(bytes.toString()).toMatch(/^(\r\n)*HTTP\/1\.1 200 OK/)
      }),
      { numRuns: 150 },
    )
  })
})

async function tellWithPauses(bytes: Uint8Array, options: Partial<TransferOptions>): Promise<Telling> {
  const bench = new SimulatedBench('', 1, {}, false)
  const { world } = bench.simulation
  const server = serveScript(bench.simulation, 81, ({ peer }) => {
    peer.write(bytes)
    world.after(5, () => peer.close())
  })
  const multi = bench.multi()
  let body = ''
  const fetch = new Fetch({
    url: server.url,
    ...options,
    onHead: () => fetch.transfer.pause('receive'),
    onData: (chunk) => {
      body += Buffer.from(chunk).toString('latin1')
      fetch.transfer.pause('receive')
    },
    onTrailers: () => fetch.transfer.pause('receive'),
  })
  multi.add(fetch.transfer)
  for (let round = 0; round < 100 && fetch.outcome === 'running'; round++) {
    await bench.pass(multi, 2)
    fetch.transfer.resume('receive')
    readMessages(multi, [fetch])
  }
  multi.remove(fetch.transfer)
  await bench.close()
  return { events: [], body, outcome: fetch.outcome, isReused: false }
}

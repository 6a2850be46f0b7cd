import { expect, it } from 'vitest'
import { Form, Transfer, type TransferOptions } from '../../lib/index.ts'
import { contentText, DATED } from '../sim/content.ts'
import type { SeenRequest } from '../sim/origin.ts'
import { SimulatedBench } from './bench.ts'
import { lead } from './dialogues.ts'
import { scenario } from './drivers.ts'
import { expectBody, type Fetch, fetchAll, fetchOne } from './fetches.ts'
import { serveScript } from './scripted.ts'

const TOTAL = 50_000
const text = contentText(TOTAL)

scenario('gets parts of a body, and the rest of one that broke off', async (bench) => {
  const url = bench.url(`/part/${TOTAL}`)
  const [middle, rest, last, all, beyond] = await fetchAll(bench, bench.multi({ maxHostConnections: 1 }), [
    { url, range: '100-199' },
    { url, resumeFrom: 20_000 },
    { url, resumeFrom: TOTAL - 1 },
    { url, resumeFrom: 0 },
    { url, resumeFrom: TOTAL },
  ])
  expect(middle?.body.equals(text.subarray(100, 200))).toBe(true)
  expect(middle?.transfer.info.status).toBe(206)
  expect(rest?.body.equals(text.subarray(20_000))).toBe(true)
  expect(last?.body.equals(text.subarray(-1))).toBe(true)
  expect(all?.body.equals(text)).toBe(true)
  expect(beyond?.outcome).toBe('OK')
  expect(beyond?.transfer.info.status).toBe(416)
  expect(beyond?.chunks).toEqual([])
  const { requests, connections } = await bench.look()
  expect(requests.map(({ headers }) => headers.get('range'))).toEqual([
    'bytes=100-199',
    'bytes=20000-',
    `bytes=${TOTAL - 1}-`,
    undefined,
    `bytes=${TOTAL}-`,
  ])
  expect(connections).toBe(1)
})

scenario('does not resume where the server begins anew, unless all is there', async (bench) => {
  const multi = bench.multi()
  const refused = await fetchOne(bench, multi, { url: bench.url('/bytes/1000'), resumeFrom: 10 })
  expect(refused.outcome).toBe('RANGE_ERROR')
  expect(refused.error.number).toBe(33)
  expect(refused.chunks).toEqual([])
  const whole = await fetchOne(bench, multi, { url: bench.url('/bytes/1000'), resumeFrom: 1000 })
  expect(whole.outcome).toBe('OK')
  expect(whole.chunks).toEqual([])
  expect(multi.stats.connections, 'the bodies were left on their connections').toBe(0)
})

it('does not take another part for the one that it asked for', async () => {
  for (const fields of ['content-range: bytes 0-9/100', 'content-range: bytes 51-60/100', 'x: y']) {
    const bench = new SimulatedBench('', 1, {}, false)
    const server = serveScript(bench.simulation, 81, ({ peer }) => {
      peer.write(`HTTP/1.1 206 Partial Content\r\n${fields}\r\ncontent-length: 10\r\n\r\n0123456789`)
    })
    const fetch = await fetchOne(bench, bench.multi(), { url: server.url, resumeFrom: 50 })
    expect(fetch.outcome).toBe('RANGE_ERROR')
    await bench.close()
  }
})

scenario('looks at the date itself where the server does not', async (bench) => {
  const url = bench.url('/dated/100')
  const before = new Date(DATED.getTime() - 1000)
  const after = new Date(DATED.getTime() + 999)
  const cases: readonly [Partial<TransferOptions>, boolean][] = [
    [{ ifModifiedSince: before }, true],
    [{ ifModifiedSince: DATED }, false],
    [{ ifModifiedSince: after }, false],
    [{ ifUnmodifiedSince: before }, false],
    [{ ifUnmodifiedSince: DATED }, true],
    [{ ifUnmodifiedSince: after }, true],
  ]
  const fetches = await fetchAll(
    bench,
    bench.multi(),
    cases.map(([condition]) => ({ url, ...condition })),
  )
  for (const [index, [, isMet]] of cases.entries()) {
    const fetch = fetches[index] as Fetch
    expect(fetch.outcome).toBe('OK')
    expect(fetch.transfer.info.conditionUnmet, `case ${index}`).toBe(!isMet)
    expect(fetch.body.length).toBe(isMet ? 100 : 0)
  }
  const { requests } = await bench.look()
  const sent = requests.map(({ headers }) => headers.get('if-modified-since') ?? headers.get('if-unmodified-since'))
  expect(sent).toContain('Sun, 06 Nov 1994 08:49:37 GMT')
})

scenario('says that a 304 met the condition, and that without one it is a status like another', async (bench) => {
  const multi = bench.multi()
  const url = bench.url('/status/304')
  const asked = await fetchOne(bench, multi, { url, ifModifiedSince: DATED })
  expect(asked.outcome).toBe('OK')
  expect(asked.transfer.info.conditionUnmet).toBe(true)
  expect((await fetchOne(bench, multi, { url })).transfer.info.conditionUnmet).toBe(false)
  expect((await bench.look()).connections).toBe(1)
})

scenario('resumes an upload of bytes, of text and from a callback', async (bench) => {
  const multi = bench.multi()
  const whole = 'a body of which the server has the beginning'
  let asked = 0
  const bodies: readonly [Partial<TransferOptions>, string][] = [
    [{ body: Buffer.from(whole) }, 'POST'],
    [{ body: whole, method: 'PUT' }, 'PUT'],
    [{ body: () => (asked++ === 0 ? whole.slice(7) : null), bodyLength: whole.length, method: 'PATCH' }, 'PATCH'],
  ]
  for (const [options, method] of bodies) {
    const fetch = await fetchOne(bench, multi, { url: bench.url('/echo'), resumeFrom: 7, ...options })
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(fetch.body.toString()).toBe(whole.slice(7))
    expect(fetch.transfer.info.bytesSent).toBe(whole.length - 7)
    const { requests } = await bench.look()
    const { headers, method: sent } = requests.at(-1) as SeenRequest
    expect(sent).toBe(method)
    expect(headers.get('content-range')).toBe(`bytes 7-${whole.length - 1}/${whole.length}`)
    expect(headers.get('content-length')).toBe(String(whole.length - 7))
    expect(headers.has('range')).toBe(false)
  }
})

scenario('sends the rest of an upload again behind a redirect, and none where it becomes a GET', async (bench) => {
  const multi = bench.multi()
  const options = { body: 'beginning and rest', resumeFrom: 10, followRedirects: true }
  const kept = await fetchOne(bench, multi, { url: bench.url(lead('/echo', { status: 307 })), ...options })
  expect(kept.body.toString()).toBe('and rest')
  const changed = await fetchOne(bench, multi, { url: bench.url(lead('/bytes/5', { status: 303 })), ...options })
  expectBody(changed, '/bytes/5')
  const { requests } = await bench.look()
  expect(requests.map(({ headers }) => headers.get('content-range'))).toEqual([
    ...Array(3).fill('bytes 10-17/18'),
    undefined,
  ])
})

it.each([
  [{ body: 'abc', resumeFrom: 3 }, 'less than the length of the body, 3, not 3'],
  [{ body: '', resumeFrom: 1 }, 'less than the length of the body, 0, not 1'],
  [{ body: () => null, resumeFrom: 1 }, 'left out when bodyLength is not known'],
  [{ form: new Form().add('a', 'b'), resumeFrom: 1 }, 'left out when there is a form'],
])('refuses to resume what cannot be resumed: %o', (options, reason) => {
  expect(() => new Transfer({ url: 'http://x.test/', ...options })).toThrow(RangeError)
  expect(() => new Transfer({ url: 'http://x.test/', ...options })).toThrow(`option resumeFrom must be ${reason}`)
})

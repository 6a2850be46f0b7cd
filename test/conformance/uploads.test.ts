import { rmSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { Form, type Multi, PAUSE, type TransferOptions } from '../../lib/index.ts'
import { originBytes } from '../sim/origin.ts'
import { makeDirectory } from '../support/child-server.ts'
import { SimulatedBench } from './bench.ts'
import { scenario } from './drivers.ts'
import { Fetch, fetchAll, fetchOne, readMessages } from './fetches.ts'
import { type ScriptedConnection, type ScriptedServer, serveScript } from './scripted.ts'

const MEGABYTE = 1024 * 1024
/** Longer than a megabyte takes on a slow simulated network. */
const TIMEOUT_MS = 600_000

scenario('waits for 100 Continue before a long body, or when asked, and never otherwise', async (bench) => {
  const multi = bench.multi()
  const long = originBytes('long', MEGABYTE + 1)
  const cases: readonly [Partial<TransferOptions> & { body?: Uint8Array | string }, string | undefined][] = [
    [{ body: long }, '100-continue'],
    [{ body: long.subarray(1) }, undefined],
    [{ body: long, expect100: false }, undefined],
    [{ body: long, headers: { Expect: null } }, undefined],
    [{ body: 'short', expect100: true }, '100-continue'],
    [{ body: 'short', headers: { expect: '100-continue' } }, '100-continue'],
    [{ body: '', expect100: true }, undefined],
    [{ method: 'PUT', expect100: true }, undefined],
  ]
  for (const [options, expected] of cases) {
    const begin = bench.now()
    const fetch = await fetchOne(bench, multi, { url: bench.url('/echo'), expect100TimeoutMs: TIMEOUT_MS, ...options })
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(bench.now() - begin).toBeLessThan(TIMEOUT_MS)
    const { requests } = await bench.look()
    expect(requests.at(-1)?.headers.get('expect')).toBe(expected)
    expect(fetch.body.equals(Buffer.from(options.body ?? ''))).toBe(true)
    expect(fetch.informational.map(({ status }) => status)).toEqual(expected === undefined ? [] : [100])
  }
})

const HEAD_END = '\r\n\r\n'

interface Script {
  readonly bench: SimulatedBench
  readonly multi: Multi
  readonly server: ScriptedServer
}

/** `act` runs once the head is there, and again for each arrival behind it. */
function serve(act: (connection: ScriptedConnection, bodyLength: number) => void): Script {
  const bench = new SimulatedBench('', 1, {}, false)
  const server = serveScript(bench.simulation, 81, (connection) => {
    const end = connection.received.indexOf(HEAD_END)
    if (end >= 0) act(connection, connection.received.length - end - HEAD_END.length)
  })
  return { bench, multi: bench.multi(), server }
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

it('sends the body when nobody said 100 in time', async () => {
  const { bench, multi, server } = serve(({ peer }, length) => {
    if (length === 5) peer.write(OK)
  })
  for (const expect100TimeoutMs of [1000, 250]) {
    const begin = bench.now()
    const options = { url: server.url, body: 'hello', expect100: true, freshConnect: true }
    const fetch = await fetchOne(bench, multi, {
      ...options,
      ...(expect100TimeoutMs === 1000 ? {} : { expect100TimeoutMs }),
    })
    expect(fetch.body.toString()).toBe('ok')
    expect(bench.now() - begin).toBeGreaterThanOrEqual(expect100TimeoutMs)
    expect(bench.now() - begin).toBeLessThan(expect100TimeoutMs + 100)
  }
  await bench.close()
})

it('sends no body after a final answer, and does not use the connection again', async () => {
  for (const status of [200, 302, 401, 413, 500]) {
    const { bench, multi, server } = serve(({ peer }) => {
      peer.write(`HTTP/1.1 ${status} Status\r\ncontent-length: 2\r\n\r\n`)
      bench.simulation.world.after(5000, () => peer.write('no'))
    })
    const fetch = await fetchOne(bench, multi, { url: server.url, body: 'hello', expect100: true })
    expect(fetch.outcome).toBe('OK')
    expect(fetch.body.toString()).toBe('no')
    expect(fetch.transfer.info.bytesSent).toBe(0)
    expect(server.connections[0]?.received.endsWith(HEAD_END)).toBe(true)
    expect(multi.stats.connections).toBe(0)
    await bench.close()
  }
})

it('asks again without the expectation where that is refused, and tells nobody', async () => {
  const { bench, multi, server } = serve(({ peer, number }, length) => {
    if (number === 1) peer.write('HTTP/1.1 417 No\r\ncontent-length: 3\r\n\r\nno!')
    else if (length === 5) peer.write(OK)
  })
  const fetch = await fetchOne(bench, multi, { url: server.url, body: 'hello', expect100: true })
  expect(fetch.body.toString()).toBe('ok')
  expect(fetch.heads.map(({ status }) => status)).toEqual([200])
  expect(server.connections.map(({ received }) => /expect/i.test(received))).toEqual([true, false])
  await bench.close()
})

it('takes a 417 to a request without an expectation for an answer like another', async () => {
  const { bench, multi, server } = serve(({ peer }) => peer.write('HTTP/1.1 417 No\r\ncontent-length: 0\r\n\r\n'))
  const fetch = await fetchOne(bench, multi, { url: server.url, body: 'hello' })
  expect(fetch.transfer.info.status).toBe(417)
  expect(server.connections.length).toBe(1)
  await bench.close()
})

it('waits on although it is paused, and sends what a callback gives later', async () => {
  const { bench, multi, server } = serve(({ peer, received }, length) => {
    if (length === 0) bench.simulation.world.after(100, () => peer.write('HTTP/1.1 100 Continue\r\n\r\n'))
    else if (received.endsWith('0\r\n\r\n')) peer.write(OK)
  })
  const script = [PAUSE, 'late', null] as const
  let at = 0
  const options = { url: server.url, expect100: true, expect100TimeoutMs: 60_000 }
  const fetch = new Fetch({ ...options, body: () => script[at++] ?? null })
  multi.add(fetch.transfer)
  await bench.pass(multi, 50)
  expect(at, 'asked before 100').toBe(0)
  fetch.transfer.pause('send')
  await bench.pass(multi, 500)
  expect(at).toBe(0)
  fetch.transfer.resume('send')
  await bench.drive(multi, () => at === 1)
  fetch.transfer.resume('send')
  await bench.drive(multi)
  readMessages(multi, [fetch])
  expect(fetch.body.toString()).toBe('ok')
  await bench.close()
})

it('stays at rest for ever, paused behind an answer that came instead of 100', async () => {
  const { bench, multi, server } = serve(({ peer }) => peer.write('HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno'))
  const fetch = new Fetch({
    url: server.url,
    body: 'hello',
    expect100: true,
    onHead: () => fetch.transfer.pause('receive'),
  })
  multi.add(fetch.transfer)
  await bench.pass(multi, 100_000)
  expect(multi.running).toBe(1)
  expect(fetch.transfer.info.bytesSent).toBe(0)
  fetch.transfer.resume('receive')
  await bench.drive(multi)
  readMessages(multi, [fetch])
  expect(fetch.body.toString()).toBe('no')
  await bench.close()
})

const directory = makeDirectory('form')
const path = `${directory}/a file.txt`
const contents = originBytes('file', 200_000)
writeFileSync(path, contents)
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

function pieces(): () => Uint8Array | null {
  let at = 0
  return () => (at === 5 ? null : originBytes(`piece ${at++}`, 1000))
}

/** The body in the words of Node's own parser. */
async function parse(body: Uint8Array, contentType: string): Promise<FormData> {
  return new Response(Buffer.from(body), { headers: { 'content-type': contentType } }).formData()
}

scenario('sends forms of values, files and callbacks, with or without a length', async (bench) => {
  const known = new Form()
    .add('text', 'żółw "quoted"\r\nline')
    .add('na"me\n', new Uint8Array([0, 255]))
    .add('file', { file: path, contentType: 'text/plain', headers: { 'X-Note': 'yes' } })
    .add('pulled', { pull: pieces(), length: 5000, filename: 'p.bin' })
  const unknown = new Form().add('pulled', { pull: pieces() }).add('file', { file: path, filename: null })
  const multi = bench.multi()
  const [first, second] = await fetchAll(bench, multi, [
    { url: bench.url('/echo'), form: known },
    { url: bench.url('/echo'), form: unknown, method: 'PUT' },
  ])
  const { requests } = await bench.look()
  const ofKnown = requests.find(({ method }) => method === 'POST')
  const ofUnknown = requests.find(({ method }) => method === 'PUT')
  expect(first?.outcome, first?.message?.error?.message).toBe('OK')
  expect(second?.outcome, second?.message?.error?.message).toBe('OK')
  expect(Number(ofKnown?.headers.get('content-length'))).toBe(first?.body.length)
  expect(ofUnknown?.headers.get('transfer-encoding')).toBe('chunked')
  const form = await parse(first!.body, ofKnown?.headers.get('content-type') ?? '')
  expect(form.get('text')).toBe('żółw "quoted"\r\nline')
  const file = form.get('file') as File
  expect([file.name, file.type]).toEqual(['a file.txt', 'text/plain'])
  expect(Buffer.from(await file.arrayBuffer()).equals(Buffer.from(contents))).toBe(true)
  expect((form.get('pulled') as File).size).toBe(5000)
  const text = first!.body.toString('latin1')
  expect(text).toContain('name="na%22me%0D%0A"\r\n\r\n\0\xff\r\n')
  expect(text).toContain('filename="a file.txt"\r\nContent-Type: text/plain\r\nX-Note: yes\r\n\r\n')
  const chunked = await parse(second!.body, ofUnknown?.headers.get('content-type') ?? '')
  expect((chunked.get('pulled') as string).length).toBeGreaterThan(0)
  expect(second!.body.includes(Buffer.from(contents))).toBe(true)
})

scenario('sends a form again, in another run and after a redirect', async (bench) => {
  const form = new Form().add('a', 'b').add('file', { file: path })
  const multi = bench.multi()
  const fetch = new Fetch({
    url: bench.url('/lead?status=307&to=/echo'),
    form,
    followRedirects: true,
    expect100: false,
  })
  for (let run = 0; run < 2; run++) {
    fetch.chunks.length = 0
    fetch.message = null
    multi.add(fetch.transfer)
    await bench.drive(multi)
    readMessages(multi, [fetch])
    multi.remove(fetch.transfer)
    expect(fetch.outcome).toBe('OK')
    expect(fetch.body.includes(Buffer.from(contents))).toBe(true)
    expect(fetch.body.toString('latin1').match(/name="a"/g)?.length).toBe(1)
  }
})

it('says what was wrong with a file or a callback of a form', async () => {
  const bench = new SimulatedBench('', 1, {}, false)
  const multi = bench.multi()
  const shrinking = `${directory}/shrinking`
  writeFileSync(shrinking, 'long enough')
  const form = new Form().add('file', { file: shrinking })
  const transfer = new Fetch({ url: bench.url('/echo'), form })
  writeFileSync(shrinking, 'short')
  multi.add(transfer.transfer)
  await bench.drive(multi)
  readMessages(multi, [transfer])
  expect(transfer.outcome).toBe('READ_ERROR')
  expect(transfer.error.message).toContain('has 5 bytes now and had 11')
  const short = await fetchOne(bench, multi, {
    url: bench.url('/echo'),
    form: new Form().add('a', { pull: () => null, length: 5 }),
  })
  expect(short.outcome).toBe('READ_ERROR')
  expect(short.error.message).toContain('0 of 5')
  const thrown = new Error('mine')
  const throwing = await fetchOne(bench, multi, {
    url: bench.url('/echo'),
    form: new Form().add('a', {
      pull: () => {
        throw thrown
      },
    }),
  })
  expect(throwing.outcome).toBe('ABORTED_BY_CALLBACK')
  expect(throwing.error.cause).toBe(thrown)
  multi.remove(transfer.transfer)
  await bench.close()
})

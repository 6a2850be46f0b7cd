import { expect } from 'vitest'
import { Transfer, type TransferOptions } from '../../lib/index.ts'
import { originBytes } from '../sim/origin.ts'
import { elsewhere, href, lead, OTHER, shown, withOther } from './dialogues.ts'
import { scenario } from './drivers.ts'
import { expectBody, type Fetch, fetchAll, fetchOne } from './fetches.ts'

scenario('follows redirects on one connection, tells each head and the last body only', async (bench) => {
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, { url: bench.url('/redirect/3/bytes/5000'), followRedirects: true })
  expectBody(fetch, '/bytes/5000')
  expect(fetch.heads.map(({ status }) => status)).toEqual([302, 302, 302, 200])
  const { info } = fetch.transfer
  expect(info.redirectCount).toBe(3)
  expect(info.redirectUrl).toBeNull()
  expect(info.effectiveUrl).toBe(href(bench, '/bytes/5000'))
  expect(info.bytesReceived).toBe(5000)
  expect(info.retries).toBe(0)
  expect((await bench.look()).connections).toBe(1)
  expect(multi.stats.idleConnections).toBe(1)
})

scenario('stays where it is unless asked to follow, and says where it would lead', async (bench) => {
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, { url: bench.url(lead('../bytes/1?x=1#part', { size: 20 })) })
  expect(fetch.outcome).toBe('OK')
  expect(fetch.body.length).toBe(20)
  expect(fetch.transfer.info.status).toBe(302)
  expect(fetch.transfer.info.redirectCount).toBe(0)
  expect(fetch.transfer.info.redirectUrl).toBe(href(bench, '/bytes/1?x=1#part'))
  const broken = await fetchOne(bench, multi, { url: bench.url(lead('http://[')) })
  expect(broken.outcome).toBe('OK')
  expect(broken.transfer.info.redirectUrl).toBeNull()
})

scenario('ends after as many redirects as are allowed', async (bench) => {
  const multi = bench.multi()
  const [few, none, loop] = (await fetchAll(bench, multi, [
    { url: bench.url('/redirect/3/bytes/1'), followRedirects: true, maxRedirects: 2 },
    { url: bench.url('/redirect/1/bytes/1'), followRedirects: true, maxRedirects: 0 },
    { url: bench.url(lead('')), followRedirects: true },
  ])) as [Fetch, Fetch, Fetch]
  expect(few.outcome).toBe('TOO_MANY_REDIRECTS')
  expect(few.message?.code).toBe(47)
  expect(few.transfer.info.redirectCount).toBe(2)
  expect(few.transfer.info.redirectUrl).toBe(href(bench, '/bytes/1'))
  expect(none.outcome).toBe('TOO_MANY_REDIRECTS')
  // An empty Location leads nowhere.
  expect(loop.outcome).toBe('OK')
  const url = bench.url('/lead?to=%2Flead%3Fto%3D%252Flead')
  const around = await fetchOne(bench, multi, { url, followRedirects: true, maxRedirects: 5 })
  expect(around.transfer.info.redirectCount).toBeLessThanOrEqual(5)
})

const METHODS: readonly [status: number, method: string, becomes: string][] = [
  [301, 'POST', 'GET'],
  [302, 'POST', 'GET'],
  [303, 'POST', 'GET'],
  [307, 'POST', 'POST'],
  [308, 'POST', 'POST'],
  [301, 'PUT', 'PUT'],
  [303, 'PUT', 'GET'],
  [303, 'HEAD', 'HEAD'],
]

scenario('keeps or changes the method as RFC 9110 says, and its body with it', async (bench) => {
  const multi = bench.multi()
  for (const [status, method, becomes] of METHODS) {
    const hasBody = method !== 'HEAD'
    const fetch = await fetchOne(bench, multi, {
      url: bench.url(lead('/show', { status })),
      followRedirects: true,
      method,
      headers: { 'content-type': 'text/odd', 'x-mine': '1' },
      ...(hasBody ? { body: 'the body' } : {}),
    })
    expect(fetch.transfer.info.effectiveMethod, `${status} ${method}`).toBe(becomes)
    if (method === 'HEAD') continue
    const request = shown(fetch)
    expect(request.method).toBe(becomes)
    expect(request.body).toBe(becomes === 'GET' ? '' : 'the body')
    expect(request.headers['content-type']).toBe(becomes === 'GET' ? undefined : 'text/odd')
    expect(request.headers['content-length']).toBe(becomes === 'GET' ? undefined : '8')
    expect(request.headers['x-mine']).toBe('1')
  }
})

scenario('leaves a POST a POST after the statuses that are named', async (bench) => {
  const multi = bench.multi()
  for (const status of [301, 302, 303] as const) {
    const options = { url: bench.url(lead('/show', { status })), followRedirects: true, body: 'b' }
    expect(shown(await fetchOne(bench, multi, { ...options, postRedirect: [status] })).body).toBe('b')
    expect(shown(await fetchOne(bench, multi, { ...options, postRedirect: [] })).method).toBe('GET')
  }
})

scenario('sends a large body and one from a callback again', async (bench) => {
  const multi = bench.multi()
  const large = originBytes('large', 200_000)
  const target = bench.url(lead('/echo', { status: 307 }))
  const bytes = await fetchOne(bench, multi, { url: target, followRedirects: true, body: large })
  expect(bytes.outcome, bytes.message?.error?.message).toBe('OK')
  expect(bytes.body.equals(large)).toBe(true)
  let at = 0
  let rewinds = 0
  const body = (most: number): Uint8Array | null => {
    const piece = large.subarray(at, at + Math.min(most, 30_000))
    at += piece.length
    return piece.length === 0 ? null : piece
  }
  const rewindBody = (): void => {
    at = 0
    rewinds++
  }
  const called = await fetchOne(bench, multi, { url: target, followRedirects: true, body, rewindBody })
  expect(called.outcome, called.message?.error?.message).toBe('OK')
  expect(called.body.equals(large)).toBe(true)
  expect(rewinds).toBeGreaterThanOrEqual(1)
})

scenario('fails when a body is needed again that cannot be rewound', async (bench) => {
  const multi = bench.multi()
  const url = bench.url(lead('/echo', { status: 308 }))
  for (const rewindBody of [undefined, () => false]) {
    let given = false
    const body = (): string | null => {
      if (given) return null
      given = true
      return 'once'
    }
    const options = { url, followRedirects: true, body, freshConnect: true }
    const fetch = await fetchOne(bench, multi, rewindBody === undefined ? options : { ...options, rewindBody })
    expect(fetch.outcome).toBe('SEND_FAIL_REWIND')
    expect(fetch.message?.code).toBe(65)
  }
  const thrown = await fetchOne(bench, multi, {
    url,
    followRedirects: true,
    freshConnect: true,
    body: pieces('x'),
    rewindBody: () => {
      throw new Error('no way back')
    },
  })
  expect(thrown.outcome).toBe('ABORTED_BY_CALLBACK')
})

/** A body callback that gives that text once. */
function pieces(text: string): () => string | null {
  let left: string | null = text
  return () => {
    const piece = left
    left = null
    return piece
  }
}

scenario('keeps what is secret from another origin, unless told otherwise', async (bench) => {
  const multi = bench.multi()
  const options = withOther(bench, {
    url: bench.url(lead(elsewhere(bench, '/show'))),
    headers: { Authorization: 'Custom abc', Cookie: 'a=1', 'X-Mine': '1', Host: 'virtual' },
  })
  const careful = shown(await fetchOne(bench, multi, options)).headers
  expect(careful['authorization']).toBeUndefined()
  expect(careful['cookie']).toBeUndefined()
  expect(careful['x-mine']).toBe('1')
  expect(careful['host']).toBe(new URL(elsewhere(bench, '/')).host)
  const careless = shown(await fetchOne(bench, multi, { ...options, unrestrictedAuth: true })).headers
  expect(careless['authorization']).toBe('Custom abc')
  expect(careless['cookie']).toBe('a=1')
  expect(careless['host']).toBe(new URL(elsewhere(bench, '/')).host)
})

scenario(
  'gives credentials, the cookie option and a token to the first origin only, and again when it is back',
  async (bench) => {
    const multi = bench.multi()
    const list: TransferOptions[] = [
      { url: '', username: 'u', password: 'p', cookie: 'c=1' },
      { url: '', bearerToken: 'secret', cookie: 'c=1' },
    ]
    for (const options of list) {
      const away = withOther(bench, { ...options, url: bench.url(lead(elsewhere(bench, '/show'))) })
      const there = shown(await fetchOne(bench, multi, away)).headers
      expect(there['authorization']).toBeUndefined()
      expect(there['cookie']).toBeUndefined()
      const open = shown(await fetchOne(bench, multi, { ...away, unrestrictedAuth: true })).headers
      expect(open['authorization']).toMatch(/^(Basic|Bearer) /)
      expect(open['cookie']).toBe('c=1')
      const back = bench.url(lead(elsewhere(bench, lead(bench.url('/show')))))
      const home = shown(await fetchOne(bench, multi, withOther(bench, { ...options, url: back }))).headers
      expect(home['authorization']).toMatch(/^(Basic|Bearer) /)
      expect(home['cookie']).toBe('c=1')
    }
  },
)

scenario('uses the credentials that stand in a redirect', async (bench) => {
  const to = `http://Mufasa:Circle%20of%20Life@${OTHER}:${bench.port}/guarded/basic`
  const fetch = await fetchOne(bench, bench.multi(), withOther(bench, { url: bench.url(lead(to)) }))
  expect(fetch.transfer.info.status).toBe(200)
})

scenario('names the page that led there when asked to', async (bench) => {
  const multi = bench.multi()
  const options = { followRedirects: true, referer: 'http://start/' }
  const url = bench.url(lead('/show')).replace('://', '://user:secret@')
  expect(shown(await fetchOne(bench, multi, { ...options, url })).headers['referer']).toBe('http://start/')
  const automatic = shown(await fetchOne(bench, multi, { ...options, url: `${url}#part`, autoReferer: true }))
  expect(automatic.headers['referer']).toBe(href(bench, lead('/show')))
})

scenario('goes only where redirects may lead', async (bench) => {
  const multi = bench.multi()
  const follow = (to: string, options: Partial<TransferOptions> = {}): Promise<Fetch> =>
    fetchOne(bench, multi, { url: bench.url(lead(to)), followRedirects: true, ...options })
  expect((await follow('ftp://127.0.0.1/')).outcome).toMatch(/URL_MALFORMAT|UNSUPPORTED_PROTOCOL/)
  expect((await follow('tcp://127.0.0.1:1/')).outcome).toBe('UNSUPPORTED_PROTOCOL')
  expect((await follow('https://127.0.0.1/', { redirectProtocols: ['http'] })).outcome).toBe('UNSUPPORTED_PROTOCOL')
  expect((await follow('http://[')).outcome).toBe('URL_MALFORMAT')
  expect((await follow('http://a%0ab@127.0.0.1/')).outcome).toBe('URL_MALFORMAT')
})

scenario('uses the connection on when the body of the redirect is short, and leaves a long one', async (bench) => {
  const multi = bench.multi()
  const connectionsFor = async (fields: Readonly<Record<string, string | number>>): Promise<number> => {
    const before = (await bench.look()).connections
    const url = bench.url(lead('/bytes/10', fields))
    expectBody(await fetchOne(bench, multi, { url, followRedirects: true, freshConnect: true }), '/bytes/10')
    return (await bench.look()).connections - before
  }
  expect(await connectionsFor({ size: 60_000 })).toBe(1)
  expect(await connectionsFor({ size: 70_000 })).toBeLessThanOrEqual(2)
  expect(await connectionsFor({ size: 10, close: 1 })).toBeLessThanOrEqual(2)
})

scenario('keeps the fragment that a redirect does not name', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), {
    url: `${bench.url('/redirect/1/bytes/1')}#part`,
    followRedirects: true,
  })
  expect(fetch.transfer.info.effectiveUrl).toBe(href(bench, '/bytes/1#part'))
})

scenario('waits when paused at the head of a redirect, and then goes on', async (bench) => {
  const multi = bench.multi()
  let pauses = 0
  const options: TransferOptions = {
    url: bench.url(lead('/bytes/300', { size: 500 })),
    followRedirects: true,
    onHead: (head) => {
      if (head.status !== 302) return
      pauses++
      transfer.pause('receive')
    },
  }
  const received: Uint8Array[] = []
  const transfer: Transfer = new Transfer({ ...options, onData: (chunk) => received.push(chunk.slice()) })
  multi.add(transfer)
  await bench.drive(multi, () => pauses > 0)
  await bench.pass(multi, 20)
  expect(multi.running).toBe(1)
  transfer.resume()
  await bench.drive(multi)
  expect(multi.infoRead()?.code).toBe(0)
  expect(Buffer.concat(received).length).toBe(300)
})

scenario('puts the time line of the last request in order, behind the redirects', async (bench) => {
  const fetch = await fetchOne(bench, bench.multi(), {
    url: bench.url('/redirect/2/slow/20/100'),
    followRedirects: true,
  })
  const { info } = fetch.transfer
  const line = [info.redirectTime, info.queueTime, info.preTransferTime, info.postTransferTime]
  line.push(info.startTransferTime, info.totalTime)
  expect([...line].sort((a, b) => a - b)).toEqual(line)
  expect(info.startTransferTime).toBeGreaterThanOrEqual(18_000)
})

scenario('runs again from the beginning after a reset', async (bench) => {
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, { url: bench.url('/redirect/2/bytes/5'), followRedirects: true })
  expect(fetch.transfer.info.redirectCount).toBe(2)
  fetch.transfer.reset()
  expect(fetch.transfer.info.effectiveUrl).toBe(href(bench, '/redirect/2/bytes/5'))
  multi.add(fetch.transfer)
  await bench.drive(multi)
  expect(multi.infoRead()?.code).toBe(0)
  expect(fetch.transfer.info.redirectCount).toBe(2)
  expect(fetch.transfer.info.effectiveUrl).toBe(href(bench, '/bytes/5'))
})

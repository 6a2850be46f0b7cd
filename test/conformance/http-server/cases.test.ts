/** What libmicrohttpd and libevent try on their own servers, by their names where they have one. */
import { expect } from 'vitest'
import { Family, type HttpRequest, Listener, PAUSE, type RequestEnd, upgrade } from '../../../lib/index.ts'
import { httpStage, lastBody, statuses } from '../../support/http-stage.ts'
import { scenario } from '../drivers.ts'

const HOST = 'Host: a\r\n'
const CLOSE = 'Connection: close\r\n'
const QUICK = { timeouts: { lingerMs: 20 } }

function get(target: string, fields = ''): string {
  return `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`
}

function post(target: string, length: number | string, body = '', fields = ''): string {
  return `POST ${target} HTTP/1.1\r\n${HOST}${fields}Content-Length: ${length}\r\n\r\n${body}`
}

scenario('quiesce_stream: a stream goes on after the listeners were handed out', async (bench) => {
  const asked: HttpRequest[] = []
  let said = 0
  const stage = httpStage(bench, {
    handler: (request) => {
      asked.push(request)
      return { body: () => (said >= 3 ? null : asked.length > said ? `part ${++said};` : PAUSE) }
    },
  })
  const client = stage.client(get('/'))
  await stage.until(() => client.received.includes('part 1;'))
  const [handle] = stage.server.quiesce()
  expect(stage.server.quiesce()).toEqual([])
  const heir = new Listener(stage.multi, { fd: handle as NonNullable<typeof handle> }, (connection) => {
    connection.write('the heir')
    connection.close()
  })
  expect(await stage.exchange('')).toBe('the heir')
  while (said < 3) {
    asked.push(asked[0] as HttpRequest)
    asked[0]?.resume()
    await stage.pass(2)
  }
  await stage.until(() => client.received.endsWith('0\r\n\r\n'))
  expect(client.received).toMatch(/part 1;.*part 2;.*part 3;/s)
  await stage.until(() => stage.ends.length === 1)
  expect(stage.ends).toEqual(['/ completed'])
  await stage.close()
  heir.close()
})

scenario('concurrent_stop: everybody learns of a stop in the middle of everything', async (bench) => {
  const waiting: (() => void)[] = []
  let asked = 0
  const stage = httpStage(bench, {
    ...QUICK,
    handler: ({ url }) => {
      asked++
      if (url === '/wait') return new Promise((resolve) => waiting.push(() => resolve({ body: 'late' })))
      return { body: url === '/stream' ? (): typeof PAUSE => PAUSE : new Uint8Array(200_000) }
    },
  })
  const clients = ['/wait', '/stream', '/large', ''].flatMap((target) =>
    Array.from({ length: 4 }, () => stage.client(target === '' ? 'GET / HT' : get(target))),
  )
  await stage.until(() => asked === 12)
  await stage.until(() => stage.server.stats().connections === 16)
  const stopped = stage.server.stop()
  await stage.until(() => stage.server.state === 'stopped' && clients.every((client) => client.isOver))
  await stopped
  for (const answer of waiting) answer()
  expect(stage.closes).toEqual(new Array(16).fill('shutdown'))
  // Those of the large ones that the kernel had taken were complete.
  expect(stage.ends.filter((end) => !end.startsWith('/large')).toSorted()).toEqual([
    ...new Array(4).fill('/stream shutdown'),
    ...new Array(4).fill('/wait shutdown'),
  ])
  expect(stage.errors).toEqual([])
  await stage.close()
})

scenario('iplimit: an address above its share is turned away, and served when one has left', async (bench) => {
  const stage = httpStage(bench, { limits: { perPrefix: 2 }, handler: () => ({ body: 'x' }) })
  const first = stage.client(get('/'))
  const second = stage.client(get('/'))
  await stage.until(() => lastBody(first.received) === 'x' && lastBody(second.received) === 'x')
  expect(await stage.exchange('')).toBe('')
  expect(stage.server.stats().dropped.address).toBe(1)
  first.close()
  await stage.until(() => stage.closes.length === 1)
  expect(statuses(await stage.exchange(get('/', CLOSE)))).toEqual([200])
  await stage.close()
})

scenario('termination: each way to end has its code, told once', async (bench) => {
  const codes = new Map<string, RequestEnd>()
  const asked = new Set<string>()
  const stage = httpStage(bench, {
    timeouts: { lingerMs: 20, requestMs: 200 },
    onRequestEnd: ({ url }, code, { startedAt, headAt, endedAt }) => {
      expect(codes.has(url)).toBe(false)
      expect(startedAt <= headAt && headAt <= endedAt).toBe(true)
      codes.set(url, code)
    },
    handler: (request) => {
      asked.add(request.url)
      if (request.url === '/completed') return { body: 'x' }
      if (request.url === '/upgraded') return upgrade({ protocol: 'p', onOpen: (connection) => connection.close() })
      if (request.url === '/error') request.connection.abort()
      if (request.url === '/timeout') return request.text().then((body) => ({ body }))
      return new Promise(() => {})
    },
  })
  await stage.exchange(get('/completed', CLOSE))
  await stage.exchange(get('/upgraded', 'Upgrade: p\r\nConnection: Upgrade\r\n'))
  await stage.exchange(get('/error'))
  expect(statuses(await stage.exchange(post('/timeout', 10, 'a')))).toEqual([408])
  const gone = stage.client(get('/client-abort'))
  await stage.until(() => asked.has('/client-abort'))
  gone.close()
  const cut = stage.client(post('/read-error', 10, 'a'))
  await stage.until(() => codes.size === 5 && asked.has('/read-error'))
  cut.close()
  stage.client(get('/shutdown'))
  await stage.until(() => codes.size === 6 && asked.has('/shutdown'))
  await stage.close()
  expect([...codes].map(([url, code]) => url === `/${code}`)).toEqual(new Array(7).fill(true))
})

const NO_LENGTHS = ['', '-1', '+1', '1x', '0x1', '1 1', '1,1', '1.0', '\u00b2', '99999999999999999999', '9'.repeat(400)]

scenario('put_broken_len: a length that is none is refused before the program sees the request', async (bench) => {
  const stage = httpStage(bench, {
    ...QUICK,
    handler: () => {
      throw new Error('seen')
    },
  })
  for (const length of NO_LENGTHS) {
    const received = await stage.exchange(post('/', length, 'x') + get('/smuggled'))
    expect([length, statuses(received)]).toEqual([length, [400]])
  }
  expect([stage.ends, stage.errors]).toEqual([[], []])
  await stage.close()
})

scenario('early_response: an upload that is refused early can read why', async (bench) => {
  const stage = httpStage(bench, { timeouts: { lingerMs: 500 }, handler: () => ({ status: 403, body: 'no' }) })
  const client = stage.client(post('/', 2_000_000, 'a'.repeat(100_000)))
  await stage.until(() => client.received.endsWith('no'))
  expect(client.received).toContain('Connection: close')
  for (let i = 0; i < 5; i++) {
    client.write('a'.repeat(10_000))
    await stage.pass(2)
  }
  await stage.until(() => client.ended)
  expect([statuses(client.received), client.failed]).toEqual([[403], null])
  client.close()
  await stage.until(() => stage.closes.length === 1)
  expect([stage.ends, stage.closes]).toEqual([['/ completed'], ['done']])
  await stage.close()
})

scenario('toolarge: method, target, name, value, all fields, and an answer larger than any buffer', async (bench) => {
  const large = bench.simulation === null ? 3_000_000 : 150_000
  const stage = httpStage(bench, { ...QUICK, handler: () => ({ headers: { x: 'y'.repeat(9_000) }, body: reply }) })
  const reply = new Uint8Array(large).fill(97)
  const long = 'x'.repeat(40_000)
  const refused: [name: string, text: string, status: number][] = [
    ['method', `${long} / HTTP/1.1\r\n${HOST}\r\n`, 501],
    ['target', `GET /${long} HTTP/1.1\r\n${HOST}\r\n`, 414],
    ['query', `GET /?${long} HTTP/1.1\r\n${HOST}\r\n`, 414],
    ['request_header_name', `GET / HTTP/1.1\r\n${HOST}${long}: x\r\n\r\n`, 431],
    ['request_header_value', `GET / HTTP/1.1\r\n${HOST}X: ${long}\r\n\r\n`, 431],
    ['request_header_cookie', `GET / HTTP/1.1\r\n${HOST}Cookie: ${long}\r\n\r\n`, 431],
    ['request_headers', `GET / HTTP/1.1\r\n${HOST}${'X: y\r\n'.repeat(10_000)}\r\n`, 431],
  ]
  for (const [name, text, status] of refused) {
    expect([name, statuses(await stage.exchange(text))]).toEqual([name, [status]])
  }
  expect(stage.ends).toEqual([])
  expect(lastBody(await stage.exchange(get('/', CLOSE)))).toHaveLength(large)
  await stage.close()
})

scenario('add_conn_nolisten: a server without listeners answers on what it adopts', async (bench) => {
  const kernel = bench.simulation?.kernel ?? (await import('../../../lib/index.ts')).kernel
  const stage = httpStage(bench, { listen: [], handler: ({ url }) => ({ body: `at ${url}` }) })
  const pair = new Int32Array(2)
  expect(kernel.socketPair(pair)).toBe(0)
  const [theirs = -1, ours = -1] = pair
  stage.server.adopt(theirs, { family: Family.UNIX, address: 'somebody', port: 0 })
  const text = Buffer.from(get('/here', CLOSE))
  expect(kernel.sendBytes(ours, text, 0, text.length)).toBe(text.length)
  await stage.until(() => stage.ends.length === 1)
  const { id, bytes } = kernel.allocate(4096)
  const received = kernel.recv(ours, id, 0, 4096)
  expect(lastBody(Buffer.from(bytes.subarray(0, received)).toString())).toBe('at /here')
  kernel.release(id)
  kernel.close(ours)
  await stage.close()
})

scenario('lingering_close: who is refused while it sends reads the answer', async (bench) => {
  const stage = httpStage(bench, {
    timeouts: { lingerMs: 500 },
    handler: async (request) => ({ body: await request.text() }),
  })
  const client = stage.client(post('/', 3_000_000, 'a'.repeat(50_000)))
  await stage.until(() => statuses(client.received).length === 1)
  client.write('a'.repeat(60_000))
  await stage.until(() => client.ended)
  expect([statuses(client.received), client.failed]).toEqual([[413], null])
  client.close()
  await stage.close()
})

scenario('non_lingering_close: without lingering the connection is gone at once', async (bench) => {
  const stage = httpStage(bench, {
    timeouts: { lingerMs: 0 },
    handler: async (request) => ({ body: await request.text() }),
  })
  const client = stage.client(post('/', 3_000_000, 'a'))
  await stage.until(() => stage.closes.length === 1 && client.isOver)
  expect(statuses(client.received)).toEqual([413])
  await stage.close()
})

const TRICKY_TARGETS = [
  '/%00',
  '/..%2f..%2fetc/passwd',
  '//a//b/../c/./',
  '/?',
  '/?&&==&a',
  '/%',
  '/%zz',
  '/a?b#c',
  '/;p=1/x',
  '*',
  'http://b:80/c?d',
  `/${"!$&'()*+,;=:@~_-."}`,
]

scenario('tricky_url: a target is told as it was sent', async (bench) => {
  const lines: string[] = []
  const stage = httpStage(bench, {
    ...QUICK,
    requestLine: (target) => lines.push(target),
    handler: ({ url }) => ({ body: `<${url}>` }),
  })
  for (const target of TRICKY_TARGETS) {
    const method = target === '*' ? 'OPTIONS' : 'GET'
    const received = await stage.exchange(`${method} ${target} HTTP/1.1\r\n${HOST}${CLOSE}\r\n`)
    const [status] = statuses(received)
    if (status !== 400) expect([target, lastBody(received)]).toEqual([target, `<${target}>`])
    // What a reader in front may end at the hash is refused.
    else expect(target).toBe('/a?b#c')
  }
  expect(lines.length).toBeGreaterThanOrEqual(TRICKY_TARGETS.length - 1)
  await stage.close()
})

scenario('tricky_header: fields are told as they were sent, and looked up without case', async (bench) => {
  const stage = httpStage(bench, {
    ...QUICK,
    handler: ({ headers }) => ({
      body: JSON.stringify([
        headers.get('x-empty'),
        headers.getAll('X-TWICE'),
        headers.get('x-blank'),
        headers.get('q'),
      ]),
    }),
  })
  const fields = 'X-Empty:\r\nx-twice: 1\r\nX-Blank: \t a  b \t\r\nX-Twice: 2\r\nQ: "a, \\"b\\";c=:"\r\n'
  expect(JSON.parse(lastBody(await stage.exchange(get('/', fields + CLOSE))))).toEqual([
    '',
    ['1', '2'],
    'a  b',
    '"a, \\"b\\";c=:"',
  ])
  for (const field of [': x', 'X Y: z', 'X', 'X\0: y', 'X: a\0b', '\u00fc: x', ' X: y', '(X): y']) {
    expect([field, statuses(await stage.exchange(get('/', `${field}\r\n`)))]).toEqual([field, [400]])
  }
  await stage.close()
})

scenario('terminate_chunked: a client that leaves in the middle of chunks ends them', async (bench) => {
  let closes = 0
  let given = 0
  const stage = httpStage(bench, {
    handler: () => ({ body: { pull: () => (given++ === 0 ? 'begun' : PAUSE), close: () => void closes++ } }),
  })
  const client = stage.client(get('/'))
  await stage.until(() => client.received.includes('begun'))
  client.close()
  await stage.until(() => stage.ends.length === 1)
  expect([closes, stage.ends, client.received.includes('\r\n0\r\n')]).toEqual([1, ['/ client-abort'], false])
  await stage.close()
})

scenario('close_detection: a client that leaves while its answer is awaited is noticed', async (bench) => {
  const aborted: string[] = []
  let wasAsked = false
  const stage = httpStage(bench, {
    handler: ({ signal }) => {
      wasAsked = true
      signal.addEventListener('abort', () => aborted.push(signal.reason.code))
      return new Promise(() => {})
    },
  })
  const client = stage.client(get('/'))
  await stage.until(() => wasAsked)
  client.close()
  await stage.until(() => stage.closes.length === 1)
  expect([aborted, stage.ends, stage.closes]).toEqual([['client-abort'], ['/ client-abort'], ['peer']])
  await stage.close()
})

scenario('persist_connection: one connection serves until the last of its requests', async (bench) => {
  const connections = new Set<unknown>()
  const stage = httpStage(bench, {
    limits: { requestsPerConnection: 5 },
    handler: ({ connection, url }) => {
      connections.add(connection)
      return { body: url }
    },
  })
  const client = stage.client()
  for (let i = 1; i <= 5; i++) {
    client.write(get(`/${i}`))
    await stage.until(() => lastBody(client.received) === `/${i}`)
    expect(client.received.includes('Connection: close')).toBe(i === 5)
  }
  await stage.until(() => client.ended)
  expect(connections.size).toBe(1)
  await stage.close()
})

scenario('request_extra_body: bytes beyond a body are another request, or none', async (bench) => {
  const stage = httpStage(bench, { ...QUICK, handler: async (request) => ({ body: await request.text() }) })
  const received = await stage.exchange(post('/', 3, 'abcGARBAGE\r\n\r\n'))
  expect(statuses(received)).toEqual([200, 400])
  expect(received).toContain('\r\n\r\nabcHTTP/1.1 400')
  const bodied = get('/', 'Content-Length: 3\r\n')
  expect(statuses(await stage.exchange(`${bodied}abc${get('/', CLOSE)}`))).toEqual([200, 200])
  await stage.close()
})

scenario('callback: a function gives a body of unknown size piece by piece, from its position on', async (bench) => {
  const positions: number[] = []
  const stage = httpStage(bench, {
    handler: () => ({
      body: (position) => {
        positions.push(position)
        return position < 128 ? String.fromCharCode(97 + (position % 26)) : null
      },
    }),
  })
  const received = await stage.exchange(`GET / HTTP/1.0\r\n${HOST}\r\n`)
  expect(lastBody(received)).toBe(Array.from({ length: 128 }, (_, i) => String.fromCharCode(97 + (i % 26))).join(''))
  expect(positions).toEqual(Array.from({ length: 129 }, (_, i) => i))
  await stage.close()
})

scenario('get_wait: answers that come later come in order, on one connection', async (bench) => {
  const waiting: (() => void)[] = []
  const stage = httpStage(bench, {
    handler: ({ url }) => new Promise((resolve) => waiting.push(() => resolve({ body: url }))),
  })
  const client = stage.client()
  for (let i = 1; i <= 10; i++) {
    client.write(get(`/${i}`))
    await stage.until(() => waiting.length === i)
    waiting[i - 1]?.()
    await stage.until(() => lastBody(client.received) === `/${i}`)
  }
  expect(stage.server.stats().accepted).toBe(1)
  await stage.close()
})

scenario('a handler that takes too long is answered for, told so, and its answer dropped', async (bench) => {
  const late: ((status: number) => void)[] = []
  const aborted: unknown[] = []
  let closes = 0
  const stage = httpStage(bench, {
    timeouts: { handlerMs: 30, lingerMs: 20 },
    handler: ({ url, signal }) => {
      if (url === '/quick') return { body: 'x' }
      signal.addEventListener('abort', () => aborted.push(signal.reason.code))
      return new Promise((resolve) => {
        late.push((status) => resolve({ status, body: { pull: () => null, close: () => void closes++ } }))
      })
    },
  })
  expect(statuses(await stage.exchange(get('/quick') + get('/slow') + get('/never')))).toEqual([200, 503])
  expect(statuses(await stage.exchange(post('/slow', 100, 'a')))).toEqual([503])
  await stage.until(() => stage.ends.length === 3)
  expect(stage.ends).toEqual(['/quick completed', '/slow timeout', '/slow timeout'])
  for (const answer of late) answer(200)
  await stage.until(() => closes === 2)
  expect(aborted).toEqual(['timeout', 'timeout'])
  // Between two requests it means nothing.
  const client = stage.client(get('/quick'))
  await stage.until(() => lastBody(client.received) === 'x')
  await stage.pass(60)
  expect(client.isOver).toBe(false)
  await stage.close()
})

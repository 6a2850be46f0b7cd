import { expect } from 'vitest'
import type { HttpRequest, HttpServerOptions } from '../../../lib/index.ts'
import { httpStage, lastBody, statuses } from '../../support/http-stage.ts'
import { scenario } from '../drivers.ts'

const HOST = 'Host: a\r\n'
const CLOSE = 'Connection: close\r\n'

function get(target: string, fields = ''): string {
  return `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`
}

scenario('answers requests one after the other on one connection', async (bench) => {
  const stage = httpStage(bench, { handler: ({ method, url }) => ({ body: `${method} ${url}` }) })
  const client = stage.client(get('/a'))
  await stage.until(() => client.received.endsWith('GET /a'))
  client.write(get('/b'))
  await stage.until(() => client.received.endsWith('GET /b'))
  expect(client.received).toBe(
    'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nGET /aHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nGET /b',
  )
  client.write(get('/c', CLOSE))
  await stage.until(() => client.ended)
  expect(lastBody(client.received)).toBe('GET /c')
  expect(client.received).toContain('Connection: close')
  await stage.until(() => stage.closes.length === 1)
  expect(stage.closes).toEqual(['done'])
  expect(stage.ends).toEqual(['/a completed', '/b completed', '/c completed'])
  await stage.close()
})

scenario('answers pipelined requests in order, whether at once or by promises', async (bench) => {
  const stage = httpStage(bench, {
    handler: ({ url }) => (url.endsWith('0') ? Promise.resolve({ body: url }) : { body: url }),
  })
  const targets = Array.from({ length: 30 }, (_, index) => `/${index}`)
  const received = await stage.exchange(`${targets.map((target) => get(target)).join('')}${get('/last', CLOSE)}`)
  const bodies = [...received.matchAll(/\r\n\r\n(\/\w+?)(?=HTTP|$)/g)].map((match) => match[1])
  expect(bodies).toEqual([...targets, '/last'])
  await stage.close()
})

scenario('gives a handler the body as bytes, text, JSON or pieces', async (bench) => {
  const stage = httpStage(bench, {
    handler: async (request) => {
      switch (request.url) {
        case '/bytes':
          return { body: await request.bytes() }
        case '/text':
          return { body: await request.text() }
        case '/json':
          return { body: JSON.stringify(await request.json()) }
        default:
          return { body: await collect(request) }
      }
    },
  })
  const post = (target: string, body: string): string =>
    `POST ${target} HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n\r\n${body}`
  const head = `POST /pieces HTTP/1.1\r\n${HOST}${CLOSE}Transfer-Encoding: chunked\r\n\r\n`
  const chunked = `${head}3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: v\r\n\r\n`
  const received = await stage.exchange(
    `${post('/bytes', 'one')}${post('/text', 'two')}${post('/json', '{"a": [1]}')}${post('/pieces', '')}${chunked}`,
  )
  expect(statuses(received)).toEqual([200, 200, 200, 200, 200])
  expect(received).toMatch(/one.*two.*\{"a":\[1\]\}.*abcdefg$/s)
  expect(stage.errors).toEqual([])
  await stage.close()
})

async function collect(request: HttpRequest): Promise<string> {
  let text = ''
  for await (const piece of request) text += Buffer.from(piece).toString()
  return text
}

scenario('refuses to give a body twice, and bodies that are too large', async (bench) => {
  const stage = httpStage(bench, {
    limits: { bodyBytes: 10 },
    handler: async (request) => {
      const text = await request.text()
      return { body: await request.text().catch((error: Error) => `${text}: ${error.message}`) }
    },
  })
  const client = stage.client(`POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nab`)
  await stage.until(() => client.received.includes('consumed'))
  expect(lastBody(client.received)).toBe('ab: the body of this request is consumed already')
  const declared = await stage.exchange(`POST / HTTP/1.1\r\n${HOST}${CLOSE}Content-Length: 11\r\n\r\n12345678901`)
  expect(statuses(declared)).toEqual([413])
  const chunked = `POST / HTTP/1.1\r\n${HOST}${CLOSE}Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n`
  expect(statuses(await stage.exchange(chunked))).toEqual([413])
  await stage.close()
})

scenario('keeps connections as the versions of HTTP say', async (bench) => {
  const stage = httpStage(bench, { handler: () => ({ body: 'x' }) })
  expect(await stage.exchange(`GET / HTTP/1.0\r\n\r\n`)).toMatch(/Connection: close/)
  const client = stage.client(`GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`)
  await stage.until(() => client.received.endsWith('x'))
  expect(client.received).toMatch(/Connection: keep-alive/i)
  client.write(`GET / HTTP/1.0\r\n\r\n`)
  await stage.until(() => client.ended)
  expect(statuses(client.received)).toEqual([200, 200])
  await stage.close()
})

scenario('speaks as an older server when told to', async (bench) => {
  const answer = async (options: Partial<HttpServerOptions>): Promise<string> => {
    const stage = httpStage(bench, { ...options, handler: () => ({ body: ['a', 'b'].values() }) })
    const client = stage.client(get('/'))
    await stage.until(() => client.isOver || client.received.endsWith('0\r\n\r\n'))
    const { received } = client
    client.close()
    await stage.close()
    return received
  }
  expect(await answer({ keepAliveHeader: true })).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: keep-alive/s)
  expect(await answer({ http10: 'strict' })).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab')
  expect(await answer({ http10: 'server' })).toBe('HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nab')
})

scenario('answers HEAD without a body, and tells targets as they were sent', async (bench) => {
  const lines: string[] = []
  const stage = httpStage(bench, {
    handler: ({ url }) => ({ body: url }),
    requestLine: (target) => lines.push(target),
  })
  const received = await stage.exchange(
    `HEAD /%61?q=/../x HTTP/1.1\r\n${HOST}\r\nOPTIONS * HTTP/1.1\r\n${HOST}\r\n${get('http://b:1/x', CLOSE)}`,
  )
  expect(received).toMatch(/Content-Length: 12\r\n\r\nHTTP\/1\.1 200 OK\r\nContent-Length: 1\r\n\r\n\*HTTP/)
  expect(lastBody(received)).toBe('http://b:1/x')
  expect(lines).toEqual(['/%61?q=/../x', '*', 'http://b:1/x'])
  await stage.close()
})

scenario('answers what a handler throws once, and goes on', async (bench) => {
  const stage = httpStage(bench, {
    handler: ({ url }) => {
      if (url === '/throw') throw new Error('thrown')
      if (url === '/reject') return Promise.reject(new Error('rejected'))
      if (url === '/nothing') return undefined as never
      return { body: 'fine' }
    },
  })
  const received = await stage.exchange(
    `${get('/throw')}${get('/reject')}${get('/nothing')}${get('/fine')}${get('/', CLOSE)}`,
  )
  expect(statuses(received)).toEqual([500, 500, 500, 200, 200])
  expect(stage.errors).toEqual([
    'handler: thrown',
    'handler: rejected',
    'handler: the handler must return a response, not undefined',
  ])
  await stage.close()
})

scenario('says 100 when the body is first wanted, and not before', async (bench) => {
  const answers: (() => void)[] = []
  const stage = httpStage(bench, {
    handler: async (request) => {
      if (request.url === '/refuse') return { status: 403 }
      await new Promise<void>((resolve) => answers.push(resolve))
      return { body: await request.text() }
    },
  })
  const head = (target: string): string => `POST ${target} HTTP/1.1\r\n${HOST}Content-Length: 2\r\n`
  const client = stage.client(`${head('/')}Expect: 100-continue\r\n\r\n`)
  await stage.until(() => answers.length === 1)
  expect(client.received).toBe('')
  answers[0]?.()
  await stage.until(() => client.received !== '')
  expect(client.received).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  client.write('ok')
  await stage.until(() => client.received.endsWith('ok'))
  expect(statuses(client.received)).toEqual([100, 200])
  const refused = await stage.exchange(`${head('/refuse')}Expect: 100-continue\r\n\r\n`)
  expect(statuses(refused)).toEqual([403])
  expect(refused).toContain('Connection: close')
  expect(statuses(await stage.exchange(`${head('/')}Expect: tea\r\n\r\nok`))).toEqual([417])
  await stage.close()
})

import { expect } from 'vitest'
import { httpStage, statuses } from '../../support/http-stage.ts'
import { scenario } from '../drivers.ts'

const HOST = 'Host: a\r\n'
const NEXT = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n`

const SMUGGLED: readonly [name: string, status: number, text: string][] = [
  ['two lengths', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\nContent-Length: 5\r\n\r\n`],
  ['the same length twice', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`],
  [
    'a length and chunks',
    400,
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['chunks spelled oddly', 400, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n`],
  ['chunks that are not last', 400, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ['chunks in HTTP/1.0', 400, `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a folded length', 400, `POST / HTTP/1.1\r\n${HOST}A: b\r\n Content-Length: 5\r\n\r\n`],
  ['CR alone', 400, `POST / HTTP/1.1\r\n${HOST}A: b\rContent-Length: 5\r\n\r\n`],
  ['LF alone', 400, `POST / HTTP/1.1\n${HOST}\n`],
  ['a blank before the colon', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length : 5\r\n\r\n`],
  ['two Hosts', 400, `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ['no Host', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['an unknown coding', 501, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['an unknown method', 501, `BREW / HTTP/1.1\r\n${HOST}\r\n`],
  ['another version', 505, `GET / HTTP/2.0\r\n${HOST}\r\n`],
]

scenario('refuses what two readers could read differently, and closes', async (bench) => {
  const seen: string[] = []
  const stage = httpStage(bench, {
    handler: ({ url }) => {
      seen.push(url)
      return {}
    },
  })
  for (const [name, status, text] of SMUGGLED) {
    const received = await stage.exchange(text + NEXT)
    expect([name, statuses(received)]).toEqual([name, [status]])
    expect(received).toContain('Connection: close')
  }
  expect(seen).toEqual([])
  expect(stage.errors).toEqual([])
  await stage.close()
})

scenario('refuses chunks that lie, after the handler saw the head', async (bench) => {
  const outcomes: string[] = []
  const stage = httpStage(bench, {
    handler: async (request) => {
      await request.bytes().catch((error: Error) => outcomes.push(error.message))
      return {}
    },
  })
  const head = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`
  for (const chunks of ['x\r\n', '1\r\nab\r\n', '-1\r\n', '1 1\r\na\r\n', 'fffffffffffffffff\r\n', '1\na\n0\n\n']) {
    expect(statuses(await stage.exchange(`${head}${chunks}${NEXT}`))).toEqual([400])
  }
  expect(stage.ends).toEqual(new Array(6).fill('/ read-error'))
  await stage.until(() => outcomes.length === 6)
  expect(outcomes[0]).toBe('the request ended early: read-error')
  await stage.close()
})

scenario('refuses what is too large', async (bench) => {
  const stage = httpStage(bench, {
    limits: { headBytes: 1000, targetBytes: 200, trailerBytes: 100 },
    handler: async (request) => ({ body: await request.text() }),
  })
  const refused = async (text: string): Promise<number[]> => statuses(await stage.exchange(text))
  expect(await refused(`GET /${'a'.repeat(300)} HTTP/1.1\r\n${HOST}\r\n`)).toEqual([414])
  expect(await refused(`GET /${'a'.repeat(5000)} HTTP/1.1\r\n${HOST}\r\n`)).toEqual([414])
  expect(await refused(`GET / HTTP/1.1\r\n${HOST}A: ${'b'.repeat(2000)}\r\n\r\n`)).toEqual([431])
  expect(await refused(`GET / HTTP/1.1\r\n${HOST}${'A: b\r\n'.repeat(500)}\r\n`)).toEqual([431])
  expect(await refused(`GET / HTTP/1.1\r\n${HOST}${'A'.repeat(2000)}`)).toEqual([431])
  const chunked = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n`
  expect(await refused(`${chunked}T: ${'t'.repeat(200)}\r\n\r\n`)).toEqual([431])
  expect(await refused(`OPTIONS ${'/'.repeat(5000)}`)).toEqual([414])
  expect(await refused('M'.repeat(5000))).toEqual([501])
  await stage.close()
})

scenario('opens no tunnel by mistake', async (bench) => {
  const stage = httpStage(bench, { handler: () => ({ body: 'fine' }) })
  expect(statuses(await stage.exchange(`CONNECT b:443 HTTP/1.1\r\n${HOST}\r\n${NEXT}`))).toEqual([501])
  await stage.close()
})

scenario('lets the program say what stands in the answers of the server', async (bench) => {
  const stage = httpStage(bench, {
    serverName: 'test',
    errorBody: (status, request) => `<${status} ${request?.url ?? 'nobody'}>`,
    handler: () => {
      throw new Error('x')
    },
  })
  expect(await stage.exchange('x\r\n\r\n')).toMatch(/Server: test\r\n.*<400 nobody>$/s)
  expect(await stage.exchange(`GET /y HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)).toMatch(/<500 \/y>$/)
  expect(await stage.exchange(`HEAD /y HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)).toMatch(/\r\n\r\n$/)
  await stage.close()
})

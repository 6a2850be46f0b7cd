import { expect } from 'vitest'
import { type Connection, upgrade } from '../../../lib/index.ts'
import { httpStage, statuses } from '../../support/http-stage.ts'
import { scenario } from '../drivers.ts'

function echo(connection: Connection): void {
  connection.onData = (_connection, bytes) => void connection.write(bytes)
  connection.onEnd = () => connection.close()
}

const ASK = 'GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n'

scenario('gives a connection over to a protocol of the program, with what came behind the request', async (bench) => {
  const stage = httpStage(bench, { handler: () => upgrade({ protocol: 'echo', onOpen: echo }) })
  const client = stage.client(`${ASK}early `)
  await stage.until(() => client.received.endsWith('early '))
  expect(statuses(client.received)).toEqual([101])
  expect(client.received).toContain('Upgrade: echo\r\n')
  client.write('late')
  await stage.until(() => client.received.endsWith('early late'))
  client.end()
  await stage.until(() => stage.closes.length === 1)
  expect(stage.ends).toEqual(['/chat upgraded'])
  expect(stage.errors).toEqual([])
  await stage.close()
})

scenario('answers CONNECT with a tunnel', async (bench) => {
  const stage = httpStage(bench, {
    handler: ({ method }) => (method === 'CONNECT' ? upgrade({ status: 200, onOpen: echo }) : { status: 404 }),
  })
  const client = stage.client('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nhello')
  await stage.until(() => client.received.endsWith('hello'))
  expect(statuses(client.received)).toEqual([200])
  await stage.close()
})

scenario('answers 500 when a handler upgrades what did not ask for it', async (bench) => {
  const stage = httpStage(bench, { handler: () => upgrade({ protocol: 'echo', onOpen: echo }) })
  const received = await stage.exchange('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  expect(statuses(received)).toEqual([500])
  expect(stage.errors.join()).toContain('did not ask for it')
  await stage.close()
})

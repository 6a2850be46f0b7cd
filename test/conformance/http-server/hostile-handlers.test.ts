import { expect } from 'vitest'
import { type HttpRequest, PAUSE } from '../../../lib/index.ts'
import { httpStage, statuses } from '../../support/http-stage.ts'
import { scenario } from '../drivers.ts'

const HOST = 'Host: a\r\n'

function get(target: string): string {
  return `GET ${target} HTTP/1.1\r\n${HOST}\r\n`
}

const POST = `POST /post HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`

scenario('survives handlers that end their own connection', async (bench) => {
  const stage = httpStage(bench, {
    timeouts: { lingerMs: 20 },
    handler: (request) => {
      if (request.url === '/close') request.connection.close()
      else if (request.url === '/abort') request.connection.abort()
      else if (request.url === '/disconnect') stage.server.disconnect(request.connection)
      return request.url.endsWith('late') ? Promise.resolve({ body: 'x' }) : { body: 'x' }
    },
  })
  for (const target of ['/close', '/abort', '/disconnect']) {
    const client = stage.client(get(target) + get('/fine'))
    await stage.until(() => client.isOver)
    expect(client.received).toBe('')
  }
  await stage.until(() => stage.closes.length === 3)
  expect(stage.ends).toHaveLength(3)
  expect(stage.errors).toEqual([])
  await stage.close()
})

scenario('sends what was answered before when a handler closes the connection', async (bench) => {
  const stage = httpStage(bench, {
    timeouts: { lingerMs: 20 },
    handler: (request) => {
      if (request.url === '/close') request.connection.close()
      return { body: request.url }
    },
  })
  const received = await stage.exchange(get('/first') + get('/second') + get('/close') + get('/never'))
  expect(statuses(received)).toEqual([200, 200])
  expect(received.endsWith('/second')).toBe(true)
  await stage.until(() => stage.closes.length === 1)
  expect(stage.ends.toSorted()).toEqual(['/close error', '/first completed', '/second completed'])
  await stage.close()
})

scenario('survives a handler that stops its server', async (bench) => {
  let stopped: Promise<unknown> = Promise.resolve()
  const stage = httpStage(bench, {
    handler: () => {
      stopped = stage.server.stop()
      return { body: 'x' }
    },
  })
  const client = stage.client(get('/'))
  await stage.until(() => client.isOver && stage.server.state === 'stopped')
  await stopped
  expect(stage.ends).toHaveLength(1)
  await stage.close()
})

scenario('answers what the three phases throw, and resets what was begun', async (bench) => {
  const stage = httpStage(bench, {
    driver: {
      onHeaders: (request) => {
        if (request.headers.has('x-headers')) throw new Error('headers')
      },
      onBody: () => {
        throw new Error('body')
      },
      onEnd: () => {
        throw new Error('end')
      },
    },
  })
  const head = get('/').replace('\r\n\r\n', '\r\nX-Headers: 1\r\n\r\n')
  const client = stage.client(head + POST + get('/end'))
  await stage.until(() => statuses(client.received).length === 3)
  expect(statuses(client.received)).toEqual([500, 500, 500])
  expect(stage.errors).toEqual(['onHeaders: headers', 'onBody: body', 'onEnd: end'])
  await stage.close()
})

scenario('resets a connection whose answer fails half-way', async (bench) => {
  function* broken(): Generator<string> {
    yield 'begun'
    throw new Error('half-way')
  }
  const stage = httpStage(bench, { handler: () => ({ body: broken() }) })
  const client = stage.client(get('/'))
  await stage.until(() => client.isOver)
  expect(client.received).not.toContain('0\r\n\r\n')
  await stage.until(() => stage.ends.length === 1)
  expect(stage.ends).toEqual(['/ error'])
  await stage.close()
})

scenario('shows a client that knows no length that its answer was cut', async (bench) => {
  const stage = httpStage(bench, {
    timeouts: { lingerMs: 50 },
    handler: () => ({ body: (at) => (at === 0 ? 'the beginning' : PAUSE) }),
  })
  const client = stage.client('GET / HTTP/1.0\r\n\r\n')
  await stage.until(() => client.received.includes('the beginning'))
  void stage.server.stop()
  await stage.until(() => client.isOver)
  expect([client.ended, client.failed]).toEqual([false, 'ECONNRESET'])
  await stage.close()
})

scenario('drops answers that come too late, and refuses a second', async (bench) => {
  const kept: HttpRequest[] = []
  const refusals: unknown[] = []
  const stage = httpStage(bench, {
    driver: {
      onEnd: (request) => {
        kept.push(request)
        request.respond({ body: 'first' })
        try {
          request.respond({ body: 'second' })
        } catch (error) {
          refusals.push(error)
        }
      },
    },
  })
  const client = stage.client(get('/'))
  await stage.until(() => client.received.endsWith('first'))
  kept[0]?.respond({ body: 'late' })
  expect(() => kept[0]?.respond(undefined as never)).toThrow('respond: a response must be an object, not undefined')
  kept[0]?.inform(103, [['Link', '</x>']])
  kept[0]?.resume()
  kept[0]?.discard()
  await expect(kept[0]?.text()).rejects.toThrow()
  client.write(get('/'))
  await stage.until(() => statuses(client.received).length === 2)
  expect(client.received).not.toContain('late')
  expect(refusals.map(String)).toEqual(new Array(2).fill('TypeError: respond: this request was answered already'))
  await stage.close()
})

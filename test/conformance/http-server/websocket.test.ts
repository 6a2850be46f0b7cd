import { expect } from 'vitest'
import {
  type ServerWebSocket,
  Transfer,
  type TransferOptions,
  type WebSocketServerOptions,
  webSocket,
} from '../../../lib/index.ts'
import { type HttpStage, httpStage, statuses } from '../../support/http-stage.ts'
import type { Bench } from '../bench.ts'
import { scenario } from '../drivers.ts'

interface Conversation {
  readonly stage: HttpStage
  readonly sockets: ServerWebSocket[]
  /** '1001 reason error', as sockets closed. */
  readonly closes: string[]
  connect(options?: Partial<TransferOptions>): Transfer
}

function converse(bench: Bench, options: WebSocketServerOptions): Conversation {
  const sockets: ServerWebSocket[] = []
  const closes: string[] = []
  const all: WebSocketServerOptions = {
    pingIntervalMs: 0,
    ...options,
    onOpen: (socket) => {
      sockets.push(socket)
      options.onOpen?.(socket)
    },
    onClose: (socket, code, reason, error) => {
      closes.push(`${code} ${reason}${error === null ? '' : ` ${error.message}`}`)
      options.onClose?.(socket, code, reason, error)
    },
  }
  const stage = httpStage(bench, { timeouts: { lingerMs: 50 }, handler: (request) => webSocket(request, all) })
  return {
    stage,
    sockets,
    closes,
    connect: (given = {}) => {
      const transfer = new Transfer({ url: `ws://127.0.0.1:${stage.port}/chat`, ...given })
      stage.multi.add(transfer)
      return transfer
    },
  }
}

scenario('answers messages of a WebSocket, whatever their size, and the closing handshake', async (bench) => {
  const { stage, closes, connect } = converse(bench, {
    protocols: ['chat', 'echo'],
    onMessage: (socket, message) => {
      if (message.type === 'text') socket.send(`${socket.protocol}:${message.text()}`)
      else socket.send(message.data)
    },
  })
  const large = new Uint8Array(200_000).map((_, index) => index * 7)
  const received: (string | Buffer)[] = []
  const client = connect({
    protocols: ['echo', 'chat'],
    onOpen: ({ protocol, isCompressed }) => received.push(`${protocol} ${isCompressed}`),
    onMessage: (message) => {
      received.push(message.type === 'text' ? message.text() : Buffer.from(message.data))
      if (received.length === 4) client.webSocket.close(4000, 'enough')
    },
  })
  client.webSocket.send('hello')
  client.webSocket.send('')
  client.webSocket.send(large)
  await stage.until(() => closes.length === 1 && stage.multi.running === 0)
  expect(received.slice(0, 3)).toEqual(['echo true', 'echo:hello', 'echo:'])
  expect(Buffer.compare(received[3] as Buffer, large)).toBe(0)
  expect(closes).toEqual(['4000 enough'])
  expect(client.info.closeCode).toBe(4000)
  expect(stage.ends).toEqual(['/chat upgraded'])
  expect(stage.errors).toEqual([])
  await stage.close()
})

scenario('says goodbye to its WebSockets when the server drains', async (bench) => {
  const { stage, sockets, closes, connect } = converse(bench, {})
  const client = connect({ onMessage: () => {} })
  await stage.until(() => sockets.length === 1)
  const drained = stage.server.drain()
  await stage.until(() => closes.length === 1 && stage.multi.running === 0)
  await drained
  expect(client.info.closeCode).toBe(1001)
  expect(closes[0]).toMatch(/^1001/)
  await stage.close()
})

scenario('hears of a peer that goes without a word', async (bench) => {
  const { stage, sockets, closes, connect } = converse(bench, {})
  const client = connect({ onMessage: () => {} })
  await stage.until(() => sockets.length === 1)
  stage.multi.remove(client)
  await stage.until(() => closes.length === 1)
  expect(closes[0]).toMatch(/^1006 .*(closed without a close frame|ECONNRESET)/)
  expect(sockets[0]?.send('anybody?')).toBe(false)
  expect(sockets[0]?.state).toBe('closed')
  await stage.close()
})

scenario(
  'pings a silent peer, and gives it up when it does not answer',
  async (bench) => {
    const { stage, closes, connect } = converse(bench, { pingIntervalMs: 60 })
    const pings: number[] = []
    connect({ onMessage: () => {}, onPing: () => pings.push(1) })
    await stage.until(() => pings.length >= 2)
    expect(closes).toEqual([])
    const deaf = connect({ onMessage: () => {}, noAutoPong: true })
    await stage.until(() => closes.length === 1)
    expect(closes).toEqual(['1006  the peer answered no ping'])
    await stage.until(() => stage.multi.stats.done === 1)
    stage.multi.remove(deaf)
    await stage.close()
  },
  { calm: true },
)

scenario('holds a peer back while its socket is paused', async (bench) => {
  const texts: string[] = []
  const { stage, sockets, connect } = converse(bench, {
    onMessage: (socket, message) => {
      texts.push(message.text())
      if (texts.length === 1) socket.pause()
    },
  })
  const client = connect({ onMessage: () => {} })
  for (let index = 0; index < 5; index++) client.webSocket.send(`${index}`)
  await stage.until(() => texts.length === 1)
  await stage.pass(30)
  expect(texts).toEqual(['0'])
  sockets[0]?.resume()
  await stage.until(() => texts.length === 5)
  expect(texts).toEqual(['0', '1', '2', '3', '4'])
  await stage.close()
})

scenario('resets the connection of a socket whose callback throws, and no other', async (bench) => {
  const { stage, sockets, closes, connect } = converse(bench, {
    onMessage: (socket, message) => {
      if (message.text() === 'bad') throw new Error('callback')
      socket.send('fine')
    },
  })
  let answers = 0
  const good = connect({ onMessage: () => answers++ })
  const bad = connect({ onMessage: () => {} })
  await stage.until(() => sockets.length === 2)
  bad.webSocket.send('bad')
  await stage.until(() => closes.length === 1)
  good.webSocket.send('good')
  await stage.until(() => answers === 1)
  expect(stage.errors.join()).toContain('callback')
  await stage.close()
})

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const ASKING = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`
const UPGRADE = `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n`
const VERSION = 'Sec-WebSocket-Version: 13\r\n'

scenario('refuses what is no handshake with a reason', async (bench) => {
  const { stage } = converse(bench, { verifyOrigin: (origin) => origin !== 'http://evil' })
  const refusals: readonly (readonly [number, string])[] = [
    [426, ASKING],
    [426, `${UPGRADE}${KEY}`],
    [426, `${UPGRADE}${KEY}Sec-WebSocket-Version: 8\r\n`],
    [400, `${UPGRADE}${VERSION}`],
    [400, `${UPGRADE}${VERSION}Sec-WebSocket-Key: short\r\n`],
    [400, `${UPGRADE.replace('GET', 'PUT')}${VERSION}${KEY}Content-Length: 0\r\n`],
    [403, `${UPGRADE}${VERSION}${KEY}Origin: http://evil\r\n`],
  ]
  for (const [status, head] of refusals) {
    const client = stage.client(`${head}\r\n`)
    await stage.until(() => client.received.includes('\r\n\r\n'))
    expect([statuses(client.received)[0], head]).toEqual([status, head])
    client.close()
  }
  await stage.close()
})

scenario('answers a broken frame with a close frame that says why', async (bench) => {
  const { stage, sockets, closes } = converse(bench, {})
  const client = stage.client(`${UPGRADE}${VERSION}${KEY}\r\n`)
  await stage.until(() => sockets.length === 1 && client.received.includes('\r\n\r\n'))
  expect(client.received).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n')
  client.write('\x81\x05hello')
  await stage.until(() => client.isOver)
  expect(client.received.endsWith('\x88\x02\x03\xea')).toBe(true)
  await stage.until(() => closes.length === 1)
  expect(closes[0]).toContain('broke the protocol')
  await stage.close()
})

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { attachToNodeLoop, HttpServer, Multi, prepareResponse } from '../../../lib/index.ts'
import { systemCalls } from '../../../lib/sys/native.ts'

// What a server asks of the kernel, by count: figures that no busy machine can change. Its clients are of node:net,
// whose calls are not counted.
const ASK = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0).toReversed()) close()
})

function helloPort(): number {
  const multi = new Multi()
  const loop = attachToNodeLoop(multi)
  const hello = prepareResponse({ status: 200, body: 'hello' })
  const server = new HttpServer(multi, { listen: [{ host: '127.0.0.1', port: 0 }], handler: () => hello })
  server.start()
  open.push(() => {
    loop.detach()
    multi.close()
  })
  return server.listeners[0]?.address.port ?? 0
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  open.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Sends `count` requests in one piece, and awaits as many answers. */
async function ask(socket: Socket, count: number): Promise<void> {
  let text = ''
  socket.write(ASK.repeat(count))
  while (text.split('hello').length <= count) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    text += chunk.toString('latin1')
  }
}

async function callsOf(body: () => Promise<void>): Promise<Record<string, number>> {
  const before = { ...systemCalls() }
  await body()
  const made = Object.entries(systemCalls()).map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
  return Object.fromEntries(made.filter(([name, count]) => count > 0 && !/^epoll_p?wait/.test(name)))
}

it('spends one recv and one send on a request over a warm connection', async () => {
  const socket = await connected(helloPort())
  await ask(socket, 1)
  const calls = await callsOf(async () => {
    for (let i = 0; i < 50; i++) await ask(socket, 1)
  })
  expect(calls).toEqual({ recv: 50, send: 50 })
})

it('spends one recv and one send on sixteen requests that came together', async () => {
  const socket = await connected(helloPort())
  await ask(socket, 16)
  const calls = await callsOf(async () => {
    for (let i = 0; i < 10; i++) await ask(socket, 16)
  })
  expect(calls).toEqual({ recv: 10, send: 10 })
})

it('spends nothing on connections that rest', async () => {
  const port = helloPort()
  for (let i = 0; i < 20; i++) await ask(await connected(port), 1)
  const calls = await callsOf(() => new Promise((resolve) => setTimeout(resolve, 500)))
  expect(calls).toEqual({})
})

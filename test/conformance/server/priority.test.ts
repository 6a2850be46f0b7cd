/** Who gets how much of the loop: a connection inherits the priority of its server, and may be given another. */
import { expect, it } from 'vitest'
import { type Connection, HttpServer, type Multi, Server, type ServerOptions } from '../../../lib/index.ts'
import type { Priority } from '../../../lib/server/priority.ts'
import { LOOPBACK } from '../../sim/channel.ts'
import { simulate } from '../../sim/simulation.ts'
import { connectClient } from '../../support/local-client.ts'
import { scenario } from '../drivers.ts'
import { HandLoop } from '../hand-loop.ts'
import { LOCAL, Stage } from './stage.ts'

const MEGABYTE = 2 ** 20
/** Whoever sends is never held up by a network. */
const LINK = { ...LOOPBACK, sendBuffer: 64 * MEGABYTE }

scenario('a connection has the priority that its server had when it came, or one of its own', async (bench) => {
  const stage = Stage.start(bench, { priority: 'low' })
  const { server, connections } = stage
  await stage.connected(1)
  expect([server.setPriority('critical'), server.priority]).toEqual(['low', 'critical'])
  await stage.connected(1)
  const [first, second] = connections as [Connection, Connection]
  expect([first.priority, second.priority]).toEqual(['low', 'critical'])
  expect([first.setPriority('high'), first.priority]).toEqual(['low', 'high'])
  expect(() => first.setPriority('urgent' as never)).toThrow(/priority must be one of background.*"urgent"/)
  expect([...server.clients()].map(({ priority }) => priority)).toEqual(['high', 'critical'])
  expect(server.adopt(first.detach()).priority).toBe('critical')
  await stage.stop()
  expect([second.setPriority('normal'), second.priority]).toEqual(['critical', 'normal'])
})

type Serve = (multi: Multi, options: ServerOptions) => Server

/** What goes over connections of these priorities while they all have more, in multiples of the last one's. */
function race(priorities: readonly Priority[], serve: Serve, text: string): number[] {
  const simulation = simulate(1, { links: LINK })
  const loop = new HandLoop(simulation)
  const connections: Connection[] = []
  const server = serve(loop.multi, {
    listen: LOCAL,
    onAccept: (connection) => {
      connection.setPriority(priorities[connections.length] as Priority)
      connections.push(connection)
    },
  })
  server.start()
  const address = server.listeners[0]?.address
  if (address === undefined) throw new Error('it does not listen')
  const clients = priorities.map(() => connectClient(simulation, address))
  const moved = (): number[] => connections.map(({ bytesRead, bytesWritten }) => bytesRead + bytesWritten)
  loop.run(() => connections.length === priorities.length)
  for (const client of clients) client.write(text)
  loop.run(() => Math.min(...moved()) > 1000)
  const before = moved()
  for (let steps = 0; steps < 3; steps++) loop.step()
  const during = moved().map((bytes, index) => bytes - (before[index] as number))
  for (const client of clients) client.close()
  loop.multi.close()
  simulation.assertQuiescent()
  return during.map((bytes) => bytes / (during.at(-1) as number))
}

it('peers that always have more are read by their weights', () => {
  const sink: Serve = (multi, options) =>
    new Server(multi, {
      ...options,
      onConnect: (connection) => {
        connection.onData = () => {}
      },
    })
  expect(race(['high', 'low'], sink, 'x'.repeat(48 * MEGABYTE))).toEqual([4, 1])
})

it('answers without an end are sent by their weights', () => {
  const piece = new Uint8Array(1024)
  const hose: Serve = (multi, options) => new HttpServer(multi, { ...options, handler: () => ({ body: () => piece }) })
  const request = 'GET / HTTP/1.0\r\n\r\n'
  expect(race(['critical', 'high', 'normal', 'low', 'background'], hose, request)).toEqual([16, 8, 4, 2, 1])
})

import { expect, it } from 'vitest'
import type { Connection } from '../../../lib/index.ts'
import { HttpServer, Multi } from '../../../lib/index.ts'
import { standingOf } from '../../../lib/server/connection/connection.ts'
import { FoldedConnection } from '../../../lib/server/connection/folded-connection.ts'
import { WARM_MS } from '../../../lib/server/http/idle-connections.ts'
import { simulate } from '../../sim/simulation.ts'
import { type HttpStage, httpStage, statuses } from '../../support/http-stage.ts'
import { connectClient } from '../../support/local-client.ts'
import { scenario } from '../drivers.ts'

const ASK = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
/** Nobody keeps what serves it. */
const NOBODY = { keptConnections: 0 }

function isFolded(connection: Connection): boolean {
  return standingOf(connection) instanceof FoldedConnection
}

function connectionsOf(server: HttpServer): Connection[] {
  return [...server.clients()].map(({ id }) => server.find(id) as Connection)
}

function foldedOf(stage: HttpStage): Connection[] {
  return connectionsOf(stage.server).filter(isFolded)
}

scenario('goes on with folded connections as if nothing had happened', async (bench) => {
  const served: Connection[] = []
  const stage = httpStage(bench, {
    limits: { ...NOBODY, requestsPerConnection: 3 },
    handler: (request) => {
      served.push(request.connection)
      request.connection.data ??= `number ${served.length}`
      return { body: String(request.connection.data) }
    },
  })
  const clients = [1, 2, 3].map(() => stage.client(ASK))
  await stage.until(() => served.length === 3 && foldedOf(stage).length > 0)
  const [folded] = foldedOf(stage) as [Connection]
  const { id, fd, peer, local, createdAt, bytesRead, bytesWritten } = folded
  expect(stage.server.find(id)).toBe(folded)
  expect({ state: folded.state, open: folded.open, bytesRead }).toEqual({
    state: 'open',
    open: true,
    bytesRead: ASK.length,
  })
  expect(isFolded(folded), 'a look at it leaves it folded').toBe(true)
  for (const client of clients) client.write(ASK)
  await stage.until(() => served.length === 6)
  expect(new Set(served).size).toBe(3)
  expect(folded).toMatchObject({ id, fd, peer, local, createdAt, bytesRead: 2 * ASK.length })
  await stage.until(() => folded.bytesWritten === 2 * bytesWritten)
  for (const client of clients) client.write(ASK)
  await stage.until(() => clients.every((client) => client.isOver))
  for (const { received } of clients) {
    expect(statuses(received)).toEqual([200, 200, 200])
    expect(received.match(/number \d/g)?.every((text, _, all) => text === all[0])).toBe(true)
    expect(received.match(/Connection: close/g)).toHaveLength(1)
  }
  await stage.close()
})

scenario('ends folded connections in every way', async (bench) => {
  const stage = httpStage(bench, { limits: NOBODY, timeouts: { lingerMs: 20 }, handler: () => ({ body: 'x' }) })
  const folded = async (): Promise<Connection> => {
    const known = new Set(foldedOf(stage))
    const count = connectionsOf(stage.server).length
    stage.client(ASK)
    stage.client(ASK)
    await stage.until(() => connectionsOf(stage.server).length === count + 2)
    await stage.until(() => foldedOf(stage).some((connection) => !known.has(connection)))
    return foldedOf(stage).find((connection) => !known.has(connection)) as Connection
  }
  const ends = async (reason: string, end: (connection: Connection) => void): Promise<void> => {
    const connection = await folded()
    const before = stage.closes.length
    end(connection)
    await stage.until(() => connection.state === 'closed')
    expect(stage.closes.slice(before)).toEqual([reason])
    expect(connection.fd).toBe(-1)
  }
  await ends('done', (connection) => connection.close())
  await ends('aborted', (connection) => connection.abort())
  await ends('policy', (connection) => stage.server.disconnect(connection, 'policy'))
  await folded()
  await stage.close()
  expect(stage.server.stats().connections).toBe(0)
})

scenario('sees that the peer of a folded connection leaves', async (bench) => {
  const stage = httpStage(bench, { limits: NOBODY, handler: () => ({ body: 'x' }) })
  const clients = [1, 2, 3].map(() => stage.client(ASK))
  await stage.until(() => foldedOf(stage).length > 0)
  for (const client of clients) client.end()
  await stage.until(() => stage.closes.length === 3)
  expect(stage.closes).toEqual(['peer', 'peer', 'peer'])
  await stage.close()
})

scenario(
  'ends a folded connection that stays idle for too long',
  async (bench) => {
    const stage = httpStage(bench, { limits: NOBODY, timeouts: { keepAliveMs: 60 }, handler: () => ({ body: 'x' }) })
    for (let i = 0; i < 3; i++) stage.client(ASK)
    await stage.until(() => foldedOf(stage).length > 0)
    await stage.until(() => stage.closes.length === 3)
    expect(stage.closes).toEqual(['timeout', 'timeout', 'timeout'])
    await stage.close()
  },
  { calm: true },
)

scenario('makes room with a folded connection', async (bench) => {
  const stage = httpStage(bench, {
    limits: { ...NOBODY, connections: 2 },
    evictIdle: true,
    handler: () => ({ body: 'x' }),
  })
  stage.client(ASK)
  stage.client(ASK)
  await stage.until(() => foldedOf(stage).length > 0)
  const client = stage.client(ASK)
  await stage.until(() => client.received.endsWith('x'))
  expect(stage.closes).toEqual(['policy'])
  await stage.close()
})

scenario('folds nothing while there are few, and nothing that is still to be sent', async (bench) => {
  const body = new Uint8Array(512 * 1024)
  const timeouts = { writeStallMs: 0, keepAliveMs: 0 }
  const stage = httpStage(bench, { limits: { keptConnections: 2 }, timeouts, handler: () => ({ body }) })
  const [first, second] = [stage.client(ASK), stage.client(ASK)]
  await stage.until(() => first.received.length > body.length && second.received.length > body.length)
  expect(foldedOf(stage)).toEqual([])
  const third = stage.client()
  third.pauseReading()
  third.write(ASK)
  first.write(ASK)
  await stage.until(() => first.received.length > 2 * body.length)
  third.resumeReading()
  await stage.until(() => third.received.length > body.length)
  await stage.close()
})

it('keeps what comes often, and folds it once it does not', () => {
  const simulation = simulate(1)
  const { kernel, clock, world } = simulation
  const multi = new Multi({ kernel, clock })
  const server = new HttpServer(multi, {
    listen: { host: '127.0.0.1', port: 0 },
    limits: { keptConnections: 1 },
    handler: () => ({ body: 'x' }),
  })
  server.start()
  const address = server.listeners[0]?.address
  if (address === undefined) throw new Error('it does not listen')
  const clients = [1, 2, 3, 4].map(() => connectClient(simulation, address))
  const ask = (index: number): Connection => {
    const client = clients[index]
    const before = client?.received.length ?? 0
    client?.write(ASK)
    for (let step = 0; step < 100 && client?.received.length === before; step++) {
      world.advanceTo(world.now + 1)
      multi.perform()
    }
    return connectionsOf(server)[index] as Connection
  }
  const connections = clients.map((_, index) => ask(index))
  // The last one that came rests where it is until another has a look.
  expect(connections.filter(isFolded).length).toBeGreaterThanOrEqual(2)
  const often = connections.findIndex(isFolded)
  for (let time = 0; time < 5; time++) ask(often)
  for (let other = 0; other < 4; other++) if (other !== often) ask(other)
  expect(isFolded(connections[often] as Connection)).toBe(false)
  world.advanceTo(world.now + WARM_MS)
  for (let time = 0; time < 3; time++) for (let other = 0; other < 4; other++) if (other !== often) ask(other)
  expect(isFolded(connections[often] as Connection)).toBe(true)
  multi.close()
})

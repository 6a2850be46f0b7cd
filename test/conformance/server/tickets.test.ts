import { expect } from 'vitest'
import type { Connection, SocketTicket } from '../../../lib/index.ts'
import { scenario } from '../drivers.ts'
import { LOCAL, Stage } from './stage.ts'

const echo = {
  strategy: {
    callback: (connection: Connection) => {
      const bytes = connection.readView()
      if (typeof bytes !== 'number') connection.write(bytes)
      else if (bytes === 0) connection.close()
    },
  },
}

scenario('a ticket that nobody claims in time is worth nothing: the socket is closed, and counted', async (bench) => {
  const stage = Stage.start(bench)
  const clients = await stage.connected(3)
  const over = (): number => clients.filter(({ isOver }) => isOver).length
  const [first, second, third] = stage.connections as [Connection, Connection, Connection]
  const late = first.detach({ unclaimedMs: 60 })
  const soon = second.detach({ unclaimedMs: 20 })
  const claimed = third.detach({ unclaimedMs: 20 })
  const here = stage.server.adopt(claimed)
  await stage.until(() => over() === 2)
  expect(stage.server.stats()).toMatchObject({ ticketsLost: 2, connections: 1 })
  for (const ticket of [late, soon, claimed]) {
    expect(() => stage.server.adopt(ticket)).toThrow(expect.objectContaining({ code: 'ESTALE' }))
  }
  // Another one after all were dealt with.
  const again = here.detach({ unclaimedMs: 1 })
  await stage.until(() => over() === 3)
  expect(() => stage.server.adopt(again)).toThrow(/ESTALE/)
  expect(stage.server.stats().ticketsLost).toBe(3)
  await stage.stop()
})

scenario('a ticket that waits keeps no loop going, and is closed with its Multi', async (bench) => {
  const stage = Stage.start(bench)
  const [client] = await stage.connected(1)
  stage.connections[0]?.detach()
  const stopped = stage.server.stop()
  await stage.until(() => !stage.server.active)
  await stopped
  expect(stage.multi.active).toBe(false)
  stage.multi.close()
  const other = Stage.start(bench)
  await other.until(() => client?.isOver === true)
  client?.close()
  await other.stop()
})

scenario('a socket goes from server to server many times, and no descriptor is left', async (bench) => {
  const rounds = bench.simulation === null ? 2_000 : 200
  const multi = bench.multi()
  const tickets: SocketTicket[] = []
  const right = Stage.start(bench, { ...echo, listen: [] }, multi)
  const left = Stage.start(bench, { ...echo, listen: LOCAL }, multi)
  const [client] = await left.connected(1)
  let here = left.connections[0] as Connection
  for (let round = 0; round < rounds; round++) {
    tickets.push(here.detach())
    here = (round % 2 === 0 ? right : left).server.adopt(tickets.at(-1) as SocketTicket)
  }
  client?.write('still here')
  await left.until(() => client?.received === 'still here')
  for (const ticket of tickets.slice(0, 10)) expect(() => right.server.adopt(ticket)).toThrow(/ESTALE/)
  expect(left.server.stats().connections + right.server.stats().connections).toBe(1)
  await left.stop()
  await right.stop()
})

scenario('detach says what is wrong with its options', async (bench) => {
  const stage = Stage.start(bench)
  const [client] = await stage.connected(1)
  const [connection] = stage.connections as [Connection]
  expect(() => connection.detach({ unclaimedMs: -1 })).toThrow(/unclaimedMs.*-1/)
  expect(() => connection.detach({ unclaimed: 1 } as object)).toThrow(/unclaimed/)
  expect(connection.open).toBe(true)
  client?.close()
  await stage.stop()
})

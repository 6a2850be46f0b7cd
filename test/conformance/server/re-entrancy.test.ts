/** Every verb of a server from every callback: it acts, nothing else is disturbed, and everything ends. */
import { describe, expect, it } from 'vitest'
import { type Connection, Server, ServerError, type ServerOptions } from '../../../lib/index.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { connectClient, type LocalClient } from '../../support/local-client.ts'
import { HandLoop } from '../hand-loop.ts'
import { LOCAL } from './stage.ts'

interface Scene {
  readonly simulation: Simulation
  readonly loop: HandLoop
  readonly server: Server
  readonly others: Connection[]
}

const rows: Readonly<Record<string, (scene: Scene) => unknown>> = {
  state: ({ server }) => server.state,
  active: ({ server }) => server.active,
  listening: ({ server }) => server.listening,
  locked: ({ server }) => server.locked,
  listeners: ({ server }) => server.listeners,
  limits: ({ server }) => server.limits,
  priority: ({ server }) => server.priority,
  onState: ({ server }) => server.onState,
  start: ({ server }) => server.start(),
  suspend: ({ server }) => server.suspend({ pending: 'reject', clients: 'disconnect', forMs: 5 }),
  resume: ({ server }) => server.resume(),
  throttle: ({ server }) => server.throttle({ connections: 1 }),
  setPriority: ({ server }) => server.setPriority('high'),
  quiesce: ({ server, simulation }) => {
    for (const { fd, generation } of server.quiesce({ drainQueue: true })) simulation.kernel.close(fd, generation)
  },
  drain: ({ server }) => void server.drain({ deadlineMs: 20 }),
  stop: ({ server }) => void server.stop(),
  restart: ({ server }) => void server.restart({ keepListener: false }).catch(() => {}),
  adopt: ({ server, simulation }) => {
    const pair = new Int32Array(2)
    simulation.kernel.socketPair(pair)
    simulation.kernel.close(pair[1] as number)
    server.adopt(pair[0] as number)
  },
  broadcast: ({ server }) => server.broadcast('to all', { slow: 'disconnect' }),
  clients: ({ server }) => [...server.clients()],
  find: ({ server }) => server.find(1),
  disconnect: ({ server, others }) => {
    for (const connection of [...others]) server.disconnect(connection)
  },
  exclusive: ({ server }) => void server.exclusive(() => server.stats()),
  stats: ({ server }) => server.stats(),
  onClose: ({ server }) => server.onClose(() => {}),
  [String(Symbol.asyncDispose)]: ({ server }) => void server[Symbol.asyncDispose](),
}
/** For subclasses; `reloadTls` needs TLS. */
const OTHERS = ['constructor', 'createDriver', 'departure', 'reloadTls']

it('the table has a row for every method', () => {
  const names = Reflect.ownKeys(Server.prototype).map(String)
  expect(Object.keys(rows).sort()).toEqual(names.filter((name) => !OTHERS.includes(name)).sort())
})

const LOCAL_ADDRESS = { family: 4, address: '127.0.0.1', port: 0 } as const

const PLACES = [
  'onAccept', 'onConnect', 'onDisconnect', 'onDrop', 'onIdle', 'onStart', 'onStop', 'onState', 'onError', 'onTimeout',
  'policy', 'callback', 'onData', 'onClose of a connection', 'closing callback', 'exclusive', 'socketFunction',
  'timerFunction',
] as const // biome-ignore format: a table
type Place = (typeof PLACES)[number]

function optionsAt(place: Place, here: (at: Place) => void, others: Connection[]): ServerOptions {
  return {
    listen: [LOCAL, LOCAL],
    limits: { connections: 3 },
    overload: 'reject',
    timeouts: { idleMs: 40, lingerMs: 20 },
    policy: () => {
      here('policy')
      return true
    },
    onAccept: (connection) => {
      others.push(connection)
      here('onAccept')
    },
    onConnect: (connection) => {
      here('onConnect')
      if (place === 'onData') connection.onData = () => here('onData')
      if (place === 'onClose of a connection') connection.onClose = () => here('onClose of a connection')
      if (place === 'onError') throw new Error('on purpose')
    },
    onDisconnect: () => here('onDisconnect'),
    onDrop: () => here('onDrop'),
    onIdle: () => here('onIdle'),
    onStart: () => here('onStart'),
    onStop: () => here('onStop'),
    onState: (state) => {
      if (state !== 'starting') here('onState')
    },
    onError: () => here('onError'),
    onTimeout: () => here('onTimeout'),
    strategy: {
      callback: (connection) => {
        here('callback')
        connection.read(new Uint8Array(10))
      },
    },
  }
}

async function play(place: Place, call: (scene: Scene) => unknown): Promise<unknown> {
  const simulation = simulate(1)
  const loop = new HandLoop(simulation)
  let hasActed = false
  let isArmed = false
  let thrown: unknown = null
  const others: Connection[] = []
  const here = (at: Place): void => {
    if (at !== place || hasActed || !isArmed) return
    hasActed = true
    try {
      call(scene)
    } catch (error) {
      thrown = error
    }
  }
  const server = new Server(loop.multi, optionsAt(place, here, others))
  const scene: Scene = { simulation, loop, server, others }
  loop.hooks = {
    onSocket: () => void here('socketFunction'),
    onTimer: () => void here('timerFunction'),
  }
  server.onClose(() => here('closing callback'))
  isArmed = place === 'onStart' || place === 'onState'
  server.start()
  isArmed = true
  const clients: LocalClient[] = []
  for (const { address } of server.listeners) {
    for (let i = 0; i < 2; i++) clients.push(connectClient(simulation, address))
  }
  for (const client of clients) client.write('hello')
  if (place === 'exclusive') void server.exclusive(() => here('exclusive')).catch(() => {})
  const turns = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      loop.pass(1)
      await Promise.resolve()
    }
  }
  await turns(60)
  for (const client of clients) client.close()
  await turns(60)
  // Stopping may be what was done already, or what makes the place be reached.
  await Promise.all([server.stop(), turns(40)])
  if (server.active) await Promise.all([server.stop(), turns(40)])
  expect(hasActed, 'the place was never reached').toBe(true)
  await Promise.all([server.stop(), turns(20)])
  expect(server.state).toMatch(/idle|stopped/)
  expect([...server.clients()]).toEqual([])
  expect(loop.multi.active).toBe(false)
  loop.multi.close()
  simulation.assertQuiescent()
  return thrown
}

describe.each(PLACES)('inside %s', (place) => {
  it.each(Object.entries(rows))('%s', async (_name, call) => {
    const thrown = await play(place, call)
    // In the wrong state a verb says so; it is never refused for being called here.
    if (thrown !== null) expect(thrown).toBeInstanceOf(ServerError)
  })
})

it('a socket function that fails leaves a faulted server, which can be stopped and started again', async () => {
  const simulation = simulate(1)
  const loop = new HandLoop(simulation)
  const told: string[] = []
  const server = new Server(loop.multi, {
    listen: LOCAL,
    onDisconnect: (_, reason) => void told.push(reason),
    onError: (error, { operation }) => void told.push(`${operation}: ${(error as Error).message}`),
  })
  server.start()
  const first = connectClient(simulation, server.listeners[0]?.address ?? LOCAL_ADDRESS)
  loop.pass(20)
  loop.hooks = { onSocket: (_fd, interest) => (interest === 1 ? -1 : undefined) }
  const second = connectClient(simulation, server.listeners[0]?.address ?? LOCAL_ADDRESS)
  loop.pass(20)
  loop.hooks = {}
  expect(server.state).toBe('faulted')
  expect(told.filter((text) => text === 'aborted')).toHaveLength(2)
  expect(told.filter((text) => text.startsWith('multi: '))).toHaveLength(1)
  const stopped = server.stop()
  expect(server.state).toBe('stopped')
  expect(await stopped).toMatchObject({ cut: 0 })
  server.start()
  const third = connectClient(simulation, server.listeners[0]?.address ?? LOCAL_ADDRESS)
  loop.pass(20)
  expect(server.stats()).toMatchObject({ connections: 1, accepted: 3 })
  for (const client of [first, second, third]) client.close()
  await server.stop()
  loop.multi.close()
  simulation.assertQuiescent()
})

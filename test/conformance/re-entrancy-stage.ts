/**
 * A simulated world with one transfer in each situation, and a place in the middle of the engine, a callback, where a
 * test acts once.
 */
import { expect } from 'vitest'
import { type Multi, type MultiOptions, Transfer, type TransferOptions } from '../../lib/index.ts'
import { Family } from '../../lib/sys/kernel.ts'
import { FINAL_BIT, Opcode } from '../../lib/wire/websocket/protocol.ts'
import { serveEcho } from '../sim/echo.ts'
import { originBody } from '../sim/origin.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import { HandLoop } from './hand-loop.ts'
import { serveWebSocket } from './websocket-server.ts'

export interface Stage {
  readonly simulation: Simulation
  readonly loop: HandLoop
  readonly multi: Multi
  /** The transfer whose callbacks are on the stack. */
  readonly own: Transfer
  /** Another one that runs, held up by the origin. */
  readonly other: Transfer
  /** Never added. */
  readonly free: Transfer
  /** Connected and done. */
  readonly raw: Transfer
  /** How many body bytes `own` receives; null when that depends. */
  readonly bytes: number | null
}

const PLACES = [
  'socketFunction',
  'socketFunction, REMOVE',
  'timerFunction',
  'notifyFunction',
  'onHead',
  'onInformational',
  'onData',
  'onTrailers',
  'onProgress',
  'onProgress at the end',
  'onDebug',
  'body',
  'requestTrailers',
] as const
/** Of WebSocket transfers. */
export const WEBSOCKET_PLACES = ['onOpen', 'onMessage', 'onFrame', 'onPing', 'onPong', 'onSendable'] as const
export const ALL_PLACES = [...PLACES, ...WEBSOCKET_PLACES] as const
export type Place = (typeof ALL_PLACES)[number]

const PATHS: Partial<Record<Place, string>> = {
  onInformational: '/1xx/100',
  onTrailers: '/trailers/100',
  onProgress: '/slow/50/100',
}

/** Builds a stage on which `act` runs once, at that place. */
export function buildStage(
  place: Place,
  act: (stage: Stage) => void,
  prepare?: (stage: Stage) => void,
): Stage & { acted(): boolean } {
  const simulation = simulate(1)
  const { origin } = simulation
  let hasActed = false
  let armed = false
  const here = (at: Place): void => {
    if (at !== place || hasActed || !armed) return
    hasActed = true
    act(stage)
  }
  const options: MultiOptions = { notifyFunction: () => here('notifyFunction') }
  const loop = new HandLoop(simulation, options)
  const path = PATHS[place] ?? (place === 'body' || place === 'requestTrailers' ? '/echo' : '/chunked/100')
  const url = (target: string): string => `http://${origin.host}${target}`
  const withRaw = connectRaw(simulation, loop)
  const stage: Stage = {
    simulation,
    loop,
    multi: loop.multi,
    raw: withRaw,
    own: isOfWebSocket(place)
      ? webSocketAt(simulation, place, here)
      : new Transfer({ url: url(path), ...callbacksAt(path, here) }),
    other: new Transfer({ url: url('/slow/300/10') }),
    free: new Transfer({ url: url('/bytes/33') }),
    bytes: path === '/echo' || isOfWebSocket(place) ? null : originBody(path).length,
  }
  loop.hooks = {
    onSocket: (_fd, interest) => {
      here(interest === 4 ? 'socketFunction, REMOVE' : 'socketFunction')
      return undefined
    },
    onTimer: () => {
      here('timerFunction')
      return undefined
    },
  }
  loop.multi.add(stage.other)
  loop.run(() => loop.interests.size > 0)
  prepare?.(stage)
  armed = true
  loop.multi.add(stage.own)
  return Object.assign(stage, { acted: () => hasActed })
}

function connectRaw(simulation: Simulation, loop: HandLoop): Transfer {
  const { world, kernel } = simulation
  serveEcho(world, kernel.network, { family: Family.IPV4, address: '127.0.0.1', port: 7 })
  const transfer = new Transfer({ url: 'tcp://127.0.0.1:7', connectOnly: true })
  loop.multi.add(transfer)
  loop.run()
  expect(loop.multi.infoRead()?.code).toBe(0)
  return transfer
}

function callbacksAt(path: string, here: (place: Place) => void): Partial<TransferOptions> {
  let progress = 0
  const common: Partial<TransferOptions> = {
    onHead: () => here('onHead'),
    onInformational: () => here('onInformational'),
    onData: () => here('onData'),
    onTrailers: () => here('onTrailers'),
    progressIntervalMs: 10,
    onProgress: ({ bytesReceived }) => {
      if (progress++ === 0 && bytesReceived === 0) here('onProgress')
      if (bytesReceived > 0) here('onProgress at the end')
    },
    onDebug: () => here('onDebug'),
    // One exchange per connection, so that REMOVE is heard.
    forbidReuse: true,
  }
  if (path !== '/echo') return common
  let given = 0
  return {
    ...common,
    body: () => {
      here('body')
      return given++ === 0 ? 'echo' : null
    },
    requestTrailers: () => {
      here('requestTrailers')
      return {}
    },
  }
}

function isOfWebSocket(place: Place): boolean {
  return (WEBSOCKET_PLACES as readonly Place[]).includes(place)
}

/** Hears and sends one of everything; the server ends it. */
function webSocketAt(simulation: Simulation, place: Place, here: (place: Place) => void): Transfer {
  const { world } = simulation
  const server = serveWebSocket(simulation, 81, {
    onOpen: (client) => {
      client.send(Opcode.TEXT, 'hello')
      client.frame(FINAL_BIT | Opcode.PING, 'there')
      world.after(50, () => client.close(1000))
    },
  })
  const transfer: Transfer = new Transfer({
    url: server.url,
    maxQueuedBytes: 100,
    onOpen: () => {
      here('onOpen')
      transfer.webSocket.ping('here')
      while (transfer.webSocket.send('x'.repeat(60))) {}
    },
    onPing: () => here('onPing'),
    onPong: () => here('onPong'),
    onSendable: () => here('onSendable'),
    ...(place === 'onFrame' ? { onFrame: () => here('onFrame') } : { onMessage: () => here('onMessage') }),
  })
  return transfer
}

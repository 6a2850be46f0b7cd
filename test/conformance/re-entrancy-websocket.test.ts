import { describe, expect, it } from 'vitest'
import { WebSocketHandle } from '../../lib/connection/websocket-handle.ts'
import { MultiError, Transfer } from '../../lib/index.ts'
import { ALL_PLACES, buildStage, type Stage } from './re-entrancy-stage.ts'
import { type SimWebSocketServer, serveWebSocket } from './websocket-server.ts'

type Outcome = 'allowed' | 'RECURSIVE_API_CALL' | 'BAD_EASY_HANDLE'

interface Row {
  /** By callbacks, open. */
  readonly running: Outcome
  /** By calls, open. */
  readonly manual: Outcome
  /** Not added, removed, or of a Multi that is closed. */
  readonly detached: Outcome
  call(handle: WebSocketHandle): unknown
  /** Whether the server of a running one has seen it. */
  seen?(server: SimWebSocketServer): boolean
}

const sends = (row: Pick<Row, 'call' | 'seen'>): Row => ({
  running: 'allowed',
  manual: 'RECURSIVE_API_CALL',
  detached: 'BAD_EASY_HANDLE',
  ...row,
})
const receives = (call: Row['call']): Row => ({
  running: 'BAD_EASY_HANDLE',
  manual: 'RECURSIVE_API_CALL',
  detached: 'BAD_EASY_HANDLE',
  call,
})
const asks = (call: Row['call']): Row => ({ running: 'allowed', manual: 'allowed', detached: 'allowed', call })

const rows: Readonly<Record<string, Row>> = {
  state: asks((handle) => handle.state),
  bytesQueued: asks((handle) => handle.bytesQueued),
  send: sends({
    call: (handle) => handle.send('sent inside'),
    seen: ({ clients }) => clients[0]?.messages.some(({ data }) => data.toString() === 'sent inside') ?? false,
  }),
  ping: sends({
    call: (handle) => handle.ping('inside'),
    seen: ({ clients }) => clients[0]?.pings.includes('inside') ?? false,
  }),
  pong: sends({
    call: (handle) => handle.pong('inside'),
    seen: ({ clients }) => clients[0]?.pongs.includes('inside') ?? false,
  }),
  close: sends({
    call: (handle) => handle.close(1000, 'inside'),
    seen: ({ clients }) => clients[0]?.closeReason === 'inside',
  }),
  receive: receives((handle) => handle.receive()),
  flush: receives((handle) => handle.flush()),
}
/** For this library's own machines. */
const INTERNAL = ['constructor', 'attach', 'session']

it('has a row for every method of WebSocketHandle', () => {
  const names = Object.getOwnPropertyNames(WebSocketHandle.prototype).filter((name) => !INTERNAL.includes(name))
  expect(Object.keys(rows).sort()).toEqual(names.sort())
})

interface Pair {
  readonly running: Transfer
  readonly manual: Transfer
  readonly server: SimWebSocketServer
}

/** Both are open. */
function open({ simulation, multi, loop }: Stage): Pair {
  const server = serveWebSocket(simulation, 82, {})
  const running = new Transfer({ url: server.url, onMessage: () => {} })
  const manual = new Transfer({ url: server.url, connectOnly: true })
  multi.add(running)
  loop.run(() => running.webSocket.state === 'open')
  multi.add(manual)
  loop.run(() => manual.info.activeSocket >= 0)
  return { running, manual, server }
}

function outcomeOf(call: () => unknown): Outcome {
  try {
    call()
  } catch (error) {
    if (error instanceof MultiError) return error.code as Outcome
    throw error
  }
  return 'allowed'
}

describe.each(ALL_PLACES)('inside %s', (place) => {
  it.each(Object.entries(rows))('%s of a WebSocket', (_name, row) => {
    let pair: Pair | undefined
    const outcomes: Outcome[] = []
    const stage = buildStage(
      place,
      () => {
        const { running, manual } = pair as Pair
        outcomes.push(
          outcomeOf(() => row.call(running.webSocket)),
          outcomeOf(() => row.call(manual.webSocket)),
        )
      },
      (early) => {
        pair = open(early)
      },
    )
    const { loop, multi } = stage
    const { running, manual, server } = pair as unknown as Pair
    for (let steps = 0; !stage.acted() && steps < 500; steps++) loop.step()
    expect(outcomes).toEqual([row.running, row.manual])
    loop.run(() => row.seen?.(server) ?? true)
    expect(row.seen?.(server) ?? true, 'its effect, once the stack unwound').toBe(true)
    expect(manual.webSocket.state).toBe('open')
    if (running.webSocket.state === 'open') running.webSocket.close()
    loop.run()
    expect(multi.running, 'everything ends').toBe(0)
    multi.close()
    server.release()
    stage.simulation.assertQuiescent()
  })
})

describe.each(Object.entries(rows))('%s', (_name, row) => {
  it('before the transfer is added, and after it was removed or its Multi closed', () => {
    const stage = buildStage('onHead', () => {})
    stage.loop.run()
    const { running, manual, server } = open(stage)
    const before = new Transfer({ url: 'ws://x.test/' })
    stage.multi.remove(manual)
    stage.multi.close()
    const outcomes = [before, running, manual].map(({ webSocket }) => outcomeOf(() => row.call(webSocket)))
    expect(outcomes).toEqual([row.detached, row.detached, row.detached])
    server.release()
    stage.simulation.assertQuiescent()
  })
})

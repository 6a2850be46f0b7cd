/** One WebSocket transfer against one scripted server of the simulated network, until it is done. */
import type { TransferOptions } from '../../lib/index.ts'
import { SimulatedBench } from './bench.ts'
import { Fetch, readMessages } from './fetches.ts'
import {
  type SimWebSocketClient,
  type SimWebSocketServer,
  serveWebSocket,
  type WebSocketServerOptions,
} from './websocket-server.ts'

export const PORT = 81

interface Stage {
  readonly bench: SimulatedBench
  readonly server: SimWebSocketServer
  readonly fetch: Fetch
  readonly received: (string | Buffer)[]
  readonly client: SimWebSocketClient
  pass(ms: number): Promise<void>
}

type Options = Omit<TransferOptions, 'url'>
export type Handle = Fetch['transfer']['webSocket']

/** The transfer of the conversation, for its own callbacks. */
interface Self {
  transfer(): Fetch['transfer']
  webSocket(): Handle
}

/** Runs one transfer against one server until it is done; `act` runs as soon as it is open, in a callback. */
export async function converse(
  serverOptions: WebSocketServerOptions,
  given: Options | ((self: Self) => Options) = {},
  act: (stage: Stage) => void | Promise<void> = () => {},
  seed = 1,
  wild = false,
): Promise<Stage> {
  const bench = new SimulatedBench('', seed, wild ? { faults: 'survivable', links: 'random' } : {}, wild)
  const server = serveWebSocket(bench.simulation, PORT, serverOptions)
  const received: (string | Buffer)[] = []
  const multi = bench.multi()
  const self: Self = { webSocket: () => fetch.transfer.webSocket, transfer: () => fetch.transfer }
  const options = typeof given === 'function' ? given(self) : given
  const fetch: Fetch = new Fetch({
    url: server.url,
    closeTimeoutMs: 2000,
    ...(options.onFrame || options.connectOnly
      ? {}
      : {
          onMessage: (message) => {
            received.push(message.type === 'text' ? message.text() : Buffer.from(message.data))
          },
        }),
    ...options,
  })
  const stage: Stage = {
    bench,
    server,
    fetch,
    received,
    get client() {
      return server.clients[0] as SimWebSocketClient
    },
    pass: (ms) => bench.pass(multi, ms),
  }
  multi.add(fetch.transfer)
  await bench.drive(multi, () => server.clients.length > 0 || multi.running === 0)
  await act(stage)
  await bench.drive(multi)
  readMessages(multi, [fetch])
  multi.remove(fetch.transfer)
  server.release()
  await bench.close()
  return stage
}

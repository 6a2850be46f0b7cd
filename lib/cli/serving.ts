/** What serves, as the command sees it: one server in this thread, or one in several. */
import { attachToNodeLoop, HttpServer, Multi, ServerGroup, type ServerModule, type SocketAddress } from '../index.ts'
import { ServeDesk } from './serve-desk.ts'
import type { ServeSettings } from './serve-settings.ts'
import type * as program from './serve-worker.ts'

/** Where something failed. */
export interface ServingTrouble {
  readonly operation: string
  /** '' when it is not known. */
  readonly client: string
  readonly retryInMs: number
  /** It cannot listen any more. */
  readonly fatal: boolean
}

export type TellTrouble = (error: unknown, trouble: ServingTrouble) => void

export interface Serving {
  readonly addresses: readonly SocketAddress[]
  readonly connections: number
  /** Lets answers end for so long; how many connections were cut. */
  leave(graceMs: number): Promise<{ readonly cut: number }>
  /** Before the process ends, in whatever way. */
  flush(): void
}

/** Throws what the system answers when it cannot listen. */
export async function startServing(settings: ServeSettings, tell: TellTrouble): Promise<Serving> {
  return settings.threads === 1 ? serveHere(settings, tell) : serveInThreads(settings, tell)
}

function serveHere(settings: ServeSettings, tell: TellTrouble): Serving {
  const multi = new Multi()
  const loop = attachToNodeLoop(multi)
  const desk = new ServeDesk(settings)
  const { listen, tls, maxConnections } = settings
  const server = new HttpServer(multi, {
    listen,
    tls,
    limits: { connections: maxConnections },
    handler: (request) => desk.answer(request),
    onRequestEnd: (request, end, timings) => desk.tell(request, end, timings),
    onError: (error, { operation, connection, retryInMs, fatal }) =>
      tell(error, { operation, client: connection?.peer?.address ?? '', retryInMs, fatal }),
  })
  const close = (): void => {
    loop.detach()
    multi.close()
    desk.flush()
  }
  try {
    server.start()
  } catch (error) {
    close()
    throw error
  }
  return {
    addresses: server.listeners.map(({ address }) => address),
    get connections() {
      return server.stats().connections
    },
    leave: async (graceMs) => {
      const report = await (graceMs > 0 ? server.drain({ deadlineMs: graceMs }) : server.stop())
      close()
      return report
    },
    flush: () => desk.flush(),
  }
}

/** What the threads run is such a module. */
type Checked = typeof program extends ServerModule ? string : never
const PROGRAM: Checked = './serve-worker.js'

async function serveInThreads(settings: ServeSettings, tell: TellTrouble): Promise<Serving> {
  const { listen, tls, maxConnections, threads } = settings
  const group = await ServerGroup.start<ServeSettings>({
    module: new URL(PROGRAM, import.meta.url),
    workers: threads,
    listen,
    ...(tls !== null && { tls }),
    limits: { connections: maxConnections },
    data: settings,
    onError: (error, { operation, retryInMs, fatal }) => tell(error, { operation, client: '', retryInMs, fatal }),
    onWorker: ({ worker, kind, error, retryInMs }) => {
      const operation = `thread ${worker + 1} ${kind}`
      if (error !== null) tell(error, { operation, client: '', retryInMs, fatal: false })
    },
  })
  return {
    addresses: group.addresses,
    get connections() {
      return group.connections
    },
    leave: (graceMs) => (graceMs > 0 ? group.drain({ deadlineMs: graceMs }) : group.stop()),
    flush: () => {},
  }
}

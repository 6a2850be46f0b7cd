/**
 * The program of a server in a thread of its own: a module that exports what is to be called, by name or as the fields
 * of its default export. `handler` or `driver` make it an HTTP server, `session`, or `readable` and the other events, a
 * server of bytes. What is missing is not called; `options` are for what cannot be sent from another thread.
 */
import { isFunction } from '../base/options.ts'
import type { Multi } from '../multi/multi.ts'
import type { CloseReason } from '../server/connection/close-reason.ts'
import type { Connection } from '../server/connection/connection.ts'
import type { HttpHandler, RequestDriver } from '../server/http/http-options.ts'
import { HttpServer, type HttpServerOptions } from '../server/http/http-server.ts'
import { Server, type ServerOptions } from '../server/server.ts'
import type { Drop, ErrorContext, ServerEvents } from '../server/server-events.ts'
import type { ServerBaseOptions } from '../server/server-options.ts'
import type { SessionStrategy, Strategy } from '../server/server-strategy.ts'

export interface ServerModule<Data = unknown> {
  /** Before it listens; awaited. */
  setup?(server: Server<Data>): unknown
  /** It listens. */
  start?(server: Server<Data>): void
  /** It was admitted; PROXY header and TLS come next. */
  accept?(connection: Connection, server: Server<Data>): void
  /** Its layers are set up. */
  connect?(connection: Connection, server: Server<Data>): void
  /** There is something to read, or the end. Called again only when something was read meanwhile. */
  readable?(connection: Connection, server: Server<Data>): void
  /** What was written is sent, or nearly; more may follow. */
  writable?(connection: Connection, server: Server<Data>): void
  /** Nothing moved for too long: it is closed unless this calls `extend` of it. */
  timeout?(connection: Connection, server: Server<Data>): void
  /** We ended it, not the peer: whatever was under way on it is cut. `disconnect` follows. */
  cancel?(connection: Connection, reason: CloseReason, server: Server<Data>): void
  disconnect?(connection: Connection, reason: CloseReason, error: Error | null, server: Server<Data>): void
  drop?(drop: Drop, server: Server<Data>): void
  error?(error: unknown, context: ErrorContext, server: Server<Data>): void
  /** The last connection has left. */
  idle?(server: Server<Data>): void
  stop?(server: Server<Data>): void
  handler?: HttpHandler
  driver?: RequestDriver
  session?(connection: Connection, server: Server<Data>): unknown
  /**
   * As `session`, outside of the loop: it may wait by `readSync` and `writeSync`, for then nothing else runs in this
   * thread. For groups that hand each thread one connection at a time.
   */
  blocking?(connection: Connection, server: Server<Data>): unknown
  /** Of sessions. */
  concurrency?: SessionStrategy['concurrency']
  /** What cannot be cloned: `policy`, functions of `tls`, `errorBody`, … They win over what the owner sent. */
  options?: Omit<ServerBaseOptions<Data> & HttpServerOptions<Data>, 'listen' | keyof ServerEvents>
}

const FUNCTIONS = [
  'setup', 'start', 'accept', 'connect', 'readable', 'writable', 'timeout', 'cancel', 'disconnect', 'drop', 'error',
  'idle', 'stop', 'handler', 'session', 'blocking',
] as const // biome-ignore format: a table
const OF_BYTES = ['readable', 'writable', 'session', 'blocking'] as const
/** Connections that wait in a thread for a blocking one to end. */
const BLOCKED_MAX = 1024
const OURS: readonly CloseReason[] = ['shutdown', 'policy', 'aborted', 'timeout']

/** Throws a TypeError when it is no such program. */
export async function loadModule(url: string): Promise<ServerModule> {
  const namespace = (await import(url)) as Record<string, unknown>
  const exported = namespace['default']
  const module = { ...namespace, ...(typeof exported === 'function' ? { handler: exported } : (exported as object)) }
  let count = 0
  for (const name of FUNCTIONS) {
    const value = (module as Record<string, unknown>)[name]
    if (value === undefined) continue
    isFunction(`${name} of ${url}`, value)
    count++
  }
  const { driver, readable, writable, session, blocking, handler } = module as ServerModule
  if (count === 0 && driver === undefined) throw new TypeError(`${url} exports nothing that a server could call`)
  const isHttp = handler !== undefined || driver !== undefined
  const second = OF_BYTES.find((name) => (module as ServerModule)[name] !== undefined)
  if (isHttp && second !== undefined) throw new TypeError(`${url}: ${second} does not go with an HTTP server`)
  const serving = session === undefined ? 'blocking' : 'session'
  if ((session ?? blocking) !== undefined && (readable ?? writable) !== undefined) {
    throw new TypeError(`${url}: readable and writable do not go with ${serving}`)
  }
  if (session !== undefined && blocking !== undefined) throw new TypeError(`${url}: blocking does not go with session`)
  return module as ServerModule
}

/** The server of a module; nothing is opened yet. `observer` hears of everything after the module. */
export function makeServer(
  multi: Multi<object>,
  module: ServerModule,
  options: ServerBaseOptions,
  observer: ServerEvents,
): Server {
  const { handler, driver } = module
  const events = eventsOf(module, observer, () => server)
  const all = { ...options, ...module.options, ...events }
  const server: Server =
    handler === undefined && driver === undefined
      ? new Server(multi, { ...all, ...strategyOf(module, () => server) } as ServerOptions)
      : new HttpServer(multi, { ...all, ...(driver === undefined ? { handler } : { driver }) } as HttpServerOptions)
  return server
}

function strategyOf(module: ServerModule, server: () => Server): { strategy?: Strategy } {
  const { session, blocking, concurrency } = module
  if (blocking !== undefined) {
    const run = async (connection: Connection): Promise<unknown> => {
      // What the loop was about to do comes first: the answer to whoever handed the connection over.
      await new Promise(setImmediate)
      return module.blocking?.(connection, server())
    }
    // One after the other: a second one would only see its deadlines pass.
    return { strategy: { session: run, concurrency: { max: 1, queue: BLOCKED_MAX } } }
  }
  if (session !== undefined) {
    const bounds = concurrency === undefined ? {} : { concurrency }
    return { strategy: { session: (connection) => module.session?.(connection, server()), ...bounds } }
  }
  if (module.readable === undefined) return {}
  return { strategy: { callback: (connection) => module.readable?.(connection, server()) } }
}

/** The module first. What it throws is its own: nobody else is disturbed, and `onError` hears of it. */
function eventsOf(module: ServerModule, observer: ServerEvents, server: () => Server): ServerEvents {
  const writable = (connection: Connection): void => module.writable?.(connection, server())
  const events: ServerEvents = {
    onStart: () => module.start?.(server()),
    onStop: () => module.stop?.(server()),
    onIdle: () => {
      module.idle?.(server())
      observer.onIdle?.()
    },
    onError: (error, context) => {
      observer.onError?.(error, context)
      module.error?.(error, context, server())
    },
    onState: observer.onState ?? null,
  }
  if (module.accept) events.onAccept = (connection) => module.accept?.(connection, server())
  if (module.timeout) events.onTimeout = (connection) => module.timeout?.(connection, server())
  if (module.connect || module.writable || observer.onConnect) {
    events.onConnect = (connection) => {
      if (module.writable) connection.onWritable = writable
      observer.onConnect?.(connection)
      module.connect?.(connection, server())
    }
  }
  if (module.disconnect || module.cancel || observer.onDisconnect) {
    events.onDisconnect = (connection, reason, error) => {
      observer.onDisconnect?.(connection, reason, error)
      if (OURS.includes(reason)) module.cancel?.(connection, reason, server())
      module.disconnect?.(connection, reason, error, server())
    }
  }
  if (module.drop || observer.onDrop) {
    events.onDrop = (drop) => {
      observer.onDrop?.(drop)
      module.drop?.(drop, server())
    }
  }
  return events
}

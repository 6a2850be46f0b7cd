/**
 * A server whose connections speak HTTP/1.1: `handler` answers requests, or `driver` in three phases. Listeners, limits
 * of connections, control and events are those of every server.
 */
import type { Multi } from '../../multi/multi.ts'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionMachine } from '../connection/connection-machine.ts'
import type { Driver } from '../connection/driver.ts'
import { panic, report } from '../panic.ts'
import { Server, type ServerKind } from '../server.ts'
import type { ServerEvents } from '../server-events.ts'
import type { ServerBaseOptions } from '../server-options.ts'
import type { Exchange } from './exchange.ts'
import type { Departure } from './http-book.ts'
import { HttpDriver } from './http-driver.ts'
import type { DriverBook } from './http-endings.ts'
import { HTTP_CHECKS, type HttpOptions, type HttpSettings, httpSettings } from './http-options.ts'
import { IdleConnections } from './idle-connections.ts'
import { ReaderPool } from './request/request-input.ts'

export interface HttpServerOptions<Data = unknown> extends Omit<ServerBaseOptions<Data>, 'limits'>, HttpOptions {}

const KIND: ServerKind = { what: 'HttpServer options', checks: HTTP_CHECKS, protocols: ['http/1.1'] }

export class HttpServer<Data = unknown> extends Server<Data> {
  readonly #book: DriverBook

  /** Throws TypeError or RangeError naming the option and the value; opens nothing. */
  constructor(multi: Multi<object>, options: HttpServerOptions<Data>) {
    super(multi, options as ServerBaseOptions<Data>, KIND)
    const settings = httpSettings(options, this.settings.timeouts)
    this.#book = new Book(settings, () => this.departure, options.onError ?? null)
  }

  protected override createDriver(connection: Connection, machine: ConnectionMachine): Driver {
    return new HttpDriver(machine, connection, this.#book)
  }
}

/** A class: an object literal with a getter would be looked up in a dictionary, by every request. */
class Book implements DriverBook {
  readonly settings: HttpSettings
  readonly readers: ReaderPool
  readonly idleConnections: IdleConnections
  #resting: Exchange | null = null
  readonly #departure: () => Departure | null
  readonly #onError: ServerEvents['onError']

  constructor(settings: HttpSettings, departure: () => Departure | null, onError: ServerEvents['onError']) {
    this.settings = settings
    this.readers = new ReaderPool(settings)
    this.idleConnections = new IdleConnections(settings.limits.keptConnections)
    this.#departure = departure
    this.#onError = onError
  }

  resting(make: () => Exchange): Exchange {
    this.#resting ??= make()
    return this.#resting
  }

  get departure(): Departure | null {
    return this.#departure()
  }

  failed(operation: string, error: unknown, connection: Connection): void {
    tell(this.#onError, operation, error, connection)
  }
}

/** The request is answered already, and the connection goes on: somebody should hear of it all the same. */
function tell(onError: ServerEvents['onError'], operation: string, error: unknown, connection: Connection): void {
  if (!onError) {
    report(operation, error)
    return
  }
  try {
    onError(error, { operation, connection, retryInMs: 0, fatal: false })
  } catch (thrown) {
    panic('onError', thrown)
  }
}

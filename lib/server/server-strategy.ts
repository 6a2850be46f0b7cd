/**
 * How a program is given its connections: a function that is called whenever one has something to read, or an async
 * function per connection, a session, of which a bounded number runs at once. Without either, connections come by
 * `onConnect`.
 */
import { type Check, checkOptions, isFunction, isInteger, isObject } from '../base/options.ts'
import { type Connection, machineOf } from './connection.ts'

export interface CallbackStrategy {
  /** There is something to read, or the end of it. */
  readonly callback: (connection: Connection) => void
}

export interface SessionStrategy {
  /** The connection is closed when it returns, and reset when it throws. */
  readonly session: (connection: Connection) => unknown
  readonly concurrency?: {
    /** Sessions at once. Default 1024. */
    readonly max?: number
    /** Connections that wait for one to end, besides. Default 0: they wait in the queue of the kernel. */
    readonly queue?: number
  }
}

export type Strategy = CallbackStrategy | SessionStrategy

const SESSIONS_MAX = 1024
const COUNT_MOST = 2 ** 31 - 1

export const isStrategy: Check = (option, value) => {
  isObject(option, value)
  const isSession = 'session' in (value as object)
  checkOptions(`option ${option}`, value, isSession ? { session: isFunction, concurrency } : { callback: isFunction })
  if (!isSession) isFunction(`${option}.callback`, (value as CallbackStrategy).callback)
}

const concurrency: Check = (option, value) =>
  checkOptions(`option ${option}`, value, { max: isInteger(1, COUNT_MOST), queue: isInteger(0, COUNT_MOST) })

export interface SessionOwner {
  /** A session threw; its connection was reset. */
  sessionFailed(connection: Connection, error: unknown): void
  /** There is room for another connection. */
  sessionEnded(): void
}

/** The sessions that run, and the connections that wait for one. */
export class Sessions {
  readonly #strategy: SessionStrategy
  readonly #owner: SessionOwner
  readonly #max: number
  readonly #queueMax: number
  #running = 0
  #waiting: Connection[] = []

  constructor(strategy: SessionStrategy, owner: SessionOwner) {
    this.#strategy = strategy
    this.#owner = owner
    this.#max = strategy.concurrency?.max ?? SESSIONS_MAX
    this.#queueMax = strategy.concurrency?.queue ?? 0
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** How many sessions may begin or wait, besides those that do. */
  get places(): number {
    return this.#max + this.#queueMax
  }

  /** The connection is open. */
  opened(connection: Connection): void {
    if (this.#running < this.#max) void this.#run(connection)
    else this.#waiting.push(connection)
  }

  /** One that waited has ended. */
  forget(connection: Connection): void {
    const at = this.#waiting.indexOf(connection)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  async #run(connection: Connection): Promise<void> {
    this.#running++
    try {
      await this.#strategy.session(connection)
      if (!machineOf(connection).host.closed) connection.close()
    } catch (error) {
      if (!machineOf(connection).host.closed) connection.abort()
      this.#owner.sessionFailed(connection, error)
    } finally {
      this.#running--
      const next = this.#waiting.shift()
      if (next !== undefined) void this.#run(next)
      this.#owner.sessionEnded()
    }
  }
}

/**
 * The sessions of a server: as many as may run at once, and the connections that wait for one to end. A session that
 * outlives its connection keeps its place until it ends; what waits never keeps a server from stopping.
 */
import { type Connection, standingOf } from './connection/connection.ts'
import type { SessionStrategy } from './server-strategy.ts'

/** More than any program wants to have in its hands at once by accident. */
const SESSIONS_MAX = 1024

export interface SessionOwner {
  /** A session threw; its connection was reset. */
  sessionFailed(connection: Connection, error: unknown): void
  /** There is room for another connection. */
  sessionEnded(): void
}

export class Sessions {
  readonly #strategy: SessionStrategy
  readonly #owner: SessionOwner
  readonly #max: number
  readonly #queueMax: number
  #running = 0
  /** Open, and without a session yet. */
  #waiting: Connection[] = []
  /** Being set up. */
  readonly #expected = new Set<Connection>()

  constructor(strategy: SessionStrategy, owner: SessionOwner) {
    this.#strategy = strategy
    this.#owner = owner
    this.#max = strategy.concurrency?.max ?? SESSIONS_MAX
    this.#queueMax = strategy.concurrency?.queue ?? 0
  }

  /** How many more connections it could take. */
  get room(): number {
    const taken = this.#running + this.#waiting.length + this.#expected.size
    return Math.max(this.#max + this.#queueMax - taken, 0)
  }

  expect(connection: Connection): void {
    this.#expected.add(connection)
  }

  opened(connection: Connection): void {
    this.#expected.delete(connection)
    if (this.#running < this.#max) void this.#run(connection)
    else this.#waiting.push(connection)
  }

  ended(connection: Connection): void {
    if (this.#expected.delete(connection)) return
    const at = this.#waiting.indexOf(connection)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  async #run(connection: Connection): Promise<void> {
    this.#running++
    try {
      await this.#strategy.session(connection)
      connection.close()
    } catch (error) {
      connection.abort()
      this.#owner.sessionFailed(connection, error)
    } finally {
      this.#running--
      if (!standingOf(connection).host.closed) {
        const next = this.#waiting.shift()
        if (next !== undefined) void this.#run(next)
        this.#owner.sessionEnded()
      }
    }
  }
}

/**
 * The typed registry of what hangs on a Multi without the multiplexer knowing it: the connection pool, the name
 * service, later TLS sessions and a server's books. The facility object itself is the key.
 */
import type { Engine } from './engine.ts'

export interface Facility<T> {
  /** Called on first use. */
  create(engine: Engine): T
  /** Called when the Multi closes, after every machine was aborted. */
  close?(value: T): void
}

export class Facilities {
  readonly #values = new Map<Facility<unknown>, unknown>()

  get<T>(facility: Facility<T>, engine: Engine): T {
    let value = this.#values.get(facility as Facility<unknown>) as T | undefined
    if (value === undefined) {
      value = facility.create(engine)
      this.#values.set(facility as Facility<unknown>, value)
    }
    return value
  }

  close(): void {
    for (const [facility, value] of this.#values) facility.close?.(value)
    this.#values.clear()
  }
}

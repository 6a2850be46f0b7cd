/** The typed registry of the facilities of one Multi. */
import type { Facility, Host } from './host.ts'

interface Entry {
  readonly facility: Facility<unknown>
  readonly value: unknown
}

export class Facilities {
  readonly #values: unknown[] = []
  /** In the order of their creation. */
  #entries: Entry[] = []

  get<T>(facility: Facility<T>, host: Host): T {
    return (this.#values[facility.index] as T | undefined) ?? this.#create(facility, host)
  }

  close(): void {
    for (const { facility, value } of this.#entries) facility.close?.(value)
    this.#entries = []
    this.#values.length = 0
  }

  #create<T>(facility: Facility<T>, host: Host): T {
    const value = facility.create(host)
    while (this.#values.length < facility.index) this.#values.push(undefined)
    this.#values[facility.index] = value
    this.#entries.push({ facility: facility as Facility<unknown>, value })
    return value
  }
}

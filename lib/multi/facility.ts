/** The typed registry of the facilities of one Multi. */
import type { Facility, Host } from './host.ts'

export class Facilities {
  readonly #values = new Map<Facility<unknown>, unknown>()

  get<T>(facility: Facility<T>, host: Host): T {
    let value = this.#values.get(facility as Facility<unknown>) as T | undefined
    if (value === undefined) {
      value = facility.create(host)
      this.#values.set(facility as Facility<unknown>, value)
    }
    return value
  }

  close(): void {
    for (const [facility, value] of this.#values) facility.close?.(value)
    this.#values.clear()
  }
}

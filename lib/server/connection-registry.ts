/**
 * The connections of one server: by id, by name, in the order in which they came. Names are unique whatever the case
 * of their letters. What is looked through may change meanwhile.
 */
import { isText, wrongRange } from '../base/options.ts'
import type { Connection } from './connection/connection.ts'

const NAME_LENGTH_MAX = 127

export class ConnectionRegistry {
  readonly #byId = new Map<number, Connection>()
  readonly #byName = new Map<string, Connection>()

  get size(): number {
    return this.#byId.size
  }

  add(connection: Connection): void {
    this.#byId.set(connection.id, connection)
  }

  /** False when it was not here. */
  remove(connection: Connection): boolean {
    if (!this.#byId.delete(connection.id)) return false
    if (connection.name !== '') this.#byName.delete(connection.name.toLowerCase())
    return true
  }

  has(connection: Connection): boolean {
    return this.#byId.get(connection.id) === connection
  }

  /** By id, or by name. */
  find(idOrName: number | string): Connection | null {
    const found = typeof idOrName === 'number' ? this.#byId.get(idOrName) : this.#byName.get(idOrName.toLowerCase())
    return found ?? null
  }

  /** '' takes the name away. Throws a RangeError when another connection has it, or it is too long. */
  rename(connection: Connection, name: string): void {
    isText('name', name)
    if (name.length > NAME_LENGTH_MAX) throw wrongRange('name', `at most ${NAME_LENGTH_MAX} characters`, name)
    const key = name.toLowerCase()
    const holder = this.#byName.get(key)
    if (holder !== undefined && holder !== connection) {
      throw wrongRange('name', 'a name that no other connection of this server has', name)
    }
    if (!this.has(connection)) return
    if (connection.name !== '') this.#byName.delete(connection.name.toLowerCase())
    if (name !== '') this.#byName.set(key, connection)
  }

  /** Oldest first; safe while connections come and go. */
  values(): IterableIterator<Connection> {
    return this.#byId.values()
  }

  /** A copy, for whoever ends them one after the other. */
  all(): Connection[] {
    return [...this.#byId.values()]
  }

  clear(): void {
    this.#byId.clear()
    this.#byName.clear()
  }
}

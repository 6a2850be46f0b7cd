/**
 * Which connections of a server are folded between two requests, so that thousands of idle ones stay small. Up to a
 * number all keep what serves them. Above it one that came for a single request is folded at once, while what it would
 * leave behind is young; one that comes back soon is warm, and is folded when it has been idle for a while. Nothing is
 * armed for that: each connection that comes to rest has a look at two others.
 */
import { Ring } from '../../base/ring.ts'

/** A request within so many ms after the last one: others will follow. */
export const WARM_MS = 1000
const LOOKS_PER_REST = 2

/** The driver of a connection. */
export interface IdleConnection {
  /** It is looked at from time to time. */
  isListed: boolean
  /** It drives its connection no more. */
  readonly isOver: boolean
  /** Nothing of a request is here, and nobody would miss what serves it. */
  mayFold(now: number): boolean
  /** False: it cannot be folded now. */
  foldConnection(): boolean
}

export class IdleConnections {
  /** So many are never folded. */
  readonly #keptMax: number
  /** Those that are not folded. */
  #count = 0
  readonly #listed = new Ring<IdleConnection>()

  constructor(keptMax: number) {
    this.#keptMax = keptMax
  }

  /** A connection was opened, or unfolded. */
  came(): void {
    this.#count++
  }

  /** One that came was folded, has ended, or speaks another protocol. */
  left(): void {
    this.#count--
  }

  /** It is between two requests. Afterwards it may be folded. */
  rest(connection: IdleConnection, now: number): void {
    const listed = this.#listed
    if (this.#count <= this.#keptMax && listed.length === 0) return
    if (!connection.isListed && this.#count > this.#keptMax) this.#list(connection)
    for (let looks = Math.min(LOOKS_PER_REST, listed.length); looks > 0; looks--) {
      const next = listed.shift() as IdleConnection
      next.isListed = false
      if (next.isOver || this.#count <= this.#keptMax) continue
      if (!next.mayFold(now) || !next.foldConnection()) this.#list(next)
    }
  }

  #list(connection: IdleConnection): void {
    connection.isListed = true
    this.#listed.push(connection)
  }
}

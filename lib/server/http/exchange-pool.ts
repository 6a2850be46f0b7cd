/**
 * Which connections of a server have an exchange of their own. Up to a number each keeps the one that it made; above it
 * a connection between two requests gives its own up, so that thousands of idle ones stay small. All that have none
 * share one that is never begun: what asks how far the answer is finds that there is none.
 */
import { Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'

/** Making one anew costs less than a tenth of a microsecond; keeping one, most of a kilobyte. */
const KEPT_MAX = 1024

export class ExchangePool {
  #count = 0
  #resting: Exchange | null = null

  /** The shared one. */
  resting(make: () => Exchange): Exchange {
    this.#resting ??= make()
    return this.#resting
  }

  /** No connection gives its exchange up. */
  get keepsAll(): boolean {
    return this.#count <= KEPT_MAX
  }

  isResting(exchange: Exchange): boolean {
    return exchange === this.#resting
  }

  /** A connection that had none has made this one. */
  made(exchange: Exchange): Exchange {
    this.#count++
    return exchange
  }

  /** Between two requests: what to go on with, which may be the shared one. */
  rest(exchange: Exchange): Exchange {
    if (this.keepsAll || this.#resting === null || exchange === this.#resting) return exchange
    if (exchange.reply.state !== Answer.NONE || exchange.reply.outbox.pending > 0) return exchange
    this.#count--
    return this.#resting
  }

  /** Its connection has ended. */
  closed(exchange: Exchange): void {
    if (exchange !== this.#resting) this.#count--
  }
}

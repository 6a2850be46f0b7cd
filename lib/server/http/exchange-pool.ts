/**
 * Which connections of a server have an exchange of their own. Up to a number each keeps the one that it made; above it
 * a connection between two requests gives its own up, so that thousands of idle ones stay small. All that have none
 * share one that is never begun: what asks how far the answer is finds that there is none.
 */
import { Ring } from '../../base/ring.ts'
import { Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'

/** Making one anew costs less than a tenth of a microsecond; keeping one, most of a kilobyte. */
const KEPT_MAX = 1024

/** The driver of a connection. */
export interface ExchangeHolder {
  exchange: Exchange
  /** Between two requests. */
  readonly isBetween: boolean
  /** And nothing of the last answer is here any more. */
  readonly idle: boolean
}

export class ExchangePool {
  #count = 0
  #resting: Exchange | null = null
  /** Their last answers were put off, all to the same moment. */
  readonly #leaving = new Ring<ExchangeHolder>()

  /** The shared one. */
  resting(make: () => Exchange): Exchange {
    this.#resting ??= make()
    return this.#resting
  }

  isResting(exchange: Exchange): boolean {
    return exchange === this.#resting
  }

  /** A connection that had none has made this one. */
  made(exchange: Exchange): Exchange {
    this.#count++
    return exchange
  }

  /** It is between two requests. */
  rest(holder: ExchangeHolder): void {
    const leaving = this.#leaving
    for (let first = leaving.peek(); first !== undefined && (first.idle || !first.isBetween); first = leaving.peek()) {
      leaving.shift()
      if (first.idle) this.#giveUp(first)
    }
    if (this.#count <= KEPT_MAX) return
    if (holder.idle) this.#giveUp(holder)
    else leaving.push(holder)
  }

  /** Its connection has ended. */
  closed(exchange: Exchange): void {
    if (exchange !== this.#resting) this.#count--
  }

  #giveUp(holder: ExchangeHolder): void {
    const { exchange } = holder
    if (this.#count <= KEPT_MAX || this.#resting === null || exchange === this.#resting) return
    if (exchange.reply.state !== Answer.NONE || exchange.input.reader !== null) return
    this.#count--
    holder.exchange = this.#resting
  }
}

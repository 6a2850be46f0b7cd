/**
 * Nonces of one server: made with their time, what they are bound to and a proof that we made them, so that a nonce
 * which nobody uses costs no memory. For used ones the counters that were seen are kept: the highest, and which of the
 * 31 before it, because the requests of several connections overtake each other.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../../sys/clock.ts'

const PROOF_BYTES = 16
const WINDOW = 32

export type NonceVerdict = 'good' | 'wrong' | 'other' | 'stale'

export interface NonceBookOptions {
  readonly secret: Uint8Array
  readonly clock: Clock
  readonly lifetimeMs: number
  readonly noncesMax: number
}

interface NonceUse {
  highest: number
  /** Bit n: highest - n was seen. */
  seen: number
}

export class NonceBook {
  readonly #options: NonceBookOptions
  /** In the order of their last use. */
  readonly #uses = new Map<string, NonceUse>()
  /** Made at or before it and not in the table: perhaps pushed out, so never good again. */
  #forgottenUpTo = -1
  #last = 0

  constructor(options: NonceBookOptions) {
    this.#options = options
  }

  /** Never the same twice. */
  make(boundTo: string): string {
    // Thousandths of a ms tell apart those of one moment.
    this.#last = Math.max(this.#last + 1, Math.floor(this.#now() * 1000))
    return this.#write(this.#last, boundTo)
  }

  /** Does not use it up. */
  judge(nonce: string, boundTo: string): NonceVerdict {
    const [stamp, binding, proof] = nonce.split('.')
    if (stamp === undefined || binding === undefined || proof === undefined) return 'wrong'
    if (!isSame(proof, this.#prove(`${stamp}.${binding}`))) return 'wrong'
    if (!isSame(binding, this.#bind(boundTo))) return 'other'
    const madeAt = Number.parseInt(stamp, 36)
    if (this.#now() - madeAt / 1000 > this.#options.lifetimeMs) return 'stale'
    return madeAt <= this.#forgottenUpTo && !this.#uses.has(nonce) ? 'stale' : 'good'
  }

  /** Of a good nonce. A counter that was used before, or is too old to tell, is stale. */
  use(nonce: string, count: number): NonceVerdict {
    if (count < 1) return 'wrong'
    const use = this.#uses.get(nonce)
    if (use === undefined) {
      if (this.#uses.size >= this.#options.noncesMax) this.#forgetOldest()
      this.#uses.set(nonce, { highest: count, seen: 1 })
      return 'good'
    }
    this.#uses.delete(nonce)
    this.#uses.set(nonce, use)
    return note(use, count) ? 'good' : 'stale'
  }

  /** By the calendar, which other processes with the same secret have as well. */
  #now(): number {
    const { clock } = this.#options
    return clock.wallTime?.() ?? clock.now()
  }

  #forgetOldest(): void {
    for (const nonce of this.#uses.keys()) {
      this.#uses.delete(nonce)
      this.#forgottenUpTo = Math.max(this.#forgottenUpTo, Number.parseInt(nonce.split('.')[0] as string, 36))
      return
    }
  }

  #write(stamp: number, boundTo: string): string {
    const text = `${stamp.toString(36)}.${this.#bind(boundTo)}`
    return `${text}.${this.#prove(text)}`
  }

  #bind(boundTo: string): string {
    return boundTo === '' ? '0' : this.#prove(`to ${boundTo}`).slice(0, 8)
  }

  #prove(text: string): string {
    const digest = createHmac('sha256', this.#options.secret).update(text).digest()
    return digest.subarray(0, PROOF_BYTES).toString('base64url')
  }
}

/** False when that counter was seen. */
function note(use: NonceUse, count: number): boolean {
  const ahead = count - use.highest
  if (ahead > 0) {
    use.seen = ahead >= WINDOW ? 1 : (use.seen << ahead) | 1
    use.highest = count
    return true
  }
  const bit = -ahead >= WINDOW ? 0 : 1 << -ahead
  if (bit === 0 || (use.seen & bit) !== 0) return false
  use.seen |= bit
  return true
}

function isSame(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one, 'latin1'), Buffer.from(other, 'latin1'))
}

/**
 * A rate of connections that several threads share: one number in memory that all of them see, moved by whoever is
 * first. In microseconds of a clock that is the same in all threads.
 */
import type { Rate, RateMeter } from '../server/admission/accept-rate.ts'
import { threadClockOffset } from '../sys/clock.ts'

const MICROSECONDS = 1000

export class SharedRate implements RateMeter {
  /** The moment at which the bucket would be full again. */
  readonly #fullAt: BigInt64Array
  readonly #offset: number = threadClockOffset()

  constructor(buffer: SharedArrayBuffer, byteOffset: number) {
    this.#fullAt = new BigInt64Array(buffer, byteOffset, 1)
  }

  take(rate: Rate, now: number): boolean {
    for (;;) {
      const before = Atomics.load(this.#fullAt, 0)
      const fullAt = this.#toLocal(before)
      if (fullAt - (rate.burst - 1) * rate.minIntervalMs > now) return false
      const after = this.#toShared(Math.max(fullAt, now) + rate.minIntervalMs)
      if (Atomics.compareExchange(this.#fullAt, 0, before, after) === before) return true
    }
  }

  nextAt(rate: Rate): number {
    return this.#toLocal(Atomics.load(this.#fullAt, 0)) - (rate.burst - 1) * rate.minIntervalMs
  }

  available(rate: Rate, now: number): number {
    const owed = Math.max(this.#toLocal(Atomics.load(this.#fullAt, 0)) - now, 0)
    return Math.max(Math.floor(rate.burst - owed / rate.minIntervalMs), this.nextAt(rate) <= now ? 1 : 0)
  }

  #toLocal(shared: bigint): number {
    return Number(shared) / MICROSECONDS - this.#offset
  }

  #toShared(local: number): bigint {
    return BigInt(Math.ceil((local + this.#offset) * MICROSECONDS))
  }
}

/**
 * Who is here: how many connections, and how many per address prefix. Admission asks for a place and gives it back and
 * knows nothing of where the numbers are, so that threads which share one limit can keep them in shared memory: each
 * verb is one step that either happens or does not.
 */
import { AcceptRate, type RateMeter } from './accept-rate.ts'
import type { PrefixKey } from './address-prefix.ts'

export interface AdmissionCounts {
  readonly connections: number
  readonly rate: RateMeter
  /** Who found it full looks again after so many ms, since somebody else may have left; Infinity: nobody else can. */
  readonly recheckMs: number
  /** One more, unless there are `most` already. */
  enter(most: number): boolean
  leave(): void
  enterPrefix(key: PrefixKey, most: number): boolean
  leavePrefix(key: PrefixKey): void
  ofPrefix(key: PrefixKey): number
}

/** For one thread. */
export class LocalCounts implements AdmissionCounts {
  readonly rate: RateMeter = new AcceptRate()
  readonly recheckMs: number = Number.POSITIVE_INFINITY
  readonly #prefixes = new Map<PrefixKey, number>()
  #connections = 0

  get connections(): number {
    return this.#connections
  }

  enter(most: number): boolean {
    if (this.#connections >= most) return false
    this.#connections++
    return true
  }

  leave(): void {
    this.#connections--
  }

  enterPrefix(key: PrefixKey, most: number): boolean {
    const count = this.ofPrefix(key)
    if (count >= most) return false
    this.#prefixes.set(key, count + 1)
    return true
  }

  leavePrefix(key: PrefixKey): void {
    const count = this.ofPrefix(key)
    if (count > 1) this.#prefixes.set(key, count - 1)
    else this.#prefixes.delete(key)
  }

  ofPrefix(key: PrefixKey): number {
    return this.#prefixes.get(key) ?? 0
  }
}

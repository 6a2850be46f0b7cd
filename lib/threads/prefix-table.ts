/**
 * How many connections each prefix has, in all threads and in each: a hash table of a fixed size in shared memory, with
 * open addressing. Used under a lock by one thread at a time. A prefix is known by 64 bits of a seeded hash.
 */
import type { PrefixKey } from '../server/admission/address-prefix.ts'

// Words of an entry: two of the hash, the total (0: the entry is free), and one per thread.
const HASH_LOW = 0
const HASH_HIGH = 1
const TOTAL = 2
const COUNTS = 3

export class PrefixTable {
  readonly #words: Int32Array
  readonly #first: number
  readonly #capacity: number
  readonly #stride: number
  readonly #slot: number
  readonly #seeds: readonly [number, number]
  /** Of the key that was hashed last. */
  #low = 0
  #high = 0

  static words(capacity: number, slots: number): number {
    return capacity * (COUNTS + slots)
  }

  constructor(
    words: Int32Array,
    first: number,
    capacity: number,
    slots: number,
    slot: number,
    seeds: readonly [number, number],
  ) {
    this.#words = words
    this.#first = first
    this.#capacity = capacity
    this.#stride = COUNTS + slots
    this.#slot = slot
    this.#seeds = seeds
  }

  /** One more of this thread, unless there are `most` in all. False, too, when there is no room for another prefix. */
  enter(key: PrefixKey, most: number): boolean {
    this.#hash(key)
    const at = this.#find()
    if (at < 0) return false
    const words = this.#words
    const total = words[at + TOTAL] as number
    if (total >= most) return false
    words[at + HASH_LOW] = this.#low
    words[at + HASH_HIGH] = this.#high
    words[at + TOTAL] = total + 1
    this.#add(at, this.#slot, 1)
    return true
  }

  leave(key: PrefixKey): void {
    this.#hash(key)
    const at = this.#find()
    if (at < 0 || this.#words[at + TOTAL] === 0) return
    this.#add(at, this.#slot, -1)
    const total = (this.#words[at + TOTAL] as number) - 1
    this.#words[at + TOTAL] = total
    if (total === 0) this.#closeGap(at)
  }

  count(key: PrefixKey): number {
    this.#hash(key)
    const at = this.#find()
    return at < 0 ? 0 : (this.#words[at + TOTAL] as number)
  }

  /** All that a thread held is given back. It may have ended in the middle of a step, so the table is built anew. */
  reclaim(slot: number): void {
    const words = this.#words
    const entries = new Map<string, Int32Array>()
    for (let index = 0; index < this.#capacity; index++) {
      const at = this.#at(index)
      const entry = words.slice(at, at + this.#stride)
      words.fill(0, at, at + this.#stride)
      // Found twice, it was about to be moved.
      if (entry[TOTAL] !== 0) entries.set(`${entry[HASH_LOW]} ${entry[HASH_HIGH]}`, entry)
    }
    for (const entry of entries.values()) {
      entry[COUNTS + slot] = 0
      entry[TOTAL] = entry.subarray(COUNTS).reduce((sum, count) => sum + count, 0)
      if (entry[TOTAL] === 0) continue
      this.#low = entry[HASH_LOW] as number
      this.#high = entry[HASH_HIGH] as number
      words.set(entry, this.#find())
    }
  }

  /** The entry of the hashed key, or a free one for it; -1 when there is neither. */
  #find(): number {
    const home = this.#home(this.#low)
    for (let step = 0; step < this.#capacity; step++) {
      const at = this.#at((home + step) % this.#capacity)
      if (this.#words[at + TOTAL] === 0) return at
      if (this.#words[at + HASH_LOW] === this.#low && this.#words[at + HASH_HIGH] === this.#high) return at
    }
    return -1
  }

  /** An entry has become free: those behind it move up as far as they belong, or they would not be found. */
  #closeGap(freed: number): void {
    const words = this.#words
    let gap = (freed - this.#first) / this.#stride
    let index = gap
    for (let step = 1; step < this.#capacity; step++) {
      index = (index + 1) % this.#capacity
      const at = this.#at(index)
      if (words[at + TOTAL] === 0) break
      const home = this.#home(words[at + HASH_LOW] as number)
      const distanceToGap = (gap - home + this.#capacity) % this.#capacity
      const distanceHere = (index - home + this.#capacity) % this.#capacity
      if (distanceToGap > distanceHere) continue
      words.copyWithin(this.#at(gap), at, at + this.#stride)
      gap = index
    }
    const at = this.#at(gap)
    words.fill(0, at, at + this.#stride)
  }

  #at(index: number): number {
    return this.#first + index * this.#stride
  }

  #home(low: number): number {
    return (low >>> 0) % this.#capacity
  }

  #add(at: number, slot: number, difference: number): void {
    const word = at + COUNTS + slot
    this.#words[word] = (this.#words[word] as number) + difference
  }

  #hash(key: PrefixKey): void {
    let [low, high] = this.#seeds
    if (typeof key === 'number') {
      low = mix(low ^ (key | 0))
      high = mix(high ^ Math.imul(key | 0, 0x9e3779b1))
    } else {
      for (let index = 0; index < key.length; index++) {
        const code = key.charCodeAt(index) + 1
        low = mix(low ^ code)
        high = mix(Math.imul(high, 31) ^ code)
      }
    }
    this.#low = low
    this.#high = high
  }
}

/** Every bit of the result depends on every bit of the value; no two values have the same. */
function mix(value: number): number {
  let mixed = value
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

/**
 * What one machine waits for: descriptors, each with an interest. Nearly always one, which costs no array; the places
 * of others are written over and never given up, so that asking a machine again and again allocates nothing.
 */
import { Interest } from '../sys/readiness.ts'
import type { InterestSet } from './machine.ts'

export class Wish implements InterestSet {
  /** Places in use. */
  count = 0
  #fd = -1
  #interest: number = Interest.NONE
  /** From the second place on: descriptor and interest in turn. */
  #others: number[] | null = null

  add(fd: number, interest: number): void {
    if (interest === Interest.NONE) return
    const at = this.indexOf(fd)
    if (at >= 0) this.#put(at, fd, this.interestAt(at) | interest)
    else this.#put(this.count++, fd, interest)
  }

  fdAt(index: number): number {
    return index === 0 ? this.#fd : (this.#others?.[2 * index - 2] as number)
  }

  interestAt(index: number): number {
    return index === 0 ? this.#interest : (this.#others?.[2 * index - 1] as number)
  }

  /** -1 when the descriptor is not wished for. */
  indexOf(fd: number): number {
    for (let i = 0; i < this.count; i++) if (this.fdAt(i) === fd) return i
    return -1
  }

  interestIn(fd: number): number {
    const at = this.indexOf(fd)
    return at < 0 ? Interest.NONE : this.interestAt(at)
  }

  clear(): void {
    this.count = 0
  }

  remove(fd: number): void {
    const at = this.indexOf(fd)
    if (at < 0) return
    const last = --this.count
    this.#put(at, this.fdAt(last), this.interestAt(last))
  }

  equals(other: Wish): boolean {
    if (this.count !== other.count) return false
    for (let i = 0; i < this.count; i++) {
      if (this.fdAt(i) !== other.fdAt(i) || this.interestAt(i) !== other.interestAt(i)) return false
    }
    return true
  }

  copyFrom(other: Wish): void {
    for (let i = 0; i < other.count; i++) this.#put(i, other.fdAt(i), other.interestAt(i))
    this.count = other.count
  }

  #put(index: number, fd: number, interest: number): void {
    if (index === 0) {
      this.#fd = fd
      this.#interest = interest
      return
    }
    this.#others ??= []
    this.#others[2 * index - 2] = fd
    this.#others[2 * index - 1] = interest
  }
}

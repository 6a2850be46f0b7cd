/**
 * What one machine waits for: descriptors, each with an interest. Nearly always one. Places are written over and never
 * given up, so that asking a machine again and again allocates nothing.
 */
import { Interest } from '../sys/readiness.ts'
import type { InterestSet } from './machine.ts'

export class Wish implements InterestSet {
  readonly fds: number[] = []
  readonly interests: number[] = []
  /** Places in use. */
  count = 0

  add(fd: number, interest: number): void {
    if (interest === Interest.NONE) return
    const at = this.indexOf(fd)
    if (at >= 0) {
      this.interests[at] = (this.interests[at] as number) | interest
      return
    }
    this.fds[this.count] = fd
    this.interests[this.count++] = interest
  }

  /** -1 when the descriptor is not wished for. */
  indexOf(fd: number): number {
    for (let i = 0; i < this.count; i++) if (this.fds[i] === fd) return i
    return -1
  }

  interestIn(fd: number): number {
    const at = this.indexOf(fd)
    return at < 0 ? Interest.NONE : (this.interests[at] as number)
  }

  clear(): void {
    this.count = 0
  }

  remove(fd: number): void {
    const at = this.indexOf(fd)
    if (at < 0) return
    const last = --this.count
    this.fds[at] = this.fds[last] as number
    this.interests[at] = this.interests[last] as number
  }

  equals(other: Wish): boolean {
    if (this.count !== other.count) return false
    for (let i = 0; i < this.count; i++) {
      if (this.fds[i] !== other.fds[i] || this.interests[i] !== other.interests[i]) return false
    }
    return true
  }

  copyFrom(other: Wish): void {
    for (let i = 0; i < other.count; i++) {
      this.fds[i] = other.fds[i] as number
      this.interests[i] = other.interests[i] as number
    }
    this.count = other.count
  }
}

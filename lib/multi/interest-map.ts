/**
 * Which descriptor is watched for what, on whose behalf. Each machine's wish is diffed against its last one, and
 * `flush` tells the outside only combined interest that changed (invariant 2). Telling is put off to the end of a
 * pass, so that a connection that changes hands within one pass costs nothing; only `forget` speaks at once, because
 * the descriptor is about to be closed (invariant 1). Arrays by descriptor, which is small and reused: no object for
 * each.
 */
import { Batch } from '../base/batch.ts'
import { Interest } from '../sys/readiness.ts'
import type { Task } from './task.ts'
import type { Wish } from './wish.ts'

/** Somebody waits for it, or did when the outside was told last. */
const KNOWN = 1
/** It waits for the next flush. */
const CHANGED = 2

const DESCRIPTORS_FIRST = 64

/** Who hears of changes. */
export interface InterestListener {
  tellSocket(fd: number, interest: number, socketData: unknown, subject: object | null): void
}

export class InterestMap {
  /** Who waits for it: nearly always one. */
  readonly #users: (Task | null)[] = []
  /** Who else does, as for a moment when a connection changes hands: then the array is kept for the next time. */
  readonly #others: (Task[] | null)[] = []
  /** What the outside heard last; NONE while it has not heard of this descriptor. */
  #told = new Uint8Array(DESCRIPTORS_FIRST)
  #marks = new Uint8Array(DESCRIPTORS_FIRST)
  readonly #socketData = new Map<number, unknown>()
  readonly #changed = new Batch<number>()
  readonly #listener: InterestListener
  #size = 0

  constructor(listener: InterestListener) {
    this.#listener = listener
  }

  get size(): number {
    return this.#size
  }

  /** Takes over what a machine now waits for. */
  update(task: Task, wish: Wish): void {
    if (task.equals(wish)) return
    for (let i = 0; i < wish.count; i++) {
      const fd = wish.fdAt(i)
      if (task.interestIn(fd) === Interest.NONE) this.#enter(fd, task)
      this.#touch(fd)
    }
    for (let i = 0; i < task.count; i++) {
      const fd = task.fdAt(i)
      if (!this.#isKnown(fd) || wish.indexOf(fd) >= 0) continue
      this.#leave(fd, task)
      this.#touch(fd)
    }
    task.copyFrom(wish)
  }

  /** Who waits for that descriptor; null when nobody does. */
  userOf(fd: number): Task | null {
    return this.#users[fd] ?? null
  }

  /** Who does besides. */
  othersOf(fd: number): readonly Task[] | null {
    return this.#others[fd] ?? null
  }

  /** Tells every change that is due. The callback may change everything. */
  flush(): void {
    const changed = this.#changed
    for (let i = 0; i < changed.length; i++) {
      const fd = changed.take(i)
      this.#marks[fd] = (this.#marks[fd] as number) & ~CHANGED
      if (!this.#isKnown(fd)) continue
      const interest = this.#interestIn(fd)
      if (interest === Interest.NONE) this.forget(fd)
      else if (interest !== this.#told[fd]) this.#announce(fd, interest)
    }
    changed.begin()
  }

  /** REMOVE, if the outside knows the descriptor; its number may mean another socket from now on. */
  forget(fd: number): void {
    if (!this.#isKnown(fd)) return
    const others = this.#others[fd] ?? null
    const socketData = this.#dataOf(fd)
    const wasTold = this.#told[fd] !== Interest.NONE
    this.#users[fd]?.remove(fd)
    if (others !== null) for (const task of others) task.remove(fd)
    this.#users[fd] = null
    this.#others[fd] = null
    this.#socketData.delete(fd)
    this.#told[fd] = Interest.NONE
    this.#marks[fd] = (this.#marks[fd] as number) & ~KNOWN
    this.#size--
    if (wasTold) this.#listener.tellSocket(fd, Interest.REMOVE, socketData, null)
  }

  /** REMOVE for everything that was announced; the wishes stay. */
  withdraw(): void {
    for (let fd = 0; fd < this.#users.length; fd++) {
      if (this.#told[fd] === Interest.NONE) continue
      this.#told[fd] = Interest.NONE
      this.#listener.tellSocket(fd, Interest.REMOVE, this.#dataOf(fd), null)
    }
  }

  /** As if nobody outside knew anything: everything is announced by the next flush. */
  announceAgain(): void {
    this.#socketData.clear()
    for (let fd = 0; fd < this.#users.length; fd++) {
      if (!this.#isKnown(fd)) continue
      this.#told[fd] = Interest.NONE
      this.#touch(fd)
    }
  }

  /** False when the descriptor is not watched. */
  assign(fd: number, socketData: unknown): boolean {
    if (!this.#isKnown(fd)) return false
    this.#socketData.set(fd, socketData)
    return true
  }

  forEach(visit: (fd: number, interest: number) => void): void {
    for (let fd = 0; fd < this.#users.length; fd++) {
      const interest = this.#interestIn(fd)
      if (interest !== Interest.NONE) visit(fd, interest)
    }
  }

  #isKnown(fd: number): boolean {
    return fd < this.#users.length && ((this.#marks[fd] as number) & KNOWN) !== 0
  }

  #dataOf(fd: number): unknown {
    return this.#socketData.size === 0 ? undefined : this.#socketData.get(fd)
  }

  /** Of all who wait. */
  #interestIn(fd: number): number {
    let interest = this.#users[fd]?.interestIn(fd) ?? Interest.NONE
    const others = this.#others[fd] ?? null
    if (others !== null) for (let i = 0; i < others.length; i++) interest |= (others[i] as Task).interestIn(fd)
    return interest
  }

  #enter(fd: number, task: Task): void {
    this.#reach(fd)
    if (!this.#isKnown(fd)) {
      this.#marks[fd] = (this.#marks[fd] as number) | KNOWN
      this.#size++
    }
    if (this.#users[fd] === null) {
      this.#users[fd] = task
      return
    }
    const others = this.#others[fd] ?? null
    if (others === null) this.#others[fd] = [task]
    else others.push(task)
  }

  #leave(fd: number, task: Task): void {
    const others = this.#others[fd] ?? null
    const last = others?.pop() ?? null
    if (this.#users[fd] === task) this.#users[fd] = last
    else if (others !== null && last !== null && last !== task) others[others.indexOf(task)] = last
  }

  /** A dense array keeps look-up by descriptor a plain load. */
  #reach(fd: number): void {
    while (this.#users.length <= fd) {
      this.#users.push(null)
      this.#others.push(null)
    }
    if (fd < this.#told.length) return
    this.#told = grown(this.#told, fd)
    this.#marks = grown(this.#marks, fd)
  }

  #touch(fd: number): void {
    const marks = this.#marks[fd] as number
    if ((marks & CHANGED) !== 0) return
    this.#marks[fd] = marks | CHANGED
    this.#changed.push(fd)
  }

  #announce(fd: number, interest: number): void {
    this.#told[fd] = interest
    this.#listener.tellSocket(fd, interest, this.#dataOf(fd), this.#users[fd]?.machine.subject ?? null)
  }
}

function grown(array: Uint8Array<ArrayBuffer>, fd: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(fd + 1, array.length * 2))
  larger.set(array)
  return larger
}

/**
 * Which descriptor is watched for what, on whose behalf. Each machine's wish is diffed against its last one, and
 * `flush` tells the outside only combined interest that changed (invariant 2). Telling is put off to the end of a
 * pass, so that a connection that changes hands within one pass costs nothing; only `forget` speaks at once, because
 * the descriptor is about to be closed (invariant 1).
 */
import { Batch } from '../base/batch.ts'
import { Interest } from '../sys/readiness.ts'
import type { Task } from './task.ts'
import type { Wish } from './wish.ts'

/** One descriptor that somebody waits for. */
class Watch {
  readonly fd: number
  /** Who waits for it: nearly always one. */
  user: Task | null = null
  others: Task[] | null = null
  /** What the outside heard last; NONE while it has not heard of this descriptor. */
  told: number = Interest.NONE
  changed = false
  socketData: unknown = undefined

  constructor(fd: number) {
    this.fd = fd
  }

  enter(task: Task): void {
    if (this.user === null) this.user = task
    else {
      this.others ??= []
      this.others.push(task)
    }
  }

  leave(task: Task): void {
    if (this.user === task) this.user = this.others?.shift() ?? null
    else this.others?.splice(this.others.indexOf(task), 1)
  }

  /** Of all who wait. */
  get interest(): number {
    let interest = this.user?.wish.interestIn(this.fd) ?? Interest.NONE
    if (this.others !== null) for (const task of this.others) interest |= task.wish.interestIn(this.fd)
    return interest
  }
}

/** The machines on one descriptor. */
export interface Waiters {
  readonly user: Task | null
  readonly others: readonly Task[] | null
}

/** Who hears of changes. */
export interface InterestListener {
  tellSocket(fd: number, interest: number, socketData: unknown, subject: object | null): void
}

export class InterestMap {
  readonly #watches: (Watch | undefined)[] = []
  readonly #changed = new Batch<Watch>()
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
    const last = task.wish
    if (last.equals(wish)) return
    for (let i = 0; i < wish.count; i++) {
      const fd = wish.fdAt(i)
      const watch = this.#watches[fd] ?? this.#create(fd)
      if (last.interestIn(fd) === Interest.NONE) watch.enter(task)
      this.#touch(watch)
    }
    for (let i = 0; i < last.count; i++) {
      const fd = last.fdAt(i)
      const watch = this.#watches[fd]
      if (watch === undefined || wish.indexOf(fd) >= 0) continue
      watch.leave(task)
      this.#touch(watch)
    }
    last.copyFrom(wish)
  }

  /** Who waits for that descriptor; undefined when nobody does. */
  find(fd: number): Waiters | undefined {
    return this.#watches[fd]
  }

  /**
   * Tells every change that is due. After each call the watch is looked up again: the callback may have changed all.
   */
  flush(): void {
    const changed = this.#changed
    for (let i = 0; i < changed.length; i++) {
      const watch = changed.take(i)
      watch.changed = false
      if (this.#watches[watch.fd] !== watch) continue
      const interest = watch.interest
      if (interest === Interest.NONE) this.forget(watch.fd)
      else if (interest !== watch.told) this.#announce(watch, interest)
    }
    changed.begin()
  }

  /** REMOVE, if the outside knows the descriptor; its number may mean another socket from now on. */
  forget(fd: number): void {
    const watch = this.#watches[fd]
    if (watch === undefined) return
    this.#watches[fd] = undefined
    this.#size--
    watch.user?.wish.remove(fd)
    if (watch.others !== null) for (const task of watch.others) task.wish.remove(fd)
    if (watch.told === Interest.NONE) return
    watch.told = Interest.NONE
    this.#listener.tellSocket(fd, Interest.REMOVE, watch.socketData, null)
  }

  /** REMOVE for everything that was announced; the wishes stay. */
  withdraw(): void {
    for (const watch of this.#watches) {
      if (watch === undefined || watch.told === Interest.NONE) continue
      watch.told = Interest.NONE
      this.#listener.tellSocket(watch.fd, Interest.REMOVE, watch.socketData, null)
    }
  }

  /** As if nobody outside knew anything: everything is announced by the next flush. */
  announceAgain(): void {
    for (const watch of this.#watches) {
      if (watch === undefined) continue
      watch.told = Interest.NONE
      watch.socketData = undefined
      this.#touch(watch)
    }
  }

  /** False when the descriptor is not watched. */
  assign(fd: number, socketData: unknown): boolean {
    const watch = this.#watches[fd]
    if (watch === undefined) return false
    watch.socketData = socketData
    return true
  }

  forEach(visit: (fd: number, interest: number) => void): void {
    for (const watch of this.#watches) if (watch !== undefined && watch.interest !== 0) visit(watch.fd, watch.interest)
  }

  #create(fd: number): Watch {
    const watch = new Watch(fd)
    // A dense array keeps look-up by descriptor a plain load; descriptors are small and reused.
    while (this.#watches.length < fd) this.#watches.push(undefined)
    this.#watches[fd] = watch
    this.#size++
    return watch
  }

  #touch(watch: Watch): void {
    if (watch.changed) return
    watch.changed = true
    this.#changed.push(watch)
  }

  #announce(watch: Watch, interest: number): void {
    watch.told = interest
    this.#listener.tellSocket(watch.fd, interest, watch.socketData, watch.user?.machine.subject ?? null)
  }
}

/**
 * Machines that wait for a slot, in the order they came. One slot freed wakes one of them. Leaving early (a timeout, a
 * removal) is O(1): the place stays behind as a husk and is skipped, so ten thousand waiters cost linear work in all.
 */
import { Ring } from '../base/ring.ts'
import type { Task } from './task.ts'

interface Place {
  task: Task | null
  readonly ticket: number
}

/** Tickets are drawn from one source per engine, so that queues can be compared: who has waited longest? */
export class TicketSource {
  #last = 0
  next(): number {
    return ++this.#last
  }
}

export class PendingQueue {
  readonly #places = new Ring<Place>()
  readonly #byTask = new Map<Task, Place>()
  readonly #tickets: TicketSource

  constructor(tickets: TicketSource) {
    this.#tickets = tickets
  }

  get length(): number {
    return this.#byTask.size
  }

  has(task: Task): boolean {
    return this.#byTask.has(task)
  }

  push(task: Task): void {
    const place: Place = { task, ticket: this.#tickets.next() }
    this.#places.push(place)
    this.#byTask.set(task, place)
  }

  /** False when it was not waiting here. */
  remove(task: Task): boolean {
    const place = this.#byTask.get(task)
    if (place === undefined) return false
    place.task = null
    this.#byTask.delete(task)
    return true
  }

  /** The ticket of the one that has waited longest, Infinity when nobody waits. */
  get firstTicket(): number {
    this.#dropHusks()
    return this.#places.peek()?.ticket ?? Number.POSITIVE_INFINITY
  }

  shift(): Task | undefined {
    this.#dropHusks()
    const task = this.#places.shift()?.task ?? undefined
    if (task !== undefined) this.#byTask.delete(task)
    return task
  }

  #dropHusks(): void {
    while (this.#places.peek()?.task === null) this.#places.shift()
  }
}

/**
 * Virtual time and everything that is going to happen in it. Two queues: `schedule` is for the network (its events may
 * run inside any system call), `plan` is for the harness (its actions run between two steps of a loop, never under the
 * library's feet). The trace names what happened; its hash covers all of it, the array keeps the latest lines.
 */
import { Random } from './random.ts'

export interface Happening {
  readonly at: number
  cancelled: boolean
}

class Entry implements Happening {
  readonly at: number
  readonly order: number
  readonly action: () => void
  cancelled = false

  constructor(at: number, order: number, action: () => void) {
    this.at = at
    this.order = order
    this.action = action
  }
}

/** Binary heap by time, then by order of scheduling. */
class Agenda {
  readonly #heap: Entry[] = []

  add(entry: Entry): void {
    const heap = this.#heap
    let index = heap.push(entry) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#before(entry, heap[parent] as Entry)) break
      heap[index] = heap[parent] as Entry
      index = parent
    }
    heap[index] = entry
  }

  get first(): Entry | null {
    while (this.#heap[0]?.cancelled) this.take()
    return this.#heap[0] ?? null
  }

  take(): Entry | null {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined) return null
    if (heap.length > 0) this.#sink(last)
    return top
  }

  #sink(entry: Entry): void {
    const heap = this.#heap
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#before(heap[child + 1] as Entry, heap[child] as Entry)) child++
      if (!this.#before(heap[child] as Entry, entry)) break
      heap[index] = heap[child] as Entry
      index = child
    }
    heap[index] = entry
  }

  #before(a: Entry, b: Entry): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }
}

/** Events at one instant before the network itself is taken to be stuck. */
const EVENTS_PER_INSTANT = 1_000_000
const TRACE_LINES = 4000

/** Thrown when a wait without an end has nothing left to wait for: the run is dead. */
export class NothingWillHappen extends Error {}

export class World {
  readonly random: Random
  readonly trace: string[] = []
  /** Events run so far: a measure of progress. */
  eventsRun = 0
  #now: number
  #order = 0
  #hash = 0x811c9dc5
  #running = false
  readonly #network = new Agenda()
  readonly #plans = new Agenda()

  constructor(seed: number, startMs = 1000.25) {
    this.random = new Random(seed)
    this.#now = startMs
  }

  get now(): number {
    return this.#now
  }

  schedule(at: number, action: () => void): Happening {
    return this.#enter(this.#network, at, action)
  }

  after(delayMs: number, action: () => void): Happening {
    return this.#enter(this.#network, this.#now + delayMs, action)
  }

  /** For the harness: runs in `runPlans`, between two steps of a loop. */
  plan(at: number, action: () => void): Happening {
    return this.#enter(this.#plans, at, action)
  }

  #enter(agenda: Agenda, at: number, action: () => void): Happening {
    const entry = new Entry(Math.max(at, this.#now), this.#order++, action)
    agenda.add(entry)
    return entry
  }

  /** When the next network event is due; Infinity when none is scheduled. */
  get nextEventAt(): number {
    return this.#network.first?.at ?? Number.POSITIVE_INFINITY
  }

  get nextPlanAt(): number {
    return this.#plans.first?.at ?? Number.POSITIVE_INFINITY
  }

  /** Runs what is due, in order, and moves time; events see the time they were scheduled for. */
  advanceTo(time: number): void {
    this.runDue(time)
    if (time > this.#now) this.#now = time
  }

  /** Time passes without anybody looking: what was due in between happens late. */
  jump(deltaMs: number): void {
    this.#now += deltaMs
    this.record(`jump ${deltaMs}`)
  }

  runDue(until: number = this.#now): void {
    if (this.#running) return
    this.#running = true
    try {
      for (let count = 0; ; count++) {
        const entry = this.#network.first
        if (entry === null || entry.at > until) return
        if (count > EVENTS_PER_INSTANT) throw new Error('world: too many events in one advance')
        this.#network.take()
        if (entry.at > this.#now) this.#now = entry.at
        this.eventsRun++
        entry.action()
      }
    } finally {
      this.#running = false
    }
  }

  /** Harness actions that are due. Never called from inside a wait. */
  runPlans(): number {
    let count = 0
    for (;;) {
      const entry = this.#plans.first
      if (entry === null || entry.at > this.#now) return count
      this.#plans.take()
      count++
      entry.action()
    }
  }

  /**
   * Waits until `isReady` holds, a plan is due, or the deadline (Infinity: for ever) has come. True when ready.
   */
  waitUntil(isReady: () => boolean, deadline: number): boolean {
    for (;;) {
      this.runDue()
      if (isReady()) return true
      if (this.nextPlanAt <= this.#now) return false
      const next = Math.min(this.nextEventAt, this.nextPlanAt)
      if (next >= deadline && deadline !== Number.POSITIVE_INFINITY) {
        this.advanceTo(deadline)
        return isReady()
      }
      if (next === Number.POSITIVE_INFINITY) throw new NothingWillHappen('waits for ever, and nothing will ever happen')
      this.advanceTo(next)
    }
  }

  record(line: string): void {
    const stamped = `${this.#now.toFixed(3)} ${line}`
    let hash = this.#hash
    for (let i = 0; i < stamped.length; i++) hash = Math.imul(hash ^ stamped.charCodeAt(i), 0x01000193)
    this.#hash = hash
    if (this.trace.length >= TRACE_LINES) this.trace.splice(0, TRACE_LINES >> 1)
    this.trace.push(stamped)
  }

  /** Of every line ever recorded. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }
}

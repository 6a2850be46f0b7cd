/**
 * The threads of a group: each has a place, and a thread that ends by itself is replaced in its place, at once or, when
 * it did not last, after a pause that grows. Nobody is started while the gate is shut. What a thread does is not known
 * here.
 */

import type { StopReport } from '../server/server-control.ts'
import { ServerError } from '../server/server-error.ts'
import { systemClock } from '../sys/clock.ts'
import { GroupMember, type LeaveTerms, type MemberPlace } from './group-member.ts'
import type { WorkerChange } from './group-options.ts'
import { ServerThread, type ThreadOwner, type ThreadTiming, type ThreadWorkerOptions } from './server-thread.ts'
import { ThreadSignals } from './thread-signals.ts'
import type { ThreadEvents, ThreadPlan } from './thread-verbs.ts'

export interface CrewOwner {
  /** With what a thread in that place begins. */
  plan(place: MemberPlace): ThreadPlan
  /** It has just started: what has changed since the plan was made. */
  prepare(member: GroupMember): Promise<void>
  told<Event extends keyof ThreadEvents>(member: GroupMember, event: Event, args: Parameters<ThreadEvents[Event]>): void
  /** Its places are to be given back. */
  ended(place: MemberPlace): void
  changed(change: Omit<WorkerChange, 'threadId'>, member: GroupMember | null): void
}

/** A thread that lasted so long is not at fault for the one before. */
const SOUND_MS = 10_000
const PAUSE_MS_FIRST = 100
const PAUSE_MS_MOST = 10_000

export class Crew {
  readonly #owner: CrewOwner
  readonly #timing: ThreadTiming
  readonly #options: ThreadWorkerOptions
  #places: (GroupMember | null)[] = []
  readonly #leaving = new Set<GroupMember>()
  readonly #starting = new Set<Promise<unknown>>()
  readonly #failures: number[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #freeSlots: number[] = []
  readonly #held = new Set<MemberPlace>()
  #lastSerial = 0
  #lastSlot = 0
  #gate: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(owner: CrewOwner, timing: ThreadTiming, options: ThreadWorkerOptions) {
    this.#owner = owner
    this.#timing = timing
    this.#options = options
  }

  /** null: nobody has that place at present. */
  get places(): readonly (GroupMember | null)[] {
    return this.#places
  }

  get serving(): GroupMember[] {
    return this.#places.filter((member) => member?.isServing === true) as GroupMember[]
  }

  /** Those that take leave included. */
  get all(): GroupMember[] {
    return [...this.#leaving, ...(this.#places.filter((member) => member !== null) as GroupMember[])]
  }

  get startingCount(): number {
    return this.#starting.size
  }

  find(serial: number): GroupMember | undefined {
    return this.all.find(({ place }) => place.serial === serial)
  }

  /** Threads in so many places more. Rejects when one cannot start; those that could have ended again then. */
  async begin(count: number): Promise<void> {
    const first = this.#places.length
    for (let index = first; index < first + count; index++) this.#places.push(null)
    const begun = Array.from({ length: count }, (_, index) => this.#occupy(first + index))
    const failed = (await Promise.allSettled(begun)).find((result) => result.status === 'rejected')
    if (failed === undefined) return
    const members = this.#places.splice(first, count)
    await Promise.all(
      members.map((member) => member && this.#end(member, { graceMs: 0, reset: true, keepsQueues: true })),
    )
    throw failed.reason
  }

  /** The new one serves before the old one is asked to leave. Rejects when it cannot, and the old one goes on. */
  async replace(index: number, terms: LeaveTerms): Promise<StopReport | null> {
    const before = this.#places[index] ?? null
    await this.#occupy(index)
    return before === null ? null : this.#end(before, terms)
  }

  /** The last one, without a replacement. */
  async shrink(terms: LeaveTerms): Promise<void> {
    const member = this.#places.pop()
    if (member) await this.#end(member, terms)
  }

  /** In the middle of whatever it does; it is replaced. */
  async kill(member: GroupMember, why: string): Promise<void> {
    if (member.isLeaving) return
    member.isLeaving = true
    await member.thread.terminate()
    this.#died(member, new ServerError('GONE', why))
  }

  /** All of them, for good. */
  async close(terms: LeaveTerms): Promise<StopReport[]> {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    const reports = await Promise.all(this.all.map((member) => this.#end(member, terms)))
    await Promise.allSettled(this.#starting)
    return reports
  }

  /** Nobody is started from now on, until what it returns is called. */
  shut(): () => void {
    let open!: () => void
    this.#gate = new Promise((resolve) => {
      open = resolve
    })
    return open
  }

  /** Resolves when nobody is starting any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#starting)
  }

  async #occupy(index: number): Promise<void> {
    await this.#gate
    if (this.#isClosed) throw new ServerError('GONE', 'the group has ended')
    const starting = this.#start(index)
    this.#starting.add(starting)
    try {
      await starting
    } finally {
      this.#starting.delete(starting)
    }
  }

  async #start(index: number): Promise<void> {
    const place: MemberPlace = {
      index,
      serial: ++this.#lastSerial,
      slot: this.#freeSlots.pop() ?? ++this.#lastSlot,
      signals: new ThreadSignals(),
    }
    this.#held.add(place)
    let member: GroupMember | null = null
    const owner: ThreadOwner = {
      told: (_thread, event, args) => {
        if (member !== null) this.#owner.told(member, event, args)
      },
      died: (_thread, error) => {
        if (member !== null) this.#died(member, error)
      },
    }
    try {
      const { thread } = await ServerThread.start(this.#owner.plan(place), owner, this.#timing, this.#options)
      member = new GroupMember(place, thread, systemClock.now())
      await this.#owner.prepare(member)
    } catch (error) {
      await member?.thread.terminate()
      this.#giveBack(place)
      throw error
    }
    const before = this.#places[index] ?? null
    if (before !== null) this.#leaving.add(before)
    this.#places[index] = member
    this.#owner.changed({ worker: index, kind: 'started', error: null, retryInMs: 0 }, member)
    if (this.#isClosed) await this.#end(member, { graceMs: 0, reset: false, keepsQueues: true })
  }

  async #end(member: GroupMember, terms: LeaveTerms): Promise<StopReport> {
    this.#leaving.add(member)
    if (this.#places[member.index] === member) this.#places[member.index] = null
    const report = await member.leave(terms)
    if (this.#leaving.delete(member)) {
      this.#giveBack(member.place)
      this.#owner.changed({ worker: member.index, kind: 'retired', error: null, retryInMs: 0 }, member)
    }
    return report
  }

  #died(member: GroupMember, error: Error): void {
    const { index } = member
    this.#giveBack(member.place)
    if (this.#leaving.delete(member) || this.#places[index] !== member) return
    this.#places[index] = null
    const isSound = systemClock.now() - member.startedAt >= SOUND_MS
    const retryInMs = this.#plan(index, isSound)
    this.#owner.changed({ worker: index, kind: 'crashed', error, retryInMs }, member)
  }

  /** When the place is taken again. */
  #plan(index: number, isSound: boolean): number {
    if (this.#isClosed || index >= this.#places.length) return 0
    const failures = isSound ? 0 : (this.#failures[index] ?? 0)
    this.#failures[index] = failures + 1
    const retryInMs = failures === 0 ? 0 : Math.min(PAUSE_MS_FIRST * 2 ** (failures - 1), PAUSE_MS_MOST)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void this.#restore(index)
    }, retryInMs)
    this.#timers.add(timer)
    return retryInMs
  }

  async #restore(index: number): Promise<void> {
    if (this.#isClosed || this.#places[index] !== null) return
    try {
      await this.#occupy(index)
    } catch (error) {
      if (this.#isClosed) return
      const retryInMs = this.#plan(index, false)
      this.#owner.changed({ worker: index, kind: 'failed', error: error as Error, retryInMs }, null)
    }
  }

  /** Once, whichever way it ended. */
  #giveBack(place: MemberPlace): void {
    if (!this.#held.delete(place)) return
    this.#owner.ended(place)
    this.#freeSlots.push(place.slot)
  }
}

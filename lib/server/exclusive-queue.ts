/**
 * Sections that run one after the other, in the order in which they were asked for. Each begins once the engine has
 * been left, and may take as long as its promise; who has waited too long for its turn is told so.
 */
import type { Host } from '../multi/host.ts'
import { type Settleable, settlementDesk } from '../multi/settlement.ts'
import { ServerError } from './server-error.ts'

class Section implements Settleable {
  readonly deadline: number
  readonly #queue: ExclusiveQueue
  readonly #section: () => unknown
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  #isLate = false

  constructor(
    queue: ExclusiveQueue,
    deadline: number,
    section: () => unknown,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#queue = queue
    this.deadline = deadline
    this.#section = section
    this.#resolve = resolve
    this.#reject = reject
  }

  giveUp(): void {
    this.#isLate = true
  }

  settle(): void {
    if (this.#isLate) {
      this.#reject(new ServerError('TIMEOUT', 'exclusive: others were in their sections all the time'))
      return
    }
    void this.#run()
  }

  async #run(): Promise<void> {
    try {
      this.#resolve(await this.#section())
    } catch (error) {
      this.#reject(error)
    } finally {
      this.#queue.next()
    }
  }
}

export class ExclusiveQueue {
  readonly #host: Host
  /** The earliest deadline of those who wait moved; or somebody went in or out. */
  readonly #changed: () => void
  #waiting: Section[] = []
  #isTaken = false

  constructor(host: Host, changed: () => void) {
    this.#host = host
    this.#changed = changed
  }

  get isTaken(): boolean {
    return this.#isTaken
  }

  get deadline(): number {
    let deadline = Number.POSITIVE_INFINITY
    for (const section of this.#waiting) deadline = Math.min(deadline, section.deadline)
    return deadline
  }

  enter<T>(section: () => T | PromiseLike<T>, deadline: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(new Section(this, deadline, section, resolve as (value: unknown) => void, reject))
      if (!this.#isTaken) this.next()
      else this.#changed()
    })
  }

  /** The one that was in has come out. */
  next(): void {
    const section = this.#waiting.shift()
    this.#isTaken = section !== undefined
    if (section !== undefined) settlementDesk(this.#host).push(section)
    this.#changed()
  }

  expire(now: number): void {
    const late = this.#waiting.filter((section) => section.deadline <= now)
    this.#waiting = this.#waiting.filter((section) => section.deadline > now)
    for (const section of late) {
      section.giveUp()
      settlementDesk(this.#host).push(section)
    }
    this.#changed()
  }
}

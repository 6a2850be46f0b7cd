/**
 * One leave-taking of a server, by `drain`, `stop` or `restart`: what its connections come to, and who waits for its
 * end. Later verbs join it and can only make it shorter. Promises are settled once the engine has been left.
 */
import type { Host } from '../multi/host.ts'
import { type Settleable, settlementDesk } from '../multi/settlement.ts'
import type { DrainReport, IdlePolicy } from './server-control.ts'

export class Departure implements Settleable {
  readonly idle: IdlePolicy
  /** Ends with the server listening again. */
  restarts: boolean
  keepsListeners: boolean
  /** Cut by RST. */
  reset = false
  deadline: number
  /** Who ends from now on was cut. */
  isCutting = false
  /** Everybody has left; the closing callbacks run. */
  isClosing = false
  finished = 0
  cut = 0
  readonly #beganAt: number
  #waiters: Waiter[] = []
  #report: DrainReport | null = null
  #error: Error | null = null

  constructor(now: number, deadline: number, idle: IdlePolicy, restarts: boolean, keepsListeners: boolean) {
    this.#beganAt = now
    this.deadline = deadline
    this.idle = idle
    this.restarts = restarts
    this.keepsListeners = keepsListeners
  }

  wait(): Promise<DrainReport> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** It is over; with an error when a restart could not listen again. */
  conclude(host: Host, now: number, error: Error | null = null): void {
    const { finished, cut } = this
    this.#report = { finished, cut, durationMs: now - this.#beganAt, complete: cut === 0 }
    this.#error = error
    settlementDesk(host).push(this)
  }

  settle(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (this.#error !== null) waiter.reject(this.#error)
      else waiter.resolve(this.#report as DrainReport)
    }
  }
}

interface Waiter {
  resolve(report: DrainReport): void
  reject(error: Error): void
}

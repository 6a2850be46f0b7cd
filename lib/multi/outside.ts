/**
 * The user's functions, and the one place that calls them. A socket or timer function that throws or returns -1 leaves
 * a `failure` behind, on which the engine acts once the stack allows. After that only REMOVE is told: what was
 * announced is taken back, nothing new is asked for.
 */
import { Interest } from '../sys/readiness.ts'
import { OutwardTimer } from './outward-timer.ts'

export type SocketFunction = (fd: number, interest: number, socketData: unknown, subject: object | null) => unknown
export type TimerFunction = (timeoutMs: number) => unknown
export type NotifyFunction = (kind: 'message' | 'done') => void
export type ActivityFunction = (active: boolean) => void

export interface OutsideFunctions {
  readonly socketFunction: SocketFunction | null
  readonly timerFunction: TimerFunction | null
  readonly notifyFunction: NotifyFunction | null
  readonly activityFunction: ActivityFunction | null
}

export class Outside {
  socketFunction: SocketFunction | null
  notifyFunction: NotifyFunction | null
  failure: { readonly cause: unknown } | null = null
  /** A function failed: only REMOVE is told. */
  dead = false
  #timerFunction: TimerFunction | null
  #activityFunction: ActivityFunction | null
  readonly #timer = new OutwardTimer()
  #toldActive = false

  constructor(functions: OutsideFunctions) {
    this.socketFunction = functions.socketFunction
    this.notifyFunction = functions.notifyFunction
    this.#timerFunction = functions.timerFunction
    this.#activityFunction = functions.activityFunction
  }

  /** The old function hears that there is no timer; the new one knows nothing yet. */
  setTimerFunction(timerFunction: TimerFunction | null, now: number): void {
    this.tellTimer(Number.POSITIVE_INFINITY, now)
    this.#timerFunction = timerFunction
    this.#timer.forget()
  }

  setActivityFunction(activityFunction: ActivityFunction | null): void {
    this.#activityFunction = activityFunction
    this.#toldActive = false
  }

  /** The outside says that its timer fired. */
  timerFired(): void {
    this.#timer.fired()
  }

  tellSocket(fd: number, interest: number, socketData: unknown, subject: object | null): void {
    if (this.socketFunction === null || (this.dead && interest !== Interest.REMOVE)) return
    try {
      if (this.socketFunction(fd, interest, socketData, subject) !== -1) return
      this.failure ??= { cause: new Error(`socketFunction returned -1 for descriptor ${fd}`) }
    } catch (cause) {
      this.failure ??= { cause }
    }
  }

  /** Only when the deadline moved; true then. */
  tellTimer(deadline: number, now: number): boolean {
    if (this.#timerFunction === null || this.dead) return false
    const timeoutMs = this.#timer.move(deadline, now)
    if (timeoutMs === null) return false
    try {
      if (this.#timerFunction(timeoutMs) === -1) this.failure ??= { cause: new Error('timerFunction returned -1') }
    } catch (cause) {
      this.failure ??= { cause }
    }
    return true
  }

  tellActivity(active: boolean): void {
    if (this.#toldActive === active) return
    this.#toldActive = active
    this.#activityFunction?.(active)
  }

  /** As new: for a Multi that is empty again. */
  revive(): void {
    this.dead = false
    this.#timer.forget()
  }
}

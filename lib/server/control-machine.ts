/**
 * A server's own machine on the Multi: it keeps a loop going while the server is active, and holds the deadlines that
 * belong to no connection. Its owner hears of them, and of the end of the Multi.
 */
import { TimerTable } from '../base/timer-table.ts'
import type { Host } from '../multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'

export const ControlTimer = {
  /** A suspended server goes on. */
  RESUME: 0,
  /** What has not ended by itself is cut. */
  CUT: 1,
  /** The rate lets the next one in. */
  RATE: 2,
  /** The earliest of those who wait for `exclusive`. */
  EXCLUSIVE: 3,
} as const
export type ControlTimer = (typeof ControlTimer)[keyof typeof ControlTimer]
const TIMER_COUNT = 4

export interface ControlOwner {
  expired(timer: ControlTimer, now: number): void
  /** The Multi was closed, or one of its functions failed: all machines are ended. */
  aborted(cause: unknown): void
}

export class ControlMachine implements Machine {
  readonly kind: MachineKind = MachineKind.SERVER
  readonly subject: null = null
  readonly timers: TimerTable = new TimerTable(TIMER_COUNT)
  readonly dormant: boolean = true
  readonly #host: Host
  readonly #owner: ControlOwner
  readonly #task: Task

  constructor(host: Host, owner: ControlOwner) {
    this.#host = host
    this.#owner = owner
    this.#task = host.spawn(this)
  }

  /** Infinity disarms. */
  set(timer: ControlTimer, deadline: number): void {
    if (this.timers.at(timer) === deadline) return
    this.timers.set(timer, deadline)
    this.#host.settle(this.#task)
  }

  /** The server is not active any more. */
  end(): void {
    this.timers.clearAll()
    this.#host.retire(this.#task)
  }

  start(_now: number): void {}

  run(_now: number, _readiness: number): void {}

  expired(timer: number, now: number): void {
    this.#owner.expired(timer as ControlTimer, now)
  }

  interest(_into: InterestSet): void {}

  abort(cause: unknown): void {
    this.#host.retire(this.#task)
    this.#owner.aborted(cause)
  }
}

/**
 * A transfer of the library's own: run on the same Multi as those of its user, who never hears of it. It does not count
 * as running, leaves no message, keeps no loop going, and its connections have a pool to themselves: else whoever waits
 * for it could hold the last slot that it needs.
 */
import type { TransferError } from '../base/errors.ts'
import type { TimerTable } from '../base/timer-table.ts'
import type { Host } from '../multi/host.ts'
import { GUESSED, type InterestSet, type Machine, MachineKind, REPORTED } from '../multi/machine.ts'
import { Attachment, attachment, begin, release } from '../multi/subject.ts'
import { errandPool } from './connection-pool.ts'
import { Flow } from './flow.ts'
import type { TransferCallbacks } from './principal.ts'
import { TransferInfo } from './transfer-info.ts'
import { TransferMachine, type TransferOwner } from './transfer-machine.ts'
import type { TransferSettings } from './transfer-settings.ts'

export class Errand implements Machine, TransferOwner {
  readonly [attachment]: Attachment = new Attachment()
  readonly kind: MachineKind = MachineKind.BACKGROUND
  readonly subject = null
  readonly info: TransferInfo
  readonly flow = new Flow(this[attachment])
  readonly webSocketSession = null
  readonly callbacks: TransferCallbacks
  readonly #host: Host
  readonly #machine: TransferMachine
  readonly #done: (error: TransferError | null, now: number) => void

  /** It begins in the next pass. `done` is called once, unless it is cancelled or the Multi closes before. */
  constructor(
    host: Host,
    settings: TransferSettings,
    callbacks: TransferCallbacks,
    done: (error: TransferError | null, now: number) => void,
  ) {
    this.#host = host
    this.callbacks = callbacks
    this.#done = done
    this.info = new TransferInfo(settings.plan.url.href, settings.plan.method)
    this.#machine = new TransferMachine(host, this, { ...settings, pool: errandPool })
    this[attachment].host = host
    this[attachment].task = host.spawn(this)
  }

  /** Idempotent. */
  cancel(): void {
    const { task } = this[attachment]
    if (task === null) return
    this[attachment].task = null
    this.#machine.abort(new Error('nobody waits for it any more'))
    this.#host.retire(task)
  }

  /** Fails if it is not done by then. */
  endBy(deadline: number): void {
    const { task } = this[attachment]
    if (task === null) return
    this.#machine.endBy(deadline)
    this.#host.settle(task)
  }

  finish(host: Host, error: TransferError | null): void {
    const { task } = this[attachment]
    if (task === null) return
    this[attachment].task = null
    host.retire(task)
    this.#done(error, host.now)
  }

  hold(): void {
    throw new Error('Errand.hold: an errand is no raw transfer')
  }

  [begin](): Machine {
    return this
  }

  [release](): void {}

  get timers(): TimerTable {
    return this.#machine.timers
  }

  start(now: number): void {
    this.#machine.start(now)
  }

  run(now: number, readiness: number): void {
    // A guess is as good as a report: what is under way is looked at in each run of `perform`.
    const isGuess = (readiness & GUESSED) !== 0
    this.#machine.run(now, isGuess ? readiness | REPORTED : readiness)
  }

  expired(timer: number, now: number): void {
    this.#machine.expired(timer, now)
  }

  interest(into: InterestSet): void {
    this.#machine.interest(into)
  }

  get dormant(): boolean {
    return this.#machine.dormant
  }

  abort(cause: unknown): void {
    this.#machine.abort(cause)
  }
}

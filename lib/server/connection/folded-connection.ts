/**
 * What is left of a connection between two requests, once nobody else has use for its machine and its driver: the
 * stream, what was counted, and one integer of the driver's. It has the machine's place in the engine, and whatever
 * happens unfolds it first, so that nothing but memory tells the difference. Thousands of idle connections are folded.
 */
import type { ByteStream } from '../../connection/stream.ts'
import type { Host } from '../../multi/host.ts'
import { type InterestSet, type Machine, MachineKind, REPORTED } from '../../multi/machine.ts'
import type { Task } from '../../multi/task.ts'
import { Interest } from '../../sys/readiness.ts'

/** The public face of the connection, which stays. */
export interface FoldedOwner {
  /** Another machine has the place in the engine when this returns. */
  unfold(): Machine
}

/** What a machine leaves. */
export interface Foldable {
  readonly host: Host
  readonly stream: ByteStream
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly movedAt: number
  readonly level: number
}

export class FoldedConnection implements Machine {
  readonly host: Host
  readonly task: Task
  readonly stream: ByteStream
  readonly subject: FoldedOwner & object
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly movedAt: number
  level: number
  /** What its driver remembers. */
  readonly remembered: number

  constructor(machine: Foldable, owner: FoldedOwner & object, task: Task, remembered: number) {
    this.host = machine.host
    this.task = task
    this.stream = machine.stream
    this.subject = owner
    this.bytesRead = machine.bytesRead
    this.bytesWritten = machine.bytesWritten
    this.movedAt = machine.movedAt
    this.level = machine.level
    this.remembered = remembered
  }

  // On the prototype: there are thousands of them.
  get kind(): MachineKind {
    return MachineKind.SERVER
  }

  /** What was armed stays so. */
  get timers(): null {
    return null
  }

  get dormant(): boolean {
    return false
  }

  get open(): boolean {
    return true
  }

  get idle(): boolean {
    return true
  }

  get driver(): null {
    return null
  }

  get settingUp(): boolean {
    return false
  }

  get ended(): boolean {
    return false
  }

  endLingering(): boolean {
    return false
  }

  start(_now: number): void {}

  run(now: number, readiness: number): void {
    // Of somebody who does not know what is ready: a look costs less than to unfold.
    if (readiness === REPORTED && this.stream.checkIdle()) return
    this.subject.unfold().run(now, readiness)
  }

  expired(_timer: number, _now: number): void {
    this.subject.unfold()
  }

  interest(into: InterestSet): void {
    this.stream.interest(Interest.READABLE, into)
  }

  abort(cause: unknown): void {
    this.subject.unfold().abort(cause)
  }
}

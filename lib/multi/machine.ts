/**
 * The contract between the multiplexer and everything that runs on it: a transfer, a listener, a connection, an idle
 * pooled connection, the name service. A machine never registers interest or arms a timer: it *has* a state, and after
 * each run the engine asks what that state waits for. `now` is passed in; a machine reads no clock.
 */
import type { TimerTable } from '../base/timer-table.ts'

/** How a machine counts. */
export const MachineKind = {
  /** Counted in `running`, ends with a message. */
  TRANSFER: 0,
  /** Keeps a loop going (a listener, a server's connection) without being counted in `running`. */
  SERVER: 1,
  /** Never keeps a loop going: idle pooled connections, the name service. */
  BACKGROUND: 2,
} as const
export type MachineKind = (typeof MachineKind)[keyof typeof MachineKind]

/**
 * Added to `readiness` when something was reported on a descriptor, whatever it was: the bits may be wrong or missing,
 * so a machine tries whenever this is set. Without it a run has an inner cause, and a read would most likely be in
 * vain.
 */
export const REPORTED = 8
/** Added for background machines when the caller (`perform`) does not know what is ready: worth a look now and then. */
export const GUESSED = 16

/** Filled by a machine with what it waits for; at most one entry per descriptor. Reused: never keep it. */
export interface InterestSet {
  add(fd: number, interest: number): void
}

export interface Machine {
  readonly kind: MachineKind
  /** What `socketFunction` is told as its subject; null for internal machines. */
  readonly subject: object | null
  /** Its deadlines; the engine arms the earliest. null when it has none but what the machine before it left armed. */
  readonly timers: TimerTable | null
  /** Called once, in the first pass after `spawn`. */
  start(now: number): void
  /**
   * Moves as far as it can. `readiness` holds what was reported since the last run (0 when merely marked dirty) and is
   * a hint: a machine tries what its state wants and lets the system call decide. A machine that stopped because its
   * budget was used up marks itself dirty again.
   */
  run(now: number, readiness: number): void
  /** A timer of its table was due; it is disarmed already. `run` follows. */
  expired(timer: number, now: number): void
  /** What the present state waits for. Empty while paused, pending or rate-held. */
  interest(into: InterestSet): void
  /**
   * True when nothing is expected from the outside (paused, pending): for the check that every live machine has a
   * reason to live.
   */
  readonly dormant: boolean
  /** Ends at once: releases its descriptors and calls `engine.retire`. A transfer ends with `cause` as its error. */
  abort(cause: unknown): void
}

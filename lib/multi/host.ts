/**
 * The engine as machines see it: what they may ask for and nothing else. `Engine` implements it; the layers above know
 * this contract only.
 */
import type { TransferError } from '../base/errors.ts'
import type { Clock } from '../sys/clock.ts'
import type { Files } from '../sys/files.ts'
import type { Kernel, RegisteredBuffer } from '../sys/kernel.ts'
import type { Resolver } from '../sys/resolver.ts'
import type { TlsProvider } from '../sys/tls.ts'
import type { Machine } from './machine.ts'
import type { TicketSource } from './pending-queue.ts'
import type { SendBatch } from './send-batch.ts'
import type { Task } from './task.ts'

/**
 * What hangs on a Multi without the multiplexer knowing it: the connection pool, the name service, TLS sessions and a
 * server's books. Each has a number of its own, so that looking one up is a load.
 */
export class Facility<T> {
  static #last = -1
  readonly index: number = ++Facility.#last
  /** Called on first use. */
  readonly create: (host: Host) => T
  /** Called when the Multi closes, after every machine was aborted. */
  readonly close: ((value: T) => void) | null

  constructor(create: (host: Host) => T, close: ((value: T) => void) | null = null) {
    this.create = create
    this.close = close
  }
}

export interface HostLimits {
  readonly maxIdleConnections: number
  readonly maxHostConnections: number
  readonly maxTotalConnections: number
  readonly watchIdleConnections: boolean
}

/** Kept by whoever owns such things; shown in `Multi.stats`. */
export interface HostCounters {
  pending: number
  connections: number
  idleConnections: number
}

export interface Host {
  readonly kernel: Kernel
  /** For the calendar: what machines wait by is `now`. */
  readonly clock: Clock
  readonly files: Files
  /** Created on first use. */
  readonly resolver: Resolver
  /** Throws an Error where there is no TLS, with the reason. */
  openTls(): TlsProvider
  readonly limits: HostLimits
  readonly counters: HostCounters
  readonly tickets: TicketSource
  /** ms, of this entry into the engine. */
  readonly now: number
  /** Borrowed memory for the machine that is running; its contents mean nothing to the next. */
  readonly scratch: RegisteredBuffer
  /** What leaves together; flushed at the end of each pass. */
  readonly sends: SendBatch
  /** The Multi was closed: nobody is told anything any more. */
  readonly closed: boolean
  /** A call of the Multi is on the stack, so this is a callback. */
  readonly isInside: boolean
  /** Throws RECURSIVE_API_CALL inside a callback. */
  refuseInside(name: string): void
  /** Opens and closes an entry of its own, for calls on what belongs to a Multi. */
  enter(name: string): void
  leave(): void
  /** Runs when no callback is on the stack any more (invariant 6). */
  defer(operation: () => void): void
  facility<T>(facility: Facility<T>): T
  /** The machine starts in the next pass. */
  spawn(machine: Machine): Task
  /**
   * Another machine of the same kind goes on in the place of one that gives up, which nothing calls any more. Both wait
   * for the same at this moment; what is armed stays armed.
   */
  replace(task: Task, machine: Machine): void
  /** The machine has ended: its interest and its deadlines are gone, nothing calls it any more. */
  retire(task: Task): void
  markDirty(task: Task): void
  /** Asks the state what it waits for, outside of a run. */
  settle(task: Task): void
  /** The one place that closes descriptors: REMOVE first, if it was announced (invariant 1). */
  closeFd(fd: number, generation: number): void
  /**
   * The descriptor goes to another owner, who may close it at any time: REMOVE at once, if it was announced. The
   * machine that watches it must retire.
   */
  letGoOfFd(fd: number): void
  /** A transfer has ended: its message is queued. */
  complete(subject: object, error: TransferError | null): void
}

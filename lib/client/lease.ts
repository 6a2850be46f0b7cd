/**
 * One transfer's claim on a connection. It is granted an idle connection, or a permit to open one, or it waits; what
 * falls free later is granted to it directly, so that nobody can snatch it in between. Whoever asked must end the claim
 * in exactly one way: `ConnectionPool.giveBack` or `ConnectionPool.cancel`.
 */
import type { Task } from '../multi/task.ts'
import type { ReuseRules } from './connection-settings.ts'
import type { Origin } from './origin.ts'
import type { PooledConnection } from './pooled-connection.ts'

export const LeaseState = {
  NONE: 0,
  WAITING: 1,
  /** May open a connection; it counts already. */
  PERMIT: 2,
  CONNECTION: 3,
} as const
export type LeaseState = (typeof LeaseState)[keyof typeof LeaseState]

export class Lease {
  readonly task: Task
  readonly origin: Origin<PooledConnection>
  /** Wants no connection that was used before. */
  readonly fresh: boolean
  /** Which connections are too old for it. */
  readonly reuse: ReuseRules
  state: LeaseState = LeaseState.NONE
  connection: PooledConnection | null = null

  constructor(task: Task, origin: Origin<PooledConnection>, fresh: boolean, reuse: ReuseRules) {
    this.task = task
    this.origin = origin
    this.fresh = fresh
    this.reuse = reuse
  }
}

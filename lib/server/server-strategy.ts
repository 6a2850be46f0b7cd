/**
 * How a program is given its connections: a function that is called whenever one has something to read, or an async
 * function per connection, a session, of which a bounded number runs at once. Without either, connections come by
 * `onConnect`.
 */
import { type Check, checkOptions, isFunction, isInteger, isObject } from '../base/options.ts'
import type { Connection } from './connection/connection.ts'

export interface CallbackStrategy {
  /** There is something to read, or the end of it. */
  readonly callback: (connection: Connection) => void
}

export interface SessionStrategy {
  /** The connection is closed when it returns, and reset when it throws. */
  readonly session: (connection: Connection) => unknown
  readonly concurrency?: {
    /** Sessions at once. Default 1024. */
    readonly max?: number
    /** Connections that wait for one to end, besides. Default 0: they wait in the queue of the kernel. */
    readonly queue?: number
  }
}

export type Strategy = CallbackStrategy | SessionStrategy

const COUNT_MOST = 2 ** 31 - 1

export const isStrategy: Check = (option, value) => {
  isObject(option, value)
  const isSession = 'session' in (value as object)
  checkOptions(`option ${option}`, value, isSession ? { session: isFunction, concurrency } : { callback: isFunction })
  if (!isSession) isFunction(`${option}.callback`, (value as CallbackStrategy).callback)
}

const concurrency: Check = (option, value) =>
  checkOptions(`option ${option}`, value, { max: isInteger(1, COUNT_MOST), queue: isInteger(0, COUNT_MOST) })

/** What a subject, the process that runs one loop, is told on its stdin and says on its stdout: JSON, a line each. */
export interface Job {
  /** A name of loop-choice.ts. */
  readonly loop: string
  readonly connections: number
  /** From the embedded origin: how many, and where it is. */
  readonly transfers: number
  readonly origin: string
  /** Or these, instead of the embedded origin's. */
  readonly urls: readonly string[] | null
}

export type Report = MissingReport | ProgressReport | TransferReport | LoopReport

/** This machine has no such loop. */
export interface MissingReport {
  readonly kind: 'missing'
  readonly reason: string
}

export interface ProgressReport {
  readonly kind: 'progress'
  readonly done: number
  readonly failed: number
  readonly bytes: number
}

export interface TransferReport {
  readonly kind: 'transfer'
  readonly url: string
  /** 0 when there was no response. */
  readonly status: number
  readonly bytes: number
  readonly elapsedMs: number
  /** null: it went well. */
  readonly failure: Failure | null
}

export interface Failure {
  readonly code: string
  readonly number: number
  readonly message: string
}

export interface LoopReport {
  readonly kind: 'loop'
  readonly loop: string
  readonly name: string
  readonly transfers: number
  readonly failed: number
  readonly firstFailure: string | null
  readonly bytes: number
  readonly elapsedMs: number
  /** From the moment a transfer got its connection to its last byte. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly socketFunctionCalls: number
  readonly timerFunctionCalls: number
  /** Turns of the loop; null where it does not tell. */
  readonly iterations: number | null
  /** Made by the addon, by name; those of Node's loop, libevent and GLib themselves are not seen. */
  readonly systemCalls: Readonly<Record<string, number>>
}

export function sumOf(systemCalls: Readonly<Record<string, number>>): number {
  return Object.values(systemCalls).reduce((sum, count) => sum + count, 0)
}

/**
 * What is left when something went wrong that belongs to nobody: a callback of a server threw and there is no `onError`
 * that could be told, or `onError` threw itself. One handler for the process; the default lets the error surface as an
 * uncaught exception, with the place in words; what concerned one connection only, as a warning. Whatever the handler
 * does, the server goes on.
 */
import { isFunctionOrNull } from '../base/options.ts'

export class PanicError extends Error {
  /** Where it happened: 'onDrop', 'onIdle', … */
  readonly operation: string
  constructor(operation: string, cause: unknown) {
    super(`${operation}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.name = 'PanicError'
    this.operation = operation
  }
}

export type PanicHandler = (error: PanicError) => void

let handler: PanicHandler | null = null

/** Replaces the handler of the process; null: the default. Returns the previous one. */
export function setPanicHandler(panicHandler: PanicHandler | null): PanicHandler | null {
  isFunctionOrNull('panicHandler', panicHandler)
  const previous = handler
  handler = panicHandler
  return previous
}

export function panic(operation: string, cause: unknown): void {
  const error = cause instanceof PanicError ? cause : new PanicError(operation, cause)
  if (handler === null) {
    surface(error)
    return
  }
  try {
    handler(error)
  } catch (thrown) {
    surface(thrown)
  }
}

/**
 * As `panic`, for what was dealt with: the connection was reset, or its request answered 500. Without a handler it is a
 * warning of the process, which goes on.
 */
export function report(operation: string, cause: unknown): void {
  const error = new PanicError(operation, cause)
  if (handler === null) process.emitWarning(error.stack ?? error.message, error.name)
  else panic(operation, error)
}

function surface(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

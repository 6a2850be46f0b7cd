/**
 * What is wrong with a request, as a value to throw: a handler that throws an HttpError answers with its status, and so
 * do the body's own checks. How a request ended, for `onRequestEnd`: libmicrohttpd's six codes and one more.
 */
export class HttpError extends Error {
  /** 400 to 599. */
  readonly status: number
  constructor(status: number, message: string) {
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw new RangeError(`HttpError: status must be a whole number from 400 to 599, not ${String(status)}`)
    }
    super(message)
    this.name = 'HttpError'
    this.status = status
  }
}

const REQUEST_ENDS = [
  /** Answered, and the kernel took all of it. */
  'completed',
  /** The program, or what it answered, failed before the answer was whole. */
  'error',
  /** A deadline passed. */
  'timeout',
  /** The server stopped, or its Multi was closed. */
  'shutdown',
  /** The connection broke, or the peer went away, before the request was whole. */
  'read-error',
  /** The peer went away before it had the whole answer. */
  'client-abort',
  /** The connection speaks another protocol from here on. */
  'upgraded',
] as const
export type RequestEnd = (typeof REQUEST_ENDS)[number]

/** Why `request.signal` aborted, and what reading a body rejects with when its connection is gone. */
export class RequestAbortedError extends Error {
  readonly code: RequestEnd
  constructor(code: RequestEnd, cause: unknown = undefined) {
    super(`the request ended early: ${code}`, cause === undefined ? undefined : { cause })
    this.name = 'AbortError'
    this.code = code
  }
}

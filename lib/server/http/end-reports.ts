/**
 * Tells the program how each request ended. One whose answer is composed has not ended before the kernel took it: until
 * then it waits here.
 */
import type { CloseReason } from '../connection/close-reason.ts'
import type { Connection } from '../connection/connection.ts'
import type { HttpBook } from './http-book.ts'
import type { RequestEnd } from './http-error.ts'
import type { RequestTimings } from './http-options.ts'
import type { HttpRequest } from './request/http-request.ts'
import type { RequestClock } from './request/request-clock.ts'

interface Waiting {
  readonly request: HttpRequest
  readonly startedAt: number
  readonly headAt: number
  readonly answeredAt: number
}

/** How a request ended whose connection did. `isWhole`: all of it had been received. */
export function requestEndOf(reason: CloseReason, isWhole: boolean): RequestEnd {
  switch (reason) {
    case 'timeout':
      return 'timeout'
    case 'shutdown':
      return 'shutdown'
    case 'handed-over':
      return 'upgraded'
    case 'peer':
    case 'error':
      return isWhole ? 'client-abort' : 'read-error'
    default:
      return 'error'
  }
}

export class EndReports {
  readonly #book: HttpBook
  readonly #connection: Connection
  #waiting: Waiting[] = []

  constructor(book: HttpBook, connection: Connection) {
    this.#book = book
    this.#connection = connection
  }

  /** Its answer waits to be sent. */
  add(request: HttpRequest, clock: RequestClock): void {
    const { startedAt, headAt, answeredAt } = clock
    this.#waiting.push({ request, startedAt, headAt, answeredAt })
  }

  /** What waited has ended. */
  flush(code: RequestEnd, now: number): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const { request, ...times } of waiting) this.#call(request, code, { ...times, endedAt: now })
  }

  tell(request: HttpRequest, code: RequestEnd, clock: RequestClock, now: number): void {
    const { startedAt, headAt, answeredAt } = clock
    this.#call(request, code, { startedAt, headAt, answeredAt, endedAt: now })
  }

  #call(request: HttpRequest, code: RequestEnd, timings: RequestTimings): void {
    try {
      this.#book.settings.onRequestEnd?.(request, code, timings)
    } catch (error) {
      this.#book.failed('onRequestEnd', error, this.#connection)
    }
  }
}

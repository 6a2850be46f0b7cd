/** Which failures may pass, and how long to wait for that: the first delay doubled each time, or what a server says. */
import type { DownloadError } from './download-error.ts'

/** Longer than this nobody wants to wait for one more try. */
const DELAY_MS_MAX = 600_000
const TRANSIENT_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])
const TRANSIENT_CODES: ReadonlySet<string> = new Set([
  'COULDNT_RESOLVE_HOST',
  'COULDNT_RESOLVE_PROXY',
  'COULDNT_CONNECT',
  'PARTIAL_FILE',
  'OPERATION_TIMEDOUT',
  'GOT_NOTHING',
  'SEND_ERROR',
  'RECV_ERROR',
])

/** -1: do not try again. `retryAfterMs` is 0 when the server said nothing. */
export function retryDelayMs(
  error: DownloadError,
  status: number,
  failures: number,
  firstDelayMs: number,
  retryAfterMs: number,
): number {
  const isTransient =
    error.code === 'HTTP_RETURNED_ERROR' ? TRANSIENT_STATUSES.has(status) : TRANSIENT_CODES.has(error.code)
  if (!isTransient || retryAfterMs > DELAY_MS_MAX) return -1
  return Math.max(retryAfterMs, Math.min(firstDelayMs * 2 ** (failures - 1), DELAY_MS_MAX))
}

/** Retry-After: seconds, or a date. */
export function readRetryAfter(value: string | undefined, now: number): number {
  if (value === undefined) return 0
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const moment = Date.parse(value)
  return Number.isNaN(moment) ? 0 : Math.max(0, moment - now)
}

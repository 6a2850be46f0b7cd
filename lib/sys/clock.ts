/** Time as the library sees it: monotonic milliseconds with a fraction. Read once per entry into the engine. */
export interface Clock {
  now(): number
  /** What the calendar says, ms since 1970: for dates that are sent. Default: the system's. Never used to wait. */
  wallTime?(): number
}

export const systemClock: Required<Clock> = { now: () => performance.now(), wallTime: () => Date.now() }

/** Add it to what `systemClock` says here, and it is the same in all threads: each counts from its own beginning. */
export function threadClockOffset(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now()
}

/** Time as the library sees it: monotonic milliseconds with a fraction. Read once per entry into the engine. */
export interface Clock {
  now(): number
}

export const systemClock: Clock = { now: () => performance.now() }

/** A server's own loop, until the process that started it is gone. */
import { type Multi, runPollLoop } from 'sockmux'

/** Turns of the loop between two looks at whether the parent lives. */
const TURNS_PER_LOOK = 1000

export function serveUntilOrphaned(multi: Multi): void {
  const parent = process.ppid
  let turns = 0
  runPollLoop(multi, { maxWaitMs: 1000, until: () => ++turns % TURNS_PER_LOOK === 0 && process.ppid !== parent })
}

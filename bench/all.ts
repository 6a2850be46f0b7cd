/** Trials for the report, one after the other; what one leaves behind is on disk before the next begins. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { runTrial, type TrialSize } from './contest.ts'
import { writeReport } from './page.ts'
import { writeResults } from './results.ts'
import { MissingPeerError, type Trial } from './trial.ts'

/** The status of the process: 1 when a trial could not be run for another reason than a missing peer. */
export async function runAll(
  trials: readonly Trial[],
  known: readonly Trial[],
  size: Exclude<TrialSize, 'chosen'>,
  folder: string,
  print: (line: string) => void,
): Promise<number> {
  let failed = 0
  for (const trial of trials) {
    print(`\n== ${trial.name}: ${trial.summary}`)
    const file = join(folder, `${trial.name}.json`)
    // What an earlier run found is no part of this one.
    rmSync(file, { force: true })
    try {
      const result = await runTrial(trial, size === 'whole' ? {} : trial[size], (lines) => {
        for (const line of lines) print(line)
      })
      writeResults(file, { ...result, size })
    } catch (error) {
      if (!(error instanceof MissingPeerError)) failed++
      print(`left out: ${(error as Error).message}`)
    }
  }
  for (const path of writeReport(folder, known)) print(`written: ${path}`)
  return failed === 0 ? 0 : 1
}

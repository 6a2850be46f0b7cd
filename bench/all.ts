/** Every trial, one after the other; what one leaves behind is on disk before the next begins. */
import { join } from 'node:path'
import { runTrial, type TrialSize } from './contest.ts'
import { writeReport } from './page.ts'
import { writeResults } from './results.ts'
import { MissingPeerError, type Trial } from './trial.ts'

/** The status of the process: 1 when a trial could not be run for another reason than a missing peer. */
export async function runAll(
  trials: readonly Trial[],
  size: Exclude<TrialSize, 'chosen'>,
  folder: string,
  print: (line: string) => void,
): Promise<number> {
  let failed = 0
  for (const trial of trials) {
    print(`\n== ${trial.name}: ${trial.summary}`)
    try {
      const result = await runTrial(trial, size === 'whole' ? {} : trial[size], (lines) => {
        for (const line of lines) print(line)
      })
      writeResults(join(folder, `${trial.name}.json`), { ...result, size })
    } catch (error) {
      if (!(error instanceof MissingPeerError)) failed++
      print(`left out: ${(error as Error).message}`)
    }
  }
  for (const path of writeReport(folder, trials)) print(`written: ${path}`)
  return failed === 0 ? 0 : 1
}

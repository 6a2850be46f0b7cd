/** Results as files: one JSON per trial. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../scripts/prebuild.ts'
import type { TrialResult } from './contest.ts'
import type { Spread } from './measure.ts'

/** Where a trial that was run alone leaves its results; git ignores it. */
export function resultsFile(trial: string): string {
  return join(packageRoot(), 'bench', 'results', `${trial}.json`)
}

/** What a run of all trials leaves, and the page that is made of it. */
export function reportFolder(): string {
  return join(packageRoot(), 'bench', 'report')
}

export function writeResults(path: string, results: object): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(results, null, 1)}\n`)
}

/** Those of a folder, by the name of the trial. */
export function readResults(folder: string): Map<string, TrialResult> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
  const results = names.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8'), known) as TrialResult)
  return new Map(results.map((result) => [result.trial, result]))
}

/** What was no number when it was measured is null in JSON: whoever has no spread of it does not know that metric. */
function known(key: string, value: unknown): unknown {
  if (key !== 'spread') return value
  return Object.fromEntries(Object.entries(value as Record<string, Spread>).filter(([, one]) => one.median !== null))
}

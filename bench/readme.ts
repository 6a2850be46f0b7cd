/** The summary of the results in the README, between two marks. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../scripts/prebuild.ts'
import { OUTCOME_COLUMNS, type Outcome, outcomeRow } from './budgets.ts'
import type { TrialResult } from './contest.ts'
import { daysOf } from './machine.ts'

const BEGIN = '<!-- benchmarks: written by `npm run bench -- all` -->'
const END = '<!-- end of benchmarks -->'

/** The path of the README. */
export function writeSummary(results: ReadonlyMap<string, TrialResult>, outcomes: readonly Outcome[]): string {
  const path = join(packageRoot(), 'README.md')
  writeFileSync(path, withSummary(readFileSync(path, 'utf8'), summary(results, outcomes)))
  return path
}

/** Throws when the marks are not there, once each and in order. */
export function withSummary(text: string, block: string): string {
  const [before, rest, ...more] = text.split(BEGIN)
  const [inside, after, ...others] = rest?.split(END) ?? []
  if (inside === undefined || after === undefined || more.length + others.length > 0) {
    throw new Error(`README.md needs ${BEGIN} and ${END}, once each`)
  }
  return `${before}${BEGIN}\n\n${block}\n\n${END}${after}`
}

export function summary(results: ReadonlyMap<string, TrialResult>, outcomes: readonly Outcome[]): string {
  const machine = [...results.values()][0]?.machine
  const rows = [OUTCOME_COLUMNS, OUTCOME_COLUMNS.map((_, index) => (index === 0 ? '---' : '---:')), ...cells(outcomes)]
  const table = rows.map((row) => `| ${row.join(' | ')} |`).join('\n')
  const versions = Object.entries(machine?.versions ?? {}).map(([name, version]) => `${name} ${version}`)
  const where =
    machine === undefined
      ? 'Nothing was measured yet.'
      : [
          `Measured on ${daysOf([...results.values()])}: ${machine.cores} cores of ${machine.cpu}, ${machine.system},`,
          `Node ${machine.node}, sockmux ${machine.sockmux},`,
          `${versions.join(', ')}.`,
        ].join('\n')
  return `![ours as a multiple of the peer, and the budgets](bench/report/budgets.svg)\n\n${table}\n\n${where}`
}

function cells(outcomes: readonly Outcome[]): string[][] {
  return outcomes.map((outcome) => outcomeRow(outcome))
}

/**
 * The benchmarks: `npm run bench -- TRIAL [options]`, all of them with `all`, their page with `report`. Without a
 * trial, or with --help, it says what there is.
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runAll } from './all.ts'
import { runTrial } from './contest.ts'
import { writeReport } from './page.ts'
import { reportFolder, resultsFile, writeResults } from './results.ts'
import { MissingPeerError, type Trial, UsageError } from './trial.ts'
import { TRIALS } from './trials.ts'

interface Option {
  readonly name: string
  readonly value: string
  readonly help: string
  readonly fallback?: string
}

type Print = (line: string) => void

const HELP_COLUMN = 28
const INTO = { name: 'into', value: 'DIR', help: 'where the report is', fallback: 'bench/report' }
const ALL_OPTIONS: readonly Option[] = [
  { name: 'quick', value: '', help: 'a look whether all is well, in minutes' },
  { name: 'tiny', value: '', help: 'a look whether anything is broken, in a minute: the figures mean nothing' },
  { name: 'only', value: 'TRIAL,…', help: 'these again: what is there of the others stays' },
  INTO,
]
const OTHERS = {
  all: 'every trial, and the report of them',
  report: 'the page and the table in the README again, of results that are there',
}

/** The status that the process should end with: 0, 1 when a trial failed, 2 for a wrong command line. */
export async function main(parameters: readonly string[], print: Print): Promise<number> {
  const [name, ...rest] = parameters
  if (name === undefined || name === '--help' || name === '-h') {
    for (const line of overview()) print(line)
    return name === undefined ? 2 : 0
  }
  try {
    return await runNamed(name, rest, print)
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof MissingPeerError)) throw error
    print(`bench: ${error.message}`)
    return 2
  }
}

async function runNamed(name: string, parameters: readonly string[], print: Print): Promise<number> {
  if (name === 'all' || name === 'report') {
    const values = readOptions(name, OTHERS[name], name === 'all' ? ALL_OPTIONS : [INTO], parameters, print)
    if (values === null) return 0
    const folder = values['into'] ?? reportFolder()
    if (name === 'all') return runAll(chosenTrials(values['only']), TRIALS, sizeOf(values), folder, print)
    for (const path of writeReport(folder, TRIALS)) print(`written: ${path}`)
    return 0
  }
  const trial = trialNamed(name)
  const values = readOptions(name, trial.summary, optionsOf(trial), parameters, print)
  if (values === null) return 0
  const { json = resultsFile(name), ...given } = values
  const result = await runTrial(trial, given, (lines) => {
    for (const line of lines) print(line)
  })
  writeResults(json, result)
  print(`\nresults are in ${json}`)
  return 0
}

function trialNamed(name: string): Trial {
  const trial = TRIALS.find((candidate) => candidate.name === name)
  if (trial !== undefined) return trial
  throw new UsageError(`no trial '${name}'; there are: ${[...TRIALS.map((one) => one.name), 'all'].join(', ')}`)
}

function chosenTrials(names: string | undefined): readonly Trial[] {
  return names === undefined ? TRIALS : names.split(',').map(trialNamed)
}

function sizeOf(values: Readonly<Record<string, string>>): 'whole' | 'quick' | 'tiny' {
  if (values['tiny'] !== undefined) return 'tiny'
  return values['quick'] === undefined ? 'whole' : 'quick'
}

function optionsOf(trial: Trial): Option[] {
  return [
    ...trial.options,
    { name: 'rounds', value: 'N', help: 'turns that each subject takes', fallback: String(trial.rounds) },
    { name: 'json', value: 'FILE', help: 'where the results go', fallback: `bench/results/${trial.name}.json` },
  ]
}

/** null when help was asked for, and printed. */
function readOptions(
  name: string,
  summary: string,
  options: readonly Option[],
  parameters: readonly string[],
  print: Print,
): Record<string, string> | null {
  const known: Record<string, { type: 'string' | 'boolean' }> = { help: { type: 'boolean' } }
  for (const option of options) known[option.name] = { type: option.value === '' ? 'boolean' : 'string' }
  try {
    const { values } = parseArgs({ args: [...parameters], options: known, strict: true })
    if (values['help'] !== true) {
      return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]))
    }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const lines = [...options, { name: 'help', value: '', help: 'this text' }].map((option: Option) => {
    const fallback = option.fallback === undefined ? '' : ` (${option.fallback})`
    return `  ${`--${option.name} ${option.value}`.padEnd(HELP_COLUMN)}${option.help}${fallback}`
  })
  for (const line of [`usage: npm run bench -- ${name} [options]`, summary, '', ...lines]) print(line)
  return null
}

function overview(): string[] {
  const entries = [...TRIALS.map((trial) => [trial.name, trial.summary]), ...Object.entries(OTHERS)]
  const lines = entries.map(([name = '', summary]) => `  ${name.padEnd(HELP_COLUMN)}${summary}`)
  return ['usage: npm run bench -- TRIAL [options]', '', ...lines, '', 'TRIAL --help lists its options']
}

const entry = process.argv[1]
if (entry !== undefined && realpathSync(entry) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2), console.log)
}

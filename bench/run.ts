/** The benchmarks: `npm run bench -- TRIAL [options]`. Without a trial, or with --help, it says what there is. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Trial, UsageError } from './trial.ts'
import { bulk } from './trials/bulk.ts'
import { handshakes } from './trials/handshakes.ts'
import { readiness } from './trials/readiness.ts'
import { serverHello } from './trials/server-hello.ts'

const TRIALS: readonly Trial[] = [readiness, bulk, handshakes, serverHello]
const HELP_COLUMN = 28

/** The status that the process should end with: 0, or 2 for a wrong command line. */
export async function main(parameters: readonly string[], print: (line: string) => void): Promise<number> {
  const [name, ...rest] = parameters
  if (name === undefined || name === '--help' || name === '-h') {
    for (const line of overview()) print(line)
    return name === undefined ? 2 : 0
  }
  try {
    const trial = TRIALS.find((candidate) => candidate.name === name)
    if (trial === undefined) throw new UsageError(`no trial '${name}'; there are: ${trialNames()}`)
    const values = readOptions(trial, rest)
    if (values === null) for (const line of helpOf(trial)) print(line)
    else await trial.run(values, print)
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    print(`bench: ${error.message}`)
    return 2
  }
}

/** null when help is asked for. */
function readOptions(trial: Trial, parameters: readonly string[]): Record<string, string> | null {
  const known: Record<string, { type: 'string' | 'boolean' }> = { help: { type: 'boolean' } }
  for (const option of trial.options) known[option.name] = { type: 'string' }
  try {
    const { values } = parseArgs({ args: [...parameters], options: known, strict: true })
    if (values['help'] === true) return null
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]))
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function trialNames(): string {
  return TRIALS.map((trial) => trial.name).join(', ')
}

function overview(): string[] {
  const lines = TRIALS.map((trial) => `  ${trial.name.padEnd(HELP_COLUMN)}${trial.summary}`)
  return ['usage: npm run bench -- TRIAL [options]', '', ...lines, '', 'TRIAL --help lists its options']
}

function helpOf(trial: Trial): string[] {
  const options = [...trial.options, { name: 'help', value: '', help: 'this text' }]
  const lines = options.map(({ name, value, help }) => `  ${`--${name} ${value}`.padEnd(HELP_COLUMN)}${help}`)
  return [`usage: npm run bench -- ${trial.name} [options]`, trial.summary, '', ...lines]
}

const entry = process.argv[1]
if (entry !== undefined && realpathSync(entry) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2), console.log)
}

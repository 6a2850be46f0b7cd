/**
 * The addon is built once and has to load in every Node that the package supports. Runs the unit, native and simulated
 * tests with the binary at hand under the newest Node of each major version, fetched from the npm registry into
 * node_modules/.cache, and prints a table. Versions can be named on the command line: 20 22
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from './prebuild.ts'

const MAJOR_VERSIONS = ['20', '22', '24', '26']
const SUITES = ['test/unit', 'test/native', 'test/sim']
/** It measures other programs, which are the same whatever Node is. */
const LEFT_OUT = 'test/unit/bench-trials.test.ts'
const FETCH_MS_MAX = 180_000
const FETCH_ATTEMPTS = 3
const RUN_MS_MAX = 300_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

interface Row {
  readonly major: string
  readonly version: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  readonly problem: string
}

interface Results {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
}

const root = packageRoot()
const cache = join(root, 'node_modules', '.cache', 'node-matrix')

/** The binary of that major version, or what went wrong. */
function fetchNode(major: string): { binary: string } | { problem: string } {
  const directory = join(cache, `node-${major}`)
  const name = `node-${process.platform}-${process.arch}`
  const binary = join(directory, 'node_modules', name, 'bin', 'node')
  if (existsSync(binary)) return { binary }
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n')
  const parameters = ['install', '--prefix', directory, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund']
  let problem = ''
  for (let attempt = 0; attempt < FETCH_ATTEMPTS; attempt++) {
    const options = { encoding: 'utf8', timeout: FETCH_MS_MAX } as const
    const result = spawnSync('npm', [...parameters, `${name}@${major}`], options)
    if (existsSync(binary)) return { binary }
    const reason = result.stderr.split('\n').find((line) => line.startsWith('npm error'))
    problem = `cannot fetch ${name}@${major}: ${reason ?? result.error?.message ?? 'no binary in the package'}`
  }
  return { problem }
}

function testUnder(major: string): Row {
  const row: Row = { major, version: '-', passed: 0, failed: 0, skipped: 0, seconds: 0, problem: '' }
  const fetched = fetchNode(major)
  if ('problem' in fetched) return { ...row, problem: fetched.problem }
  const version = spawnSync(fetched.binary, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  if (version.status !== 0) return { ...row, problem: version.stderr || 'does not run' }

  const output = join(cache, `results-${major}.json`)
  writeFileSync(output, '')
  const started = Date.now()
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const parameters = [
    vitest,
    'run',
    ...SUITES,
    '--exclude',
    LEFT_OUT,
    '--reporter=dot',
    '--reporter=json',
    `--outputFile.json=${output}`,
  ]
  const options = { cwd: root, encoding: 'utf8', timeout: RUN_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX } as const
  const run = spawnSync(fetched.binary, parameters, options)
  const seconds = Math.round((Date.now() - started) / 1000)
  if (run.status !== 0) process.stderr.write(`\nNode ${major}\n${run.stdout}\n${run.stderr}\n`)
  const text = readFileSync(output, 'utf8')
  const results: Results | null = text === '' ? null : JSON.parse(text)
  return {
    major,
    version: version.stdout.trim(),
    passed: results?.numPassedTests ?? 0,
    failed: results?.numFailedTests ?? 0,
    skipped: results?.numPendingTests ?? 0,
    seconds,
    problem: run.status === 0 ? '' : (run.error?.message ?? `vitest ended with ${run.status ?? run.signal}`),
  }
}

const chosen = process.argv.slice(2)
const rows = (chosen.length > 0 ? chosen : MAJOR_VERSIONS).map(testUnder)
console.log('node        passed  failed  skipped  seconds')
for (const row of rows) {
  const name = row.version === '-' ? row.major : row.version
  const counts = [row.passed, row.failed, row.skipped, row.seconds].map((count) => String(count).padStart(7))
  console.log(`${name.padEnd(10)} ${counts.join(' ')}  ${row.problem}`)
}
process.exitCode = rows.every((row) => row.problem === '' && row.passed > 0) ? 0 : 1

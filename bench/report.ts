/** What a figure was measured on, tables for the terminal, and the results file. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import { dirname, join } from 'node:path'
import { packageRoot } from '../scripts/prebuild.ts'
import { compilerCommand } from './peers.ts'

export interface Machine {
  readonly date: string
  readonly system: string
  readonly cpu: string
  readonly cores: number
  readonly node: string
  readonly sockmux: string
  readonly compiler: string
}

const VERSION_MS_MAX = 5000
const COLUMN_GAP = '  '

export function describeMachine(): Machine {
  const manifest: { version: string } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))
  const compiler = spawnSync(compilerCommand(), ['--version'], { encoding: 'utf8', timeout: VERSION_MS_MAX })
  return {
    date: new Date().toISOString(),
    system: `${type()} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    node: process.version,
    sockmux: manifest.version,
    compiler: compiler.status === 0 ? (compiler.stdout.split('\n')[0] ?? '') : 'none',
  }
}

/** Columns as wide as needed; the first is text, the others are numbers and stand to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join(COLUMN_GAP)
      .trimEnd(),
  )
}

/** Where results go unless --json says otherwise. */
export function resultsFile(trial: string): string {
  return join(packageRoot(), 'bench', 'results', `${trial}.json`)
}

export function writeResults(path: string, results: object): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`)
}

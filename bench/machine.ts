/** What figures were measured on: the machine, how busy it was, and the versions of everything that took part. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, type } from 'node:os'
import { join } from 'node:path'
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
  /** Of the last minute. */
  readonly load: number
  /** Of programs and libraries that are there. */
  readonly versions: Readonly<Record<string, string>>
}

const VERSION_MS_MAX = 5000
const LIBRARIES = ['libcurl', 'libevent', 'libmicrohttpd']

let versions: Readonly<Record<string, string>> | null = null

export function describeMachine(): Machine {
  versions ??= findVersions()
  return {
    date: new Date().toISOString(),
    system: `${type()} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    node: process.version,
    sockmux: versionOfPackage('package.json') ?? '',
    compiler: said([compilerCommand(), '--version'])?.split('\n')[0] ?? 'none',
    load: loadavg()[0] ?? 0,
    versions,
  }
}

/** The day of what was measured, or the first and the last. */
export function daysOf(results: readonly { readonly machine: Machine }[]): string {
  const days = results.map(({ machine }) => machine.date.slice(0, 10)).toSorted()
  const [first, last] = [days[0] ?? '', days.at(-1) ?? '']
  return first === last ? first : `${first} to ${last}`
}

function findVersions(): Record<string, string> {
  const found: Record<string, string | null> = {
    openssl: process.versions.openssl,
    undici: versionOfPackage('node_modules/undici/package.json'),
    nginx: /nginx\/([\d.]+)/.exec(said(['nginx', '-v']) ?? '')?.[1] ?? null,
    wrk: /wrk ([\w.-]+)/.exec(said(['wrk', '-v']) ?? '')?.[1] ?? null,
    curl: /curl ([\d.]+)/.exec(said(['curl', '--version']) ?? '')?.[1] ?? null,
  }
  for (const name of LIBRARIES) found[name] = said(['pkg-config', '--modversion', name])?.trim() ?? null
  const there = Object.entries(found).filter((entry): entry is [string, string] => entry[1] !== null)
  return Object.fromEntries(there)
}

function versionOfPackage(manifest: string): string | null {
  try {
    return (JSON.parse(readFileSync(join(packageRoot(), manifest), 'utf8')) as { version: string }).version
  } catch {
    return null
  }
}

/** What a program says, on either channel; null when it is not there or fails. wrk -v ends with 1. */
function said(command: readonly string[]): string | null {
  const [program = '', ...parameters] = command
  const result = spawnSync(program, parameters, { encoding: 'utf8', timeout: VERSION_MS_MAX })
  if (result.error !== undefined || (result.status !== 0 && program === 'pkg-config')) return null
  return `${result.stdout}${result.stderr}`
}

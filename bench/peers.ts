/**
 * The C programs of bench/peers, compiled into build/bench when their sources are newer. A missing compiler or header
 * is a reason, not an error.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../scripts/prebuild.ts'

export interface PeerSource {
  /** The file bench/peers/<name>.c. */
  readonly name: string
  /** A header that must be there, and the Debian package that brings it. */
  readonly header: string
  readonly debianPackage: string
  readonly libraries: readonly string[]
}

export type CompiledPeer = { readonly path: string } | { readonly missing: string }

const COMPILE_MS_MAX = 60_000
const STDERR_LINES_SHOWN = 3

export function compilerCommand(): string {
  return process.env['CC'] ?? 'cc'
}

export function compilePeer(peer: PeerSource): CompiledPeer {
  const root = packageRoot()
  const folder = join(root, 'bench', 'peers')
  const output = join(root, 'build', 'bench')
  const path = join(output, peer.name)
  if (modifiedAt(path) > newestSource(folder)) return { path }
  const missing = findMissing(peer)
  if (missing !== null) return { missing }
  mkdirSync(output, { recursive: true })
  // Renamed into place, so that two runs at a time never start half a program.
  const fresh = `${path}.${process.pid}`
  const libraries = peer.libraries.map((name) => `-l${name}`)
  const parameters = ['-O2', '-o', fresh, join(folder, `${peer.name}.c`), ...libraries]
  const result = spawnSync(compilerCommand(), parameters, { encoding: 'utf8', timeout: COMPILE_MS_MAX })
  if (result.status !== 0) {
    rmSync(fresh, { force: true })
    const said = result.stderr.split('\n').slice(0, STDERR_LINES_SHOWN).join('; ')
    return { missing: `${peer.name}.c does not compile: ${said}` }
  }
  renameSync(fresh, path)
  return { path }
}

function findMissing(peer: PeerSource): string | null {
  const compiler = compilerCommand()
  const input = `#include <${peer.header}>\n`
  const parameters = ['-E', '-x', 'c', '-']
  const result = spawnSync(compiler, parameters, { encoding: 'utf8', input, timeout: COMPILE_MS_MAX })
  if (result.error !== undefined) return `no C compiler: ${compiler} (apt-get install gcc)`
  return result.status === 0 ? null : `no header ${peer.header} (apt-get install ${peer.debianPackage})`
}

function newestSource(folder: string): number {
  return Math.max(...readdirSync(folder).map((name) => modifiedAt(join(folder, name))))
}

function modifiedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/**
 * Finds the real programs and libraries that tests talk to. A test whose peer is not installed is skipped, and its
 * title says which peer is missing; with SOCKMUX_REQUIRE_PEERS=1 it fails instead, so that CI cannot pass by skipping.
 * Paths are searched here rather than with a shell, since Debian keeps servers outside an ordinary user's PATH.
 */
import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, it } from 'vitest'

const PROGRAM_DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
const LIBRARY_DIRECTORIES = ['/usr/local/lib', '/usr/lib', '/lib', '/usr/lib64', '/lib64', '/opt/homebrew/lib']
const INCLUDE_DIRECTORIES = ['/usr/local/include', '/usr/include', '/opt/homebrew/include']
const INCLUDE_DEPTH_MAX = 4

/** True when a missing peer has to fail. */
export function arePeersRequired(): boolean {
  return process.env['SOCKMUX_REQUIRE_PEERS'] === '1'
}

/** The path of an executable, e.g. 'nginx'; null when it is not installed. */
export function findPeer(name: string): string | null {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...PROGRAM_DIRECTORIES]
  return firstFile(directories, name, constants.X_OK)
}

/** The path of a shared library by its soname, e.g. 'libevent-2.1.so.7'; null when it is not installed. */
export function findLibrary(soname: string): string | null {
  const configured = (process.env['LD_LIBRARY_PATH'] ?? '').split(delimiter)
  const directories = [...configured, ...loaderDirectories('/etc/ld.so.conf'), ...LIBRARY_DIRECTORIES]
  return firstFile([...directories, ...multiarchDirectories()], soname, constants.R_OK)
}

/** The path of a C header, e.g. 'event2/event.h'; null when it is not installed. */
export function findHeader(name: string): string | null {
  return firstFile(INCLUDE_DIRECTORIES, name, constants.R_OK)
}

/** A describe block that runs with the path of an installed program. */
export function describeWithPeer(name: string, body: (path: string) => void): void {
  describeWhenFound(name, findPeer(name), body)
}

/** A describe block that runs with the path of an installed shared library. */
export function describeWithLibrary(soname: string, body: (path: string) => void): void {
  describeWhenFound(soname, findLibrary(soname), body)
}

/** A describe block that runs when all of the named programs are there; paths are in the order of names. */
export function describeWithPeers(names: readonly string[], body: (paths: string[]) => void): void {
  const paths = names.map(findPeer)
  const missing = names.filter((_, index) => paths[index] === null)
  const found = paths.filter((path) => path !== null)
  if (missing.length > 0) describeMissing(missing.join(', '))
  else describe(names.join(', '), () => body(found))
}

/** A describe block for what only some platforms have (kqueue, IPv6); elsewhere skipped, titled with the reason. */
export function describeWhen(condition: boolean, name: string, reason: string, body: () => void): void {
  if (condition) describe(name, body)
  else describe(name, () => it.skipIf(true)(reason, () => {}))
}

/** As describeWithPeers, for something else that must be so: null, or why it is not. */
export function describeUnless(problem: string | null, name: string, body: () => void): void {
  if (problem === null) describe(name, body)
  else describeMissing(name, problem)
}

function describeWhenFound(name: string, path: string | null, body: (path: string) => void): void {
  if (path === null) describeMissing(name)
  else describe(name, () => body(path))
}

function describeMissing(name: string, title = `${name} is not installed`): void {
  const isRequired = arePeersRequired()
  if (!isRequired) process.stderr.write(`skipped: ${title}\n`)
  describe(name, () => {
    it.skipIf(!isRequired)(title, () => {
      throw new Error(`${title}, and SOCKMUX_REQUIRE_PEERS=1 asks for it`)
    })
  })
}

function firstFile(directories: readonly string[], name: string, mode: number): string | null {
  for (const directory of directories) {
    if (directory === '') continue
    const path = join(directory, name)
    try {
      accessSync(path, mode)
      if (statSync(path).isFile()) return path
    } catch {
      // Not there, or not ours to use: the next directory may have it.
    }
  }
  return null
}

/** Debian keeps libraries below a folder named for the architecture: /usr/lib/x86_64-linux-gnu. */
function multiarchDirectories(): string[] {
  return ['/usr/lib', '/lib'].flatMap((directory) =>
    listDirectory(directory)
      .filter((name) => /^[a-z0-9_]+-linux-(?:gnu|musl)/.test(name))
      .map((name) => join(directory, name)),
  )
}

/** The directories that ld.so.conf names, following its `include` lines. */
function loaderDirectories(file: string, depth = 0): string[] {
  if (depth > INCLUDE_DEPTH_MAX) return []
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return []
  }
  return text.split('\n').flatMap((line) => {
    const entry = line.replace(/#.*/, '').trim()
    const included = /^include\s+(.*)\/\*\.conf$/.exec(entry)?.[1]
    if (included === undefined) return entry.startsWith('/') ? [entry] : []
    const files = listDirectory(included).filter((name) => name.endsWith('.conf'))
    return files.sort().flatMap((name) => loaderDirectories(join(included, name), depth + 1))
  })
}

function listDirectory(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

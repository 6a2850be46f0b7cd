/**
 * Puts the addon that was built on this machine where the package carries it: prebuilds/<platform>-<arch>[-musl]/.
 * Symbols are stripped. Publishing collects these folders from one machine per platform.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The name of this platform's folder; the loader in lib/sys/native.ts looks for the same. */
export function prebuildName(): string {
  const header = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header
  const isMusl = process.platform === 'linux' && header?.glibcVersionRuntime === undefined
  return `${process.platform}-${process.arch}${isMusl ? '-musl' : ''}`
}

/** Copies every addon of `root`/build/Release below `into`; returns the files written. */
export function copyPrebuilds(root: string, into: string): string[] {
  const release = join(root, 'build', 'Release')
  const folder = join(into, 'prebuilds', prebuildName())
  const names = existsSync(release) ? readdirSync(release).filter((name) => name.endsWith('.node')) : []
  if (names.length === 0) throw new Error(`no addon in ${release}: npm run build:native`)
  mkdirSync(folder, { recursive: true })
  return names.map((name) => {
    const target = join(folder, name)
    copyFileSync(join(release, name), target)
    const stripped = spawnSync('strip', [process.platform === 'darwin' ? '-x' : '--strip-unneeded', target])
    if (stripped.status !== 0) throw new Error(`strip ${target}: ${stripped.error?.message ?? stripped.stderr}`)
    return target
  })
}

/** The directory of package.json, from this file as source or compiled. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory)
  return directory
}

const entry = process.argv[1]
if (entry !== undefined && realpathSync(entry) === fileURLToPath(import.meta.url)) {
  const root = packageRoot()
  for (const file of copyPrebuilds(root, root)) console.log(file)
}

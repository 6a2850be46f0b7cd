/**
 * The package as a user has it: packed with this platform's binary, unpacked into an empty project, its dependencies
 * those of the checkout, so that no registry is asked. Slow: once per test file.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { copyPrebuilds, packageRoot } from '../../scripts/prebuild.ts'

const COMMAND_MS_MAX = 120_000

export interface InstalledPackage {
  /** An empty project that depends on the package. */
  readonly project: string
  /** What package.json says of its commands: name to the path of the script. */
  readonly commands: ReadonlyMap<string, string>
  remove(): void
}

export function installPackage(): InstalledPackage {
  const root = packageRoot()
  const stage = mkdtempSync(join(tmpdir(), 'sockmux-installed-'))
  run(process.execPath, [join(root, 'scripts', 'build.mjs'), '--quiet'], root)
  const project = join(stage, 'project')
  const installed = join(project, 'node_modules', 'sockmux')
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', pack(root, stage), '-C', installed, '--strip-components=1'], stage)
  const manifest = readManifest(installed)
  for (const name of Object.keys(manifest.dependencies)) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
  const commands = new Map(Object.entries(manifest.bin).map(([name, path]) => [name, join(installed, path)]))
  return { project, commands, remove: () => rmSync(stage, { recursive: true, force: true }) }
}

interface Manifest {
  readonly files: readonly string[]
  readonly dependencies: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
}

function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
}

function pack(root: string, stage: string): string {
  const contents = join(stage, 'contents')
  for (const name of ['package.json', 'README.md', 'LICENSE', ...readManifest(root).files.map(folderOf)]) {
    if (name === 'prebuilds' || !existsSync(join(root, name))) continue
    mkdirSync(dirname(join(contents, name)), { recursive: true })
    cpSync(join(root, name), join(contents, name), { recursive: true })
  }
  copyPrebuilds(root, contents)
  run('npm', ['pack', '--ignore-scripts', '--offline', '--pack-destination', stage], contents)
  return join(stage, readdirSync(stage).find((name) => name.endsWith('.tgz')) as string)
}

/** What a pattern of package.json looks into. */
export function folderOf(pattern: string): string {
  return pattern.split('/*', 1)[0] as string
}

function run(command: string, parameters: readonly string[], directory: string): void {
  const result = spawnSync(command, parameters, { cwd: directory, encoding: 'utf8', timeout: COMMAND_MS_MAX })
  if (result.status === 0) return
  throw new Error(`${command}: ${result.error?.message ?? ''}\n${result.stdout}\n${result.stderr}`)
}

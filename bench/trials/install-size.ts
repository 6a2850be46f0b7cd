/** What an installation takes on the disk: the package with everything it depends on, beside other packages. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../scripts/prebuild.ts'
import { runCommand } from '../measure.ts'
import type { Figures, Subject, Trial } from '../trial.ts'

const PACK_MS_MAX = 60_000
const KILOBYTE = 1000
const PREBUILDS = /^prebuilds\//
const BESIDE = ['undici', 'ws']

interface Size {
  readonly bytes: number
  readonly files: number
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
}

export const installSize: Trial = {
  name: 'install-size',
  summary: 'size of an installation with its dependencies',
  metrics: [
    { name: 'kilobytes', title: 'size on disk', unit: 'kB', digits: 0, better: 'less' },
    { name: 'own', title: 'of the package itself', unit: 'kB', digits: 0, better: 'less' },
    { name: 'files', title: 'files', unit: '', digits: 0, better: 'less' },
    { name: 'packages', title: 'packages', unit: '', digits: 0, better: 'less' },
  ],
  references: ['undici'],
  sizes: '',
  // Nothing here depends on the moment.
  rounds: 1,
  options: [],
  quick: {},
  tiny: {},
  open() {
    const packed = packedFiles()
    const hasBinary = packed.some(({ path }) => PREBUILDS.test(path))
    const missing = hasBinary ? [] : ['the binaries of sockmux: they are built by `npm run build:prebuilds`']
    const own = { bytes: packed.reduce((sum, { size }) => sum + size, 0), files: packed.length }
    const subjects: Subject[] = [
      { name: 'sockmux', isOurs: true, measure: () => sizeWith(own, readManifest(packageRoot())) },
      ...BESIDE.map((name) => ({ name, isOurs: false, measure: () => installedSize(name) })),
    ]
    return { scenes: [{ name: 'installed', size: 0, subjects }], missing, close: () => {} }
  },
}

function packedFiles(): { path: string; size: number }[] {
  const command = ['npm', '--prefix', packageRoot(), 'pack', packageRoot(), '--dry-run', '--json', '--ignore-scripts']
  const [answer]: { files: { path: string; size: number }[] }[] = JSON.parse(runCommand(command, PACK_MS_MAX))
  return answer?.files ?? []
}

function installedSize(name: string): Figures {
  const folder = join(packageRoot(), 'node_modules', name)
  return sizeWith(folderSize(folder), readManifest(folder))
}

function sizeWith(own: Size, manifest: Manifest): Figures {
  const names = new Set<string>()
  collect(manifest, names)
  const sizes = [...names].map((name) => folderSize(join(packageRoot(), 'node_modules', name)))
  const all = [own, ...sizes]
  return {
    kilobytes: all.reduce((sum, { bytes }) => sum + bytes, 0) / KILOBYTE,
    own: own.bytes / KILOBYTE,
    files: all.reduce((sum, { files }) => sum + files, 0),
    packages: all.length,
  }
}

/** Of one version each, as a fresh installation has them. */
function collect(manifest: Manifest, names: Set<string>): void {
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    if (names.has(name)) continue
    names.add(name)
    collect(readManifest(join(packageRoot(), 'node_modules', name)), names)
  }
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}

function folderSize(folder: string): Size {
  let bytes = 0
  let files = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    bytes += lstatSync(join(entry.parentPath, entry.name)).size
    files++
  }
  return { bytes, files }
}

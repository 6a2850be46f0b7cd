/**
 * Builds what is missing or older than its sources: the addon in build/Release with node-gyp, dist/ with tsc, and
 * dist/bundle/ with rolldown: the library as users load it, in a few files instead of hundreds.
 * Plain JavaScript, because it has to run before anything was compiled.
 * Options: --quiet, --clean (remove what was built, and build nothing).
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NATIVE_BUILD_MS_MAX = 600_000
const COMPILE_MS_MAX = 300_000
/** What is loaded by its name: the library, the command, and what threads run. */
const ENTRIES = ['index', 'cli/sockmux', 'cli/serve-worker', 'threads/worker-boot']
const OLDEST_NODE = 'node20'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const release = join(root, 'build', 'Release')
const dist = join(root, 'dist')
const require = createRequire(import.meta.url)
const options = new Set(process.argv.slice(2))

if (options.has('--clean')) {
  for (const directory of ['build', 'dist', 'prebuilds'])
    rmSync(join(root, directory), { recursive: true, force: true })
} else {
  buildNative()
  compile()
  await bundle()
}

function buildNative() {
  const isBuilt = existsSync(release) && readdirSync(release).some((name) => name.endsWith('.node'))
  if (isBuilt && newestSource() <= oldestBinary()) return
  const parameters = [isBuilt ? 'build' : 'rebuild', '--jobs=max', '--loglevel=error']
  const headers = installedHeaders()
  if (headers !== null) parameters.push(`--nodedir=${headers}`)
  say(isBuilt ? 'building the addon: its sources are newer' : 'building the addon')
  run(require.resolve('node-gyp/bin/node-gyp.js'), parameters, NATIVE_BUILD_MS_MAX)
}

function newestSource() {
  const native = join(root, 'native')
  const sources = readdirSync(native, { recursive: true }).map((name) => join(native, name))
  sources.push(join(root, 'binding.gyp'))
  return Math.max(...sources.map((path) => statSync(path).mtimeMs))
}

function oldestBinary() {
  const binaries = readdirSync(release).filter((name) => name.endsWith('.node'))
  return Math.min(...binaries.map((name) => statSync(join(release, name)).mtimeMs))
}

/** Where the headers of this very Node lie beside its binary, so that node-gyp need not download them; else null. */
function installedHeaders() {
  const prefix = dirname(dirname(process.execPath))
  const header = join(prefix, 'include', 'node', 'node_version.h')
  if (!existsSync(header)) return null
  const text = readFileSync(header, 'utf8')
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1]
  const version = `v${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`
  return version === process.version ? prefix : null
}

function compile() {
  const project = join(root, 'tsconfig.build.json')
  removeOrphans()
  say('compiling to dist')
  run(require.resolve('typescript/bin/tsc'), ['--project', project], COMPILE_MS_MAX)
}

/**
 * Modules in one scope let V8 fold the constants of one into the functions of another, which saves some per cent of
 * every request, and half of the time that a process takes to begin.
 */
async function bundle() {
  const lib = join(root, 'lib')
  const folder = join(dist, 'bundle')
  const sources = readdirSync(lib, { recursive: true }).map((name) => join(lib, name))
  const newest = Math.max(...[...sources, fileURLToPath(import.meta.url)].map((path) => statSync(path).mtimeMs))
  const index = join(folder, 'index.js')
  if (existsSync(index) && statSync(index).mtimeMs > newest) return
  say('bundling to dist/bundle')
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const { rolldown } = await import('rolldown')
  const build = await rolldown({
    input: Object.fromEntries(ENTRIES.map((name) => [name.split('/').at(-1), join(lib, `${name}.ts`)])),
    external: [/^node:/, ...Object.keys(dependencies).map((name) => new RegExp(`^${name}(?:/|$)`))],
    platform: 'node',
    transform: { target: OLDEST_NODE },
  })
  rmSync(folder, { recursive: true, force: true })
  await build.write({ dir: folder, format: 'esm', sourcemap: true, chunkFileNames: '[name]-[hash].js' })
  await build.close()
}

/** What was compiled from a source that is gone would otherwise stay, and be packed. */
function removeOrphans() {
  if (!existsSync(dist)) return
  for (const name of readdirSync(dist, { recursive: true })) {
    if (name.startsWith('bundle')) continue
    const source = /^(.*?)\.(?:d\.ts|js|js\.map)$/.exec(name)?.[1]
    if (source !== undefined && !existsSync(join(root, `${source}.ts`))) rmSync(join(dist, name))
  }
}

function run(script, parameters, timeout) {
  const result = spawnSync(process.execPath, [script, ...parameters], { cwd: root, stdio: ['ignore', 2, 2], timeout })
  if (result.error !== undefined) console.error(`build: ${script}: ${result.error.message}`)
  if (result.status !== 0) process.exit(result.status ?? 1)
}

function say(text) {
  if (!options.has('--quiet')) console.error(`build: ${text}`)
}

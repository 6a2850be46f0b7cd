import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyPrebuilds, packageRoot, prebuildName } from '../scripts/prebuild.ts'
import { folderOf } from './support/installed-package.ts'

// biome-ignore format: a table
const PUBLIC_NAMES = [
  'Interest', 'Readiness', 'SOCKET_TIMEOUT', 'Poller', 'kernel', 'Multi', 'Transfer', 'attachToNodeLoop', 'runPollLoop',
  'SystemError', 'TransferError', 'MultiError',
]
const BUILD_MS_MAX = 180_000
const COMMAND_MS_MAX = 60_000

const USE = `
import { Interest, kernel, Poller, Readiness } from 'sockmux'
const pair = new Int32Array(2)
kernel.pipe(pair)
const poller = new Poller()
poller.add(pair[0], Interest.READABLE)
const quiet = poller.wait(0)
const buffer = kernel.allocate(16)
kernel.write(pair[1], buffer.id, 0, 1)
const count = poller.wait(5000)
const told = poller.ready[0] === pair[0] && (poller.ready[1] & Readiness.READABLE) !== 0
poller.close()
console.log(JSON.stringify([quiet, count, told]))
`

const TYPED_USE = `
import { Interest, Multi, MultiError, Poller, SOCKET_TIMEOUT, SystemError, Transfer, TransferError } from 'sockmux'
import { attachToNodeLoop, kernel, Readiness, runPollLoop } from 'sockmux'
const poller = new Poller()
const multi = new Multi({
  socketFunction(fd, interest) {
    if (interest === Interest.REMOVE) poller.remove(fd)
    else poller.modify(fd, interest)
  },
  timerFunction(timeoutMs) {
    timeoutMs.toFixed()
  },
})
multi.add(new Transfer({ url: 'http://127.0.0.1:8080/', onData: (chunk) => void chunk.slice().byteLength }))
const running: number = multi.socketAction(SOCKET_TIMEOUT)
const message = multi.infoRead()
const status: number | undefined = message?.transfer.info.status
const failures: Error[] = [SystemError, TransferError, MultiError].map((kind) => kind.prototype)
export const used = [running, status, failures, attachToNodeLoop, runPollLoop, kernel, Readiness.READABLE]
`

const THREADED_USE = `
import { ManagedServer } from 'sockmux'
const module = 'data:text/javascript,export const handler = () => ({ body: "from a thread" })'
const server = await ManagedServer.start({ module, listen: { host: '127.0.0.1', port: 0 } })
const answer = await fetch(\`http://127.0.0.1:\${server.addresses[0].port}\`)
console.log(JSON.stringify([await answer.text(), server.state]))
await server.stop()
`

const root = packageRoot()
const manifest: { files: string[]; dependencies: Record<string, string> } = readJson(join(root, 'package.json'))
const stage = mkdtempSync(join(tmpdir(), 'sockmux-package-'))
const consumer = join(stage, 'consumer')
const installed = join(consumer, 'node_modules', 'sockmux')

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function run(command: string, parameters: readonly string[], directory: string): string {
  const options = { cwd: directory, encoding: 'utf8', timeout: COMMAND_MS_MAX } as const
  const result = spawnSync(command, parameters, options)
  if (result.status === 0) return result.stdout
  throw new Error(
    `${command} ${parameters.join(' ')}: ${result.error?.message ?? ''}\n${result.stdout}\n${result.stderr}`,
  )
}

/** What `npm pack` would take on the publishing machine, this platform's binary included, away from the checkout. */
function pack(): string {
  const contents = join(stage, 'contents')
  const names = ['package.json', 'README.md', 'LICENSE', ...manifest.files.map(folderOf)]
  for (const name of names) {
    if (name === 'prebuilds' || !existsSync(join(root, name))) continue
    mkdirSync(dirname(join(contents, name)), { recursive: true })
    cpSync(join(root, name), join(contents, name), { recursive: true })
  }
  copyPrebuilds(root, contents)
  run('npm', ['pack', '--ignore-scripts', '--offline', '--pack-destination', stage], contents)
  const tarball = readdirSync(stage).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack wrote no tarball')
  return join(stage, tarball)
}

/** What `npm install --ignore-scripts` leaves behind, asking no registry: dependencies come from the checkout. */
function install(tarball: string): void {
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'], stage)
  mkdirSync(join(consumer, 'node_modules', '@types'))
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    symlinkSync(join(root, 'node_modules', name), join(consumer, 'node_modules', name))
  }
  writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }\n')
}

beforeAll(() => {
  run(process.execPath, [join(root, 'scripts', 'build.mjs'), '--quiet'], root)
  install(pack())
}, BUILD_MS_MAX)

afterAll(() => {
  rmSync(stage, { recursive: true, force: true })
})

describe('the package', () => {
  it('runs nothing when it is installed', () => {
    const packed = readJson<{ scripts?: Record<string, string>; gypfile?: boolean }>(join(installed, 'package.json'))
    const hooks = ['preinstall', 'install', 'postinstall'].filter((name) => packed.scripts?.[name] !== undefined)
    expect(hooks).toEqual([])
    // Without this npm compiles the addon by itself when it sees binding.gyp.
    expect(packed.gypfile).toBe(false)
  })

  it('carries its binary, sources to build from, types and documents', () => {
    const expected = [
      `prebuilds/${prebuildName()}/sockmux.node`,
      'binding.gyp',
      'dist/bundle/index.js',
      'dist/lib/index.d.ts',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
    ]
    expect(expected.filter((path) => !existsSync(join(installed, path)))).toEqual([])
  })

  it('carries nothing else', () => {
    const known = [
      'package.json',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'binding.gyp',
      'dist',
      'docs',
      'native',
      'prebuilds',
    ]
    expect(readdirSync(installed).filter((name) => !known.includes(name))).toEqual([])
    expect(readdirSync(join(installed, 'dist'))).toEqual(['bundle', 'lib'])
    const types = readdirSync(join(installed, 'dist', 'lib'), { recursive: true, withFileTypes: true })
    expect(types.filter((entry) => entry.isFile() && !entry.name.endsWith('.d.ts'))).toEqual([])
  })

  it('is imported by name from an empty folder', () => {
    const program = "console.log(JSON.stringify(Object.keys(await import('sockmux'))))"
    const names: string[] = JSON.parse(run(process.execPath, ['--input-type=module', '-e', program], consumer))
    expect(PUBLIC_NAMES.filter((name) => !names.includes(name))).toEqual([])
  })

  it('polls a pipe with the binary that it carries', () => {
    const output = run(process.execPath, ['--input-type=module', '-e', USE], consumer)
    expect(JSON.parse(output)).toEqual([0, 1, true])
  })

  it('runs a server in a thread, and ends when that has stopped', () => {
    const output = run(process.execPath, ['--input-type=module', '-e', THREADED_USE], consumer)
    expect(JSON.parse(output)).toEqual(['from a thread', 'listening'])
  })

  it('resolves its types in a strict project', { timeout: COMMAND_MS_MAX }, () => {
    const compilerOptions = { module: 'nodenext', target: 'es2023', strict: true, noEmit: true, types: ['node'] }
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
    writeFileSync(join(consumer, 'use.ts'), TYPED_USE)
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    expect(run(process.execPath, [compiler, '--project', '.'], consumer)).toBe('')
  })
})

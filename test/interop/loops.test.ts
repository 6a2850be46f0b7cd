import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import koffi from 'koffi'
import { beforeAll, describe, expect, it } from 'vitest'
import { bodyBytes } from '../../examples/body.ts'
import { plugIntoGlib } from '../../examples/glib.ts'
import { plugIntoLibevent } from '../../examples/libevent.ts'
import type { Plug } from '../../examples/loop.ts'
import { Multi, Transfer } from '../../lib/index.ts'
import { describeWhen, describeWithLibrary, findLibrary, findPeer } from '../support/peers.ts'
import { root } from '../support/source-tree.ts'

const LIBEVENT = 'libevent-2.1.so.7'
const GLIB = 'libglib-2.0.so.0'
const BUILD_MS_MAX = 180_000
const RUN_MS_MAX = 60_000
const ENDING_MS_MAX = 5_000
const DEAD_URL = 'http://127.0.0.1:1/'
// More than can be fetched before the test has killed what it wants to kill.
const ENDLESS = '100000'

interface Run {
  /** null when it was killed for taking too long. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What the report of a loop is tested for; the whole is LoopReport in scripts/main-job/report.ts. */
interface LoopFigures {
  readonly loop: string
  readonly transfers: number
  readonly failed: number
  readonly bytes: number
  readonly socketFunctionCalls: number
  readonly timerFunctionCalls: number
  readonly systemCalls: Readonly<Record<string, number>>
}

type Watcher = (stdout: string, pid: number) => void

/** The watcher hears everything that was printed so far, each time more was. */
function run(command: string, parameters: readonly string[], watch?: Watcher): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, parameters, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX - ENDING_MS_MAX)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      watch?.(stdout, child.pid ?? 0)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.once('error', reject)
    child.once('close', (status) => {
      clearTimeout(timer)
      resolve({ status, stdout, stderr })
    })
  })
}

function runExample(name: string, parameters: readonly string[] = [], watch?: Watcher): Promise<Run> {
  return run(process.execPath, [join('dist', 'examples', `${name}.js`), ...parameters], watch)
}

function runMainJob(parameters: readonly string[], watch?: Watcher): Promise<Run> {
  return run(process.execPath, [join('dist', 'scripts', 'main-job.js'), ...parameters], watch)
}

/** Kills the origin as soon as its process is named. */
function originKiller(): Watcher {
  let isDone = false
  return (stdout) => {
    const pid = originPid(stdout)
    if (isDone || pid === null) return
    isDone = true
    process.kill(pid, 'SIGKILL')
  }
}

function originPid(stdout: string): number | null {
  const pid = /^origin.*\(process (\d+)\)$/m.exec(stdout)?.[1]
  return pid === undefined ? null : Number(pid)
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** What the examples print about the bodies of their 200 URLs. */
function expectedDigest(): string {
  const all = createHash('sha256')
  for (let index = 0; index < 200; index++) {
    const body = bodyBytes(index, (index * 97) % 20_000)
    all.update(createHash('sha256').update(body).digest())
  }
  return all.digest('hex')
}

function digestOf({ stdout }: Run): string | undefined {
  return /^bodies +sha256 ([0-9a-f]{64})$/m.exec(stdout)?.[1]
}

function expectFacts(result: Run, loop: RegExp): void {
  expect(result.stderr).toBe('')
  expect(result.status).toBe(0)
  expect(result.stdout).toMatch(loop)
  expect(result.stdout).toMatch(/^transfers +200 of 200 ok$/m)
  expect(result.stdout).toMatch(/^bytes +1,930,300$/m)
  expect(result.stdout).toMatch(/^elapsed +[\d,]+ ms$/m)
  expect(result.stdout).toMatch(/^socketFunction calls +[1-9]/m)
  expect(result.stdout).toMatch(/^timerFunction calls +[1-9]/m)
  expect(result.stdout).toMatch(/^loop iterations +(?:[1-9]|unknown)/m)
  expect(digestOf(result)).toBe(expectedDigest())
}

async function expectErrorsWithoutOrigin(name: string): Promise<void> {
  const result = await runExample(name, ['--transfers', '5000'], originKiller())
  expect(result.status).toBe(1)
  expect(result.stdout).toMatch(/^transfers +[\d,]+ of 5,000 ok$/m)
  expect(result.stdout).toMatch(/^first failure +[A-Z_]+: /m)
}

/** One transfer after the other, each in a loop of its own, to a port where nobody listens. */
function expectPlugsInTurn(plug: Plug): void {
  for (let i = 0; i < 3; i++) {
    const multi = new Multi()
    const loop = plug(multi)
    multi.add(new Transfer({ url: DEAD_URL }))
    loop.run?.()
    expect(multi.infoRead()?.error).toMatchObject({ code: 'COULDNT_CONNECT', cause: { code: 'ECONNREFUSED' } })
    loop.close()
    multi.close()
    expect(koffi.stats().callbacks).toBe(0)
  }
}

function expectThrownByRun(plug: Plug): void {
  const thrown = new Error('from notifyFunction')
  const multi = new Multi({
    notifyFunction() {
      throw thrown
    },
  })
  const loop = plug(multi)
  for (let i = 0; i < 3; i++) multi.add(new Transfer({ url: DEAD_URL }))
  expect(() => loop.run?.()).toThrow(thrown)
  loop.close()
  multi.close()
}

beforeAll(() => {
  const options = { cwd: root, encoding: 'utf8', timeout: BUILD_MS_MAX } as const
  const built = spawnSync(process.execPath, [join('scripts', 'build.mjs'), '--quiet'], options)
  if (built.status !== 0) throw new Error(`the build failed: ${built.error?.message ?? ''}\n${built.stderr}`)
}, BUILD_MS_MAX)

describe('examples', { timeout: RUN_MS_MAX }, () => {
  it("fetch 200 URLs in Node's loop", async () => {
    expectFacts(await runExample('node-loop'), /^loop +Node \d+\.\d+\.\d+ \(libuv /m)
  })

  it('fetch 200 URLs in a hand-written loop', async () => {
    expectFacts(await runExample('poll-loop'), /^loop +hand-written loop on Node \S+ \((?:epoll|kqueue)\)$/m)
  })

  it('fetch 200 URLs in a hand-written loop on poll(2)', async () => {
    const result = await runExample('poll-loop', ['--backend', 'poll'])
    expectFacts(result, /^loop +hand-written loop on Node \S+ \(poll\)$/m)
  })

  it.each(['node-loop', 'poll-loop'])('%s ends with errors when the origin is killed', expectErrorsWithoutOrigin)

  it.each(['libevent', 'glib'])('%s names the Debian package of a missing library', async (name) => {
    const result = await runExample(name, ['--library', '/nowhere/lib.so'])
    expect(result.status).toBe(1)
    expect(result.stdout).toBe('')
    expect(result.stderr).toMatch(/^\S+: \/nowhere\/lib\.so cannot be loaded; on Debian install the package lib.*\n$/)
  })

  it.each(['libevent', 'glib', 'poll-loop', 'node-loop'])('%s explains itself', async (name) => {
    const result = await runExample(name, ['--help'])
    expect(result.status).toBe(0)
    expect(result.stdout).toContain(`usage: node dist/examples/${name}.js`)
  })

  it.each([['--nonsense'], ['--transfers', 'many'], ['--transfers', '0']])('refuse %s %s', async (...parameters) => {
    const result = await runExample('node-loop', parameters)
    expect(result.status).toBe(1)
    expect(result.stdout).toBe('')
    expect(result.stderr).toMatch(/^node-loop\.js: .*\n$/)
    expect(result.stderr).toContain(parameters[0])
  })
})

describeWithLibrary(LIBEVENT, () => {
  it('is the loop of 200 transfers', { timeout: RUN_MS_MAX }, async () => {
    expectFacts(await runExample('libevent'), /^loop +libevent 2\.1\.\S+ \(epoll\)$/m)
  })

  it("gives the same bodies as Node's loop", { timeout: RUN_MS_MAX }, async () => {
    const [libevent, node] = await Promise.all([runExample('libevent'), runExample('node-loop')])
    expect(digestOf(libevent)).toMatch(/^[0-9a-f]{64}$/)
    expect(digestOf(libevent)).toBe(digestOf(node))
  })

  it('ends with errors when the origin is killed', { timeout: RUN_MS_MAX }, () => expectErrorsWithoutOrigin('libevent'))

  it('can be plugged into again, and holds no callback afterwards', () => expectPlugsInTurn(plugIntoLibevent))

  it('lets no exception into C: run throws it', () => expectThrownByRun(plugIntoLibevent))
})

describeWithLibrary(GLIB, () => {
  it('is the loop of 200 transfers', { timeout: RUN_MS_MAX }, async () => {
    expectFacts(await runExample('glib'), /^loop +GLib 2\.\d+\.\d+$/m)
  })

  it('ends with errors when the origin is killed', { timeout: RUN_MS_MAX }, () => expectErrorsWithoutOrigin('glib'))

  it('can be plugged into again, and holds no callback afterwards', () => expectPlugsInTurn(plugIntoGlib))

  it('lets no exception into C: run throws it', () => expectThrownByRun(plugIntoGlib))
})

describe('the main job', { timeout: RUN_MS_MAX }, () => {
  it('fetches the same bytes in every loop that there is', async () => {
    const result = await runMainJob(['--transfers', '100', '--connections', '8', '--json'])
    expect(result.stderr).toBe('')
    expect(result.status).toBe(0)
    const { loops, missing }: { loops: LoopFigures[]; missing: Record<string, string> } = JSON.parse(result.stdout)
    const libraries = [...(findLibrary(LIBEVENT) ? ['libevent'] : []), ...(findLibrary(GLIB) ? ['glib'] : [])]
    const names = loops.map((loop) => loop.loop)
    expect(names).toEqual(expect.arrayContaining(['node', 'poll', ...libraries]))
    expect(Object.keys(missing)).toEqual(['libevent', 'glib'].filter((name) => !libraries.includes(name)))
    for (const loop of loops) {
      expect(loop).toMatchObject({ transfers: 100, failed: 0, bytes: loops[0]?.bytes })
      // Each connection is announced, watched for other things, and removed at the most.
      expect(loop.socketFunctionCalls).toBeLessThanOrEqual(4 * 8)
      expect(loop.timerFunctionCalls).toBeGreaterThan(0)
      expect(loop.systemCalls['connect']).toBeLessThanOrEqual(8)
      expect(loop.systemCalls['send']).toBe(100)
    }
  })

  it('prints a table, and no progress on a pipe', async () => {
    const result = await runMainJob(['--transfers', '50', '--loop', 'poll', '--loop', 'node'])
    expect(result.status).toBe(0)
    expect(result.stderr).toBe('')
    expect(result.stdout).not.toContain('\u001b')
    expect(result.stdout).not.toContain('\r')
    expect(result.stdout).toMatch(/^origin: http:\/\/127\.0\.0\.1:\d+ \(process \d+\)\n50 transfers per loop/)
    expect(result.stdout).toMatch(/^loop +transfers +failed +MB +per second +p50 ms +p99 ms +socketFunction/m)
    expect(result.stdout).toMatch(/^poll +50 +0 +\d/m)
    expect(result.stdout).toMatch(/^node +50 +0 +\d/m)
  })

  it('explains itself', async () => {
    const result = await runMainJob(['--help'])
    expect(result.status).toBe(0)
    for (const option of ['--transfers', '--connections', '--loop', '--json']) expect(result.stdout).toContain(option)
  })

  it.each([
    [['--nonsense'], "main-job: Unknown option '--nonsense'\n"],
    [['--transfers', '0'], "main-job: --transfers must be a whole number from 1 to 200000, not '0'\n"],
    [['--connections', 'x'], "main-job: --connections must be a whole number from 1 to 10000, not 'x'\n"],
    [['--transfers=2', 'http://a/'], 'main-job: --transfers is for the local origin; with URLs each is fetched once\n'],
    [['not a url'], 'main-job: bad URL "not a url": URL has no scheme such as \'http://\'\n'],
  ])('refuses %j in one line', async (parameters, line) => {
    expect(await runMainJob(parameters)).toEqual({ status: 1, stdout: '', stderr: line })
  })

  it('refuses a loop that it does not know', async () => {
    const result = await runMainJob(['--loop', 'sleep'])
    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(/^main-job: unknown loop 'sleep'; there are node, .*poll.*\n$/)
  })

  it('ends with errors when the origin is killed', async () => {
    const parameters = ['--transfers', '5000', '--loop', 'node', '--loop', 'poll']
    const result = await runMainJob(parameters, originKiller())
    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(/^node: [\d,]+ of 5,000 failed, first [A-Z_]+: /m)
    expect(result.stderr).toMatch(/^poll: 5,000 of 5,000 failed, first COULDNT_CONNECT: .*ECONNREFUSED/m)
  })

  it('ends cleanly when it is interrupted, and leaves no process', async () => {
    let origin: number | null = null
    const result = await runMainJob(['--transfers', ENDLESS], (stdout, pid) => {
      if (origin !== null) return
      origin = originPid(stdout)
      if (origin !== null) process.kill(pid, 'SIGINT')
    })
    expect(result.status).toBe(130)
    expect(result.stderr).toBe('interrupted\n')
    const pid = originPid(result.stdout) ?? 0
    expect(pid).toBeGreaterThan(0)
    await expect.poll(() => isRunning(pid), { timeout: ENDING_MS_MAX }).toBe(false)
  })
})

describe('the main job with URLs', { timeout: RUN_MS_MAX }, () => {
  it('prints a line for each, and ends with status 1 when one failed', async () => {
    const server = await serve()
    const result = await runMainJob([`${server.url}/a`, `${server.url}/missing`, `${server.url}/cut`, DEAD_URL])
    server.close()
    expect(result.status).toBe(1)
    expect(result.stderr).toBe('')
    const lines = result.stdout.trimEnd().split('\n').sort()
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(
      /^--- +0 B +[\d.]+ ms {2}http:\/\/127\.0\.0\.1:1\/ {2}COULDNT_CONNECT \(7\): .*ECONNREFUSED/,
    )
    expect(lines[1]).toMatch(/^200 +3 B +[\d.]+ ms {2}\S+\/cut {2}PARTIAL_FILE \(18\): /)
    expect(lines[2]).toMatch(/^200 +1,000 B +[\d.]+ ms {2}\S+\/a$/)
    expect(lines[3]).toMatch(/^404 +2 B +[\d.]+ ms {2}\S+\/missing$/)
  })

  it('ends with status 0 when every transfer ended well, in each loop that was named', async () => {
    const server = await serve()
    const result = await runMainJob(['--loop', 'node', '--loop', 'poll', '--json', `${server.url}/a`])
    server.close()
    expect(result.status).toBe(0)
    const { transfers, loops }: { transfers: { status: number; bytes: number }[]; loops: LoopFigures[] } = JSON.parse(
      result.stdout,
    )
    expect(transfers).toMatchObject([
      { status: 200, bytes: 1000, failure: null },
      { status: 200, bytes: 1000, failure: null },
    ])
    expect(loops.map((loop) => loop.loop)).toEqual(['node', 'poll'])
  })

  it('ends with errors when the server dies half-way', async () => {
    const server = await serve(20)
    const urls = new Array<string>(60).fill(`${server.url}/a`)
    const result = await runMainJob(['--connections', '4', ...urls])
    server.close()
    expect(result.status).toBe(1)
    const lines = result.stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(60)
    expect(lines.filter((line) => line.startsWith('200 ')).length).toBeGreaterThan(0)
    expect(lines.filter((line) => /(?:COULDNT_CONNECT|RECV_ERROR|GOT_NOTHING)/.test(line)).length).toBeGreaterThan(30)
  })
})

// Only util-linux's script takes a command and returns its status.
const hasTerminal = process.platform === 'linux' && findPeer('script') !== null

describeWhen(hasTerminal, 'on a terminal', 'needs script of util-linux', () => {
  it('the main job shows its progress, and the cursor again', { timeout: RUN_MS_MAX }, async () => {
    const command = `'${process.execPath}' dist/scripts/main-job.js --transfers 300 --loop poll`
    const result = await run('script', ['-qec', command, '/dev/null'])
    expect(result.status).toBe(0)
    expect(result.stdout).toMatch(/poll +\[[#.]+\] \d+\/300 [\d.]+ MB/)
    expect(result.stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(result.stdout.lastIndexOf('\u001b[?25l'))
    expect(result.stdout).toMatch(/^poll +300 +0 /m)
  })
})

interface TestServer {
  readonly url: string
  close(): void
}

/** Dies with all its connections when so many requests have come. */
async function serve(requestsMax: number = Number.POSITIVE_INFINITY): Promise<TestServer> {
  let requests = 0
  const close = (): void => {
    server.close()
    server.closeAllConnections()
  }
  const server = createServer((request, response) => {
    requests++
    if (requests > requestsMax) {
      close()
    } else if (request.url === '/missing') {
      response.writeHead(404).end('no')
    } else if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': 100 })
      response.write('abc', () => response.destroy())
    } else {
      response.end('x'.repeat(1000))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

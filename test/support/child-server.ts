/**
 * Real servers as child processes: each in a temporary directory of its own, waited for within a bound, stopped by its
 * pid and looked for afterwards. Their output goes to a file, since a test that blocks in its own loop reads no pipe.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const START_LIMIT_MS = 5000
const STOP_LIMIT_MS = 3000
const PROBE_PAUSE_MS = 10

/** What a server that could not start left in its log. */
export class StartError extends Error {}

export interface ChildServer {
  readonly pid: number
  readonly directory: string
  /** What the process and its log file said. */
  log(): string
  /** Ends the process, waits for its end and removes the directory. Idempotent. */
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()

process.once('exit', () => {
  // The last resort of a test file that did not reach its end.
  for (const child of running) child.kill('SIGKILL')
})

export function makeDirectory(name: string): string {
  return realpathSync(mkdtempSync(join(tmpdir(), `sockmux-${name}-`)))
}

/** Ports of 127.0.0.1 that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer().once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** True when something accepts there: `{ port, host }` or `{ path }`. */
export function accepts(address: { port: number; host: string } | { path: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address)
    socket.once('connect', () => socket.destroy())
    socket.once('error', () => {})
    let isOpen = false
    socket.once('connect', () => {
      isOpen = true
    })
    socket.once('close', () => resolve(isOpen))
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A program that stays in the foreground. `isReady` is asked until it says true or the process ends. */
export async function startProgram(
  path: string,
  args: readonly string[],
  directory: string,
  isReady: () => Promise<boolean>,
): Promise<ChildServer> {
  const output = openSync(join(directory, 'output.log'), 'a')
  const child = spawn(path, args, { cwd: directory, stdio: ['ignore', output, output] })
  closeSync(output)
  const server = supervise(child, directory)
  const end = performance.now() + START_LIMIT_MS
  for (;;) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null || child.pid === undefined
    if (!hasEnded && (await isReady())) return server
    if (hasEnded || performance.now() > end) {
      const log = server.log()
      await server.stop()
      throw new StartError(`${path} ${hasEnded ? 'ended' : 'did not get ready'}: ${log}`)
    }
    await pause(PROBE_PAUSE_MS)
  }
}

/** A module of this repository in a process of its own, which tells its first message when it is ready. */
export async function startModule<Ready>(
  url: URL,
  args: readonly string[] = [],
): Promise<ChildServer & { readonly ready: Ready }> {
  const directory = makeDirectory('node')
  const output = openSync(join(directory, 'output.log'), 'a')
  const child = fork(fileURLToPath(url), args, {
    cwd: directory,
    execArgv: [],
    stdio: ['ignore', output, output, 'ipc'],
  })
  closeSync(output)
  const server = supervise(child, directory)
  const ready = await new Promise<Ready | null>((resolve) => {
    const timer = setTimeout(() => resolve(null), START_LIMIT_MS)
    child.once('message', (message) => {
      clearTimeout(timer)
      resolve(message as Ready)
    })
    child.once('exit', () => {
      clearTimeout(timer)
      resolve(null)
    })
  })
  if (ready !== null) return { ...server, ready }
  const log = server.log()
  await server.stop()
  throw new StartError(`${url.pathname} did not get ready: ${log}`)
}

function supervise(child: ChildProcess, directory: string): ChildServer {
  running.add(child)
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  })
  void ended.then(() => running.delete(child))
  return {
    pid: child.pid ?? -1,
    directory,
    log: () => readFileSync(join(directory, 'output.log'), 'utf8'),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
      await ended
      clearTimeout(timer)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Starts again with other ports when somebody else took them in between. */
export async function withFreePorts<Server>(
  count: number,
  start: (ports: readonly number[]) => Promise<Server>,
): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count))
    } catch (error) {
      if (!(error instanceof StartError) || attempt === 3) throw error
    }
  }
}

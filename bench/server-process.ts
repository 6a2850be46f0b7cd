/**
 * A server under measurement or asked for work: a process of its own that prints "listening PORT", or listens at a port
 * known before, and serves until it is told to end. What it cost is asked of the operating system.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

const START_MS_MAX = 20_000
const END_MS_MAX = 5_000
const LOOK_MS = 20
const NANOSECONDS = 1e9

export class ServerProcess {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /** `port`: of one that says nothing. */
  static async start(command: readonly string[], port: number | null = null): Promise<ServerProcess> {
    const [program = '', ...parameters] = command
    const child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] })
    const end = (): void => void child.kill('SIGKILL')
    process.once('exit', end)
    child.once('exit', () => process.off('exit', end))
    const ended = new Promise<never>((_, reject) => {
      child.once('error', reject)
      child.once('exit', (status) => reject(new Error(`${command.join(' ')} ended with ${status}`)))
    })
    ended.catch(() => {})
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${command.join(' ')} does not listen`)), START_MS_MAX)
    })
    tooLate.catch(() => {})
    try {
      const ready = port === null ? portSaid(child) : whenListening(child, port)
      return new ServerProcess(child, await Promise.race([ready, ended, tooLate]))
    } catch (error) {
      end()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Seconds of CPU that its threads and those of its children have used so far, to the nanosecond. */
  cpuSeconds(): number {
    return nanosecondsOf(this.pid) / NANOSECONDS
  }

  /** Bytes of memory that are its own and in use. */
  residentBytes(): number {
    const text = readFileSync(`/proc/${this.pid}/status`, 'latin1')
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.stdin?.end()
    child.kill()
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX)
    await ended
    clearTimeout(timer)
  }
}

function nanosecondsOf(pid: number | string): number {
  const folder = `/proc/${pid}/task`
  return readdirSync(folder).reduce((sum, thread) => {
    const used = Number.parseInt(readFileSync(`${folder}/${thread}/schedstat`, 'latin1'), 10)
    const children = readFileSync(`${folder}/${thread}/children`, 'latin1').split(' ').filter(Boolean)
    return children.reduce((all, child) => all + nanosecondsOf(child), sum + used)
  }, 0)
}

function portSaid(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    if (child.stdout === null) return
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve(Number(/^listening (\d+)$/.exec(line)?.[1]))
    })
  })
}

async function whenListening(child: ChildProcess, port: number): Promise<number> {
  while (child.exitCode === null && child.signalCode === null) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', () => resolve(false))
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
    })
    if (isOpen) return port
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  throw new Error(`nothing listens at port ${port}`)
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

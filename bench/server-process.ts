/**
 * A server under measurement: a process of its own that prints "listening PORT" and serves until it is told to end.
 * What it cost is asked of the operating system: its CPU time and the memory that it holds.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const START_MS_MAX = 20_000
const END_MS_MAX = 5_000
/** Of /proc/PID/stat, behind the name: user and system time in ticks. */
const USER_FIELD = 11
const TICKS_PER_SECOND = 100

export class ServerProcess {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(command: readonly string[]): Promise<ServerProcess> {
    const [program = '', ...parameters] = command
    const child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] })
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${command.join(' ')} does not listen`)), START_MS_MAX)
      child.once('error', reject)
      child.once('exit', (status) => reject(new Error(`${command.join(' ')} ended with ${status}`)))
      createInterface({ input: child.stdout }).once('line', (line) => {
        clearTimeout(timer)
        resolve(Number(/^listening (\d+)$/.exec(line)?.[1]))
      })
    })
    child.removeAllListeners('exit')
    return new ServerProcess(child, port)
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Seconds of CPU that it has used so far, all of its threads. */
  cpuSeconds(): number {
    const text = readFileSync(`/proc/${this.pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[USER_FIELD]) + Number(fields[USER_FIELD + 1])) / TICKS_PER_SECOND
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

/** `sockmux serve` as a user has it: the packed command in a process of its own, on a directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { type Agent, type IncomingHttpHeaders, request } from 'node:http'
import { request as requestSecurely } from 'node:https'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type InstalledPackage, installPackage } from './installed-package.ts'

export const INSTALL_MS_MAX = 180_000
export const WAIT = { timeout: 15_000, interval: 10 }
export const CHANGED_AT = 'Mon, 01 Jan 2024 00:00:00 GMT'

let installed: InstalledPackage | null = null
const children = new Set<ChildProcess>()

/** Before the first of them. */
export function install(): void {
  installed = installPackage()
}

export function uninstall(): void {
  installed?.remove()
}

export function killAll(): void {
  for (const child of children) child.kill('SIGKILL')
}

export function folder(): string {
  return realpathSync(mkdtempSync(join((installed as InstalledPackage).project, 's-')))
}

/** A directory to serve, and beside it something that nobody may see. */
export function site(): string {
  const base = folder()
  const root = join(base, 'root')
  mkdirSync(join(root, 'sub', 'deep'), { recursive: true })
  mkdirSync(join(root, 'café'))
  mkdirSync(join(base, 'outside'))
  writeFileSync(join(base, 'outside', 'secret.txt'), 'secret')
  writeFileSync(join(root, 'hello.txt'), 'hello, world')
  utimesSync(join(root, 'hello.txt'), new Date(CHANGED_AT), new Date(CHANGED_AT))
  writeFileSync(join(root, '<b>&"\'.txt'), 'markup')
  writeFileSync(join(root, '.hidden'), 'hidden')
  writeFileSync(join(root, 'sub', 'index.html'), '<p>index</p>')
  writeFileSync(join(root, 'sub', 'data'), '{}')
  symlinkSync('../data', join(root, 'sub', 'deep', 'page.json'))
  symlinkSync('../outside', join(root, 'out'))
  symlinkSync('../outside/secret.txt', join(root, 'secret.txt'))
  symlinkSync('nowhere', join(root, 'dangling'))
  symlinkSync('loop', join(root, 'loop'))
  return root
}

export class Served {
  stdout = ''
  stderr = ''
  status: number | null | undefined
  signal: string | null = null
  readonly child: ChildProcess

  /** `listening`: a descriptor that it is passed as a service manager does it. `prepare`: what a shell does first. */
  constructor(
    parameters: readonly string[],
    cwd: string = folder(),
    { listening = null, prepare = ':' }: { listening?: number | null; prepare?: string } = {},
  ) {
    const { PATH, HOME } = process.env
    const script = installed?.commands.get('sockmux') as string
    const command = [process.execPath, script, 'serve', ...parameters]
    // The shell becomes the command: its process id is right.
    const variables = listening === null ? '' : 'LISTEN_FDS=1 LISTEN_PID=$$'
    command.unshift('sh', '-c', `${prepare}; ${variables} exec "$@"`, 'sh')
    const [program, ...rest] = command
    this.child = spawn(program as string, rest, {
      cwd,
      env: { PATH, HOME, TZ: 'Asia/Tokyo' },
      stdio: ['ignore', 'pipe', 'pipe', ...(listening === null ? [] : [listening])],
    })
    children.add(this.child)
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.child.once('close', (status, signal) => {
      children.delete(this.child)
      this.status = status
      this.signal = signal
    })
  }

  async begun(): Promise<this> {
    await expect.poll(() => this.stderr + (this.status === undefined ? '' : '(ended)'), WAIT).toMatch(/ at |\(ended\)/)
    return this
  }

  async ended(): Promise<number | null> {
    await expect.poll(() => this.status, WAIT).not.toBe(undefined)
    return this.status ?? null
  }

  get port(): number {
    return Number(/ at https?:\/\/[^\n]*:(\d+)\/\n/.exec(this.stderr)?.[1])
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1)
  }
}

interface Asked {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Of this end of the connection. */
  readonly port: number | undefined
}

interface Question {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly agent?: Agent
  readonly socketPath?: string
  readonly ca?: string
}

/** The target goes out as it is. */
export async function ask(served: Served | null, path: string, question: Question = {}): Promise<Asked> {
  const send = question.ca === undefined ? request : requestSecurely
  const outgoing = send({ host: '127.0.0.1', ...(served && { port: served.port }), path, ...question }).end()
  const [response] = await once(outgoing, 'response')
  const port = response.socket.localPort
  let body = ''
  response.setEncoding('utf8').on('data', (text: string) => (body += text))
  await once(response, 'end')
  return { status: response.statusCode, headers: response.headers, body, port }
}

export function serve(...parameters: string[]): Promise<Served> {
  return new Served(['--port', '0', ...parameters]).begun()
}

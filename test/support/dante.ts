/**
 * Two SOCKS servers in the foreground: dante, which asks nobody and has rules (nobody gets to 127.0.0.2), and
 * microsocks, which wants a name and a password without asking the system's users.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { accepts, isAlive, makeDirectory, pause, startProgram, withFreePorts } from './child-server.ts'

export interface SocksServer {
  readonly pid: number
  readonly port: number
  /** '127.0.0.1:port' */
  readonly address: string
  log(): string
  kill(): void
  stop(): Promise<void>
}

const CHILDREN_LIMIT_MS = 3000

function danteConfiguration(port: number): string {
  const user = process.getuid?.() === 0 ? 'user.privileged: root\nuser.unprivileged: nobody' : ''
  return `logoutput: stderr
internal: 127.0.0.1 port = ${port}
external: lo
clientmethod: none
socksmethod: none
${user}
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: 127.0.0.2/32 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }
`
}

export function startDante(path: string): Promise<SocksServer> {
  return withFreePorts(1, async ([port = 0]) => {
    const directory = makeDirectory('dante')
    chmodSync(directory, 0o755)
    writeFileSync(`${directory}/danted.conf`, danteConfiguration(port))
    const args = ['-f', `${directory}/danted.conf`, '-p', `${directory}/danted.pid`]
    const server = await startProgram(path, args, directory, () => accepts({ host: '127.0.0.1', port }))
    const stop = async (): Promise<void> => {
      const children = childrenOf(server.pid)
      await server.stop()
      // They notice a little later that their mother is gone.
      const end = performance.now() + CHILDREN_LIMIT_MS
      while (children.some(isAlive) && performance.now() < end) await pause(10)
    }
    return socksServer(server.pid, port, server.log, stop)
  })
}

export function startMicrosocks(path: string, user: string, password: string): Promise<SocksServer> {
  return withFreePorts(1, async ([port = 0]) => {
    const args = ['-i', '127.0.0.1', '-p', String(port), '-u', user, '-P', password]
    const server = await startProgram(path, args, makeDirectory('microsocks'), () =>
      accepts({ host: '127.0.0.1', port }),
    )
    return socksServer(server.pid, port, server.log, server.stop)
  })
}

function socksServer(pid: number, port: number, log: () => string, stop: () => Promise<void>): SocksServer {
  return { pid, port, address: `127.0.0.1:${port}`, log, kill: () => process.kill(pid, 'SIGKILL'), stop }
}

function childrenOf(parent: number): number[] {
  const { stdout } = spawnSync('ps', ['--ppid', String(parent), '-o', 'pid='], { encoding: 'utf8' })
  return stdout.split('\n').map(Number).filter(Boolean)
}

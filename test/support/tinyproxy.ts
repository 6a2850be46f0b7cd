/** tinyproxy with a configuration and paths of its own, in the foreground; with `user` it wants Basic. */
import { writeFileSync } from 'node:fs'
import { accepts, makeDirectory, startProgram, withFreePorts } from './child-server.ts'

export interface Tinyproxy {
  readonly pid: number
  readonly port: number
  readonly url: string
  kill(): void
  stop(): Promise<void>
}

export interface TinyproxyOptions {
  /** 'name password' */
  readonly user?: string
  /** The only ports that tunnels may lead to. Default: all. */
  readonly tunnelPorts?: readonly number[]
}

export function startTinyproxy(path: string, { user, tunnelPorts = [] }: TinyproxyOptions = {}): Promise<Tinyproxy> {
  return withFreePorts(1, async ([port = 0]) => {
    const directory = makeDirectory('tinyproxy')
    const lines = [
      `Port ${port}`,
      'Listen 127.0.0.1',
      'Timeout 30',
      'MaxClients 200',
      'LogLevel Notice',
      `LogFile "${directory}/output.log"`,
      ...(user === undefined ? [] : [`BasicAuth ${user}`]),
      ...tunnelPorts.map((one) => `ConnectPort ${one}`),
    ]
    writeFileSync(`${directory}/tinyproxy.conf`, `${lines.join('\n')}\n`)
    const args = ['-d', '-c', `${directory}/tinyproxy.conf`]
    const server = await startProgram(path, args, directory, () => accepts({ host: '127.0.0.1', port }))
    return {
      pid: server.pid,
      port,
      url: `http://127.0.0.1:${port}`,
      kill: () => process.kill(server.pid, 'SIGKILL'),
      stop: server.stop,
    }
  })
}

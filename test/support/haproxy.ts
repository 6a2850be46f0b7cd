/** haproxy with frontends of one's own, in the foreground. What it accepts and answers, its configuration says. */
import { writeFileSync } from 'node:fs'
import { accepts, makeDirectory, startProgram, withFreePorts } from './child-server.ts'

export interface Haproxy {
  readonly pid: number
  readonly directory: string
  readonly ports: readonly number[]
  stop(): Promise<void>
}

/** `describe` gives the sections behind `defaults`; `files` are written into the directory first. */
export function startHaproxy(
  path: string,
  portCount: number,
  files: Readonly<Record<string, string>>,
  describe: (directory: string, ports: readonly number[]) => string,
): Promise<Haproxy> {
  return withFreePorts(portCount, async (ports) => {
    const directory = makeDirectory('haproxy')
    for (const [name, text] of Object.entries(files)) writeFileSync(`${directory}/${name}`, text, { mode: 0o600 })
    writeFileSync(
      `${directory}/haproxy.cfg`,
      `global
  maxconn 500
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
${describe(directory, ports)}
`,
    )
    // In a moment of many connections it would wait for their ends, were it asked kindly: -db keeps it one process.
    const server = await startProgram(path, ['-db', '-f', `${directory}/haproxy.cfg`], directory, () =>
      accepts({ host: '127.0.0.1', port: ports.at(-1) ?? 0 }),
    )
    return { pid: server.pid, directory, ports, stop: server.stop }
  })
}

/**
 * squid with a configuration and paths of its own, in the foreground and without a cache. It may want to know who asks
 * (alice, 'wonder land'). Nobody gets to 127.0.0.2.
 */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { accepts, makeDirectory, pause, startProgram, withFreePorts } from './child-server.ts'

export interface Squid {
  readonly pid: number
  readonly port: number
  /** 'http://127.0.0.1:port' */
  readonly url: string
  /** Waits for so many requests to be complete: 'method status target [X-To-Proxy] [user]' of each. */
  requests(count: number): Promise<string[]>
  stop(): Promise<void>
}

export type SquidAuthentication = 'none' | 'basic' | 'digest'

const LOG_LIMIT_MS = 3000
const HELPERS = '/usr/lib/squid'

const AUTHENTICATION: Readonly<Record<SquidAuthentication, (directory: string) => string>> = {
  none: () => 'http_access allow all',
  basic: (directory) => `auth_param basic program ${HELPERS}/basic_ncsa_auth ${directory}/users
auth_param basic children 1 startup=1
auth_param basic realm squid
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all`,
  digest: (directory) => `auth_param digest program ${HELPERS}/digest_file_auth ${directory}/users
auth_param digest children 1 startup=1
auth_param digest realm squid
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all`,
}

function configuration(directory: string, port: number, authentication: SquidAuthentication): string {
  return `http_port 127.0.0.1:${port}
visible_hostname proxy.test
pid_filename ${directory}/squid.pid
cache_log ${directory}/output.log
logformat short %rm %>Hs %ru [%{X-To-Proxy}>h] [%[un]
access_log stdio:${directory}/access.log logformat=short
buffered_logs off
coredump_dir ${directory}
cache deny all
cache_mem 1 MB
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
max_filedescriptors 1024
acl forbidden dst 127.0.0.2
http_access deny forbidden
${AUTHENTICATION[authentication](directory)}
`
}

export function startSquid(path: string, authentication: SquidAuthentication = 'none'): Promise<Squid> {
  return withFreePorts(1, async ([port = 0]) => {
    const directory = makeDirectory('squid')
    // It serves as a user of its own when root starts it.
    chmodSync(directory, 0o777)
    const isBasic = authentication === 'basic'
    // crypt() of 'wonder land'.
    const secret = isBasic ? '$1$salt$sayGuNt41nHPNRcS9rNLq1' : 'wonder land'
    writeFileSync(`${directory}/users`, `alice:${secret}\n`)
    writeFileSync(`${directory}/squid.conf`, configuration(directory, port, authentication))
    // The name is that of its shared memory: several of them run at once.
    const args = ['-N', '-n', `sockmux${port}`, '-f', `${directory}/squid.conf`]
    const server = await startProgram(path, args, directory, () => accepts({ host: '127.0.0.1', port }))
    const logged = (): string[] => {
      const log = `${directory}/access.log`
      if (!existsSync(log)) return []
      const lines = readFileSync(log, 'utf8').split('\n')
      return lines.filter((line) => line !== '' && !line.startsWith('NONE ') && !line.startsWith('- '))
    }
    return {
      pid: server.pid,
      port,
      url: `http://127.0.0.1:${port}`,
      requests: async (count) => {
        const end = performance.now() + LOG_LIMIT_MS
        while (logged().length < count && performance.now() < end) await pause(10)
        return logged()
      },
      stop: server.stop,
    }
  })
}

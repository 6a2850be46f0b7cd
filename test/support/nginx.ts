/**
 * nginx with a configuration, files and paths of its own, in the foreground. Several servers stand for several habits:
 * `plain` keeps connections for long, `five` closes after five requests, `impatient` closes what is idle for 150 ms.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import {
  accepts,
  type ChildServer,
  isAlive,
  makeDirectory,
  pause,
  startProgram,
  withFreePorts,
} from './child-server.ts'

export interface Nginx {
  readonly directory: string
  /** Below it lie the files that are served. */
  readonly root: string
  /** Where uploads to /dav/ arrive. */
  readonly uploads: string
  readonly plain: string
  readonly five: string
  readonly impatient: string
  readonly unixSocketPath: string
  /** The master and all workers there ever were. */
  readonly pids: Set<number>
  workerPids(): number[]
  /** Kills the workers at once, without a word to their clients; the master starts others. */
  killWorkers(): void
  /** Kills the whole server: nobody listens any more. */
  kill(): void
  /** New workers take over; the old ones answer what they have begun. */
  reload(): void
  stop(): Promise<void>
}

const WORKER_LIMIT_MS = 3000

function configuration(directory: string, ports: readonly number[]): string {
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};` : ''
  const tempPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/temp/${name};`)
    .join('\n  ')
  return `daemon off;
worker_processes 1;
${user}
pid ${directory}/nginx.pid;
error_log ${directory}/output.log notice;
events { worker_connections 1024; }
http {
  access_log off;
  ${tempPaths}
  types { text/html html; text/plain txt; }
  default_type application/octet-stream;
  root ${directory}/files;
  sendfile on;
  keepalive_requests 1000000;
  keepalive_timeout 60s;
  server {
    listen 127.0.0.1:${ports[0]} backlog=1024;
    listen unix:${directory}/nginx.sock;
    server_name plain;
    location /gzip/ { alias ${directory}/files/; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; }
    location /included/ { alias ${directory}/files/; ssi on; ssi_types *; }
    location /proxied/ { proxy_pass http://unix:${directory}/nginx.sock:/included/; proxy_http_version 1.0; }
    location /dav/ { alias ${directory}/uploads/; dav_methods PUT DELETE; client_max_body_size 0; }
    location /small/ { alias ${directory}/uploads/; dav_methods PUT; client_max_body_size 1k; }
    location /slow/ { alias ${directory}/files/; limit_rate 1m; }
    location /empty { return 204; }
    location /moved { return 302 /elsewhere; }
  }
  server {
    listen 127.0.0.1:${ports[1]};
    keepalive_requests 5;
  }
  server {
    listen 127.0.0.1:${ports[2]};
    keepalive_timeout 150ms;
  }
}
`
}

export async function startNginx(path: string): Promise<Nginx> {
  return withFreePorts(3, (ports) => startOnPorts(path, ports))
}

async function startOnPorts(path: string, ports: readonly number[]): Promise<Nginx> {
  const directory = makeDirectory('nginx')
  for (const name of ['files', 'uploads', 'temp']) mkdirSync(`${directory}/${name}`)
  writeFileSync(`${directory}/nginx.conf`, configuration(directory, ports))
  const args = ['-p', directory, '-c', `${directory}/nginx.conf`, '-e', `${directory}/output.log`]
  const server = await startProgram(path, args, directory, async () => {
    if (!existsSync(`${directory}/nginx.pid`)) return false
    return accepts({ host: '127.0.0.1', port: ports[0] ?? 0 })
  })
  return nginxOf(server, ports)
}

function nginxOf(server: ChildServer, ports: readonly number[]): Nginx {
  const { directory, pid } = server
  const pids = new Set([pid])
  const workerPids = (): number[] => {
    const workers = childrenOf(pid)
    for (const worker of workers) pids.add(worker)
    return workers
  }
  workerPids()
  return {
    directory,
    root: `${directory}/files`,
    uploads: `${directory}/uploads`,
    plain: `http://127.0.0.1:${ports[0]}`,
    five: `http://127.0.0.1:${ports[1]}`,
    impatient: `http://127.0.0.1:${ports[2]}`,
    unixSocketPath: `${directory}/nginx.sock`,
    pids,
    workerPids,
    killWorkers: () => {
      for (const worker of workerPids()) process.kill(worker, 'SIGKILL')
    },
    kill: () => {
      const workers = workerPids()
      for (const one of [pid, ...workers]) process.kill(one, 'SIGKILL')
    },
    reload: () => {
      workerPids()
      process.kill(pid, 'SIGHUP')
    },
    stop: async () => {
      workerPids()
      await server.stop()
      // Workers outlive their master for a moment.
      const end = performance.now() + WORKER_LIMIT_MS
      while ([...pids].some(isAlive) && performance.now() < end) await pause(10)
      for (const worker of pids) if (worker !== pid && isAlive(worker)) process.kill(worker, 'SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function childrenOf(parent: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  return rows.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []))
}

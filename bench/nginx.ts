/**
 * The server of the transfer benchmarks: one nginx worker in a temporary directory, with and without TLS, with a file
 * to fetch and a folder to put to. Its files lie in memory where there is a /dev/shm, so that no disk is measured.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from './measure.ts'

export interface BenchServer {
  readonly http: string
  readonly https: string
  /** The certificate in PEM, which is its own authority. */
  readonly ca: string
  /** What `/big` is, to be sent from. */
  readonly file: string
  /** Uploads to `/put/…` lie here. */
  readonly uploads: string
  stop(): void
}

const PATHS = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/local/nginx/sbin/nginx', '/opt/homebrew/bin/nginx']
const START_MS_MAX = 5000
const COMMAND_MS_MAX = 20_000
const PIECE_BYTES = 1 << 20

/** null when there is none. */
export function findNginx(): string | null {
  return PATHS.find((path) => isUsable(path, constants.X_OK)) ?? null
}

export async function startNginx(path: string, fileBytes: number): Promise<BenchServer> {
  const folder = isUsable('/dev/shm', constants.W_OK) ? '/dev/shm' : tmpdir()
  const directory = mkdtempSync(join(folder, 'sockmux-bench-'))
  const [plain = 0, secure = 0] = await freePorts(2)
  for (const name of ['files', 'temp', 'uploads']) mkdirSync(join(directory, name))
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', 'key.pem', '-nodes']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2']
  const files = ['-out', join(directory, 'cert.pem')]
  key[key.indexOf('key.pem')] = join(directory, 'key.pem')
  runCommand(['openssl', 'req', '-x509', ...key, ...name, ...files], COMMAND_MS_MAX)
  const file = join(directory, 'files', 'big')
  writeBig(file, fileBytes)
  writeFileSync(join(directory, 'nginx.conf'), configuration(directory, plain, secure))
  const output = openSync(join(directory, 'output.log'), 'a')
  const parameters = ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', join(directory, 'output.log')]
  const child = spawn(path, parameters, { stdio: ['ignore', output, output] })
  closeSync(output)
  const stop = (): void => {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', stop)
  try {
    await whenListening(child, plain)
  } catch (error) {
    stop()
    throw error
  }
  return {
    http: `http://localhost:${plain}`,
    https: `https://localhost:${secure}`,
    ca: join(directory, 'cert.pem'),
    file,
    uploads: join(directory, 'uploads'),
    stop: () => {
      process.off('exit', stop)
      stop()
    },
  }
}

function configuration(directory: string, plain: number, secure: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/temp/${name};`)
    .join(' ')
  const locations = `location /put/ { alias ${directory}/uploads/; dav_methods PUT; }
    location /empty { add_header x-resumed $ssl_session_reused always; return 204; }`
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
events { worker_connections 8192; }
worker_rlimit_nofile 20000;
http {
  access_log off;
  ${temporary}
  root ${directory}/files;
  sendfile on;
  client_max_body_size 0;
  keepalive_requests 1000000;
  server { listen 127.0.0.1:${plain} backlog=4096; ${locations} }
  server {
    listen 127.0.0.1:${secure} ssl backlog=4096;
    ssl_certificate ${directory}/cert.pem;
    ssl_certificate_key ${directory}/key.pem;
    ssl_protocols TLSv1.3;
    ${locations}
  }
}
`
}

/** Of bytes that no layer could make shorter. */
function writeBig(path: string, bytes: number): void {
  const piece = Buffer.alloc(PIECE_BYTES)
  for (let i = 0; i < piece.length; i++) piece[i] = (Math.imul(i, 0x9e3779b1) >>> 13) & 0xff
  const fd = openSync(path, 'w')
  for (let written = 0; written < bytes; written += piece.length) {
    writeSync(fd, piece, 0, Math.min(piece.length, bytes - written))
  }
  closeSync(fd)
}

function isUsable(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  for (const server of servers) server.close()
  return ports
}

async function whenListening(child: ChildProcess, port: number): Promise<void> {
  const end = performance.now() + START_MS_MAX
  while (performance.now() < end && child.exitCode === null) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('nginx did not start')
}

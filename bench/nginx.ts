/**
 * nginx as origin and as peer: one process in a temporary directory that says hello, sends files, takes uploads, with
 * and without TLS. Its files lie in memory where there is a /dev/shm, so that no disk is measured.
 */
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
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pins, runCommand } from './measure.ts'
import { freePorts, ServerProcess } from './server-process.ts'
import { MissingPeerError } from './trial.ts'

export interface NginxOptions {
  /** Files to send, by name. */
  readonly files?: Readonly<Record<string, number>>
  /** Default false: nothing needs a certificate then. */
  readonly secure?: boolean
}

/** Laid out on disk, and not running yet. */
export interface NginxSite {
  readonly command: readonly string[]
  readonly port: number
  readonly folder: string
  readonly http: string
  readonly https: string
  /** The certificate in PEM, which is its own authority. */
  readonly ca: string
  /** Uploads to `/put/…` lie here. */
  readonly uploads: string
  fileOf(name: string): string
  remove(): void
}

/** One that runs, on the core of the load. */
export interface Origin extends NginxSite {
  stop(): Promise<void>
}

const PATHS = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/local/nginx/sbin/nginx', '/opt/homebrew/bin/nginx']
const COMMAND_MS_MAX = 20_000
const PIECE_BYTES = 1 << 20

/** null when there is none. */
export function findNginx(): string | null {
  return PATHS.find((path) => isUsable(path, constants.X_OK)) ?? null
}

/** Throws MissingPeerError. */
export async function startOrigin(options: NginxOptions = {}): Promise<Origin> {
  const site = await prepareNginx(options)
  try {
    const server = await ServerProcess.start([...pins().load, ...site.command], site.port)
    const stop = async (): Promise<void> => {
      await server.stop()
      site.remove()
    }
    return { ...site, stop }
  } catch (error) {
    site.remove()
    throw error
  }
}

export async function prepareNginx({ files = {}, secure = false }: NginxOptions): Promise<NginxSite> {
  const path = findNginx()
  if (path === null) throw new MissingPeerError('nginx is not installed (apt-get install nginx)')
  const folder = mkdtempSync(join(isUsable('/dev/shm', constants.W_OK) ? '/dev/shm' : tmpdir(), 'sockmux-bench-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  const [plain = 0, encrypted = 0] = await freePorts(2)
  for (const name of ['files', 'temp', 'uploads']) mkdirSync(join(folder, name))
  if (secure) makeCertificate(folder)
  for (const [name, bytes] of Object.entries(files)) writeFile(join(folder, 'files', name), bytes)
  writeFileSync(join(folder, 'nginx.conf'), configuration(folder, plain, secure ? encrypted : null))
  const parameters = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'output.log')]
  return {
    command: [path, ...parameters],
    port: plain,
    folder,
    http: `http://127.0.0.1:${plain}`,
    https: `https://localhost:${encrypted}`,
    ca: join(folder, 'cert.pem'),
    uploads: join(folder, 'uploads'),
    fileOf: (name) => join(folder, 'files', name),
    remove: () => {
      process.off('exit', remove)
      remove()
    },
  }
}

function makeCertificate(folder: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', join(folder, 'key.pem')]
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2']
  const files = ['-nodes', '-out', join(folder, 'cert.pem')]
  runCommand(['openssl', 'req', '-x509', ...key, ...name, ...files], COMMAND_MS_MAX)
}

function configuration(folder: string, plain: number, encrypted: number | null): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/temp/${name};`)
    .join(' ')
  const locations = `location = / { return 200 "Hello, world!"; }
    location /put/ { alias ${folder}/uploads/; dav_methods PUT; }
    location = /empty { add_header x-resumed $ssl_session_reused always; return 204; }`
  const secure =
    encrypted === null
      ? ''
      : `server {
    listen 127.0.0.1:${encrypted} ssl backlog=4096;
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;
    ssl_protocols TLSv1.3;
    ${locations}
  }`
  return `daemon off;
master_process off;
worker_processes 1;
error_log stderr emerg;
pid ${folder}/nginx.pid;
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
  access_log off;
  default_type text/plain;
  ${temporary}
  root ${folder}/files;
  sendfile on;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  server { listen 127.0.0.1:${plain} backlog=4096; ${locations} }
  ${secure}
}
`
}

/** Of bytes that no layer could make shorter. */
function writeFile(path: string, bytes: number): void {
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

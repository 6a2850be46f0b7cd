/** nginx that says hello, as one process. Not a script: it says how to start it. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PROBE_MS_MAX = 5000

export function findNginx(): string | null {
  const probe = spawnSync('nginx', ['-v'], { timeout: PROBE_MS_MAX })
  return probe.error === undefined ? null : 'no nginx (apt-get install nginx)'
}

/** A shell command that says where nginx listens, and becomes it. */
export async function nginxCommand(): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sockmux-bench-nginx-'))
  const port = await freePort()
  const lines = [
    'daemon off; master_process off; worker_processes 1; error_log stderr emerg;',
    `pid ${folder}/pid;`,
    'events { worker_connections 20000; }',
    'http {',
    '  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type text/plain;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path ${folder}/${name};`),
    `  server { listen 127.0.0.1:${port}; location / { return 200 "Hello, world!"; } }`,
    '}',
  ]
  const config = join(folder, 'nginx.conf')
  writeFileSync(config, `${lines.join('\n')}\n`)
  // It says nothing itself; the first request of the warm-up finds it listening.
  return [
    'sh',
    '-c',
    `(sleep 0.3; echo listening ${port}) & exec nginx -p "$1" -c "$2" </dev/null`,
    'sh',
    folder,
    config,
  ]
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })
}

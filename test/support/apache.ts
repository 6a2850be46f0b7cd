/**
 * Apache httpd with a configuration, files and paths of its own, in the foreground; *.sh below its files run as CGI.
 * Below /digest/ it wants Digest (alice, 'wonder land'), below /stale/ with nonces that serve for a moment only, and
 * below /basic/ Basic. Its second port keeps no connection.
 */
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { accepts, makeDirectory, startProgram, withFreePorts } from './child-server.ts'

export interface Apache {
  readonly pid: number
  readonly root: string
  readonly uploads: string
  readonly url: string
  readonly closing: string
  stop(): Promise<void>
}

const MODULE_DIRECTORIES = ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules', '/usr/libexec/apache2']
const MODULES = [
  'mpm_prefork',
  'authn_core',
  'authn_file',
  'authz_core',
  'authz_user',
  'auth_basic',
  'auth_digest',
  'alias',
  'cgi',
  'dav',
  'dav_fs',
  'deflate',
  'headers',
  'reqtimeout',
]
const REALM = 'Secret Place, Room=1'

/** They are not read before the whole body is theirs, so what `echo` gets has to fit into a pipe. */
const CGI = {
  'stream.sh': `printf 'Content-Type: text/plain\\r\\n\\r\\n'
for piece in 1 2 3 4 5; do printf 'piece %s\\n' "$piece"; sleep 0.02; done`,
  'large.sh': `printf 'Content-Type: text/plain\\r\\n\\r\\n'
head -c 3000000 /dev/zero`,
  'echo.sh': `printf 'Content-Type: application/octet-stream\\r\\n\\r\\n'
cat`,
  'status.sh': `printf 'Status: 418 Teapot\\r\\nX-Odd-CASE: kept\\r\\n\\r\\n'`,
  'location.sh': `printf 'Status: 307 Temporary Redirect\\r\\nLocation: /cgi/echo.sh\\r\\n\\r\\n'`,
}

function configuration(directory: string, ports: readonly number[], modules: string): string {
  const user = process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''
  const digest = (place: string, lifetime: number): string => `<Location /${place}/>
  AuthType Digest
  AuthName "${REALM}"
  AuthDigestDomain /${place}/
  AuthDigestProvider file
  AuthDigestNonceLifetime ${lifetime}
  AuthUserFile ${directory}/digests
  Require valid-user
</Location>
Alias /${place}/ ${directory}/files/`
  return `ServerRoot ${directory}
ServerName localhost
PidFile ${directory}/httpd.pid
ErrorLog ${directory}/output.log
DefaultRuntimeDir ${directory}
Mutex file:${directory}/locks default
${user}
${MODULES.map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`).join('\n')}
Listen 127.0.0.1:${ports[0]}
Listen 127.0.0.1:${ports[1]}
StartServers 2
MaxRequestWorkers 40
KeepAliveTimeout 30
MaxKeepAliveRequests 0
DocumentRoot ${directory}/files
DavLockDB ${directory}/locks/dav
${digest('digest', 300)}
${digest('stale', 1)}
<Location /basic/>
  AuthType Basic
  AuthName basic
  AuthBasicProvider file
  AuthUserFile ${directory}/users
  Require valid-user
</Location>
Alias /basic/ ${directory}/files/
Alias /dav/ ${directory}/uploads/
<Location /dav/>
  Dav On
</Location>
Alias /gzip/ ${directory}/files/
<Location /gzip/>
  SetOutputFilter DEFLATE
</Location>
ScriptAlias /cgi/ ${directory}/cgi/
<VirtualHost 127.0.0.1:${ports[1]}>
  KeepAlive Off
</VirtualHost>
`
}

export function startApache(path: string): Promise<Apache> {
  return withFreePorts(2, async (ports) => {
    const directory = makeDirectory('apache')
    // It serves as a user of its own when root starts it.
    chmodSync(directory, 0o755)
    for (const name of ['files', 'uploads', 'cgi', 'locks']) mkdirSync(`${directory}/${name}`)
    for (const name of ['uploads', 'locks']) chmodSync(`${directory}/${name}`, 0o777)
    for (const [name, script] of Object.entries(CGI)) {
      writeFileSync(`${directory}/cgi/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    }
    const md5 = createHash('md5').update(`alice:${REALM}:wonder land`).digest('hex')
    writeFileSync(`${directory}/digests`, `alice:${REALM}:${md5}\n`)
    const sha1 = createHash('sha1').update('wonder land').digest('base64')
    writeFileSync(`${directory}/users`, `alice:{SHA}${sha1}\n`)
    const modules = MODULE_DIRECTORIES.find(existsSync) ?? `${dirname(path)}/../modules`
    writeFileSync(`${directory}/httpd.conf`, configuration(directory, ports, modules))
    // At its end it signals its whole process group: it must have one of its own.
    const args = [path, '-D', 'FOREGROUND', '-d', directory, '-f', `${directory}/httpd.conf`]
    const server = await startProgram('setsid', args, directory, () =>
      accepts({ host: '127.0.0.1', port: ports[0] ?? 0 }),
    )
    return {
      pid: server.pid,
      root: `${directory}/files`,
      uploads: `${directory}/uploads`,
      url: `http://127.0.0.1:${ports[0]}`,
      closing: `http://127.0.0.1:${ports[1]}`,
      stop: server.stop,
    }
  })
}

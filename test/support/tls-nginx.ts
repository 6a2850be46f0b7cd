/**
 * nginx behind TLS, one process in the foreground. Each server stands for one habit: versions of the protocol, client
 * certificates, patience. The certificate that `byName` shows follows from the name that a client asks for. Every
 * answer tells in x-tls what was agreed on.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { type Certificate, makeCertificate, makeOcspResponse } from './certificates.ts'
import { accepts, makeDirectory, startProgram, withFreePorts } from './child-server.ts'

const SERVERS = ['both', 'tls12', 'tls13', 'clientCertificate', 'impatient', 'byName', 'plain'] as const
type ServerName = (typeof SERVERS)[number]

/** What stands behind each name at `byName`. */
const NAMES = {
  'expired.test': 'expired',
  'early.test': 'early',
  'other.test': 'server',
  'selfsigned.test': 'selfSigned',
  'unknown.test': 'unknown',
  'one.wild.test': 'wildcard',
  'two.one.wild.test': 'wildcard',
  'named.test': 'named',
  'stapled.test': 'stapled',
} as const

export interface TlsNginx {
  readonly pid: number
  readonly root: string
  readonly uploads: string
  /** Of `plain`. */
  readonly unixSocketPath: string
  readonly ports: Readonly<Record<ServerName, number>>
  /** 'https://localhost:port', of plain 'http://localhost:port'. */
  readonly urls: Readonly<Record<ServerName, string>>
  readonly certificates: TlsCertificates
  /** 'name:port:127.0.0.1' for everything at `byName`. */
  readonly resolve: readonly string[]
  kill(): void
  stop(): Promise<void>
}

export interface TlsCertificates {
  readonly authority: Certificate
  readonly server: Certificate
  readonly expired: Certificate
  readonly early: Certificate
  readonly selfSigned: Certificate
  readonly unknown: Certificate
  readonly wildcard: Certificate
  readonly named: Certificate
  /** Shown with a stapled OCSP response that says good. */
  readonly stapled: Certificate
  readonly client: Certificate
  readonly strangeClient: Certificate
}

function makeCertificates(): TlsCertificates {
  const authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
  const stranger = makeCertificate({ commonName: 'Unknown Authority', isAuthority: true })
  return {
    authority,
    server: makeCertificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1', '::1'], issuer: authority }),
    expired: makeCertificate({
      commonName: 'expired.test',
      names: ['expired.test'],
      issuer: authority,
      fromDay: -9,
      toDay: -1,
    }),
    early: makeCertificate({ commonName: 'early.test', names: ['early.test'], issuer: authority, fromDay: 1 }),
    selfSigned: makeCertificate({ commonName: 'selfsigned.test', names: ['selfsigned.test'] }),
    unknown: makeCertificate({ commonName: 'unknown.test', names: ['unknown.test'], issuer: stranger }),
    wildcard: makeCertificate({ commonName: 'wild', names: ['*.wild.test'], issuer: authority }),
    named: makeCertificate({ commonName: 'named.test', names: ['named.test'], issuer: authority }),
    stapled: makeCertificate({ commonName: 'stapled.test', names: ['stapled.test'], issuer: authority }),
    client: makeCertificate({ commonName: 'Known Client', issuer: authority }),
    strangeClient: makeCertificate({ commonName: 'Strange Client', issuer: stranger }),
  }
}

function tlsServer(directory: string, port: number, certificate: string, rest: string): string {
  return `server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${directory}/${certificate}.pem;
    ssl_certificate_key ${directory}/${certificate}.pem;
    ${rest}
    include ${directory}/locations.conf;
  }
`
}

function stapling(directory: string, certificate: string): string {
  return certificate === 'stapled' ? `ssl_stapling on; ssl_stapling_file ${directory}/stapled.ocsp;` : ''
}

function configuration(directory: string, ports: Readonly<Record<ServerName, number>>): string {
  const tempPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/temp/${name};`)
    .join('\n  ')
  const server = (name: ServerName, rest: string): string => tlsServer(directory, ports[name], 'server', rest)
  const byName = Object.entries(NAMES).map(([name, certificate]) =>
    tlsServer(directory, ports.byName, certificate, `server_name ${name}; ${stapling(directory, certificate)}`),
  )
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/output.log notice;
events { worker_connections 1024; }
http {
  access_log off;
  ${tempPaths}
  default_type application/octet-stream;
  root ${directory}/files;
  keepalive_requests 1000000;
  keepalive_timeout 60s;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:one:1m;
  client_max_body_size 0;
  ${server('both', '')}
  ${server('tls12', 'ssl_protocols TLSv1.2;')}
  ${server('tls13', 'ssl_protocols TLSv1.3;')}
  ${server('clientCertificate', `ssl_verify_client on; ssl_client_certificate ${directory}/authority.pem;`)}
  ${server('impatient', 'keepalive_timeout 150ms;')}
  ${byName.join('  ')}
  server { listen 127.0.0.1:${ports.plain}; listen unix:${directory}/nginx.sock; include ${directory}/locations.conf; }
}
`
}

function locations(directory: string, ports: Readonly<Record<ServerName, number>>): string {
  const agreed = '$ssl_protocol $ssl_session_reused [$ssl_alpn_protocol] [$ssl_server_name]'
  return `add_header x-tls "${agreed}" always;
add_header x-client "$ssl_client_verify [$ssl_client_s_dn]" always;
add_header x-connection "$connection $connection_requests" always;
add_header x-credentials "[$http_authorization] [$http_proxy_authorization] [$http_cookie]" always;
add_header x-target "$request_method $request_uri $http_host" always;
location /dav/ { alias ${directory}/uploads/; dav_methods PUT; }
location /slow/ { alias ${directory}/files/; limit_rate 1m; }
location /empty { return 204; }
location /closes { keepalive_timeout 0; return 200 closed; }
location /secret/ {
  alias ${directory}/files/;
  auth_basic "Secret Place";
  auth_basic_user_file ${directory}/users;
}
location /to-tls/ { return 302 https://localhost:${ports.both}/where; }
location /to-plain/ { return 302 http://localhost:${ports.plain}/where; }
location /to-address/ { return 302 http://127.0.0.1:${ports.plain}/where; }
location /where { return 200 here; }
`
}

export async function startTlsNginx(path: string): Promise<TlsNginx> {
  return withFreePorts(SERVERS.length, async (numbers) => {
    const ports = Object.fromEntries(SERVERS.map((name, index) => [name, numbers[index] ?? 0])) as TlsNginx['ports']
    const directory = makeDirectory('tls-nginx')
    const certificates = makeCertificates()
    for (const name of ['files', 'uploads', 'temp']) {
      mkdirSync(`${directory}/${name}`)
      // One process, so it is the caller's user that serves: nobody else has to get in.
      chmodSync(`${directory}/${name}`, 0o700)
    }
    for (const [name, { certificate, key }] of Object.entries(certificates) as [string, Certificate][]) {
      writeFileSync(`${directory}/${name}.pem`, `${certificate}${key}`, { mode: 0o600 })
    }
    writeFileSync(`${directory}/stapled.ocsp`, makeOcspResponse(certificates.authority, certificates.stapled, 'good'))
    writeFileSync(`${directory}/users`, 'alice:{PLAIN}wonder land\n')
    writeFileSync(`${directory}/locations.conf`, locations(directory, ports))
    writeFileSync(`${directory}/nginx.conf`, configuration(directory, ports))
    const args = ['-p', directory, '-c', `${directory}/nginx.conf`, '-e', `${directory}/output.log`]
    const server = await startProgram(path, args, directory, () => accepts({ host: '127.0.0.1', port: ports.plain }))
    const url = (name: ServerName): string => `http${name === 'plain' ? '' : 's'}://localhost:${ports[name]}`
    return {
      pid: server.pid,
      root: `${directory}/files`,
      uploads: `${directory}/uploads`,
      unixSocketPath: `${directory}/nginx.sock`,
      ports,
      urls: Object.fromEntries(SERVERS.map((name) => [name, url(name)])) as TlsNginx['urls'],
      certificates,
      resolve: Object.keys(NAMES).map((name) => `${name}:${ports.byName}:127.0.0.1`),
      kill: () => process.kill(server.pid, 'SIGKILL'),
      stop: server.stop,
    }
  })
}

/** lighttpd with a configuration, files and paths of its own, in the foreground; *.sh below its files run as CGI. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { accepts, makeDirectory, startProgram, withFreePorts } from './child-server.ts'

export interface Lighttpd {
  readonly root: string
  readonly url: string
  readonly unixSocketPath: string
  readonly pid: number
  stop(): Promise<void>
}

const CGI = {
  // No length: the server frames it in chunks, and sends the pieces as they come.
  'stream.sh': `printf 'Content-Type: text/plain\\r\\n\\r\\n'
for piece in 1 2 3 4 5; do printf 'piece %s\\n' "$piece"; sleep 0.02; done`,
  'length.sh': `printf 'Content-Type: text/plain\\r\\nContent-Length: 6\\r\\n\\r\\nlength'`,
  'status.sh': `printf 'Status: 418 Teapot\\r\\nX-Odd-CASE: kept\\r\\n\\r\\n'`,
  'echo.sh': `printf 'Content-Type: application/octet-stream\\r\\nX-Method: %s\\r\\n\\r\\n' "$REQUEST_METHOD"
cat`,
  'trailers.sh': `printf 'Content-Type: text/plain\\r\\nTransfer-Encoding: chunked\\r\\nTrailer: X-Sum\\r\\n\\r\\n'
printf '5\\r\\nhello\\r\\n'; sleep 0.02; printf '0\\r\\nX-Sum: 5\\r\\n\\r\\n'`,
  'large.sh': `printf 'Content-Type: text/plain\\r\\n\\r\\n'
head -c 5000000 /dev/zero`,
}

function configuration(directory: string, port: number): string {
  return `server.document-root = "${directory}/files"
server.bind = "127.0.0.1"
server.port = ${port}
server.upload-dirs = ( "${directory}/temp" )
server.modules = ( "mod_cgi" )
server.max-keep-alive-requests = 1000
server.stream-response-body = 1
server.errorlog = "${directory}/error.log"
mimetype.assign = ( "" => "application/octet-stream" )
cgi.assign = ( ".sh" => "/bin/sh" )
$SERVER["socket"] == "${directory}/lighttpd.sock" { }
`
}

export async function startLighttpd(path: string): Promise<Lighttpd> {
  return withFreePorts(1, async ([port = 0]) => {
    const directory = makeDirectory('lighttpd')
    for (const name of ['files', 'temp']) mkdirSync(`${directory}/${name}`)
    for (const [name, script] of Object.entries(CGI)) writeFileSync(`${directory}/files/${name}`, `${script}\n`)
    writeFileSync(`${directory}/lighttpd.conf`, configuration(directory, port))
    const server = await startProgram(path, ['-D', '-f', `${directory}/lighttpd.conf`], directory, () =>
      accepts({ host: '127.0.0.1', port }),
    )
    return {
      root: `${directory}/files`,
      url: `http://127.0.0.1:${port}`,
      unixSocketPath: `${directory}/lighttpd.sock`,
      pid: server.pid,
      stop: server.stop,
    }
  })
}

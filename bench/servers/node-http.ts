/** A server of node:http: `node node-http.js [FOLDER]` says hello to `/`, and streams the files of a folder. */
import { createReadStream, stat } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

const BACKLOG = 4096

const folder = process.argv[2] ?? ''
const server = createServer((request, response) => {
  if (request.url === '/') {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 })
    response.end('Hello, world!')
    return
  }
  const path = join(folder, request.url ?? '')
  stat(path, (error, status) => {
    if (error !== null) response.writeHead(404).end()
    else {
      response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': status.size })
      createReadStream(path).pipe(response)
    }
  })
})
server.keepAliveTimeout = 600_000
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`)
})
process.stdin.resume().once('end', () => process.exit())

/** A server of node:net that echoes what comes. */
import { type AddressInfo, createServer } from 'node:net'

const BACKLOG = 4096

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', (chunk) => socket.write(chunk))
  socket.on('error', () => socket.destroy())
})
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`)
})
process.stdin.resume().once('end', () => process.exit())

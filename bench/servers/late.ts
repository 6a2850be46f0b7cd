/** A server that answers every request after so many milliseconds: `node late.js MS`. */
import { type AddressInfo, createServer } from 'node:net'

const BACKLOG = 4096
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!'

const delayMs = Number(process.argv[2])
const server = createServer((socket) => {
  // A request of these clients comes in one piece.
  socket.on('data', () => setTimeout(() => socket.write(ANSWER), delayMs))
  socket.on('error', () => socket.destroy())
})
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`)
})
process.stdin.resume().once('end', () => process.exit())

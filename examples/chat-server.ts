/**
 * A chat over WebSocket, with its page: `node dist/examples/chat-server.js [PORT]`, then open it in a browser. What one
 * says everybody hears; one that does not keep up misses something instead of holding up the others.
 */
import type { ServerWebSocket, WebSocketServerOptions } from 'sockmux'
import { attachToNodeLoop, HttpServer, Multi, webSocket } from 'sockmux' // in your program: from 'sockmux'

const PAGE = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Chat</title>
<form><input autofocus> <button>Say</button></form>
<ul></ul>
<script>
  const socket = new WebSocket('ws://' + location.host + '/chat')
  const show = (text) => {
    const item = document.createElement('li')
    item.textContent = text
    document.querySelector('ul').prepend(item)
  }
  socket.onmessage = ({ data }) => show(data)
  socket.onclose = () => show('(closed)')
  document.querySelector('form').onsubmit = (event) => {
    event.preventDefault()
    const input = document.querySelector('input')
    socket.send(input.value)
    input.value = ''
  }
</script>
</html>
`

const multi = new Multi()
const loop = attachToNodeLoop(multi)
const sockets = new Set<ServerWebSocket>()
let guests = 0

function tellAll(text: string): void {
  for (const socket of sockets) socket.send(text)
}

// One object for all of them: it is checked once.
const chat: WebSocketServerOptions = {
  maxMessageBytes: 10_000,
  onOpen(socket) {
    socket.data = `guest ${++guests}`
    sockets.add(socket)
    tellAll(`${socket.data} is here`)
  },
  onMessage: (socket, message) => tellAll(`${socket.data}: ${message.text()}`),
  onClose(socket) {
    if (sockets.delete(socket)) tellAll(`${socket.data} has left`)
  },
}

const server = new HttpServer(multi, {
  listen: { host: '127.0.0.1', port: Number(process.argv[2] ?? 8080) },
  handler: (request) => {
    if (request.url === '/chat') return webSocket(request, chat)
    if (request.url === '/') return { headers: { 'content-type': 'text/html; charset=utf-8' }, body: PAGE }
    return { status: 404, body: 'Nothing here\n' }
  },
})
server.start()
console.log(`listening on http://127.0.0.1:${server.listeners[0]?.address.port}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    // Everybody is told 1001, "going away".
    await server.drain({ deadlineMs: 2000 })
    loop.detach()
    multi.close()
  })
}

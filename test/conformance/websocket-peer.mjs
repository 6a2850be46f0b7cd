/**
 * A server of the `ws` package in a process of its own. Paths: /echo, /plain (no compression), /context (the server
 * keeps its window), /close/CODE/REASON, /ping, /die (ends the process in the middle of a message), /many/COUNT. With
 * the files of a certificate and its key as arguments it speaks TLS.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { WebSocketServer } from 'ws'

const MESSAGE_BYTES_MAX = 64 * 1024 * 1024
const [certificate, key] = process.argv.slice(2)
const refuse = (_request, response) => response.writeHead(200).end('no upgrade here')
const http =
  key === undefined
    ? createServer(refuse)
    : createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, refuse)
const compressing = { threshold: 0, serverNoContextTakeover: false }
const servers = {
  plain: new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false }),
  echo: new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: { threshold: 0, serverNoContextTakeover: true },
    handleProtocols: (protocols) => (protocols.has('second') ? 'second' : false),
  }),
  context: new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: compressing }),
}

http.on('upgrade', (request, socket, head) => {
  const [, verb = '', first = '', second = ''] = request.url.split('/')
  if (verb === 'refused') {
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    return
  }
  const server = servers[verb] ?? servers.plain
  server.handleUpgrade(request, socket, head, (client) => {
    client.on('error', () => {})
    if (verb === 'close') client.close(Number(first), decodeURIComponent(second))
    else if (verb === 'die') {
      socket.write(Buffer.from([0x82, 0x7f, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3]), () =>
        process.kill(process.pid, 'SIGKILL'),
      )
    } else if (verb === 'ping') {
      client.on('pong', (data) => client.send(`pong ${data}`))
      client.on('ping', (data) => client.send(`ping ${data}`))
      client.ping('from the server')
    } else if (verb === 'many') for (let i = 0; i < Number(first); i++) client.send(`${i}`)
    else client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }))
  })
})

http.listen(0, '127.0.0.1', () => process.send({ port: http.address().port }))

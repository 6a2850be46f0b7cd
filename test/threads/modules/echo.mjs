// A server of bytes with every event: it tells what happened in `server.data.log`, and does what a line asks for.
const buffer = new Uint8Array(4096)

const note = (server, text) => server.data.log.push(text)

export const setup = (server) => note(server, 'setup')
export const start = (server) => note(server, 'start')
export const accept = (_connection, server) => note(server, 'accept')
export const connect = (_connection, server) => note(server, 'connect')
export const writable = (_connection, server) => note(server, 'writable')
export const cancel = (_connection, reason, server) => note(server, `cancel ${reason}`)
export const disconnect = (_connection, reason, _error, server) => note(server, `disconnect ${reason}`)
export const drop = ({ reason }, server) => note(server, `drop ${reason}`)
export const idle = (server) => note(server, 'idle')

export function readable(connection, server) {
  for (;;) {
    const count = connection.read(buffer)
    if (count === 0) return connection.close()
    if (count < 0) return
    const text = Buffer.from(buffer.subarray(0, count)).toString()
    if (text.startsWith('name ')) connection.name = text.slice(5).trim()
    if (text.startsWith('throw')) throw new RangeError('thrown by the module')
    if (text.startsWith('crash'))
      queueMicrotask(() => {
        throw new Error('the module is broken')
      })
    if (text.startsWith('hang')) for (;;) server.data.turns++
    if (text.startsWith('stop')) void server.stop()
    if (text.startsWith('big')) connection.write(new Uint8Array(1 << 22))
    connection.write(`${server.data.greeting}${text}`)
  }
}

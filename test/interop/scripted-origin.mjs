/**
 * A server that answers every request for /name with the steps of that name, byte for byte, whatever HTTP says. The
 * scripts come as JSON in the file that the first argument names; the port goes to the parent, and the process ends
 * with it.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const scripts = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const END_OF_HEAD = Buffer.from('\r\n\r\n')

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function play(socket, steps) {
  for (const step of steps) {
    if (socket.destroyed) return
    if ('send' in step) socket.write(Buffer.from(step.send, 'latin1'))
    else if ('repeat' in step) socket.write(Buffer.from(step.repeat.repeat(step.times), 'latin1'))
    else if ('waitMs' in step) await pause(step.waitMs)
    else if ('reset' in step) socket.resetAndDestroy()
    else if ('end' in step) socket.end()
  }
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let received = Buffer.alloc(0)
  let playing = Promise.resolve()
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    for (let at = received.indexOf(END_OF_HEAD); at >= 0; at = received.indexOf(END_OF_HEAD)) {
      const [, name] = /^\S+ \/(\S*)/.exec(received.toString('latin1', 0, at)) ?? []
      received = received.subarray(at + END_OF_HEAD.length)
      playing = playing.then(() =>
        play(socket, scripts[name] ?? [{ send: 'HTTP/1.1 404 No script\r\n\r\n' }, { end: 1 }]),
      )
    }
  })
})

process.once('disconnect', () => process.exit())
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))

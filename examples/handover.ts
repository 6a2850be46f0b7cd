/**
 * A server that is replaced by a new process while it serves: start `node dist/examples/handover.js [PORT]`, and the
 * same once more. The second process takes over what the first one listens on; that one finishes its answers and ends.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attachToNodeLoop, HttpServer, Multi, serveHandover, takeOver } from 'sockmux' // from 'sockmux'

const [port = '8080', path = join(tmpdir(), 'sockmux-example.sock')] = process.argv.slice(2)

// null when nobody is there to take over from.
const previous = takeOver({ path })
const multi = new Multi()
const loop = attachToNodeLoop(multi)
const server = new HttpServer(multi, {
  listen: previous?.listen ?? { host: '127.0.0.1', port: Number(port) },
  handler: () => ({ body: `Hello from process ${process.pid}\n` }),
})
server.start()
// From here on this process serves, so the one before may go; and is ready to be replaced itself.
const handover = serveHandover(server, { path, previous, drain: { deadlineMs: 5000 } })
console.log(`${previous ? 'took over' : 'listening on'} http://127.0.0.1:${server.listeners[0]?.address.port}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.drain({ deadlineMs: 5000 }))
const report = await handover.done
console.log(report === null ? 'stopped' : `handed over: ${report.finished} connections ended by themselves`)
loop.detach()
multi.close()

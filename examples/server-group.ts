/**
 * One HTTP server in several threads: `node dist/examples/server-group.js [PORT] [WORKERS] [SHARE]`. SIGHUP starts
 * every thread anew, with the program as it is then, while nobody is refused. Ctrl-C lets answers end.
 */
import { ServerGroup, type ShareMode } from 'sockmux' // in your program: from 'sockmux'

const [port = '8080', workers = '2', share = 'reuseport'] = process.argv.slice(2)

const group = await ServerGroup.start({
  module: new URL('./server-group-worker.js', import.meta.url),
  listen: { host: '127.0.0.1', port: Number(port) },
  workers: Number(workers),
  share: share as ShareMode,
  limits: { connections: 1000 },
  onWorker: ({ worker, kind, error }) => console.log(`worker ${worker}: ${kind}${error ? `, ${error.message}` : ''}`),
})
console.log(`listening on http://127.0.0.1:${group.addresses[0]?.port}`)

process.on('SIGHUP', async () => {
  const { finished, cut } = await group.restart({ graceMs: 5000 })
  console.log(`restarted: ${finished} connections ended by themselves, ${cut} were cut`)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    const { finished, cut } = await group.drain({ deadlineMs: 5000 })
    console.log(`stopped: ${finished} connections ended by themselves, ${cut} were cut`)
  })
}

/**
 * A thread per connection, as many as are needed and no more than that: `node dist/examples/thread-pool.js [PORT]
 * [MIN] [MAX]`, and then `nc 127.0.0.1 PORT`. When all are busy, peers wait. Ctrl-C lets everybody finish.
 */
import { ServerGroup } from 'sockmux' // in your program: from 'sockmux'

const [port = '8080', min = '1', max = '4'] = process.argv.slice(2)

const pool = await ServerGroup.start({
  module: new URL('./thread-pool-worker.js', import.meta.url),
  listen: { host: '127.0.0.1', port: Number(port) },
  share: 'handoff',
  workers: { min: Number(min), max: Number(max) },
  connectionsPerWorker: 1,
})
console.log(`listening on 127.0.0.1:${pool.addresses[0]?.port}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    const { finished, cut } = await pool.stop({ graceMs: 3000 })
    console.log(`stopped: ${finished} connections ended by themselves, ${cut} were cut`)
  })
}

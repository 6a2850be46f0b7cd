/**
 * A server in a thread of its own: `node dist/examples/managed-server.js [PORT]`. SIGHUP loads its code anew while it
 * serves, Ctrl-C lets answers end; /crash shows what becomes of a thread that ends.
 */
// In your program: from 'sockmux'.
import { ManagedServer } from 'sockmux'

const server = await ManagedServer.start({
  module: new URL('./managed-greeter.js', import.meta.url),
  listen: { host: '127.0.0.1', port: Number(process.argv[2] ?? 8080) },
  data: { greeting: 'Hello' },
  priority: 'low',
  onFault: async (fault) => {
    console.log(fault.message)
    // Whoever comes meanwhile waits in the queue.
    await server.restart()
    console.log(`thread ${server.threadId} goes on`)
  },
})
console.log(`listening on http://127.0.0.1:${server.addresses[0]?.port}, in thread ${server.threadId}`)

process.on('SIGHUP', async () => {
  const { finished } = await server.restart()
  console.log(`thread ${server.threadId} has taken over; ${finished} connections of the old one ended`)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    const { finished, cut } = await server.drain({ deadlineMs: 5000 })
    console.log(`stopped: ${finished} connections ended by themselves, ${cut} were cut`)
  })
}

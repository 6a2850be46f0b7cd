/** An HTTP server in Node's own loop: `node dist/examples/hello-server.js [PORT]`. Ctrl-C lets answers end. */
// In your program: from 'sockmux'.
import { attachToNodeLoop, HttpServer, Multi, prepareResponse } from 'sockmux'

const multi = new Multi()
const loop = attachToNodeLoop(multi)

// Checked and encoded once, however often it is sent.
const hello = prepareResponse({ headers: { 'content-type': 'text/plain; charset=utf-8' }, body: 'Hello, world!\n' })

const server = new HttpServer(multi, {
  listen: { host: '127.0.0.1', port: Number(process.argv[2] ?? 8080) },
  handler: async (request) => {
    if (request.url === '/') return hello
    if (request.url === '/shout') return { body: (await request.text()).toUpperCase() }
    return { status: 404, body: 'Nothing here\n' }
  },
})
server.start()
console.log(`listening on http://127.0.0.1:${server.listeners[0]?.address.port}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    const { finished, cut } = await server.drain({ deadlineMs: 5000 })
    console.log(`stopped: ${finished} connections ended by themselves, ${cut} were cut`)
    loop.detach()
    multi.close()
  })
}

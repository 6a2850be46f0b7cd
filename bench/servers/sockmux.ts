/**
 * Our HttpServer: `node sockmux.js own|node [FOLDER]` in a loop of its own or in Node's says hello to `/`, and sends
 * the files of a folder.
 */
import { join } from 'node:path'
import { attachToNodeLoop, fileResponse, HttpServer, Multi, prepareResponse } from 'sockmux'
import { serveUntilOrphaned } from '../serving.ts'

const [loop, folder = ''] = process.argv.slice(2)
const multi = new Multi()
const hello = prepareResponse({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'Hello, world!' })
const server = new HttpServer(multi, {
  listen: [{ host: '127.0.0.1', port: 0, backlog: 4096 }],
  limits: { connections: 20_000 },
  // Names that the benchmark chose: nothing in them needs a look.
  handler: (request) => (request.url === '/' ? hello : fileResponse(request, join(folder, request.url))),
})
server.start()
console.log(`listening ${server.listeners[0]?.address.port}`)
if (loop === 'node') {
  attachToNodeLoop(multi)
  process.stdin.resume().once('end', () => process.exit())
} else serveUntilOrphaned(multi)

/** Our HttpServer that says hello: `node sockmux.js own|node` in a loop of its own, or in Node's. */
import { attachToNodeLoop, HttpServer, Multi, prepareResponse, runPollLoop } from '../../lib/index.ts'

/** Turns of the loop between two looks at whether the parent lives. */
const TURNS_PER_LOOK = 1000

const multi = new Multi()
const hello = prepareResponse({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'Hello, world!' })
const server = new HttpServer(multi, {
  listen: [{ host: '127.0.0.1', port: 0 }],
  limits: { connections: 20_000 },
  handler: () => hello,
})
server.start()
console.log(`listening ${server.listeners[0]?.address.port}`)
if (process.argv[2] === 'node') {
  attachToNodeLoop(multi)
  process.stdin.resume().once('end', () => process.exit())
} else {
  const parent = process.ppid
  let turns = 0
  runPollLoop(multi, { maxWaitMs: 1000, until: () => ++turns % TURNS_PER_LOOK === 0 && process.ppid !== parent })
}

/** A Listener whose Connections echo what comes, in a loop of its own: `node echo-sockmux.js own|node`. */
import { attachToNodeLoop, Listener, Multi } from 'sockmux'
import { serveUntilOrphaned } from '../serving.ts'

const multi = new Multi()
const listener = new Listener(multi, { host: '127.0.0.1', port: 0, backlog: 4096 }, (connection) => {
  connection.onData = (_, chunk) => {
    connection.write(chunk)
  }
})
console.log(`listening ${listener.address.port}`)
if (process.argv[2] === 'node') {
  attachToNodeLoop(multi)
  process.stdin.resume().once('end', () => process.exit())
} else serveUntilOrphaned(multi)

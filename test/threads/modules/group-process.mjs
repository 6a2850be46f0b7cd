// One generation of a group that is handed over from process to process: the path of the handover socket, the port for
// the first one, how threads share it, and how many they are. Tells what happens in lines of JSON.
import { fileURLToPath } from 'node:url'
import { ServerGroup, serveHandover, takeOver } from '../../../dist/bundle/index.js'

const [path, port, share, workers] = process.argv.slice(2)
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)

const previous = takeOver({ path })
const group = await ServerGroup.start({
  module: fileURLToPath(new URL('group.mjs', import.meta.url)),
  listen: previous?.listen ?? [{ host: '127.0.0.1', port: Number(port), name: 'http' }],
  share,
  workers: Number(workers),
})
const handover = serveHandover(group, { path, previous, drain: { deadlineMs: 5000 } })
tell({ ready: process.pid, sockets: group.listeners.length, addresses: group.addresses.length })
process.once('SIGTERM', () => group.stop())
tell({ done: await handover.done })

/** The server of node:http in processes that share its port: `node node-cluster.js PROCESSES`. */
import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'

const count = Number(process.argv[2])
let awaited = count
const exec = fileURLToPath(new URL('./node-http.js', import.meta.url))
// They end with our input, and what they print is of nobody's interest: one of them listening is not all.
cluster.setupPrimary({ exec, args: [], stdio: ['inherit', 'ignore', 'inherit', 'ipc'] })
cluster.on('listening', (_, { port }) => {
  if (--awaited === 0) console.log(`listening ${port}`)
})
for (let i = 0; i < count; i++) cluster.fork()
process.stdin.resume().once('end', () => process.exit())

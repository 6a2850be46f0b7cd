/** Our ServerGroup: `node sockmux-group.js THREADS` says hello to everything. */
import { ServerGroup } from 'sockmux'

const group = await ServerGroup.start({
  module: new URL('./hello.js', import.meta.url),
  listen: { host: '127.0.0.1', port: 0, backlog: 4096 },
  workers: Number(process.argv[2]),
  limits: { connections: 20_000 },
})
console.log(`listening ${group.addresses[0]?.port}`)
process.stdin.resume().once('end', () => process.exit())

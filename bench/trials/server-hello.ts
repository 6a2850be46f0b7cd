/** What a request costs a server that says hello, by the number of connections, pipelined, and on new connections. */
import { hasNginx, helloServers, LIBMICROHTTPD, sceneOf } from '../contenders.ts'
import { prepareNginx } from '../nginx.ts'
import { LOAD_METRICS, measureServer, type ServerLoad } from '../server-load.ts'
import { countOption, countsOption, type Scene, type Trial } from '../trial.ts'
import { requireWrk } from '../wrk.ts'

export const serverHello: Trial = {
  name: 'server-hello',
  summary: 'CPU per request of HttpServer beside libmicrohttpd, node:http and nginx',
  metrics: LOAD_METRICS,
  references: [LIBMICROHTTPD],
  sizes: 'connections',
  rounds: 5,
  options: [
    { name: 'connections', value: 'N,…', help: 'connections of wrk that stay', fallback: '1,64,1000' },
    { name: 'pipelined', value: 'N', help: 'requests sent together; 1 leaves that scene out', fallback: '16' },
    { name: 'busy', value: 'N', help: 'connections of the scenes pipelined and new', fallback: '64' },
    { name: 'milliseconds', value: 'N', help: 'of load per turn', fallback: '2000' },
  ],
  quick: { milliseconds: '1000', rounds: '2' },
  tiny: { connections: '2', pipelined: '2', busy: '2', milliseconds: '100', rounds: '1' },
  async open(values) {
    requireWrk()
    const milliseconds = countOption(values, 'milliseconds')
    const busy = countOption(values, 'busy')
    const pipelined = countOption(values, 'pipelined')
    const counts = countsOption(values, 'connections')
    const site = hasNginx() ? await prepareNginx({}) : null
    const cast = helloServers(site)
    const scene = (name: string, size: number, load: ServerLoad): Scene =>
      sceneOf(name, size, cast, (server) => measureServer(server, load))
    const scenes = counts.map((connections) =>
      scene(`keep-alive, ${connections}`, connections, { connections, milliseconds }),
    )
    if (pipelined > 1) {
      scenes.push(scene(`${pipelined} pipelined, ${busy}`, 0, { connections: busy, pipelined, milliseconds }))
    }
    scenes.push(scene(`new connections, ${busy}`, 0, { connections: busy, close: true, milliseconds }))
    return { scenes, missing: cast.missing, close: () => site?.remove() }
  },
}

/** What sending a file costs a server, by its size: ours by sendfile, as nginx does; node:http by a stream. */
import { addNginx, type Cast, NODE_LOOP, OWN_LOOP, other, ours, sceneOf, scriptCommand } from '../contenders.ts'
import { prepareNginx } from '../nginx.ts'
import { LOAD_METRICS, measureServer } from '../server-load.ts'
import { countOption, countsOption, type Trial } from '../trial.ts'
import { requireWrk } from '../wrk.ts'

export const staticFile: Trial = {
  name: 'static-file',
  summary: 'CPU per file sent by sendfile beside nginx, and beside a stream of node:http',
  metrics: LOAD_METRICS,
  references: ['nginx'],
  sizes: 'bytes',
  rounds: 5,
  options: [
    { name: 'bytes', value: 'N,…', help: 'of the files', fallback: '1000,30000,1000000' },
    { name: 'connections', value: 'N', help: 'connections of wrk', fallback: '64' },
    { name: 'milliseconds', value: 'N', help: 'of load per turn', fallback: '2000' },
  ],
  quick: { milliseconds: '1000', rounds: '2' },
  tiny: { bytes: '1000', connections: '2', milliseconds: '100', rounds: '1' },
  async open(values) {
    requireWrk()
    const sizes = countsOption(values, 'bytes')
    const connections = countOption(values, 'connections')
    const milliseconds = countOption(values, 'milliseconds')
    const site = await prepareNginx({ files: Object.fromEntries(sizes.map((bytes) => [nameOf(bytes), bytes])) })
    const cast: Cast = { members: [], missing: [] }
    addNginx(cast, site)
    const folder = site.fileOf('')
    cast.members.push(
      ours(OWN_LOOP, scriptCommand('servers/sockmux', 'own', folder)),
      ours(NODE_LOOP, scriptCommand('servers/sockmux', 'node', folder)),
      other('node:http stream', scriptCommand('servers/node-http', folder)),
    )
    const scenes = sizes.map((bytes) =>
      sceneOf(`${bytes} bytes`, bytes, cast, (server) =>
        measureServer(server, { path: `/${nameOf(bytes)}`, connections, milliseconds }),
      ),
    )
    return { scenes, missing: cast.missing, close: () => site.remove() }
  },
}

function nameOf(bytes: number): string {
  return `${bytes}.bin`
}

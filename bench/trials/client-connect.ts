/** What a GET on a connection of its own costs a client, beside libcurl and undici. */
import { CLIENT_METRICS, clients, LIBCURL, measureClient } from '../client-load.ts'
import { sceneOf } from '../contenders.ts'
import { startOrigin } from '../nginx.ts'
import { countOption, type Trial } from '../trial.ts'

export const clientConnect: Trial = {
  name: 'client-connect',
  summary: 'CPU per GET on a new connection each, beside libcurl and undici',
  metrics: CLIENT_METRICS,
  references: [LIBCURL],
  sizes: '',
  rounds: 5,
  options: [
    { name: 'parallel', value: 'N', help: 'connections at a time', fallback: '50' },
    { name: 'requests', value: 'N', help: 'of a process', fallback: '10000' },
    { name: 'warmup', value: 'N', help: 'requests before those', fallback: '3000' },
  ],
  quick: { requests: '4000', warmup: '1000', rounds: '2' },
  tiny: { parallel: '2', requests: '20', warmup: '4', rounds: '1' },
  async open(values) {
    const requests = countOption(values, 'requests')
    const warmup = countOption(values, 'warmup', 0)
    const parallel = countOption(values, 'parallel')
    const cast = clients()
    const origin = await startOrigin()
    const load = { url: `${origin.http}/`, requests, warmup, parallel, connections: parallel, fresh: true }
    const scene = sceneOf(`${parallel} at a time`, 0, cast, (client) => measureClient(client, load))
    return { scenes: [scene], missing: cast.missing, close: () => origin.stop() }
  },
}

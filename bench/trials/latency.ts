/**
 * How long an answer takes at a fixed load, counted from the moment when the request was due: what a server that stalls
 * costs everybody who waits behind.
 */
import { hasNginx, helloServers, LIBMICROHTTPD, sceneOf } from '../contenders.ts'
import { prepareNginx } from '../nginx.ts'
import { requireLoad, runLoad } from '../paced-load.ts'
import { withServer } from '../server-load.ts'
import { countOption, countsOption, type Figures, type Metric, type Trial } from '../trial.ts'

const TEXT = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
const WARMUP_MS_MAX = 1000
const PERCENTILES = { p50: '50th', p90: '90th', p99: '99th', p999: '99.9th' }

export const latency: Trial = {
  name: 'latency',
  summary: 'latency of a hello at fixed rates, without coordinated omission',
  metrics: Object.entries(PERCENTILES).map(
    ([name, rank]): Metric => ({ name, title: `latency, ${rank} percentile`, unit: 'µs', digits: 0, better: 'less' }),
  ),
  references: [LIBMICROHTTPD],
  sizes: 'requests per second',
  rounds: 5,
  options: [
    { name: 'rates', value: 'N,…', help: 'requests per second', fallback: '1000,10000,30000' },
    { name: 'connections', value: 'N', help: 'that take turns', fallback: '64' },
    { name: 'milliseconds', value: 'N', help: 'of load per turn', fallback: '2000' },
  ],
  quick: { milliseconds: '1000', rounds: '2' },
  tiny: { rates: '200', connections: '2', milliseconds: '50', rounds: '1' },
  async open(values) {
    const load = requireLoad()
    const rates = countsOption(values, 'rates')
    const connections = countOption(values, 'connections')
    const milliseconds = countOption(values, 'milliseconds')
    const site = hasNginx() ? await prepareNginx({}) : null
    const cast = helloServers(site)
    const scenes = rates.map((rate) =>
      sceneOf(`${rate} per second`, rate, cast, (contender) =>
        withServer(contender, async (server): Promise<Figures> => {
          const shape = { port: server.port, connections, text: TEXT }
          runLoad(load, { ...shape, rate: 0, milliseconds: Math.min(milliseconds, WARMUP_MS_MAX) })
          const { requests, failures, p50, p90, p99, p999 } = runLoad(load, { ...shape, rate, milliseconds })
          return { requests, failures, p50, p90, p99, p999 }
        }),
      ),
    )
    return { scenes, missing: cast.missing, close: () => site?.remove() }
  },
}

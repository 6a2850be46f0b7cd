/** What a GET on a warm connection costs a client, by the number of connections, beside libcurl and undici. */
import { CLIENT_METRICS, clients, LIBCURL, measureClient } from '../client-load.ts'
import { sceneOf } from '../contenders.ts'
import { startOrigin } from '../nginx.ts'
import { countOption, countsOption, type Trial } from '../trial.ts'

/** It sleeps for each answer, and takes ten times as long for a request. */
const ONE_CONNECTION = { requests: 30_000, warmup: 10_000 } as const

export const clientKeepalive: Trial = {
  name: 'client-keepalive',
  summary: 'CPU per GET on warm connections, Transfer and request() beside libcurl and undici',
  metrics: CLIENT_METRICS,
  references: [LIBCURL],
  sizes: 'connections',
  rounds: 5,
  options: [
    { name: 'connections', value: 'N,…', help: 'each with one request at a time', fallback: '1,50,500' },
    { name: 'requests', value: 'N', help: 'of a process, at most 30,000 per connection', fallback: '100000' },
    { name: 'warmup', value: 'N', help: 'requests before those, at most 10,000 per connection', fallback: '60000' },
  ],
  quick: { requests: '20000', warmup: '10000', rounds: '2' },
  tiny: { connections: '2', requests: '20', warmup: '4', rounds: '1' },
  async open(values) {
    const requests = countOption(values, 'requests')
    const warmup = countOption(values, 'warmup', 0)
    const counts = countsOption(values, 'connections')
    const cast = clients()
    const origin = await startOrigin()
    const scenes = counts.map((connections) =>
      sceneOf(`${connections} connections`, connections, cast, (client) =>
        measureClient(client, {
          url: `${origin.http}/`,
          requests: Math.min(requests, connections * ONE_CONNECTION.requests),
          warmup: Math.min(warmup, connections * ONE_CONNECTION.warmup),
          parallel: connections,
          connections,
        }),
      ),
    )
    return { scenes, missing: cast.missing, close: () => origin.stop() }
  },
}

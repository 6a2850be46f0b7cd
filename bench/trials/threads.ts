/**
 * One server in several threads, beside a pool of as many of libmicrohttpd. Threads and load share all cores, since
 * there may be none left to pin the load to: what the load took is told as well.
 */
import { LIBMICROHTTPD, sceneOf, threadedServers } from '../contenders.ts'
import { NO_PINS } from '../measure.ts'
import { measureServer } from '../server-load.ts'
import { CPU_PER_REQUEST, countOption, countsOption, PER_SECOND, type Trial } from '../trial.ts'
import { requireWrk } from '../wrk.ts'

export const threads: Trial = {
  name: 'threads',
  summary: 'requests per second of ServerGroup beside a thread pool of libmicrohttpd and a cluster of node:http',
  metrics: [
    PER_SECOND,
    CPU_PER_REQUEST,
    { name: 'load', title: 'CPU of the load per request', unit: 'µs', digits: 2, better: 'less' },
    { name: 'loadCores', title: 'cores that the load took', unit: '', digits: 2, better: 'less' },
  ],
  references: [LIBMICROHTTPD],
  sizes: 'threads',
  rounds: 5,
  options: [
    { name: 'threads', value: 'N,…', help: 'of each server', fallback: '1,2' },
    { name: 'connections', value: 'N', help: 'connections of wrk that stay', fallback: '64' },
    { name: 'milliseconds', value: 'N', help: 'of load per turn', fallback: '2000' },
  ],
  quick: { milliseconds: '1000', rounds: '2' },
  tiny: { threads: '2', connections: '2', milliseconds: '100', rounds: '1' },
  open(values) {
    requireWrk()
    const connections = countOption(values, 'connections')
    const milliseconds = countOption(values, 'milliseconds')
    const casts = countsOption(values, 'threads').map((count) => ({ count, cast: threadedServers(count) }))
    const scenes = casts.map(({ count, cast }) =>
      sceneOf(count === 1 ? '1 thread' : `${count} threads`, count, cast, (server) =>
        measureServer(server, { connections, milliseconds, pins: NO_PINS }),
      ),
    )
    return { scenes, missing: casts[0]?.cast.missing ?? [], close: () => {} }
  },
}

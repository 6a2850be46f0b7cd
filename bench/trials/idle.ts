/**
 * What connections cost that only rest: memory of the server for each, and what a request costs beside them. All of it
 * of one process, so that with and without are compared within a minute.
 */
import { type Contender, hasNginx, helloServers, LIBMICROHTTPD, sceneOf } from '../contenders.ts'
import { IdleCrowd } from '../idle-crowd.ts'
import { prepareNginx } from '../nginx.ts'
import { loadServer, withServer } from '../server-load.ts'
import { countOption, type Figures, type Trial } from '../trial.ts'
import { requireWrk } from '../wrk.ts'

interface Shape {
  readonly some: number
  readonly many: number
  readonly connections: number
  readonly milliseconds: number
}

const WARMUP_MS_MAX = 2000

export const idle: Trial = {
  name: 'idle',
  summary: 'memory per idle connection, and CPU per request beside many of them',
  metrics: [
    { name: 'bytes', title: 'memory per idle connection', unit: 'bytes', digits: 0, better: 'less' },
    { name: 'alone', title: 'CPU per request, none idle', unit: 'µs', digits: 2, better: 'less' },
    { name: 'besideSome', title: 'CPU per request beside some idle', unit: 'µs', digits: 2, better: 'less' },
    { name: 'besideMany', title: 'CPU per request beside many idle', unit: 'µs', digits: 2, better: 'less' },
    { name: 'growth', title: 'CPU beside many / none idle', unit: '×', digits: 3, better: 'less' },
  ],
  references: [LIBMICROHTTPD],
  sizes: '',
  rounds: 5,
  options: [
    { name: 'some', value: 'N', help: 'idle connections', fallback: '1000' },
    { name: 'many', value: 'N', help: 'idle connections', fallback: '10000' },
    { name: 'connections', value: 'N', help: 'busy connections, of wrk', fallback: '64' },
    { name: 'milliseconds', value: 'N', help: 'of load per measurement', fallback: '2000' },
  ],
  quick: { milliseconds: '1000', rounds: '2' },
  tiny: { some: '2', many: '10', connections: '2', milliseconds: '100', rounds: '1' },
  async open(values) {
    requireWrk()
    const shape: Shape = {
      some: countOption(values, 'some'),
      many: countOption(values, 'many'),
      connections: countOption(values, 'connections'),
      milliseconds: countOption(values, 'milliseconds'),
    }
    const site = hasNginx() ? await prepareNginx({}) : null
    const cast = helloServers(site)
    const scene = sceneOf(`${shape.some} and ${shape.many} idle`, 0, cast, (server) => measureOnce(server, shape))
    return { scenes: [scene], missing: cast.missing, close: () => site?.remove() }
  },
}

function measureOnce(contender: Contender, { some, many, connections, milliseconds }: Shape): Promise<Figures> {
  return withServer(contender, async (server) => {
    const cost = async (): Promise<number> => (await loadServer(server, { connections, milliseconds }))['cpu'] as number
    await loadServer(server, { connections, milliseconds: Math.min(milliseconds, WARMUP_MS_MAX) })
    const alone = await cost()
    const crowd = new IdleCrowd(server.port)
    try {
      await crowd.grow(some)
      const besideSome = await cost()
      // The second half of them: what a process grows by once, on its first connections, is no part of it.
      const half = Math.max(some, many >> 1)
      await crowd.grow(half - some)
      const before = server.residentBytes()
      await crowd.grow(many - half)
      const bytes = (server.residentBytes() - before) / (many - half)
      const besideMany = await cost()
      return { bytes, alone, besideSome, besideMany, growth: besideMany / alone }
    } finally {
      await crowd.close()
    }
  })
}

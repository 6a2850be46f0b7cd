/**
 * System calls per request, counted by strace: a figure that does not depend on the machine's mood. Of clients: of a
 * run with twice as many requests, less those of a run. Of servers: while wrk asks them, and while nobody does.
 */
import { clients, LIBCURL } from '../client-load.ts'
import { hasNginx, helloServers, LIBMICROHTTPD, sceneOf } from '../contenders.ts'
import { IdleCrowd } from '../idle-crowd.ts'
import { type Origin, prepareNginx, startOrigin } from '../nginx.ts'
import { loadServer, type ServerLoad, withServer } from '../server-load.ts'
import { countCallsOf, countCallsWhile, requireStrace } from '../strace.ts'
import { countOption, type Figures, type Scene, type Trial } from '../trial.ts'
import { requireWrk } from '../wrk.ts'

export const systemCalls: Trial = {
  name: 'system-calls',
  summary: 'system calls per request, client and server, and those of a server at rest',
  metrics: [
    { name: 'calls', title: 'system calls per request', unit: '', digits: 2, better: 'less' },
    { name: 'resting', title: 'system calls in a second at rest', unit: '', digits: 1, better: 'less' },
  ],
  references: [LIBCURL, LIBMICROHTTPD],
  sizes: '',
  rounds: 2,
  options: [
    { name: 'connections', value: 'N', help: 'busy ones', fallback: '50' },
    { name: 'requests', value: 'N', help: 'of a client', fallback: '5000' },
    { name: 'pipelined', value: 'N', help: 'requests sent to a server together', fallback: '16' },
    { name: 'idle', value: 'N', help: 'idle connections of a server at rest', fallback: '100' },
    { name: 'milliseconds', value: 'N', help: 'of load on a server, and of its rest', fallback: '1000' },
  ],
  quick: { rounds: '1' },
  tiny: { connections: '2', requests: '50', pipelined: '2', idle: '2', milliseconds: '300', rounds: '1' },
  async open(values) {
    requireStrace()
    requireWrk()
    const connections = countOption(values, 'connections')
    const requests = countOption(values, 'requests')
    const pipelined = countOption(values, 'pipelined')
    const idle = countOption(values, 'idle')
    const milliseconds = countOption(values, 'milliseconds')
    const site = hasNginx() ? await prepareNginx({}) : null
    const origin = await startOrigin()
    const servers = helloServers(site)
    const asked = (name: string, load: ServerLoad): Scene =>
      sceneOf(name, 0, servers, (contender) =>
        withServer(contender, async (server): Promise<Figures> => {
          await loadServer(server, load)
          let answered = 0
          const calls = await countCallsWhile(server.pid, async () => {
            answered = (await loadServer(server, load))['requests'] as number
          })
          return { calls: calls / answered }
        }),
      )
    const atRest = sceneOf(`server, ${idle} idle`, 0, servers, (contender) =>
      withServer(contender, async (server): Promise<Figures> => {
        const crowd = new IdleCrowd(server.port)
        try {
          await crowd.grow(idle)
          const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))
          // What Node still compiles and sweeps after the last request is no rest.
          await rest()
          return { resting: ((await countCallsWhile(server.pid, rest)) * 1000) / milliseconds }
        } finally {
          await crowd.close()
        }
      }),
    )
    const scenes = [
      clientScene(origin, connections, requests),
      asked(`server, ${connections} connections`, { connections, milliseconds }),
      asked(`server, ${connections} connections, ${pipelined} pipelined`, { connections, pipelined, milliseconds }),
      atRest,
    ]
    const close = async (): Promise<void> => {
      site?.remove()
      await origin.stop()
    }
    return { scenes, missing: [...new Set([...clients().missing, ...servers.missing])], close }
  },
}

function clientScene(origin: Origin, connections: number, requests: number): Scene {
  return sceneOf(`client, ${connections} connections`, 0, clients(), async ({ command }): Promise<Figures> => {
    const count = (total: number): Promise<number> => {
      const numbers = [total, connections, connections, connections, 0].map(String)
      return countCallsOf([...command, `${origin.http}/`, ...numbers])
    }
    return { calls: ((await count(2 * requests)) - (await count(requests))) / requests }
  })
}

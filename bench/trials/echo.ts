/** What 64 bytes cost that come and go back, beside C on raw epoll and node:net. */
import {
  addPeer,
  type Cast,
  NODE_LOOP,
  ON_EPOLL,
  OWN_LOOP,
  other,
  ours,
  sceneOf,
  scriptCommand,
} from '../contenders.ts'
import { requireLoad, runLoad } from '../paced-load.ts'
import { withServer } from '../server-load.ts'
import { countOption, countsOption, type Figures, type Trial } from '../trial.ts'

const REFERENCE = 'raw epoll'
const TEXT = 'x'.repeat(64)
const WARMUP_MS_MAX = 1000

export const echo: Trial = {
  name: 'echo',
  summary: 'CPU per message of Listener and Connection beside C on raw epoll and node:net',
  metrics: [
    { name: 'cpu', title: 'CPU per message', unit: 'µs', digits: 2, better: 'less' },
    { name: 'rate', title: 'messages per second', unit: '/s', digits: 0, better: 'more' },
  ],
  references: [REFERENCE],
  sizes: 'connections',
  rounds: 5,
  options: [
    { name: 'connections', value: 'N,…', help: 'each with one message at a time', fallback: '1,64,1000' },
    { name: 'milliseconds', value: 'N', help: 'of load per turn', fallback: '2000' },
  ],
  quick: { milliseconds: '1000', rounds: '2' },
  tiny: { connections: '2', milliseconds: '50', rounds: '1' },
  open(values) {
    const load = requireLoad()
    const counts = countsOption(values, 'connections')
    const milliseconds = countOption(values, 'milliseconds')
    const cast: Cast = { members: [], missing: [] }
    addPeer(cast, REFERENCE, { ...ON_EPOLL, name: 'echo-epoll' })
    cast.members.push(
      ours(OWN_LOOP, scriptCommand('servers/echo-sockmux', 'own')),
      ours(NODE_LOOP, scriptCommand('servers/echo-sockmux', 'node')),
      other('node:net', scriptCommand('servers/echo-net')),
    )
    const scenes = counts.map((connections) =>
      sceneOf(`${connections} connections`, connections, cast, (contender) =>
        withServer(contender, async (server): Promise<Figures> => {
          const shape = { port: server.port, connections, rate: 0, text: TEXT }
          runLoad(load, { ...shape, milliseconds: Math.min(milliseconds, WARMUP_MS_MAX) })
          const before = server.cpuSeconds()
          const { requests, seconds } = runLoad(load, { ...shape, milliseconds })
          return { cpu: ((server.cpuSeconds() - before) * 1e6) / requests, rate: requests / seconds }
        }),
      ),
    )
    return { scenes, missing: cast.missing, close: () => {} }
  },
}

/**
 * TLS connections per second, begun anew and from sessions, beside C libcurl's multi interface: many GETs of nothing,
 * some at a time, each on a connection of its own to one nginx. How many sessions were resumed is counted.
 */
import { addPeer, type Cast, ours, sceneOf, scriptCommand } from '../contenders.ts'
import { runSubject } from '../measure.ts'
import { startOrigin } from '../nginx.ts'
import type { PeerSource } from '../peers.ts'
import { countOption, type Figures, type Trial } from '../trial.ts'

interface Answer {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly resumed: number
  readonly failed: number
}

const LIBCURL = 'libcurl'
const LIBCURL_PEER: PeerSource = {
  name: 'handshakes-libcurl',
  header: 'curl/curl.h',
  debianPackage: 'libcurl4-openssl-dev',
  libraries: ['curl'],
}

export const handshakes: Trial = {
  name: 'handshakes',
  summary: 'TLS connections per second, full and resumed, beside C libcurl',
  metrics: [
    { name: 'rate', title: 'connections per second', unit: '/s', digits: 0, better: 'more' },
    { name: 'cpu', title: 'CPU per connection', unit: 'µs', digits: 0, better: 'less' },
    { name: 'resumed', title: 'sessions resumed', unit: '', digits: 0, better: 'more' },
  ],
  references: [LIBCURL],
  sizes: '',
  rounds: 5,
  options: [
    { name: 'connections', value: 'N', help: 'of a process', fallback: '3000' },
    { name: 'parallel', value: 'N', help: 'at a time', fallback: '1000' },
  ],
  quick: { connections: '1000', parallel: '100', rounds: '2' },
  tiny: { connections: '20', parallel: '5', rounds: '1' },
  async open(values) {
    const connections = countOption(values, 'connections')
    const parallel = Math.min(countOption(values, 'parallel'), connections)
    const cast: Cast = { members: [], missing: [] }
    addPeer(cast, LIBCURL, LIBCURL_PEER)
    cast.members.push(ours('sockmux', scriptCommand('subjects/handshakes')))
    const origin = await startOrigin({ secure: true })
    const scenes = ['full', 'resumed'].map((name) => {
      const shape = [connections, parallel, name === 'resumed' ? 1 : 0].map(String)
      const parameters = [`${origin.https}/empty`, origin.ca, ...shape]
      return sceneOf(`${name}, ${parallel} at a time`, 0, cast, ({ command }) =>
        measureOnce([...command, ...parameters], connections),
      )
    })
    return { scenes, missing: cast.missing, close: () => origin.stop() }
  },
}

function measureOnce(command: readonly string[], connections: number): Figures {
  const { seconds, cpuSeconds, resumed, failed } = runSubject<Answer>(command)
  if (failed > 0) throw new Error(`${command.join(' ')}: ${failed} transfers failed`)
  return { rate: connections / seconds, cpu: (cpuSeconds / connections) * 1e6, resumed }
}

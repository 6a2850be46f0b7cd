/**
 * What an event costs: libevent's bench shape (see pipe-ring.ts) on our poller and Multi, on libevent and on raw epoll.
 * Figures are wall time from the first wait of a round until everything was read back, divided by the events.
 */
import { addPeer, type Cast, type Contender, ON_EPOLL, ours, sceneOf, scriptCommand } from '../contenders.ts'
import { median, runSubject } from '../measure.ts'
import type { PeerSource } from '../peers.ts'
import { eventsPerRound, type ReadinessShape } from '../pipe-ring.ts'
import type { SubjectAnswer } from '../subject.ts'
import { countOption, countsOption, type Figures, type Metric, type Trial, UsageError, type Values } from '../trial.ts'

const REFERENCE = 'libevent'
const BACKENDS = ['epoll', 'poll']
const OUR_SUBJECTS = ['plain', 'batched', 'multi']
const METRICS: readonly Metric[] = [
  { name: 'median', title: 'time per event, median of a process', unit: 'ns', digits: 0, better: 'less' },
  { name: 'fastest', title: 'time per event, fastest of a process', unit: 'ns', digits: 0, better: 'less' },
]
export const LIBEVENT_PEER: PeerSource = {
  name: 'readiness-libevent',
  header: 'event2/event.h',
  debianPackage: 'libevent-dev',
  libraries: ['event_core'],
}
export const EPOLL_PEER: PeerSource = { ...ON_EPOLL, name: 'readiness-epoll' }

export const readiness: Trial = {
  name: 'readiness',
  summary: 'time per event of Poller and Multi beside C libevent and raw epoll',
  metrics: METRICS,
  references: [REFERENCE],
  sizes: 'pipes',
  rounds: 9,
  options: [
    { name: 'pipes', value: 'N,…', help: 'pipes that are watched', fallback: '100,1000,9000' },
    { name: 'active', value: 'N,…', help: 'pipes that are ready at any time', fallback: '1,100,1000' },
    { name: 'writes', value: 'N,…', help: 'writes per round after the first ones', fallback: '1000' },
    { name: 'warmups', value: 'N', help: 'rounds of a process before the measured ones', fallback: '200' },
    { name: 'repeats', value: 'N', help: 'measured rounds of a process', fallback: '200' },
    { name: 'backend', value: BACKENDS.join('|'), help: 'backend of ours and of libevent', fallback: 'epoll' },
  ],
  quick: { pipes: '1000', rounds: '3' },
  tiny: { pipes: '10', active: '3', writes: '25', warmups: '2', repeats: '2', rounds: '1' },
  open(values) {
    const backend = values['backend'] ?? ''
    if (!BACKENDS.includes(backend)) {
      throw new UsageError(`--backend must be one of ${BACKENDS.join(', ')}, got '${backend}'`)
    }
    const counts = [countOption(values, 'warmups'), countOption(values, 'repeats')]
    const cast = findContenders(backend)
    const scenes = readShapes(values).map((shape) => {
      const { pipes, active, writes } = shape
      const name = `${pipes} pipes, ${active} active, ${writes} writes`
      return sceneOf(name, pipes, cast, (contender) => measureOnce(contender, shape, backend, counts))
    })
    return { scenes, missing: cast.missing, close: () => {} }
  },
}

function readShapes(values: Values): ReadinessShape[] {
  const [allPipes, allActive, allWrites] = [
    countsOption(values, 'pipes'),
    countsOption(values, 'active'),
    countsOption(values, 'writes', 0),
  ]
  const shapes = allPipes.flatMap((pipes) =>
    allActive.flatMap((active) => allWrites.map((writes) => ({ pipes, active, writes }))),
  )
  const possible = shapes.filter(({ pipes, active }) => active <= pipes)
  if (possible.length > 0) return possible
  throw new UsageError(`--active must be at most --pipes (${values['pipes']}), got '${values['active']}'`)
}

function findContenders(backend: string): Cast {
  const cast: Cast = { members: [], missing: [] }
  if (backend === 'epoll') addPeer(cast, 'raw epoll', EPOLL_PEER)
  else cast.missing.push(`raw epoll: it knows no ${backend}`)
  addPeer(cast, REFERENCE, LIBEVENT_PEER)
  for (const name of OUR_SUBJECTS) {
    cast.members.push(ours(`sockmux ${name}`, scriptCommand('subject', `readiness-${name}`)))
  }
  return cast
}

function measureOnce(
  { command }: Contender,
  shape: ReadinessShape,
  backend: string,
  counts: readonly number[],
): Figures {
  const numbers = [shape.pipes, shape.active, shape.writes, ...counts]
  const { nanoseconds } = runSubject<SubjectAnswer>([...command, backend, ...numbers.map(String)])
  const events = eventsPerRound(shape)
  return { median: median(nanoseconds) / events, fastest: Math.min(...nanoseconds) / events }
}

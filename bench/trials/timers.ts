/** What a timer costs to arm, to cancel and to expire, by how many there are, beside libevent and Node's own. */
import { addPeer, type Cast, type Contender, other, ours, sceneOf, scriptCommand } from '../contenders.ts'
import { median, runSubject } from '../measure.ts'
import type { PeerSource } from '../peers.ts'
import type { TimersAnswer } from '../timers.ts'
import { countsOption, type Figures, type Metric, type Trial } from '../trial.ts'

const REFERENCE = 'libevent'
const LIBEVENT_PEER: PeerSource = {
  name: 'timers-libevent',
  header: 'event2/event.h',
  debianPackage: 'libevent-dev',
  libraries: ['event_core'],
}
/** Of timers in one process, so that few are repeated often and many a few times. */
const TIMERS_MAX = 2_000_000
const REPEATS_MIN = 3
const REPEATS_MAX = 50

export const timers: Trial = {
  name: 'timers',
  summary: 'time to arm, cancel and expire a timer beside libevent and setTimeout',
  metrics: ['arm', 'cancel', 'expire'].map(
    (name): Metric => ({ name, title: `${name}, per timer`, unit: 'ns', digits: 0, better: 'less' }),
  ),
  references: [REFERENCE],
  sizes: 'timers',
  rounds: 5,
  options: [{ name: 'counts', value: 'N,…', help: 'timers at a time', fallback: '1000,10000,100000,1000000' }],
  quick: { counts: '1000,1000000', rounds: '2' },
  tiny: { counts: '100', rounds: '1' },
  open(values) {
    const cast: Cast = { members: [], missing: [] }
    addPeer(cast, REFERENCE, LIBEVENT_PEER)
    cast.members.push(
      ours('sockmux deadlines', scriptCommand('timers', 'sockmux')),
      other('setTimeout', scriptCommand('timers', 'node')),
    )
    const scenes = countsOption(values, 'counts').map((count) =>
      sceneOf(`${count} timers`, count, cast, (contender) => measureOnce(contender, count)),
    )
    return { scenes, missing: cast.missing, close: () => {} }
  },
}

function measureOnce({ command }: Contender, count: number): Figures {
  const repeats = Math.min(REPEATS_MAX, Math.max(REPEATS_MIN, Math.floor(TIMERS_MAX / count)))
  const answer = runSubject<TimersAnswer>([...command, String(count), String(repeats)])
  const { arm, cancel, expire } = answer
  return { arm: median(arm) / count, cancel: median(cancel) / count, expire: median(expire) / count }
}

/**
 * What an event costs: libevent's bench shape (see pipe-ring.ts) on our poller and Multi, on libevent and on raw epoll.
 * Figures are wall time from the first wait of a round until everything was read back, divided by the events.
 */
import { fileURLToPath } from 'node:url'
import { alternate, median, pinning, ratios, runCommand, type Spread, spread } from '../measure.ts'
import { compilePeer, type PeerSource } from '../peers.ts'
import { eventsPerRound, type ReadinessShape } from '../pipe-ring.ts'
import { describeMachine, resultsFile, table, writeResults } from '../report.ts'
import { showStatus } from '../status-line.ts'
import type { SubjectAnswer } from '../subject.ts'
import { countOption, type Trial, UsageError } from '../trial.ts'

/** Runs one subject in a process; `parameters` as subject.ts and the C peers take them. */
type Launch = (parameters: readonly string[]) => SubjectAnswer

interface Contender {
  readonly name: string
  readonly launch: Launch
}

interface Figures {
  readonly subject: string
  readonly description: string
  /** Per turn: the median of the rounds of one process. */
  readonly nanosecondsPerEvent: readonly number[]
  readonly time: Spread
  /** Of the fastest round of all turns: what is left when nothing else runs on the machine. */
  readonly fastest: number
  /** null when libevent is missing. */
  readonly timesLibevent: Spread | null
  /** Fastest round by fastest round. */
  readonly fastestTimesLibevent: number | null
}

interface Settings {
  readonly shapes: readonly ReadinessShape[]
  readonly turns: number
  readonly backend: string
  readonly json: string
}

const REFERENCE = 'libevent'
const BACKENDS = ['epoll', 'poll']
const DEFAULT_SHAPE: ReadinessShape = { pipes: 1000, active: 100, writes: 1000 }
const GRID: readonly ReadinessShape[] = [
  { pipes: 1000, active: 1, writes: 1000 },
  DEFAULT_SHAPE,
  { pipes: 1000, active: 1000, writes: 1000 },
]
const DEFAULT_TURNS = 9
/** Rounds before the measured ones: caches, branch predictors and the optimizing compiler settle. */
const WARMUPS = 200
const REPEATS = 200
const PROCESS_MS_MAX = 120_000

const pinned = pinning()
const OUR_SUBJECTS = ['plain', 'batched', 'multi']
export const LIBEVENT_PEER: PeerSource = {
  name: 'readiness-libevent',
  header: 'event2/event.h',
  debianPackage: 'libevent-dev',
  libraries: ['event_core'],
}
export const EPOLL_PEER: PeerSource = {
  name: 'readiness-epoll',
  header: 'sys/epoll.h',
  debianPackage: 'libc6-dev',
  libraries: [],
}

export const readiness: Trial = {
  name: 'readiness',
  summary: 'time per event of Poller and Multi beside C libevent and raw epoll',
  options: [
    { name: 'pipes', value: 'N', help: 'pipes that are watched (1000)' },
    { name: 'active', value: 'N', help: 'pipes that are ready at any time (100)' },
    { name: 'writes', value: 'N', help: 'writes per round after the first ones (1000)' },
    { name: 'rounds', value: 'N', help: 'turns that each subject takes, a process each (9)' },
    { name: 'backend', value: BACKENDS.join('|'), help: 'backend of ours and of libevent (epoll)' },
    { name: 'json', value: 'FILE', help: 'where the results go (bench/results/readiness.json)' },
  ],
  run(values, print) {
    const settings = readSettings(values)
    const { contenders, missing } = findContenders(settings.backend)
    for (const reason of missing) print(`left out: ${reason}`)
    const machine = describeMachine()
    print(`${machine.cpu}, ${machine.system}, Node ${machine.node}; ${pinned.length > 0 ? 'one core' : 'not pinned'}`)
    const results = settings.shapes.map((shape) => {
      const figures = measureShape(contenders, shape, settings.turns, settings.backend)
      for (const line of describeShape(shape, figures)) print(line)
      return { ...shape, events: eventsPerRound(shape), figures }
    })
    const { turns, backend } = settings
    const counts = { warmups: WARMUPS, repeats: REPEATS }
    writeResults(settings.json, { trial: 'readiness', machine, backend, turns, ...counts, pinned, missing, results })
    print(`\nresults are in ${settings.json}`)
  },
}

function readSettings(values: Readonly<Record<string, string>>): Settings {
  const backend = values['backend'] ?? 'epoll'
  if (!BACKENDS.includes(backend)) {
    throw new UsageError(`--backend must be one of ${BACKENDS.join(', ')}, got '${backend}'`)
  }
  const isGrid = ['pipes', 'active', 'writes'].every((name) => values[name] === undefined)
  const pipes = countOption(values, 'pipes', DEFAULT_SHAPE.pipes)
  const shape = {
    pipes,
    active: countOption(values, 'active', Math.min(DEFAULT_SHAPE.active, pipes)),
    writes: countOption(values, 'writes', DEFAULT_SHAPE.writes, 0),
  }
  if (shape.active > pipes) {
    throw new UsageError(`--active must be at most --pipes (${pipes}), got '${shape.active}'`)
  }
  return {
    shapes: isGrid ? GRID : [shape],
    turns: countOption(values, 'rounds', DEFAULT_TURNS),
    backend,
    json: values['json'] ?? resultsFile('readiness'),
  }
}

function findContenders(backend: string): { contenders: Contender[]; missing: string[] } {
  const contenders: Contender[] = []
  const missing: string[] = []
  const addPeer = (name: string, source: PeerSource): void => {
    const peer = compilePeer(source)
    if ('missing' in peer) missing.push(`${name}: ${peer.missing}`)
    else contenders.push({ name, launch: (parameters) => launch([peer.path, ...parameters]) })
  }
  if (backend === 'epoll') addPeer('raw epoll', EPOLL_PEER)
  else missing.push(`raw epoll: it knows no ${backend}`)
  addPeer(REFERENCE, LIBEVENT_PEER)
  const script = fileURLToPath(new URL('../subject.js', import.meta.url))
  for (const subject of OUR_SUBJECTS) {
    const command = [process.execPath, script, `readiness-${subject}`]
    contenders.push({ name: `sockmux ${subject}`, launch: (parameters) => launch([...command, ...parameters]) })
  }
  return { contenders, missing }
}

function launch(command: readonly string[]): SubjectAnswer {
  return JSON.parse(runCommand([...pinned, ...command], PROCESS_MS_MAX))
}

/** Every contender once per turn. */
export function measureShape(
  contenders: readonly Contender[],
  shape: ReadinessShape,
  turns: number,
  backend: string,
  counts: { warmups: number; repeats: number } = { warmups: WARMUPS, repeats: REPEATS },
): Figures[] {
  const descriptions = new Map<string, string>()
  const numbers = [shape.pipes, shape.active, shape.writes, counts.warmups, counts.repeats]
  const parameters = [backend, ...numbers.map(String)]
  const fastest = contenders.map(() => Number.POSITIVE_INFINITY)
  let measured = 0
  const times = alternate(contenders, turns, (contender) => {
    showStatus(`${shape.pipes} pipes, ${shape.active} active: ${measured++} of ${turns * contenders.length} processes`)
    const answer = contender.launch(parameters)
    descriptions.set(contender.name, answer.description)
    const index = contenders.indexOf(contender)
    fastest[index] = Math.min(fastest[index] as number, Math.min(...answer.nanoseconds) / eventsPerRound(shape))
    return median(answer.nanoseconds) / eventsPerRound(shape)
  })
  showStatus('')
  const referenceIndex = contenders.findIndex((contender) => contender.name === REFERENCE)
  const reference = times[referenceIndex]
  const referenceFastest = fastest[referenceIndex]
  return contenders.map((contender, index) => {
    const nanosecondsPerEvent = times[index] as number[]
    return {
      subject: contender.name,
      description: descriptions.get(contender.name) ?? '',
      nanosecondsPerEvent,
      time: spread(nanosecondsPerEvent),
      fastest: fastest[index] as number,
      timesLibevent: reference === undefined ? null : ratios(nanosecondsPerEvent, reference),
      fastestTimesLibevent: referenceFastest === undefined ? null : (fastest[index] as number) / referenceFastest,
    }
  })
}

/** A heading and a table. */
export function describeShape(shape: ReadinessShape, figures: readonly Figures[]): string[] {
  const { pipes, active, writes } = shape
  const heading = `${pipes} pipes, ${active} active, ${writes} writes: ns per event, and × ${REFERENCE}`
  const columns = ['', 'fastest', 'min', 'median', 'max', '× fastest', '× min', '× median', '× max']
  const rows = figures.map(({ subject, time, fastest, timesLibevent, fastestTimesLibevent }) => [
    subject,
    ...[fastest, time.min, time.median, time.max].map((value) => value.toFixed(0)),
    ...[fastestTimesLibevent, timesLibevent?.min, timesLibevent?.median, timesLibevent?.max].map(ratioCell),
  ])
  return ['', heading, ...table([columns, ...rows])]
}

function ratioCell(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : value.toFixed(2)
}

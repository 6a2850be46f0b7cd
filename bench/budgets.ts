/** What was to be reached, and whether the results reach it: medians of ratios within a round. */

import { LIBCURL } from './client-load.ts'
import { LIBMICROHTTPD, OWN_LOOP } from './contenders.ts'
import { column, type SceneResult, type SubjectResult, type TrialResult } from './contest.ts'
import { ratios, type Spread, spread } from './measure.ts'

export interface Budget {
  readonly what: string
  readonly trial: string
  /** The scene's name begins so. */
  readonly scene: string
  readonly metric: string
  readonly subject: string
  /** null: the figure itself counts. */
  readonly peer: string | null
  readonly limit: number
  readonly sense: 'at most' | 'at least'
}

export interface Outcome {
  readonly budget: Budget
  readonly verdict: 'met' | 'not met' | 'not measured'
  /** What is compared with the limit; null when it was not measured. */
  readonly value: Spread | null
  readonly ours: Spread | null
  readonly peer: Spread | null
  readonly unit: string
  readonly digits: number
}

const MOST = 'at most'
const LEAST = 'at least'
const SHAPE = '1000 pipes, 100 active, 1000 writes'
const READINESS = { trial: 'readiness', scene: SHAPE, metric: 'median', sense: MOST } as const
const KEEPALIVE = { trial: 'client-keepalive', scene: '50 connections', metric: 'cpu', sense: MOST } as const
const GET = { ...KEEPALIVE, what: 'client GET, 50 connections, CPU', subject: 'sockmux Transfer' }
const REQUEST = { ...KEEPALIVE, what: 'request(), 50 connections, CPU', subject: 'sockmux request()' }
const SERVER = { trial: 'server-hello', metric: 'cpu', subject: OWN_LOOP, sense: MOST } as const
const HELLO = { ...SERVER, what: 'server hello, 64 connections, CPU', scene: 'keep-alive, 64' }
const PIPELINED = { ...SERVER, what: 'server hello, 16 pipelined, CPU', scene: '16 pipelined' }
const IDLE = { trial: 'idle', scene: '', subject: OWN_LOOP, peer: null, sense: MOST } as const
const TIMERS = { trial: 'timers', scene: '1000000 timers', subject: 'sockmux deadlines', sense: MOST } as const
const RESUMED = { trial: 'handshakes', scene: 'resumed', metric: 'rate', subject: 'sockmux', sense: LEAST } as const
const DOWNLOAD = { trial: 'bulk', scene: 'https down', metric: 'rate', subject: 'sockmux', sense: LEAST } as const

// biome-ignore format: a table
const BUDGETS: readonly Budget[] = [
  { ...READINESS, what: 'readiness, time per event', subject: 'sockmux batched', peer: 'libevent', limit: 1.1 },
  { ...GET, peer: LIBCURL, limit: 0.55 },
  { ...GET, peer: 'undici dispatch', limit: 0.55 },
  { ...REQUEST, peer: 'undici request', limit: 0.6 },
  { ...HELLO, peer: LIBMICROHTTPD, limit: 1 },
  { ...HELLO, peer: 'node:http', limit: 0.55 },
  { ...PIPELINED, peer: 'nginx', limit: 0.45 },
  { ...IDLE, what: 'memory per idle server connection', metric: 'bytes', limit: 1024 },
  { ...IDLE, what: 'request beside 10,000 idle / beside none', metric: 'growth', limit: 1.05 },
  { ...TIMERS, what: 'a million timers, arm', metric: 'arm', peer: 'libevent', limit: 1.5 },
  { ...TIMERS, what: 'a million timers, cancel', metric: 'cancel', peer: 'libevent', limit: 1 },
  { ...RESUMED, what: 'TLS handshakes resumed, per second', peer: 'libcurl', limit: 1 },
  { ...DOWNLOAD, what: 'TLS download, throughput', peer: 'curl', limit: 0.95 },
]

export function judgeAll(results: ReadonlyMap<string, TrialResult>): Outcome[] {
  return BUDGETS.map((budget) => judge(budget, results.get(budget.trial)))
}

export function judge(budget: Budget, result: TrialResult | undefined): Outcome {
  const scene = result?.scenes.find((candidate) => candidate.scene.startsWith(budget.scene))
  const metric = result?.metrics.find((candidate) => candidate.name === budget.metric)
  const ours = find(scene, budget.subject)
  const peer = budget.peer === null ? null : find(scene, budget.peer)
  const figures = (one: SubjectResult): number[] => column(one.turns, budget.metric)
  const unit = metric?.unit ?? ''
  const digits = metric?.digits ?? 0
  const unknown = { budget, verdict: 'not measured', value: null, ours: null, peer: null, unit, digits } as const
  if (ours === null || (budget.peer !== null && peer === null)) return unknown
  const own = spread(figures(ours))
  const value = peer === null ? own : ratios(figures(ours), figures(peer))
  const isMet = budget.sense === MOST ? value.median <= budget.limit : value.median >= budget.limit
  const beside = peer === null ? null : spread(figures(peer))
  return { budget, verdict: isMet ? 'met' : 'not met', value, ours: own, peer: beside, unit, digits }
}

function find(scene: SceneResult | undefined, name: string): SubjectResult | null {
  return scene?.subjects.find(({ subject }) => subject === name) ?? null
}

/** Rows of text: what, ours, the peer, the ratio with its spread, the budget, the verdict. */
export const OUTCOME_COLUMNS: readonly string[] = ['', 'ours', 'peer', 'ratio', 'min – max', 'budget', 'verdict']

export function outcomeRow({ budget, verdict, value, ours, peer, unit, digits }: Outcome): string[] {
  const figure = (one: Spread): string => `${one.median.toFixed(digits)} ${unit}`.trim()
  const isAbsolute = budget.peer === null
  const shown = (number: number): string => (isAbsolute ? number.toFixed(digits) : number.toFixed(2))
  return [
    budget.what,
    ours === null ? '–' : figure(ours),
    isAbsolute ? '–' : `${budget.peer}${peer === null ? '' : ` ${figure(peer)}`}`,
    value === null || isAbsolute ? '–' : shown(value.median),
    value === null ? '–' : `${shown(value.min)} – ${shown(value.max)}`,
    `${budget.sense === MOST ? '≤' : '≥'} ${isAbsolute ? `${budget.limit} ${unit}`.trim() : budget.limit.toFixed(2)}`,
    verdict,
  ]
}

/** Runs a trial: all subjects of a scene in turns, their spread, and their ratios to the reference of the same turn. */

import { describeMachine, type Machine } from './machine.ts'
import { alternate, ratios, type Spread, spread } from './measure.ts'
import { showStatus } from './status-line.ts'
import { type Figures, type Metric, type Scene, type Trial, UsageError, type Values } from './trial.ts'

export interface SubjectResult {
  readonly subject: string
  readonly isOurs: boolean
  readonly turns: readonly Figures[]
  /** By metric. */
  readonly spread: Readonly<Record<string, Spread>>
  /** To the reference within a turn, by metric; none when the reference is missing. */
  readonly ratios: Readonly<Record<string, Spread>>
}

export interface SceneResult {
  readonly scene: string
  readonly size: number
  /** What the ratios are to; null when it is missing. */
  readonly reference: string | null
  readonly subjects: readonly SubjectResult[]
}

export interface TrialResult {
  readonly trial: string
  readonly summary: string
  readonly machine: Machine
  /** One-minute load of the machine before and after: above 1 something else was running. */
  readonly load: readonly [number, number]
  readonly values: Values
  readonly metrics: readonly Metric[]
  readonly sizes: string
  readonly missing: readonly string[]
  readonly scenes: readonly SceneResult[]
  /** How much of it was run; a trial run alone has options of its own. */
  readonly size: TrialSize
}

export type TrialSize = 'whole' | 'quick' | 'tiny' | 'chosen'

/** What counts while a scene is played. */
type Contest = Pick<Trial, 'name' | 'metrics' | 'references'>

const ROUNDS_MAX = 1000

/** `given`: options from the command line; `print` is told each scene as soon as it is done. */
export async function runTrial(trial: Trial, given: Values, print: (lines: string[]) => void): Promise<TrialResult> {
  const values = { ...defaultsOf(trial), ...given }
  const rounds = /^\d{1,4}$/.test(values['rounds'] ?? '') ? Number(values['rounds']) : 0
  if (rounds < 1 || rounds > ROUNDS_MAX) {
    throw new UsageError(`--rounds must be an integer from 1 to ${ROUNDS_MAX}, got '${values['rounds']}'`)
  }
  const stage = await trial.open(values)
  try {
    const machine = describeMachine()
    const before = machine.load
    print([`${machine.cpu}, ${machine.system}, Node ${machine.node}, load ${before.toFixed(1)}`])
    print(stage.missing.map((reason) => `left out: ${reason}`))
    const scenes: SceneResult[] = []
    for (const scene of stage.scenes) {
      const result = await playScene(trial, scene, rounds)
      scenes.push(result)
      print(describeScene(trial.metrics, result))
    }
    const { name, summary, metrics, sizes } = trial
    const load = [before, describeMachine().load] as const
    const missing = stage.missing
    return { trial: name, summary, machine, load, values, metrics, sizes, missing, scenes, size: 'chosen' }
  } finally {
    showStatus('')
    await stage.close()
  }
}

function defaultsOf(trial: Trial): Values {
  return {
    rounds: String(trial.rounds),
    ...Object.fromEntries(trial.options.map(({ name, fallback }) => [name, fallback])),
  }
}

export async function playScene(trial: Contest, scene: Scene, rounds: number): Promise<SceneResult> {
  const all = await alternate(scene.subjects, rounds, (subject, turn) => {
    showStatus(`${trial.name}, ${scene.name}: round ${turn + 1} of ${rounds}, ${subject.name}`)
    return subject.measure()
  })
  showStatus('')
  const index = scene.subjects.findIndex(({ name }) => trial.references.includes(name))
  const reference = all[index]
  const subjects = scene.subjects.map(({ name, isOurs }, place): SubjectResult => {
    const turns = all[place] as Figures[]
    // A metric counts for those who know it: others leave it out.
    const known = trial.metrics.filter((metric) => turns.every((turn) => Number.isFinite(turn[metric.name])))
    // Nothing is a multiple of nothing: system calls at rest, for one.
    const compared = known.filter((metric) => reference?.every((turn) => (turn[metric.name] ?? 0) !== 0))
    return {
      subject: name,
      isOurs,
      turns,
      spread: Object.fromEntries(known.map((metric) => [metric.name, spread(column(turns, metric.name))])),
      ratios: Object.fromEntries(
        compared.map(({ name: metric }) => [metric, ratios(column(turns, metric), column(reference ?? [], metric))]),
      ),
    }
  })
  return { scene: scene.name, size: scene.size, reference: scene.subjects[index]?.name ?? null, subjects }
}

/** The figure of every turn. */
export function column(turns: readonly Figures[], metric: string): number[] {
  return turns.map((turn) => turn[metric] ?? Number.NaN)
}

/** A heading and a table per metric, and whose requests failed. */
export function describeScene(metrics: readonly Metric[], result: SceneResult): string[] {
  const tables = metrics.flatMap((metric) => {
    const rows = metricRows(metric, result)
    if (rows.length === 0) return []
    return ['', `${result.scene}: ${captionOf(metric, result)}`, ...table([['', ...METRIC_COLUMNS], ...rows])]
  })
  return [...tables, ...failures(result)]
}

export function captionOf(metric: Metric, { reference }: SceneResult): string {
  const unit = metric.unit === '' ? '' : `, ${metric.unit}`
  return `${metric.title}${unit}${reference === null ? '' : `; × ${reference} of the same round`}`
}

/** Figures of those whose requests failed are worth less; a busy machine is the usual cause. */
export function failures({ subjects }: SceneResult): string[] {
  return subjects.flatMap(({ subject, turns }) => {
    const failed = turns.reduce((sum, turn) => sum + (turn['failures'] ?? 0), 0)
    return failed === 0 ? [] : [`${subject}: ${failed} requests failed`]
  })
}

export const METRIC_COLUMNS: readonly string[] = ['min', 'median', 'max', '× min', '× median', '× max']

/** The cells of those subjects that know the metric. */
export function metricRows(metric: Metric, result: SceneResult): string[][] {
  return result.subjects.flatMap(({ subject, spread: spreads, ratios: compared }) => {
    const own = spreads[metric.name]
    if (own === undefined) return []
    const times = compared[metric.name]
    return [
      [
        subject,
        ...[own.min, own.median, own.max].map((value) => value.toFixed(metric.digits)),
        ...[times?.min, times?.median, times?.max].map((value) => value?.toFixed(2) ?? '-'),
      ],
    ]
  })
}

const COLUMN_GAP = '  '

/** Columns as wide as needed; the first is text, the others are numbers and stand to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join(COLUMN_GAP)
      .trimEnd(),
  )
}

/**
 * What a benchmark is: scenes, each with subjects that are measured in turns, and the metrics that every subject
 * answers with. How it is run, printed and kept is the same for all of them: `contest.ts`.
 */

export interface TrialOption {
  readonly name: string
  /** The value as the help calls it. */
  readonly value: string
  readonly help: string
  readonly fallback: string
}

/** Options with their values, defaults included. */
export type Values = Readonly<Record<string, string>>

export interface Metric {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly digits: number
  readonly better: 'less' | 'more'
}

/** What one process gave in one turn, by the names of the metrics. Others are kept as well. */
export type Figures = Readonly<Record<string, number>>

export interface Subject {
  readonly name: string
  readonly isOurs: boolean
  /** One measurement, in a process of its own. */
  measure(): Figures | Promise<Figures>
}

export interface Scene {
  readonly name: string
  /** Where it stands on the axis of growth, as the number of connections; 0: nowhere. */
  readonly size: number
  readonly subjects: readonly Subject[]
}

/** What stands ready to be measured. */
export interface Stage {
  readonly scenes: readonly Scene[]
  /** Peers that are not there, each with the reason. */
  readonly missing: readonly string[]
  close(): void | Promise<void>
}

export interface Trial {
  readonly name: string
  readonly summary: string
  readonly metrics: readonly Metric[]
  /** The subject that others are compared with: the first of these that a scene has. */
  readonly references: readonly string[]
  /** What `size` counts; '' when scenes have none. */
  readonly sizes: string
  readonly rounds: number
  readonly options: readonly TrialOption[]
  /** Options for a run that only looks whether all is well: of a minute, and of a moment. */
  readonly quick: Values
  readonly tiny: Values
  /** Throws UsageError for a value that makes no sense. */
  open(values: Values): Stage | Promise<Stage>
}

/** The caller's mistake: told in one line, without a stack. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** Something that has to be installed for a trial to make sense. */
export class MissingPeerError extends Error {
  override name = 'MissingPeerError'
}

const COUNT_MAX = 1_000_000

/** An option that counts something. */
export function countOption(values: Values, name: string, min = 1): number {
  return readCount(name, values[name] ?? '', min)
}

/** An option that lists counts: 1,50,500. */
export function countsOption(values: Values, name: string, min = 1): number[] {
  return (values[name] ?? '').split(',').map((text) => readCount(name, text, min))
}

function readCount(name: string, text: string, min: number): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN
  if (count >= min && count <= COUNT_MAX) return count
  throw new UsageError(`--${name} must be an integer from ${min} to ${COUNT_MAX}, got '${text}'`)
}

/** Metrics that many trials have. */
export const CPU_PER_REQUEST: Metric = {
  name: 'cpu',
  title: 'CPU per request',
  unit: 'µs',
  digits: 2,
  better: 'less',
}
export const PER_SECOND: Metric = { name: 'rate', title: 'per second', unit: '/s', digits: 0, better: 'more' }

/**
 * How figures come about: every measurement is a process of its own, and all subjects take turns (A B C A B C …), so
 * that what disturbs the machine for a while disturbs all of them. A subject is compared within its turn only.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values have no median')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

export function spread(values: readonly number[]): Spread {
  return { min: Math.min(...values), median: median(values), max: Math.max(...values) }
}

/** The spread of a[i] / b[i], turn by turn. */
export function ratios(values: readonly number[], reference: readonly number[]): Spread {
  return spread(values.map((value, turn) => value / (reference[turn] as number)))
}

/** One figure per turn for each subject, the subjects in turns. */
export function alternate<T>(subjects: readonly T[], turns: number, measureOnce: (subject: T) => number): number[][] {
  const figures: number[][] = subjects.map(() => [])
  for (let turn = 0; turn < turns; turn++) {
    for (const [index, subject] of subjects.entries()) figures[index]?.push(measureOnce(subject))
  }
  return figures
}

/** What goes before a command to keep it on the last core, which interrupts disturb least; empty without taskset. */
export function pinning(): string[] {
  const command = ['taskset', '--cpu-list', String(availableParallelism() - 1)]
  const probe = spawnSync(command[0] as string, [...command.slice(1), 'true'], { timeout: PROBE_MS_MAX })
  return probe.status === 0 ? command : []
}

/** Runs a command to its end; its output. Throws with what it said when it fails. */
export function runCommand(command: readonly string[], timeoutMs: number): string {
  const [program = '', ...parameters] = command
  const result = spawnSync(program, parameters, { encoding: 'utf8', timeout: timeoutMs })
  if (result.status === 0) return result.stdout
  const reason = result.error?.message ?? result.signal ?? `status ${result.status}`
  throw new Error(`${command.join(' ')}: ${reason}\n${result.stderr}`)
}

const PROBE_MS_MAX = 5000

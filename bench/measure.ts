/**
 * How figures come about: every measurement is a process of its own, and all subjects take turns (A B C A B C …), so
 * that what disturbs the machine for a while disturbs all of them. A subject is compared within its turn only. What is
 * measured runs on the machine's last core, what asks it to work on the first.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** What goes before a command to keep it on a core: empty without taskset, or with one core. */
export interface Pins {
  readonly subject: readonly string[]
  readonly load: readonly string[]
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

/** What each subject gave in each turn, the subjects in turns. */
export async function alternate<S, A>(
  subjects: readonly S[],
  turns: number,
  measureOnce: (subject: S, turn: number) => A | Promise<A>,
): Promise<A[][]> {
  const answers: A[][] = subjects.map(() => [])
  for (let turn = 0; turn < turns; turn++) {
    for (const [index, subject] of subjects.entries()) answers[index]?.push(await measureOnce(subject, turn))
  }
  return answers
}

/** For what needs every core itself. */
export const NO_PINS: Pins = { subject: [], load: [] }

let found: Pins | null = null

export function pins(): Pins {
  found ??= findPins()
  return found
}

function findPins(): Pins {
  const cores = availableParallelism()
  if (cores < 2) return NO_PINS
  const pin = (core: number): string[] => ['taskset', '--cpu-list', String(core)]
  const [program = '', ...parameters] = pin(cores - 1)
  const probe = spawnSync(program, [...parameters, 'true'], { timeout: PROBE_MS_MAX })
  return probe.status === 0 ? { subject: pin(cores - 1), load: pin(0) } : NO_PINS
}

/** Runs a command to its end; its output. Throws with what it said when it fails. */
export function runCommand(command: readonly string[], timeoutMs: number): string {
  const [program = '', ...parameters] = command
  const result = spawnSync(program, parameters, { encoding: 'utf8', timeout: timeoutMs })
  if (result.status === 0) return result.stdout
  const reason = result.error?.message ?? result.signal ?? `status ${result.status}`
  throw new Error(`${command.join(' ')}: ${reason}\n${result.stderr}`)
}

/** The same for a subject, on its core: the one line of JSON that it prints. */
export function runSubject<A>(command: readonly string[]): A {
  return JSON.parse(runCommand([...pins().subject, ...command], PROCESS_MS_MAX)) as A
}

const PROBE_MS_MAX = 5000
const PROCESS_MS_MAX = 300_000

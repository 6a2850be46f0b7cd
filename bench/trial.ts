/** What `run.ts` needs to know of a benchmark: its name, its options, and how to run it. */
export interface TrialOption {
  readonly name: string
  /** The value as the help calls it. */
  readonly value: string
  readonly help: string
}

export interface Trial {
  readonly name: string
  readonly summary: string
  readonly options: readonly TrialOption[]
  /** `values`: the options that were given. Prints its tables; throws UsageError for a value that makes no sense. */
  run(values: Readonly<Record<string, string>>, print: (line: string) => void): void | Promise<void>
}

/** The caller's mistake: told in one line, without a stack. */
export class UsageError extends Error {
  override name = 'UsageError'
}

const COUNT_MAX = 1_000_000

/** An option that counts something; `fallback` when it was not given. */
export function countOption(values: Readonly<Record<string, string>>, name: string, fallback: number, min = 1): number {
  const text = values[name]
  if (text === undefined) return fallback
  const count = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN
  if (count >= min && count <= COUNT_MAX) return count
  throw new UsageError(`--${name} must be an integer from ${min} to ${COUNT_MAX}, got '${text}'`)
}

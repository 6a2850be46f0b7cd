/** What every command of `sockmux` is, and how one says that it was called in a wrong way. */

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  readonly help: string
  /** Resolves with the exit status; throws UsageError for wrong options. */
  run(parameters: readonly string[]): Promise<number>
}

export const ExitStatus = { OK: 0, FAILED: 1, USAGE: 2 } as const

/** Its message is one line for the user. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

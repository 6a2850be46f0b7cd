/** What a process was given at its start, as far as the library looks at it: its number and its variables. */

export interface ProcessEnvironment {
  readonly pid: number
  get(name: string): string | undefined
  /** So that children do not inherit it. */
  unset(name: string): void
}

export const processEnvironment: ProcessEnvironment = {
  get pid() {
    return process.pid
  },
  get: (name) => process.env[name],
  unset: (name) => {
    delete process.env[name]
  },
}

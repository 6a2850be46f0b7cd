/** What a client under measurement is asked for, and what it can do. */
export interface ClientShape {
  readonly url: string
  /** Requests under way at any time. */
  readonly parallel: number
  readonly connections: number
  /** A new connection for each. */
  readonly fresh: boolean
}

export interface Client {
  /** How many failed. Connections stay until the next run. */
  run(total: number): number | Promise<number>
  close(): void | Promise<void>
}

/** What every example makes of a Multi: it is plugged into a loop that somebody else wrote. */
import type { Multi } from 'sockmux'

export interface Loop {
  /** As in 'libevent 2.1.12-stable (epoll)'. */
  readonly name: string
  /** How often it turned so far; null where it does not tell. */
  readonly iterations: number | null
  /** Turns until nothing keeps the Multi active, and throws what a callback threw. Node's loop turns by itself. */
  run?(): void
  /** Takes the plug out again; the Multi lives on. */
  close(): void
}

export type Plug = (multi: Multi) => Loop

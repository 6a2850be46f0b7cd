/** The servers of a Multi: those that are active, in the order in which they were started. */

import { show } from '../base/options.ts'
import { Facility, type Host } from '../multi/host.ts'
import { engineOf, Multi } from '../multi/multi.ts'
import type { StopOptions, StopReport } from './server-control.ts'

interface Stoppable {
  stop(options?: StopOptions): Promise<StopReport>
}

const books: Facility<Set<Stoppable>> = new Facility(() => new Set())

export function enterBook(host: Host, server: Stoppable): void {
  host.facility(books).add(server)
}

export function leaveBook(host: Host, server: Stoppable): void {
  host.facility(books).delete(server)
}

/** Stops every server of a Multi; they may be started again. The reports, in the order in which they were started. */
export function stopServers(multi: Multi<object>, options: StopOptions = {}): Promise<StopReport[]> {
  if (!(multi instanceof Multi)) throw new TypeError(`stopServers: expected a Multi, not ${show(multi)}`)
  if (multi.closed) return Promise.resolve([])
  const servers = [...engineOf(multi).facility(books)]
  return Promise.all(servers.map((server) => server.stop(options)))
}

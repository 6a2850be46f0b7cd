/** How a verb that is legal everywhere comes to its turn: inside a callback at once, outside as an entry of its own. */
import type { Host } from '../multi/host.ts'

export function withinEngine<T>(host: Host, name: string, verb: () => T): T {
  if (host.isInside) return verb()
  host.enter(name)
  try {
    return verb()
  } finally {
    host.leave()
  }
}

/**
 * What may go bad while nobody uses it, and is looked after when the user asks for it (`Multi.upkeep`). Whoever keeps
 * such things puts itself on the list of its Multi.
 */
import { Facility } from './host.ts'

export interface Keeper {
  /** Lets go of what is of no use any more. */
  upkeep(now: number): void
}

export const keepers: Facility<Set<Keeper>> = new Facility(() => new Set())

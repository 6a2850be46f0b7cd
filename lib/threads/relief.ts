/**
 * Queues that nobody serves at present, since their worker is stuck or has ended: another one accepts from them until
 * their own is back. `settle` compares what is with what should be and may be called as often as anything changes.
 */
import type { GroupMember } from './group-member.ts'
import type { GroupSockets } from './group-sockets.ts'

export class Relief {
  readonly #sockets: GroupSockets
  /** Who stands in for the worker with that number. */
  readonly #deputies = new Map<number, GroupMember>()

  constructor(sockets: GroupSockets) {
    this.#sockets = sockets
  }

  settle(places: readonly (GroupMember | null)[]): void {
    for (const [index, member] of places.entries()) {
      const own = this.#sockets.ownOf(index)
      if (own.length === 0) continue
      const deputy = this.#deputies.get(index)
      if (member?.isServing) {
        this.#deputies.delete(index)
        if (deputy !== undefined) enable(deputy, own, false)
      } else if (deputy === undefined || !deputy.isServing) this.#depute(index, own, places)
    }
  }

  #depute(index: number, own: readonly number[], places: readonly (GroupMember | null)[]): void {
    this.#deputies.delete(index)
    let best: GroupMember | null = null
    for (const member of places) {
      if (!member?.isServing) continue
      if (best === null || this.#burdenOf(member) < this.#burdenOf(best)) best = member
    }
    if (best === null) return
    this.#deputies.set(index, best)
    enable(best, own, true)
  }

  #burdenOf(member: GroupMember): number {
    return [...this.#deputies.values()].filter((deputy) => deputy === member).length
  }
}

/** One that has ended meanwhile is replaced by another soon. */
function enable({ thread }: GroupMember, sockets: readonly number[], isEnabled: boolean): void {
  for (const socket of sockets) thread.call('enable', [socket, isEnabled]).catch(() => {})
}

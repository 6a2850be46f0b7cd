/**
 * The tickets that were handed out on one Multi and may not have been claimed: who does not come for a socket in time
 * loses it, so that none stays open for ever because a message was lost. Those that are left when the Multi is closed
 * are closed with it. Watching them keeps no loop going.
 */
import { TimerHeap } from '../../base/timer-heap.ts'
import { TimerTable } from '../../base/timer-table.ts'
import { Facility, type Host } from '../../multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../../multi/machine.ts'
import type { Task } from '../../multi/task.ts'

/** Until when a ticket is good, unless told otherwise. */
export const UNCLAIMED_MS = 30_000

const TIMER = 0
const TIMER_COUNT = 1

/** Who gave a ticket away. */
export interface TicketGiver {
  /** Nobody came for it, and the socket was closed. */
  ticketLost?(): void
}

interface Ticket {
  readonly fd: number
  readonly generation: number
  readonly giver: TicketGiver
}

export const ticketOffices: Facility<TicketOffice> = new Facility(
  (host) => new TicketOffice(host),
  (office) => office.closeAll(),
)

class TicketOffice implements Machine {
  readonly kind: MachineKind = MachineKind.BACKGROUND
  readonly subject: null = null
  readonly timers: TimerTable = new TimerTable(TIMER_COUNT)
  readonly dormant: boolean = true
  readonly #host: Host
  readonly #deadlines = new TimerHeap()
  readonly #tickets: (Ticket | undefined)[] = []
  readonly #freeIds: number[] = []
  #task: Task | null = null

  constructor(host: Host) {
    this.#host = host
  }

  /** Within an entry of the engine. The descriptor was offered under that generation. */
  watch(fd: number, generation: number, unclaimedMs: number, giver: TicketGiver): void {
    const id = this.#freeIds.pop() ?? this.#tickets.length
    this.#tickets[id] = { fd, generation, giver }
    this.#deadlines.set(id, this.#host.now + unclaimedMs)
    this.#task ??= this.#host.spawn(this)
    this.#arm()
  }

  /** Nobody is told: their Multi is closed. */
  closeAll(): void {
    for (const ticket of this.#tickets) if (ticket !== undefined) this.#close(ticket)
    this.#tickets.length = 0
  }

  // What the engine asks for

  start(_now: number): void {}

  run(now: number, _readiness: number): void {
    while (this.#deadlines.next <= now) {
      const id = this.#deadlines.nextId
      const ticket = this.#tickets[id] as Ticket
      this.#deadlines.set(id, Number.POSITIVE_INFINITY)
      this.#tickets[id] = undefined
      this.#freeIds.push(id)
      if (this.#close(ticket)) ticket.giver.ticketLost?.()
    }
    this.#arm()
  }

  /** `run` follows. */
  expired(_timer: number, _now: number): void {}

  interest(_into: InterestSet): void {}

  /** A function of the Multi failed: there is nobody to wake us until the next ticket. */
  abort(_cause: unknown): void {
    if (this.#task !== null) this.#host.retire(this.#task)
    this.#task = null
    this.timers.clearAll()
  }

  #arm(): void {
    if (this.timers.at(TIMER) === this.#deadlines.next || this.#task === null) return
    this.timers.set(TIMER, this.#deadlines.next)
    this.#host.settle(this.#task)
  }

  /** False when somebody has claimed it. */
  #close({ fd, generation }: Ticket): boolean {
    const { kernel } = this.#host
    const withdrawn = kernel.withdraw(fd, generation)
    if (withdrawn < 0) return false
    kernel.close(fd, withdrawn)
    return true
  }
}

/** What the pool knows of one destination: its idle connections, how many there are in all, and who waits for one. */
import { PendingQueue, type TicketSource } from '../multi/pending-queue.ts'

export class Origin<Connection> {
  readonly key: string
  /** The one used last is last: it is the warmest and is taken first. */
  readonly idle: Connection[] = []
  /** Idle, in use, and being opened. */
  connections = 0
  /** Over the limit of this origin. */
  readonly waiting: PendingQueue
  /** Who waits for a connection here, for this origin's limit or for the total. */
  waiters = 0

  constructor(key: string, tickets: TicketSource) {
    this.key = key
    this.waiting = new PendingQueue(tickets)
  }

  get isEmpty(): boolean {
    return this.connections === 0 && this.waiters === 0
  }
}

/**
 * Gives connections that this thread accepted to the threads of a group: to the one that was picked, in turn, or to
 * the one with the fewest. What a thread could not take is given to another; with nobody there it waits, within the
 * room that was announced.
 */
import type { Admission } from '../server/admission/admission.ts'
import type { SocketTicket } from '../server/connection/ticket.ts'
import { panic } from '../server/panic.ts'
import { systemClock } from '../sys/clock.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import { kernel } from '../sys/native.ts'
import type { Crew } from './crew.ts'
import type { GroupMember } from './group-member.ts'
import type { GroupSettings } from './group-options.ts'
import { closeTicket, offerSocket } from './ticket-offer.ts'

/** On the way to threads that have not said yet that they took them; more would only wait there. */
const UNANSWERED_MAX = 1024
/** Who found no room looks again: places are given back in other threads, which tell nobody. */
const LOOK_AGAIN_MS = 10

interface Homeless {
  readonly fd: number
  readonly generation: number
  readonly peer: SocketAddress
  readonly worker: number | null
}

export class Dispatcher {
  readonly #crew: Crew
  readonly #settings: GroupSettings
  readonly #admission: Admission
  readonly #roomChanged: () => void
  readonly #wanted: () => void
  #unanswered = 0
  #homeless: Homeless[] = []
  #next = 0
  #timer: NodeJS.Timeout | null = null
  isClosed = false

  /** `roomChanged`: there may be room again. `wanted`: there was none for want of a thread. */
  constructor(crew: Crew, settings: GroupSettings, admission: Admission, roomChanged: () => void, wanted: () => void) {
    this.#crew = crew
    this.#settings = settings
    this.#admission = admission
    this.#roomChanged = roomChanged
    this.#wanted = wanted
  }

  /** How many more can be given out now. */
  room(): number {
    const onTheWay = this.#unanswered + this.#homeless.length
    const admitted = this.#admission.room(systemClock.now()) - onTheWay
    let free = UNANSWERED_MAX - onTheWay
    const { perWorker } = this.#settings
    if (perWorker !== Number.POSITIVE_INFINITY) {
      const places = this.#crew.serving.reduce((sum, { load }) => sum + Math.max(perWorker - load, 0), 0)
      free = Math.min(free, places - this.#homeless.length)
    }
    const room = Math.max(Math.min(admitted, free), 0)
    if (room === 0) this.#lookAgain()
    return room
  }

  give(fd: number, peer: SocketAddress, worker: number | null): void {
    const member = this.#choose(worker)
    if (member === null) {
      this.#homeless.push({ fd, generation: kernel.generation(fd), peer, worker })
      return
    }
    let ticket: SocketTicket
    try {
      ticket = offerSocket(fd, peer)
    } catch (error) {
      kernel.close(fd)
      return panic('a group of servers', error)
    }
    member.load++
    this.#unanswered++
    member.thread.call('adopt', [ticket, peer]).then(
      () => this.#answered(member, !this.#counts()),
      () => this.#refused(member, ticket, peer, worker),
    )
  }

  /** A connection of that thread has ended. */
  ended(member: GroupMember): void {
    if (!this.#counts()) return
    this.#lighten(member)
    this.#roomChanged()
  }

  /** Somebody came or went. */
  settle(): void {
    const waiting = this.#homeless
    this.#homeless = []
    for (const { fd, peer, worker } of waiting) this.give(fd, peer, worker)
    this.#roomChanged()
  }

  close(): void {
    this.isClosed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const { fd, generation } of this.#homeless) kernel.close(fd, generation)
    this.#homeless = []
  }

  /** Ends are told and counted; otherwise `load` is what is on its way. */
  #counts(): boolean {
    return this.#settings.managed.forwards.includes('disconnect')
  }

  #choose(worker: number | null): GroupMember | null {
    const { serving, places } = this.#crew
    if (worker !== null && places.length > 0) {
      const wanted = places[Math.abs(Math.trunc(worker)) % places.length]
      if (wanted?.isServing) return wanted
    }
    const { perWorker, isLeastConnections } = this.#settings
    const free = serving.filter(({ load }) => load < perWorker)
    if (free.length === 0) return perWorker === Number.POSITIVE_INFINITY ? null : (serving[0] ?? null)
    const start = this.#next++ % free.length
    let best = free[start] as GroupMember
    if (!isLeastConnections) return best
    // In turn among equals.
    for (let i = 1; i < free.length; i++) {
      const member = free[(start + i) % free.length] as GroupMember
      if (member.load < best.load) best = member
    }
    return best
  }

  #answered(member: GroupMember, isLighter: boolean): void {
    this.#unanswered--
    if (isLighter) this.#lighten(member)
    this.#roomChanged()
  }

  /** Turned away by the thread, which has closed it; or not taken at all, and then another one may. */
  #refused(member: GroupMember, ticket: SocketTicket, peer: SocketAddress, worker: number | null): void {
    const generation = kernel.withdraw(ticket.fd, ticket.generation)
    if (generation > 0 && !this.isClosed) this.give(ticket.fd, peer, worker)
    else if (generation > 0) kernel.close(ticket.fd, generation)
    else closeTicket(ticket)
    this.#answered(member, true)
  }

  #lighten(member: GroupMember): void {
    member.load = Math.max(member.load - 1, 0)
    if (member.load === 0) member.idleSince = systemClock.now()
  }

  #lookAgain(): void {
    if (this.#timer !== null || this.isClosed) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      try {
        this.#wanted()
        this.#roomChanged()
      } catch (error) {
        panic('a group of servers', error)
      }
    }, LOOK_AGAIN_MS)
  }
}

/**
 * The verbs with which a program steers a server, whether it runs in the same thread or, later, in others. What need
 * not wait acts at once and returns its result; the rest returns a promise, and its progress is seen in `state` and
 * `onState` too, so that a loop which runs no microtasks needs none.
 */
import type { SocketAddress } from '../sys/kernel.ts'
import type { DropReason, Limits } from './admission/admission.ts'
import type { CloseReason } from './connection/close-reason.ts'
import type { Connection } from './connection/connection.ts'
import type { SocketTicket } from './connection/ticket.ts'
import type { ListenHandle } from './listening/listen-options.ts'
import type { ServerListener } from './listening/server-listener.ts'
import type { Priority } from './priority.ts'
import type { LimitOptions } from './server-options.ts'
import type { ServerState } from './server-state.ts'

export interface SuspendOptions {
  /**
   * Peers that come meanwhile: 'queue' (default) in the kernel as far as the backlog reaches, 'reject' turns them away
   * by `rejection`, 'reset' by RST.
   */
  readonly pending?: 'queue' | 'reject' | 'reset'
  /** 'disconnect' ends those who are here. Default 'keep'. */
  readonly clients?: 'keep' | 'disconnect'
  /** Resumes by itself after so long. Default: never. */
  readonly forMs?: number
}

/**
 * What becomes of connections on which nothing is under way: 'close' ends them at once, 'last-response' waits for one
 * more request, so that none is lost that is on its way, 'linger' says FIN and reads what still comes.
 */
export type IdlePolicy = 'close' | 'last-response' | 'linger'

export interface DrainOptions {
  /** Who is still here then is cut. Default 30,000. */
  readonly deadlineMs?: number
  /** Default 'last-response'. */
  readonly idle?: IdlePolicy
}

export interface StopOptions {
  /** Above 0: drains first, for so long. Default 0. */
  readonly graceMs?: number
  /** Cut by RST instead of FIN. */
  readonly reset?: boolean
}

export interface RestartOptions extends StopOptions {
  /** The listening sockets stay open and keep their queues: nobody is refused meanwhile. Default true. */
  readonly keepListener?: boolean
}

/** What became of the connections that were there when it began, or came out of the queue. */
export interface StopReport {
  /** Ended by themselves. */
  readonly finished: number
  /** Cut. */
  readonly cut: number
  readonly durationMs: number
}

export interface DrainReport extends StopReport {
  /** Nobody was cut. */
  readonly complete: boolean
}

export interface BroadcastOptions {
  /** Left out, besides the connection whose callback is running. */
  readonly except?: Connection | readonly Connection[] | null
  /**
   * A client that has not taken what was sent before: 'skip' (default) sends it nothing, 'queue' lets it wait in line,
   * 'disconnect' ends it.
   */
  readonly slow?: 'skip' | 'queue' | 'disconnect'
}

export interface ExclusiveOptions {
  /** Gives up after waiting for so long. Default 10,000. */
  readonly timeoutMs?: number
}

/** A snapshot. */
export interface ClientInfo {
  readonly id: number
  readonly name: string
  readonly peer: SocketAddress | null
  readonly local: SocketAddress | null
  /** Since it came. */
  readonly ageMs: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly priority: Priority
}

/** Counted since the server was made. */
export interface ServerStats {
  /** Connections that are here. */
  readonly connections: number
  readonly accepted: number
  readonly dropped: Readonly<Record<DropReason, number>>
  readonly ended: Readonly<Record<CloseReason, number>>
  /** Of connections that have ended. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** accept failed: once per episode. */
  readonly acceptErrors: number
  /** Detached sockets that nobody adopted in time; they were closed. */
  readonly ticketsLost: number
  /** By the clock of the Multi; 0 before the first start. */
  readonly startedAt: number
}

export interface ServerControl<Data = unknown> {
  data: Data
  onState: ((state: ServerState, previous: ServerState) => void) | null
  readonly name: string
  readonly state: ServerState
  /** From `start` until everything is closed. */
  readonly active: boolean
  /** Takes connections. */
  readonly listening: boolean
  /** Somebody is in `exclusive`. */
  readonly locked: boolean
  readonly limits: Limits
  readonly priority: Priority
  /** The open ones. */
  readonly listeners: readonly ServerListener[]
  start(): void
  suspend(options?: SuspendOptions): void
  resume(): void
  throttle(limits: LimitOptions): Limits
  setPriority(priority: Priority): Priority
  quiesce(options?: { readonly drainQueue?: boolean }): ListenHandle[]
  drain(options?: DrainOptions): Promise<DrainReport>
  stop(options?: StopOptions): Promise<StopReport>
  restart(options?: RestartOptions): Promise<StopReport>
  adopt(socket: SocketTicket | number, peer?: SocketAddress): Connection
  broadcast(bytes: Uint8Array | string, options?: BroadcastOptions): number
  clients(): Iterable<ClientInfo>
  find(idOrName: number | string): Connection | null
  disconnect(target: number | string | Connection, reason?: CloseReason): boolean
  exclusive<T>(section: () => T | PromiseLike<T>, options?: ExclusiveOptions): Promise<T>
  stats(): ServerStats
  onClose(callback: () => unknown): void
  [Symbol.asyncDispose](): Promise<void>
}

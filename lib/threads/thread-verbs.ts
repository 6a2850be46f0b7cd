/**
 * What the thread that owns a server and the thread that runs it say to each other: the plan to begin with, the calls,
 * and the events. Everything is plain data that can be cloned.
 */

import type { Limits } from '../server/admission/admission.ts'
import type { CloseReason } from '../server/connection/close-reason.ts'
import type { ServerTlsOptions } from '../server/connection/server-tls.ts'
import type { SocketTicket } from '../server/connection/ticket.ts'
import type { Priority } from '../server/priority.ts'
import type {
  ClientInfo,
  DrainOptions,
  DrainReport,
  ServerStats,
  StopOptions,
  StopReport,
  SuspendOptions,
} from '../server/server-control.ts'
import type { LimitOptions } from '../server/server-options.ts'
import type { ServerState } from '../server/server-state.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { ErrorRecord } from './error-record.ts'
import type { ListenShare } from './listen-book.ts'
import type { CountsHandle } from './shared-counts.ts'

/** With what a thread begins. */
export interface ThreadPlan {
  /** URL of the program's module. */
  readonly module: string
  readonly listen: readonly ListenShare[]
  /** Of the server: what can be cloned. */
  readonly options: Readonly<Record<string, unknown>>
  readonly priority: Priority
  readonly data: unknown
  /** Places that are shared with other threads. */
  readonly counts: CountsHandle | null
  /** The page that the thread shares with its owner (`ThreadSignals`); null when nobody looks at it. */
  readonly signals: SharedArrayBuffer | null
  /** Events about single connections that the owner wants to hear of. */
  readonly forwards: readonly ForwardedEvent[]
}

export type ForwardedEvent = 'connect' | 'disconnect' | 'drop'

/** What the scheduler made of a priority. */
export interface PriorityReport {
  readonly previous: Priority
  /** The thread is scheduled accordingly. False where the system refused, or has no such thing. */
  readonly applied: boolean
  /** What the system answered ('EACCES'); null when it was applied. */
  readonly code: string | null
}

export interface ThreadReport {
  readonly threadId: number
  readonly addresses: readonly SocketAddress[]
  readonly priority: PriorityReport
}

export interface ThreadStatus {
  readonly state: ServerState
  readonly active: boolean
  readonly listening: boolean
  readonly locked: boolean
  readonly limits: Limits
  readonly priority: Priority
}

/** As BroadcastOptions, with ids for connections. */
export interface RemoteBroadcastOptions {
  readonly except?: number | readonly number[]
  readonly slow?: 'skip' | 'queue' | 'disconnect'
}

/** The calls. */
export interface ThreadVerbs {
  /** Loads the module, makes the server and starts it. */
  start(plan: ThreadPlan): ThreadReport
  suspend(options: SuspendOptions): void
  resume(): void
  throttle(limits: LimitOptions): Limits
  reloadTls(options: ServerTlsOptions): void
  setPriority(priority: Priority): PriorityReport
  /** Closes this thread's listening descriptors; connections live on. */
  quiesce(drainQueue: boolean): void
  drain(options: DrainOptions): DrainReport
  stop(options: StopOptions): StopReport
  /** The id of the connection. */
  adopt(ticket: SocketTicket, peer: SocketAddress | undefined): number
  broadcast(bytes: Uint8Array | string, options: RemoteBroadcastOptions): number
  /** Accepts on the listening socket with that index, or not. */
  enable(listener: number, isEnabled: boolean): void
  clients(): ClientInfo[]
  find(idOrName: number | string): ClientInfo | null
  disconnect(idOrName: number | string, reason: CloseReason): boolean
  /** The previous one; null: there is no such client. */
  setClientPriority(idOrName: number | string, priority: Priority): Priority | null
  /** Waits for its turn; from the answer on no event is dispatched until `unlock`, or until `holdMs` are over. */
  lock(token: number, waitMs: number, holdMs: number): void
  /** False when its time was over already. */
  unlock(token: number): boolean
  getData(): unknown
  setData(data: unknown): void
  status(): ThreadStatus
  stats(): ServerStats
}
export type ThreadVerb = keyof ThreadVerbs

/** What a thread tells its owner. */
export interface ThreadEvents {
  state(state: ServerState, previous: ServerState): void
  error(error: ErrorRecord, context: RemoteErrorContext): void
  idle(): void
  connect(client: ClientInfo): void
  disconnect(client: ClientInfo, reason: CloseReason, error: ErrorRecord | null): void
  drop(reason: string, peer: SocketAddress | null): void
}

/** Where an error came from. */
export interface RemoteErrorContext {
  readonly operation: string
  /** null: of no connection. */
  readonly connectionId: number | null
  readonly retryInMs: number
  readonly fatal: boolean
  /** The module's own `error` was told. */
  readonly isHandled: boolean
}

/** What an owner tells its thread, without waiting for an answer. */
export interface OwnerEvents {
  /** As the call `adopt`; who is turned away is counted there. */
  take(ticket: SocketTicket): void
  /** The end: everything is closed, and the thread ends. */
  end(): void
}

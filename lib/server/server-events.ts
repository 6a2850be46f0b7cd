/**
 * What a server tells its program. Every callback may do everything with the server; one that throws disturbs nothing:
 * `onError` hears of it, and if there is none, or it throws itself, the panic handler.
 */
import { type Check, isFunctionOrNull } from '../base/options.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { DropReason } from './admission/admission.ts'
import type { CloseReason } from './connection/close-reason.ts'
import type { Connection } from './connection/connection.ts'
import { panic } from './panic.ts'
import type { ServerState } from './server-state.ts'

/** A peer that was turned away; its socket is closed already. */
export interface Drop {
  readonly reason: DropReason
  /** null when nobody knows it any more. */
  readonly peer: SocketAddress | null
}

/** Where an error came from. */
export interface ErrorContext {
  /** The callback that threw ('onDrop'), or 'accept'. */
  readonly operation: string
  readonly connection: Connection | null
  /** Of 'accept': after so many ms it is tried again. */
  readonly retryInMs: number
  /** Of 'accept': the listener is of no use any more, and the server is faulted. */
  readonly fatal: boolean
}

export interface ServerEvents {
  /** It was admitted; PROXY header and TLS come next. */
  onAccept?: ((connection: Connection) => void) | null
  /** Its layers are set up; the strategy comes next. */
  onConnect?: ((connection: Connection) => void) | null
  /** Once for each connection that was told of, after its descriptor was closed. */
  onDisconnect?: ((connection: Connection, reason: CloseReason, error: Error | null) => void) | null
  onDrop?: ((drop: Drop) => void) | null
  onError?: ((error: unknown, context: ErrorContext) => void) | null
  /** The last connection has left. Not at the start, not at the end. */
  onIdle?: (() => void) | null
  onStart?: (() => void) | null
  onStop?: (() => void) | null
  /** Nothing moved for too long: the connection is closed unless this calls `extend` of it. */
  onTimeout?: ((connection: Connection) => void) | null
  /** Every change of the state. */
  onState?: ((state: ServerState, previous: ServerState) => void) | null
}

export const EVENT_CHECKS: Readonly<Record<keyof ServerEvents, Check>> = {
  onAccept: isFunctionOrNull,
  onConnect: isFunctionOrNull,
  onDisconnect: isFunctionOrNull,
  onDrop: isFunctionOrNull,
  onError: isFunctionOrNull,
  onIdle: isFunctionOrNull,
  onStart: isFunctionOrNull,
  onStop: isFunctionOrNull,
  onTimeout: isFunctionOrNull,
  onState: isFunctionOrNull,
}

/** Calls them, and catches what they throw. */
export class EventDesk {
  readonly #events: ServerEvents
  /** May be replaced while the server runs. */
  onState: ServerEvents['onState']

  constructor(events: ServerEvents) {
    this.#events = events
    this.onState = events.onState ?? null
  }

  get onTimeout(): ((connection: Connection) => void) | null {
    return this.#events.onTimeout ?? null
  }

  drop(reason: DropReason, peer: SocketAddress | null): void {
    const { onDrop } = this.#events
    if (!onDrop) return
    try {
      onDrop({ reason, peer })
    } catch (thrown) {
      this.threw('onDrop', thrown)
    }
  }

  /** False when it threw: the connection is to be reset. */
  accept(connection: Connection): boolean {
    return this.#tell('onAccept', this.#events.onAccept, connection)
  }

  connect(connection: Connection): boolean {
    return this.#tell('onConnect', this.#events.onConnect, connection)
  }

  disconnect(connection: Connection, reason: CloseReason, error: Error | null): void {
    const { onDisconnect } = this.#events
    if (!onDisconnect) return
    try {
      onDisconnect(connection, reason, error)
    } catch (thrown) {
      this.threw('onDisconnect', thrown, connection)
    }
  }

  idle(): void {
    this.#call('onIdle', this.#events.onIdle)
  }

  start(): void {
    this.#call('onStart', this.#events.onStart)
  }

  stop(): void {
    this.#call('onStop', this.#events.onStop)
  }

  state(state: ServerState, previous: ServerState): void {
    try {
      this.onState?.(state, previous)
    } catch (thrown) {
      this.threw('onState', thrown)
    }
  }

  /** accept failed. */
  acceptFailed(error: Error, retryInMs: number, fatal: boolean): void {
    this.#error(error, { operation: 'accept', connection: null, retryInMs, fatal })
  }

  /** Nothing has failed yet. */
  warn(operation: string, warning: Error): void {
    this.#error(warning, { operation, connection: null, retryInMs: 0, fatal: false })
  }

  /** A callback threw. */
  threw(operation: string, thrown: unknown, connection: Connection | null = null): void {
    if (this.#error(thrown, { operation, connection, retryInMs: 0, fatal: false })) return
    // What a connection's own callback throws is told by onDisconnect, as the cause of its end.
    if (connection === null || operation === 'onDisconnect') panic(operation, thrown)
  }

  #error(error: unknown, context: ErrorContext): boolean {
    const { onError } = this.#events
    if (!onError) return false
    try {
      onError(error, context)
    } catch (thrown) {
      panic('onError', thrown)
    }
    return true
  }

  #tell(operation: string, event: ((connection: Connection) => void) | null | undefined, subject: Connection): boolean {
    if (!event) return true
    try {
      event(subject)
      return true
    } catch (thrown) {
      this.threw(operation, thrown, subject)
      return false
    }
  }

  #call(operation: string, event: (() => void) | null | undefined): void {
    try {
      event?.()
    } catch (thrown) {
      this.threw(operation, thrown)
    }
  }
}

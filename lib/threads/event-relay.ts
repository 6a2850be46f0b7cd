/**
 * What a server in another thread tells, passed on to the program's callbacks here. One that throws disturbs nothing:
 * the panic handler hears of it. So it does of what nobody else was told of.
 */
import type { DropReason } from '../server/admission/admission.ts'
import { panic } from '../server/panic.ts'
import type { ServerState } from '../server/server-state.ts'
import { unpackError } from './error-record.ts'
import type { ManagedEvents } from './managed-options.ts'
import type { ThreadEvents } from './thread-verbs.ts'

export class EventRelay {
  onState: NonNullable<ManagedEvents['onState']> | null
  readonly #events: ManagedEvents

  constructor(events: ManagedEvents) {
    this.#events = { ...events }
    this.onState = events.onState ?? null
  }

  state(state: ServerState, previous: ServerState): void {
    const { onState } = this
    if (onState !== null) guard('onState', () => onState(state, previous))
  }

  fault(error: Error): void {
    const { onFault } = this.#events
    if (onFault) guard('onFault', () => onFault(error))
    else panic('a thread of a server', error)
  }

  told<Event extends keyof ThreadEvents>(event: Event, args: Parameters<ThreadEvents[Event]>): void {
    const relay = this.#relays[event] as (...args: Parameters<ThreadEvents[Event]>) => void
    guard(event, () => relay(...args))
  }

  readonly #relays: { [Event in keyof ThreadEvents]: (...args: Parameters<ThreadEvents[Event]>) => void } = {
    state: (state, previous) => this.state(state, previous),
    idle: () => this.#events.onIdle?.(),
    connect: (client) => this.#events.onConnect?.(client),
    disconnect: (client, reason, error) =>
      this.#events.onDisconnect?.(client, reason, error === null ? null : unpackError(error)),
    drop: (reason, peer) => this.#events.onDrop?.({ reason: reason as DropReason, peer }),
    error: (record, context) => {
      const error = unpackError(record)
      const { onError } = this.#events
      if (onError) onError(error, context)
      // What a connection's own callback threw was told to it, as the cause of its end.
      else if (!context.isHandled && context.connectionId === null) panic(context.operation, error)
    },
  }
}

function guard(operation: string, callback: () => void): void {
  try {
    callback()
  } catch (thrown) {
    panic(operation, thrown)
  }
}

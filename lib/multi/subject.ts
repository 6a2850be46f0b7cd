/**
 * What `Multi.add` takes: an object that can begin as a machine. Its attachment says which engine has it and how far it
 * is. Symbols keep both out of users' sight.
 */
import type { TransferError } from '../base/errors.ts'
import type { Host } from './host.ts'
import type { Machine } from './machine.ts'
import type { Completion } from './message-queue.ts'
import type { Task } from './task.ts'

export const attachment: unique symbol = Symbol('attachment')
export const begin: unique symbol = Symbol('begin')
export const release: unique symbol = Symbol('release')
export const ended: unique symbol = Symbol('ended')

export interface Subject {
  readonly [attachment]: Attachment
  /** A fresh machine for one run on that engine. */
  [begin](host: Host): Machine
  /** It left the Multi: what it still holds (the socket of a raw transfer) is closed. */
  [release](host: Host): void
  /**
   * One that wants to hear of its end itself: it leaves the Multi at once, and no message is queued. Called on the
   * engine's stack, before `release`.
   */
  [ended]?(error: TransferError | null): void
}

export class Attachment {
  /** Where it belongs, by the user's last word; inside callbacks the deed follows once the stack unwinds. */
  host: Host | null = null
  /** Removed inside a callback, and there until the stack unwinds. */
  leaving: Host | null = null
  /** null once the machine has ended. */
  task: Task | null = null
  /** Set when it has ended and waits to be read or removed. */
  completion: Completion<Subject> | null = null
  /** Its place in the list of its Multi. */
  isListed = false
  previous: Subject | null = null
  next: Subject | null = null
}

export function isSubject(value: unknown): value is Subject {
  return typeof value === 'object' && value !== null && attachment in value && begin in value
}

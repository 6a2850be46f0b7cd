/**
 * One request between the engine and its reader. The engine's callbacks leave here what they tell; promises are settled
 * by `settle`, later, off the engine's stack. Body bytes that nobody reads are held up to a bound, then the transfer is
 * paused. It never refers to its Response, so that one which nobody holds can be collected.
 */

import { BodyBuffer } from '../base/body-buffer.ts'
import { TransferError } from '../base/errors.ts'
import type { TransferCallbacks } from '../client/principal.ts'
import { checkedSettings } from '../client/transfer.ts'
import type { ResponseHead } from '../client/transfer-options.ts'
import { engineOf } from '../multi/multi.ts'
import { type Settleable, type SettlementDesk, settlementDesk } from '../multi/settlement.ts'
import { HeaderList } from '../wire/http1/header-list.ts'
import { type Abortable, AbortWatch } from './abort-watch.ts'
import type { PreparedRequest } from './request-options.ts'
import { type AnyMulti, RequestTransfer, type TransferOwner } from './request-transfer.ts'
import { type UploadOwner, UploadSource } from './upload-source.ts'

/** Body bytes held for a reader who does not read; beyond them the transfer is paused. */
const UNREAD_BYTES_MAX = 256 * 1024
/** It goes on when no more than this are left. */
const UNREAD_BYTES_LOW = 128 * 1024
/** What bytes(), text() and json() gather at the most: no string is longer. Iterating has no such limit. */
const GATHERED_BYTES_MAX = 512 * 1024 * 1024

/** What ends a transfer because of a head alone: there is no response then, whenever it came. */
const HEAD_FAULTS: ReadonlySet<unknown> = new Set([
  'FILESIZE_EXCEEDED',
  'HTTP_RETURNED_ERROR',
  'LOGIN_DENIED',
  'RANGE_ERROR',
  'SEND_FAIL_REWIND',
  'TOO_MANY_REDIRECTS',
  'UNSUPPORTED_PROTOCOL',
  'URL_MALFORMAT',
])
/** Another request may follow their heads, with proof of who asks. */
const UNAUTHORIZED = 401
const PROXY_UNAUTHORIZED = 407

const Reading = { NONE: 0, PIECES: 1, ALL: 2 } as const
type Reading = (typeof Reading)[keyof typeof Reading]

type Resolve<T> = (value: T) => void
type Reject = (reason: unknown) => void

/** Who waits for bytes: the next piece, or all of them. */
interface Waiter {
  readonly resolve: Resolve<Uint8Array<ArrayBuffer> | null>
  readonly reject: Reject
}

interface Failure {
  readonly reason: unknown
  /** By the user: there is no response then, whatever came. */
  readonly isAbort: boolean
}

/** Makes the Response of it and settles the promise of the request. */
export type Answer = (delivery: Delivery, head: ResponseHead) => void

export class Delivery implements Abortable, Settleable, TransferCallbacks, TransferOwner, UploadOwner {
  readonly transfer: RequestTransfer
  readonly onInformational: TransferCallbacks['onInformational']
  readonly onProgress: TransferCallbacks['onProgress']
  readonly onDebug: TransferCallbacks['onDebug']
  trailers: HeaderList | null = null
  isComplete = false
  readonly #multi: AnyMulti
  readonly #desk: SettlementDesk
  readonly #body = new BodyBuffer()
  readonly #followsRedirects: boolean
  readonly #upload: UploadSource | null
  #watch: AbortWatch | null = null
  #head: ResponseHead | null = null
  /** Another request may follow this head: it counts once its body or its end comes. */
  #isHeadHeld = false
  #hasData = false
  #failure: Failure | null = null
  #reading: Reading = Reading.NONE
  #isPaused = false
  #isQueued = false
  #waiter: Waiter | null = null
  /** Of the promise of the request; null once it is settled, since they refer to what it is settled with. */
  #resolve: Answer | null
  #reject: Reject | null

  /** Throws what is wrong with the options. Nothing is begun yet. */
  constructor(multi: AnyMulti, prepared: PreparedRequest, resolve: Answer, reject: Reject) {
    this.#multi = multi
    this.#desk = settlementDesk(engineOf(multi))
    this.#resolve = resolve
    this.#reject = reject
    const { transferOptions, settings, pieces } = prepared
    this.onInformational = transferOptions.onInformational ?? null
    this.onProgress = transferOptions.onProgress ?? null
    this.onDebug = transferOptions.onDebug ?? null
    this.#followsRedirects = transferOptions.followRedirects ?? false
    if (pieces !== null) transferOptions.body = (bytesMax) => (this.#upload as UploadSource).pull(bytesMax)
    this.transfer = new RequestTransfer(this, transferOptions, settings ?? checkedSettings(transferOptions))
    this.#upload = pieces === null ? null : new UploadSource(this, pieces)
  }

  start(signal: AbortSignal | null): void {
    try {
      this.#multi.add(this.transfer)
    } catch (error) {
      this.#upload?.close()
      throw error
    }
    if (signal !== null) this.#watch = AbortWatch.join(signal, this)
  }

  // What the engine's callbacks and others say

  onHead(head: ResponseHead): void {
    if (this.isComplete) return
    const { status } = head
    const mayRedirect = this.#followsRedirects && status >= 300 && status < 400
    this.#head = head
    this.#isHeadHeld = mayRedirect || status === UNAUTHORIZED || status === PROXY_UNAUTHORIZED
    if (!this.#isHeadHeld) this.#queue()
  }

  onTrailers(trailers: HeaderList): void {
    this.trailers = trailers
  }

  onData(chunk: Uint8Array): void {
    if (this.isComplete) return
    this.#body.push(chunk)
    if (!this.#hasData) {
      this.#hasData = true
      this.#isHeadHeld = false
      this.#queue()
    } else if (this.#waiter !== null && this.#reading === Reading.PIECES) this.#queue()
    const { size } = this.#body
    if (this.#reading === Reading.ALL) {
      if (size > GATHERED_BYTES_MAX) this.#refuseMore()
    } else if (size >= UNREAD_BYTES_MAX) {
      this.#isPaused = true
      this.transfer.pause('receive')
    }
  }

  ended(error: TransferError | null): void {
    if (this.isComplete) return
    this.#complete(error === null ? null : { reason: error, isAbort: false })
  }

  left(multiClosed: boolean): void {
    if (this.isComplete) return
    const what = multiClosed ? 'its Multi was closed' : 'it was removed from its Multi'
    const reason = new TransferError('ABORTED_BY_CALLBACK', `the request ended early: ${what}`)
    this.#complete({ reason, isAbort: true })
  }

  aborted(reason: unknown): void {
    if (this.isComplete) return
    this.#body.clear()
    this.#complete({ reason, isAbort: true })
    this.#multi.remove(this.transfer)
  }

  wantsPiece(): void {
    this.#queue()
  }

  hasPiece(): void {
    if (!this.isComplete) this.transfer.resume('send')
  }

  settle(): void {
    this.#isQueued = false
    if (this.isComplete) this.#upload?.close()
    else this.#upload?.advance()
    if (this.#resolve !== null) this.#settleRequest(this.#resolve)
    if (this.#waiter !== null) this.#settleWaiter(this.#waiter)
  }

  // What the reader asks for

  get isRead(): boolean {
    return this.#reading !== Reading.NONE
  }

  /** The body has one reader, once. */
  claim(): void {
    if (this.isRead) throw new TypeError('the body of this response was read already')
    this.#reading = Reading.PIECES
  }

  /** After `claim`, one call at a time: a piece, or null at the end. */
  next(): Promise<Uint8Array<ArrayBuffer> | null> {
    const piece = this.#takePiece()
    if (piece !== null) return Promise.resolve(piece)
    if (this.#failure !== null) return Promise.reject(this.#failure.reason)
    if (this.isComplete) return Promise.resolve(null)
    return this.#wait()
  }

  /** After `claim`: everything. From here on the Response need not be held. */
  gather(): Promise<unknown> | null {
    this.#reading = Reading.ALL
    if (this.#failure !== null) return Promise.reject(this.#failure.reason)
    if (this.isComplete) return null
    this.#resume()
    return this.#wait()
  }

  takeText(): string {
    return this.#body.takeText()
  }

  takeBytes(): Uint8Array<ArrayBuffer> {
    return this.#body.takeAll()
  }

  /** Nobody wants the rest. A connection whose response is not complete is closed. */
  discard(): void {
    this.#reading = Reading.PIECES
    this.#body.clear()
    if (this.isComplete) return
    this.aborted(new TransferError('ABORTED_BY_CALLBACK', 'the rest of the response was discarded'))
  }

  /** Nobody holds the response any more. One that gathers goes on: its promise is held by others. */
  collected(): void {
    if (this.#reading !== Reading.ALL) this.discard()
  }

  #refuseMore(): void {
    const message = `the body has more than ${GATHERED_BYTES_MAX} bytes; read it piece by piece`
    this.aborted(new TransferError('TOO_LARGE', message))
  }

  #complete(failure: Failure | null): void {
    this.isComplete = true
    this.#failure = failure
    this.trailers ??= HeaderList.EMPTY
    this.#watch?.leave(this)
    this.#watch = null
    this.#queue()
  }

  #queue(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    this.#desk.push(this)
  }

  #settleRequest(resolve: Answer): void {
    const head = this.#head
    const failure = this.#failure
    if (failure !== null && (head === null || this.#isWithoutResponse(failure))) this.#reject?.(failure.reason)
    else if (head !== null && (!this.#isHeadHeld || this.isComplete)) resolve(this, head)
    else return
    this.#resolve = null
    this.#reject = null
  }

  #isWithoutResponse({ reason, isAbort }: Failure): boolean {
    if (isAbort || this.#isHeadHeld) return true
    return !this.#hasData && reason instanceof TransferError && HEAD_FAULTS.has(reason.code)
  }

  #settleWaiter(waiter: Waiter): void {
    const isWhole = this.#reading === Reading.ALL
    const piece = isWhole ? null : this.#takePiece()
    if (piece === null && !this.isComplete) return
    this.#waiter = null
    if (piece === null && this.#failure !== null) waiter.reject(this.#failure.reason)
    else waiter.resolve(piece)
  }

  #takePiece(): Uint8Array<ArrayBuffer> | null {
    const piece = this.#body.take()
    if (this.#isPaused && this.#body.size <= UNREAD_BYTES_LOW) this.#resume()
    return piece
  }

  #resume(): void {
    if (!this.#isPaused || this.isComplete) return
    this.#isPaused = false
    this.transfer.resume('receive')
  }

  #wait(): Promise<Uint8Array<ArrayBuffer> | null> {
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }
}

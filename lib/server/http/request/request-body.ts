/**
 * The body of one request, on its way from the connection to whoever wants it: nobody yet (then it is not even
 * received), one promise for all of it, an iteration with back-pressure, a sink that takes borrowed bytes as they come,
 * or nobody any more. It is consumed once. Promises are settled by the desk, never while the engine is on the stack.
 */
import { BodyBuffer } from '../../../base/body-buffer.ts'
import type { SettlementDesk } from '../../../multi/settlement.ts'
import { HeaderList } from '../../../wire/http1/header-list.ts'
import { HttpError } from '../http-error.ts'

/** An iteration that is slower than the peer: what is received ahead of it. */
const AHEAD_BYTES_MAX = 64 * 1024

/** Takes the bytes as they come; they are borrowed until `write` returns. */
export interface BodySink {
  /** How many it took; the rest is offered again after `resume`. */
  write(bytes: Uint8Array): number
  end(): void
  /** The body will not become whole. */
  fail(error: Error): void
}

/** Who receives the bytes. */
export interface BodySource {
  readonly desk: SettlementDesk
  /** Of the body; -1 when it is not known. */
  readonly contentLength: number
  /** The body is wanted, or wanted again. */
  bodyWanted(): void
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Uint8Array<ArrayBuffer>, undefined>) => void
  readonly reject: (error: Error) => void
}

const Use = { NONE: 0, COLLECT: 1, ITERATE: 2, SINK: 3, DISCARD: 4 } as const
type Use = (typeof Use)[keyof typeof Use]

export class RequestBody {
  trailers: HeaderList = HeaderList.EMPTY
  /** All of it was received. */
  ended = false
  failure: Error | null = null
  #use: Use = Use.NONE
  readonly #source: BodySource
  #buffer: BodyBuffer | null = null
  #limit = 0
  #resolve: ((bytes: Uint8Array<ArrayBuffer>) => void) | null = null
  #reject: ((error: Error) => void) | null = null
  #waiters: Waiter[] | null = null
  #sink: BodySink | null = null
  /** What the sink did not take, in memory of our own. */
  #held: Uint8Array | null = null

  constructor(source: BodySource) {
    this.#source = source
  }

  /** Somebody consumes it, or let it go. */
  get used(): boolean {
    return this.#use !== Use.NONE
  }

  get discarded(): boolean {
    return this.#use === Use.DISCARD
  }

  /** More bytes are welcome now. */
  get wanted(): boolean {
    switch (this.#use) {
      case Use.NONE:
        return false
      case Use.ITERATE:
        return (this.#buffer as BodyBuffer).size < AHEAD_BYTES_MAX
      case Use.SINK:
        return this.#held === null
      default:
        return true
    }
  }

  // How it is consumed

  collect(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#begin(Use.COLLECT)
    this.#limit = limit
    const collected = new Promise<Uint8Array<ArrayBuffer>>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A known length needs no byte to be refused.
    if (this.#source.contentLength > limit) this.#overflow()
    else if (this.ended || this.failure !== null) this.#source.desk.push(this)
    else this.#source.bodyWanted()
    return collected
  }

  iterate(): AsyncIterableIterator<Uint8Array<ArrayBuffer>, undefined> {
    this.#begin(Use.ITERATE)
    this.#source.bodyWanted()
    return new BodyIterator(this)
  }

  sinkInto(sink: BodySink): void {
    this.#begin(Use.SINK)
    this.#sink = sink
    if (this.failure !== null) sink.fail(this.failure)
    else if (this.ended) sink.end()
    else this.#source.bodyWanted()
  }

  /** Nobody wants the rest of it. */
  discard(): void {
    if (this.#use === Use.DISCARD) return
    const wasUsed = this.#use !== Use.NONE
    this.#use = Use.DISCARD
    this.#held = null
    this.#sink = null
    this.#buffer = null
    if (wasUsed) this.#rejectAll(new TypeError('the body was discarded while it was read'))
    if (!this.ended && this.failure === null) this.#source.bodyWanted()
  }

  /** A sink takes bytes again. */
  resume(): void {
    const held = this.#held
    if (held === null) return
    this.#held = null
    if (!this.#write(held)) return
    if (this.ended) this.#sink?.end()
    else this.#source.bodyWanted()
  }

  // What the connection tells

  /** The bytes are borrowed. */
  push(bytes: Uint8Array): void {
    switch (this.#use) {
      case Use.SINK:
        this.#write(bytes)
        return
      case Use.COLLECT:
        if ((this.#buffer?.size ?? 0) + bytes.length > this.#limit) this.#overflow()
        else this.#collected().push(bytes)
        return
      case Use.ITERATE:
        this.#collected().push(bytes)
        if (this.#waiters !== null) this.#source.desk.push(this)
        return
    }
  }

  finish(trailers: HeaderList): void {
    this.ended = true
    this.trailers = trailers
    if (this.#use === Use.SINK) {
      if (this.#held === null) this.#sink?.end()
    } else if (this.#resolve !== null || this.#waiters !== null) this.#source.desk.push(this)
  }

  fail(error: Error): void {
    if (this.ended || this.failure !== null) return
    this.failure = error
    const sink = this.#sink
    this.#sink = null
    this.#held = null
    sink?.fail(error)
    if (this.#resolve !== null || this.#waiters !== null) this.#source.desk.push(this)
  }

  /** Called by the desk. */
  settle(): void {
    if (this.#waiters !== null) this.#settleIteration(this.#waiters)
    const [resolve, reject] = [this.#resolve, this.#reject]
    if (resolve === null || reject === null) return
    this.#resolve = null
    this.#reject = null
    if (this.failure !== null) reject(this.failure)
    else resolve(this.#collected().takeAll())
  }

  /** Of the iteration. */
  next(): Promise<IteratorResult<Uint8Array<ArrayBuffer>, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiters ??= []
      this.#waiters.push({ resolve, reject })
      this.#source.desk.push(this)
    })
  }

  #collected(): BodyBuffer {
    this.#buffer ??= new BodyBuffer()
    return this.#buffer
  }

  #begin(use: Use): void {
    if (this.#use !== Use.NONE) throw new TypeError('the body of this request is consumed already')
    this.#use = use
    if (use === Use.ITERATE) this.#buffer = new BodyBuffer()
  }

  #overflow(): void {
    this.failure = new HttpError(413, `the body is larger than ${this.#limit} bytes`)
    this.#buffer = null
    this.#use = Use.DISCARD
    this.#source.desk.push(this)
  }

  /** False when the sink is full. */
  #write(bytes: Uint8Array): boolean {
    const taken = this.#sink?.write(bytes) ?? bytes.length
    // It may have let the body go.
    if (this.#use !== Use.SINK || taken >= bytes.length) return true
    this.#held = bytes.slice(taken)
    return false
  }

  #settleIteration(waiters: Waiter[]): void {
    const buffer = this.#collected()
    const wasFull = buffer.size >= AHEAD_BYTES_MAX
    while (waiters.length > 0) {
      const piece = buffer.take()
      if (piece !== null) waiters.shift()?.resolve({ done: false, value: piece })
      else if (this.failure !== null) waiters.shift()?.reject(this.failure)
      else if (this.ended) waiters.shift()?.resolve({ done: true, value: undefined })
      else break
    }
    if (waiters.length === 0) this.#waiters = null
    if (wasFull && buffer.size < AHEAD_BYTES_MAX && !this.ended) this.#source.bodyWanted()
  }

  #rejectAll(error: Error): void {
    this.failure ??= error
    if (this.#resolve !== null || this.#waiters !== null) this.#source.desk.push(this)
  }
}

class BodyIterator implements AsyncIterableIterator<Uint8Array<ArrayBuffer>, undefined> {
  readonly #body: RequestBody
  #done = false

  constructor(body: RequestBody) {
    this.#body = body
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array<ArrayBuffer>, undefined>> {
    return this.#done ? Promise.resolve({ done: true, value: undefined }) : this.#body.next()
  }

  /** `break` in a `for await`: the rest is let go. */
  return(): Promise<IteratorResult<Uint8Array<ArrayBuffer>, undefined>> {
    this.#done = true
    this.#body.discard()
    return Promise.resolve({ done: true, value: undefined })
  }
}

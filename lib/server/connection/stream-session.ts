/**
 * The await style: `receive` and `send` as promises over the byte driver of a connection. Promises are settled by the
 * settlement desk, off the engine's stack. A read that nobody awaits is not made, so a session that is busy elsewhere
 * holds its peer back.
 */
import { type Settleable, type SettlementDesk, settlementDesk } from '../../multi/settlement.ts'
import { withinEngine } from '../within-engine.ts'
import type { ByteDriver, ByteSession } from './byte-driver.ts'

/** One who awaits something, and what came of it. */
class Waiter<T> implements Settleable {
  readonly promise: Promise<T>
  #resolve!: (value: T) => void
  #reject!: (error: unknown) => void
  #value!: T
  #error: Error | null = null

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  succeed(desk: SettlementDesk, value: T): void {
    this.#value = value
    desk.push(this)
  }

  fail(desk: SettlementDesk, error: Error): void {
    this.#error = error
    desk.push(this)
  }

  settle(): void {
    if (this.#error === null) this.#resolve(this.#value)
    else this.#reject(this.#error)
  }
}

type Bytes = Pick<ByteDriver<object>, 'host' | 'isOver' | 'reader' | 'view' | 'write' | 'heed'>

export class StreamSession implements ByteSession {
  readonly #bytes: Bytes
  readonly #desk: SettlementDesk
  #reader: Waiter<Uint8Array | null> | null = null
  #writers: Waiter<void>[] = []
  /** Why it ended. */
  #error: Error | null = null

  constructor(bytes: Bytes) {
    this.#bytes = bytes
    this.#desk = settlementDesk(bytes.host)
  }

  get isReading(): boolean {
    return this.#reader !== null
  }

  receive(): Promise<Uint8Array | null> {
    if (this.#reader !== null) throw new TypeError('receive: the last one is not settled yet')
    const reader = new Waiter<Uint8Array | null>()
    if (this.#bytes.isOver) this.#tellEnd(reader)
    else {
      this.#reader = reader
      withinEngine(this.#bytes.host, 'receive', () => {
        this.readable()
        if (this.#reader !== null) this.#bytes.heed()
      })
    }
    return reader.promise
  }

  send(bytes: Uint8Array): Promise<void> {
    const writer = new Waiter<void>()
    if (this.#bytes.isOver) {
      writer.fail(this.#desk, this.#error ?? new Error('send: the connection is closed'))
      return writer.promise
    }
    const atOnce = !this.#bytes.host.isInside
    withinEngine(this.#bytes.host, 'send', () => {
      if (this.#bytes.write(bytes, atOnce)) writer.succeed(this.#desk, undefined)
      else this.#writers.push(writer)
    })
    return writer.promise
  }

  readable(): void {
    const reader = this.#reader
    if (reader === null) return
    const chunk = this.#bytes.view(Number.POSITIVE_INFINITY)
    if (typeof chunk !== 'number') {
      this.#reader = null
      reader.succeed(this.#desk, chunk.slice())
    } else if (chunk === 0) {
      this.#reader = null
      reader.succeed(this.#desk, null)
    }
  }

  drained(): void {
    const writers = this.#writers
    this.#writers = []
    for (const writer of writers) writer.succeed(this.#desk, undefined)
  }

  closed(error: Error | null): void {
    this.#error = error
    const reader = this.#reader
    this.#reader = null
    if (reader !== null) this.#tellEnd(reader)
    const writers = this.#writers
    this.#writers = []
    for (const writer of writers) writer.fail(this.#desk, error ?? new Error('send: the connection is closed'))
  }

  /** A connection that was closed in good order has an end like any other. */
  #tellEnd(reader: Waiter<Uint8Array | null>): void {
    if (this.#error === null) reader.succeed(this.#desk, null)
    else reader.fail(this.#desk, this.#error)
  }
}

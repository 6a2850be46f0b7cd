/**
 * The response of a request: its head at once, its body once, for one reader. Nothing has to be read: a body that
 * nobody wants is held up to 256 KiB, and given up when the response is collected. Read it to its end to keep the
 * connection.
 */
import type { TransferInfo } from '../client/transfer-info.ts'
import type { ResponseHead } from '../client/transfer-options.ts'
import type { HeaderList } from '../wire/http1/header-list.ts'
import type { Delivery } from './delivery.ts'
import { type WebBody, webBody } from './web-body.ts'

/** For responses whose bodies are still to come. */
const unread = new FinalizationRegistry<Delivery>((delivery) => delivery.collected())

export class Response {
  readonly #delivery: Delivery
  readonly #head: ResponseHead
  #stream: WebBody | null = null

  /** @internal Made by `request` alone. */
  constructor(delivery: Delivery, head: ResponseHead) {
    this.#delivery = delivery
    this.#head = head
    if (!delivery.isComplete) unread.register(this, delivery)
  }

  get status(): number {
    return this.#head.status
  }

  /** A status from 200 to 299. */
  get ok(): boolean {
    return this.#head.status >= 200 && this.#head.status < 300
  }

  /** The text after the status code; may be ''. */
  get reason(): string {
    return this.#head.reason
  }

  /** '1.0' or '1.1'. */
  get httpVersion(): string {
    return this.#head.httpVersion
  }

  get headers(): HeaderList {
    return this.#head.headers
  }

  /** Where the response came from: after redirects, the last URL. */
  get url(): string {
    return this.#delivery.transfer.info.effectiveUrl
  }

  /** Sizes, times, addresses; they go on until the body has ended. */
  get info(): TransferInfo {
    return this.#delivery.transfer.info
  }

  /** null until the body has ended. */
  get trailers(): HeaderList | null {
    return this.#delivery.isComplete ? this.#delivery.trailers : null
  }

  /** The body has a reader, or was discarded: it cannot be read again. */
  get bodyUsed(): boolean {
    return this.#delivery.isRead
  }

  /** A web stream of bytes, the same each time; it counts as a reader once it is read from. */
  get body(): WebBody {
    this.#stream ??= webBody(this, this.#delivery)
    return this.#stream
  }

  /** Pieces of the body as they come, each in memory of its own. Leaving the loop early discards the rest. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    this.#delivery.claim()
    return this.#pieces()
  }

  /** At most 512 MiB, as for the other helpers; beyond that it rejects with TOO_LARGE. */
  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#gather(takeBytes)
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#gather(takeArrayBuffer)
  }

  /** The body as UTF-8, whatever the headers say; a byte order mark is left out. */
  text(): Promise<string> {
    return this.#gather(takeText)
  }

  /** Rejects with a SyntaxError when it is not JSON. */
  json(): Promise<unknown> {
    return this.#gather(takeJson)
  }

  /** The rest is of no interest. A connection that still carries it is closed. Idempotent. */
  discard(): void {
    this.#delivery.discard()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.discard()
    return Promise.resolve()
  }

  #gather<T>(take: (delivery: Delivery) => T): Promise<T> {
    const delivery = this.#delivery
    try {
      delivery.claim()
      const wait = delivery.gather()
      return wait === null ? Promise.resolve(take(delivery)) : wait.then(() => take(delivery))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async *#pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    try {
      for (;;) {
        const piece = await this.#delivery.next()
        if (piece === null) return
        yield piece
      }
    } finally {
      // It also keeps this response, and so the transfer, for as long as somebody iterates.
      this.discard()
    }
  }
}

const BYTE_ORDER_MARK = 0xfeff

function takeBytes(delivery: Delivery): Uint8Array<ArrayBuffer> {
  return delivery.takeBytes()
}

function takeArrayBuffer(delivery: Delivery): ArrayBuffer {
  return delivery.takeBytes().buffer
}

function takeText(delivery: Delivery): string {
  const text = delivery.takeText()
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text
}

function takeJson(delivery: Delivery): unknown {
  return JSON.parse(takeText(delivery))
}

/**
 * A server and a client on one Multi: each request is answered with what an origin answers, piece by piece, and nobody
 * receives faster than the next one takes it. No promises, so it runs in every loop. Copy `startGateway`.
 */

import type { HttpRequest, ResponseHead, TransferError } from 'sockmux'
import { HttpServer, type Multi, PAUSE, Transfer } from 'sockmux' // in your program: from 'sockmux'

/** Bytes that wait for a client before the origin has to. */
const WAITING_BYTES_MAX = 256 * 1024
/** They are about one connection, or the server's own. */
const OWN_FIELDS = new Set(['connection', 'date', 'keep-alive', 'transfer-encoding'])

/** `answers` has a request first: true when it answered. */
export function startGateway(
  multi: Multi,
  origin: string,
  port = 0,
  answers: (request: HttpRequest) => boolean = () => false,
): HttpServer {
  const relays = new Map<Transfer, Relay>()
  multi.setNotifyFunction(() => {
    for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
      relays.get(message.transfer)?.end(message.error)
      relays.delete(message.transfer)
      multi.remove(message.transfer)
    }
  })
  const server = new HttpServer(multi, {
    listen: { host: '127.0.0.1', port },
    driver: {
      onHeaders(request) {
        if (answers(request)) return
        const relay = new Relay(request, origin)
        relays.set(relay.transfer, relay)
        multi.add(relay.transfer)
        // The client left: nobody needs the rest.
        request.signal.addEventListener('abort', () => {
          if (relays.delete(relay.transfer)) multi.remove(relay.transfer)
        })
      },
    },
  })
  server.start()
  return server
}

class Relay {
  readonly transfer: Transfer
  readonly #request: HttpRequest
  readonly #pieces: Uint8Array[] = []
  #waitingBytes = 0
  #isAnswered = false
  #isOver = false
  #error: TransferError | null = null

  constructor(request: HttpRequest, origin: string) {
    this.#request = request
    this.transfer = new Transfer({
      url: origin + request.url,
      method: request.method,
      onHead: (head) => this.#answer(head),
      onData: (chunk) => this.#take(chunk),
    })
  }

  /** The transfer has ended. */
  end(error: TransferError | null): void {
    this.#isOver = true
    this.#error = error
    if (this.#isAnswered) this.#request.resume()
    else this.#request.respond({ status: 502, body: `${error?.message ?? 'no answer'}\n` })
  }

  #answer({ status, headers }: ResponseHead): void {
    this.#isAnswered = true
    this.#request.respond({
      status,
      headers: [...headers].filter(([name]) => !OWN_FIELDS.has(name.toLowerCase())),
      body: (_, bytesMax) => this.#give(bytesMax),
    })
  }

  /** From the origin. The chunk is borrowed. */
  #take(chunk: Uint8Array): void {
    this.#pieces.push(chunk.slice())
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.transfer.pause('receive')
    this.#request.resume()
  }

  /** To the client. What is thrown here cuts the answer, so that it is not taken for a whole one. */
  #give(bytesMax: number): Uint8Array | null | typeof PAUSE {
    const piece = this.#pieces.shift()
    if (piece === undefined) {
      if (this.#error !== null) throw this.#error
      return this.#isOver ? null : PAUSE
    }
    if (piece.length > bytesMax) this.#pieces.unshift(piece.subarray(bytesMax))
    const given = piece.subarray(0, bytesMax)
    this.#waitingBytes -= given.length
    if (this.#waitingBytes <= WAITING_BYTES_MAX / 2 && !this.#isOver) this.transfer.resume('receive')
    return given
  }
}

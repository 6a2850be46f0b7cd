/**
 * The program behind a simulated HTTP server: answers what http-asks.ts asks, in the way the target says, and keeps
 * account: each request ends once, each body that was opened is closed once.
 */
import { expect } from 'vitest'
import {
  HttpError,
  type HttpRequest,
  type HttpResponse,
  type HttpServer,
  type HttpServerOptions,
  PAUSE,
  prepareResponse,
  type RequestEnd,
  upgrade,
  webSocket,
} from '../../lib/index.ts'
import type { Kind, Mode } from './http-asks.ts'
import { originBytes } from './origin.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'

const DELAY_MS = 150
const MOST = 50_000

export class HttpProgram {
  server: HttpServer | null = null
  /** How each ended; null: not yet. */
  readonly requests: Map<HttpRequest, RequestEnd | null> = new Map()
  readonly signals: AbortSignal[] = []
  opened = 0
  closed = 0
  readonly #simulation: Simulation
  readonly #random: Random
  readonly #collected: WeakMap<HttpRequest, Uint8Array[]> = new WeakMap()

  constructor(simulation: Simulation, random: Random) {
    this.#simulation = simulation
    this.#random = random
    simulation.files.put('/file', originBytes('file', MOST))
  }

  get options(): Pick<HttpServerOptions, 'handler' | 'driver' | 'onRequestEnd'> {
    const onRequestEnd: HttpServerOptions['onRequestEnd'] = (request, end, timings) => {
      expect(this.requests.get(request)).toBe(null)
      expect(timings.endedAt).toBeGreaterThanOrEqual(timings.startedAt)
      this.requests.set(request, end)
      if (this.#random.chance(0.02)) throw new Error('of the program')
    }
    if (this.#random.chance(0.7)) return { onRequestEnd, handler: (request) => this.#handle(request) }
    return {
      onRequestEnd,
      driver: {
        onHeaders: (request) => this.#begin(request),
        onBody: (request, bytes) => this.#take(request, bytes),
        onEnd: (request) => {
          const { kind } = askOf(request)
          if (kind !== 'hang') request.respond(this.#answer(request, this.#contentOf(request)))
        },
      },
    }
  }

  /** After everything has ended. */
  check(): void {
    expect([...this.requests.values()].filter((end) => end === null)).toEqual([])
    expect(this.closed).toBe(this.opened)
    expect(this.#simulation.files.openCount).toBe(0)
  }

  #after(action: () => void): void {
    const { world } = this.#simulation
    world.plan(world.now + this.#random.unit() * DELAY_MS, action)
  }

  #begin(request: HttpRequest): void {
    expect(this.requests.has(request)).toBe(false)
    this.requests.set(request, null)
    if (this.#random.chance(0.2)) this.signals.push(request.signal)
    const { kind } = askOf(request)
    if (kind === 'hinted') request.inform(103, { link: '</style.css>; rel=preload' })
    if (kind === 'throw') throw new Error('of the program')
    if (kind === 'teapot') throw new HttpError(418, 'short and stout')
  }

  #handle(request: HttpRequest): HttpResponse | PromiseLike<HttpResponse> {
    this.#begin(request)
    const { mode, kind } = askOf(request)
    if (kind === 'hang') return new Promise(() => {})
    if (kind === 'reject') return Promise.reject(new Error('of the program'))
    if (kind === 'collect' || kind === 'pieces' || kind === 'sink') return this.#echo(request, kind)
    switch (mode) {
      case 'now':
        return this.#answer(request)
      case 'promise':
        return Promise.resolve().then(() => this.#answer(request))
      case 'later':
        return new Promise((resolve) => this.#after(() => resolve(this.#answer(request))))
      case 'respond':
        this.#after(() => {
          const answer = this.#answer(request)
          if (kind === 'nothing') expect(() => request.respond(answer)).toThrow(TypeError)
          else request.respond(answer)
        })
        return new Promise(() => {})
    }
  }

  async #echo(request: HttpRequest, kind: 'collect' | 'pieces' | 'sink'): Promise<HttpResponse> {
    if (this.#random.chance(0.3)) await new Promise<void>((resolve) => this.#after(resolve))
    const pieces: Uint8Array[] = []
    if (kind === 'collect') pieces.push(await request.bytes())
    else if (kind === 'pieces') {
      for await (const piece of request) {
        pieces.push(piece)
        if (this.#random.chance(0.2)) await new Promise<void>((resolve) => this.#after(resolve))
      }
    } else {
      this.#collected.set(request, pieces)
      await new Promise<void>((end, fail) => {
        request.sinkInto({ write: (bytes) => this.#take(request, bytes), end, fail })
      })
    }
    return this.#answer(request, Buffer.concat(pieces))
  }

  /** Of a body: all, or a part and the rest after a while. */
  #take(request: HttpRequest, bytes: Uint8Array): number {
    const taken = this.#random.chance(0.7) ? bytes.length : this.#random.int(bytes.length)
    const pieces = this.#collected.get(request) ?? []
    this.#collected.set(request, pieces)
    pieces.push(bytes.slice(0, taken))
    if (taken < bytes.length) this.#after(() => request.resume())
    return taken
  }

  #contentOf(request: HttpRequest): Buffer {
    return Buffer.concat(this.#collected.get(request) ?? [])
  }

  #answer(request: HttpRequest, echoed: Uint8Array = new Uint8Array(0)): HttpResponse {
    const { id, kind, size } = askOf(request)
    const headers = { 'x-id': id }
    const bytes = originBytes(kind, size)
    switch (kind) {
      case 'collect':
      case 'pieces':
      case 'sink':
        return { headers, body: echoed }
      case 'text':
      case 'hinted':
      case 'bytes':
        return { headers, body: bytes }
      case 'array':
        return { headers, body: [bytes.subarray(0, size >> 1), bytes.subarray(size >> 1)] }
      case 'prepared':
        return size < 50 ? prepareResponse({ headers, body: bytes }) : { headers, body: bytes }
      case 'iterable':
        return { headers, body: this.#iterable(this.#pieces(bytes)), trailers: { 'x-trailer': id } }
      case 'async':
        return { headers, body: this.#asyncIterable(this.#pieces(bytes)) }
      case 'stream':
        return { headers, body: this.#stream(this.#pieces(bytes)) }
      case 'file':
        return { headers, body: { file: '/file', length: size } }
      default:
        return this.#pulled(request, kind, headers, bytes)
    }
  }

  #pulled(request: HttpRequest, kind: Kind, headers: Record<string, string>, bytes: Uint8Array): HttpResponse {
    switch (kind) {
      case 'pull':
        return { headers, body: this.#pull(request, bytes) }
      case 'sized':
        return { headers, body: { ...this.#pull(request, bytes), length: bytes.length } }
      case 'short':
        return { headers, body: { ...this.#pull(request, bytes), length: bytes.length + 1 } }
      case 'broken':
        return { headers, body: { ...this.#pull(request, bytes, bytes.length >> 1) } }
      case 'raw':
        return upgrade({
          protocol: 'echo',
          onOpen: (connection) => {
            connection.onData = (self, said) => void self.write(said)
          },
        })
      case 'websocket':
        return webSocket(request, { onMessage: (socket, message) => void socket.send(message.data) })
      case 'close':
        request.connection.close()
        return { headers, body: 'x' }
      case 'abort':
        request.connection.abort()
        return { headers, body: 'x' }
      case 'drain':
        if (this.server?.active === true) void this.server.drain({ deadlineMs: 50 })
        return { headers, body: bytes }
      default:
        return undefined as unknown as HttpResponse
    }
  }

  #pieces(bytes: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = []
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + this.#random.between(0, 20_000))
      pieces.push(piece)
      at += piece.length
    }
    return pieces
  }

  /** Once per body, however it ends. */
  #ending(): () => void {
    this.opened++
    let isEnded = false
    return () => {
      expect(isEnded).toBe(false)
      isEnded = true
      this.closed++
    }
  }

  #iterable(pieces: Uint8Array[]): Iterable<Uint8Array> {
    const end = this.#ending()
    const next = (): IteratorResult<Uint8Array> => {
      const value = pieces.shift()
      if (value !== undefined) return { done: false, value }
      end()
      return { done: true, value }
    }
    const iterator: Iterator<Uint8Array> = {
      next,
      return: () => {
        end()
        return { done: true, value: undefined }
      },
    }
    return { [Symbol.iterator]: () => iterator }
  }

  #asyncIterable(pieces: Uint8Array[]): AsyncIterable<Uint8Array> {
    const iterator = this.#iterable(pieces)[Symbol.iterator]()
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      if (this.#random.chance(0.3)) await new Promise<void>((resolve) => this.#after(resolve))
      return iterator.next()
    }
    let isOver = false
    const own: AsyncIterator<Uint8Array> = {
      next: async () => (isOver ? { done: true, value: undefined } : next()),
      return: async () => {
        isOver = true
        return iterator.return?.() as IteratorResult<Uint8Array>
      },
    }
    return { [Symbol.asyncIterator]: () => own }
  }

  #stream(pieces: Uint8Array[]): ReadableStream<Uint8Array> {
    const end = this.#ending()
    return new ReadableStream({
      pull: (controller) => {
        const piece = pieces.shift()
        if (piece !== undefined) controller.enqueue(piece)
        else {
          end()
          controller.close()
        }
      },
      cancel: () => end(),
    })
  }

  #pull(request: HttpRequest, bytes: Uint8Array, failsAt = -1) {
    const end = this.#ending()
    let hasRested = false
    return {
      pull: (position: number, bytesMax: number) => {
        if (failsAt >= 0 && position >= failsAt) throw new Error('of the program')
        if (!hasRested && this.#random.chance(0.3)) {
          hasRested = true
          this.#after(() => request.resume())
          return PAUSE
        }
        const length = this.#random.between(1, bytesMax)
        return position >= bytes.length ? null : bytes.subarray(position, position + length)
      },
      close: end,
    }
  }
}

function askOf(request: HttpRequest): { id: string; mode: Mode; kind: Kind; size: number } {
  const [, id = '', mode, kind, size] = request.url.split('/')
  return { id, mode: mode as Mode, kind: kind as Kind, size: Number(size) }
}

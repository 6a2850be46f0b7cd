/**
 * A scripted HTTP/1.1 server inside the world, that answers by path. `originBody` says which bytes a path gives, so
 * every byte that arrives can be checked.
 *   /bytes/N /chunked/N /close/N (ends with FIN) /trailers/N /1xx/N /status/CODE /echo
 *   /slow/MS/N /drip/N /hang /stall/N (half the body, then silence) /stray/N (junk after) /idle-fin/N (FIN after)
 *   what hostile.ts says, and
 *   what content.ts knows (codings, parts), and
 *   what dialogue.ts knows (redirects, authentication, cookies)
 *   /eager/CODE (answers the head, reads the body, serves on)
 *   /reset /reset/N (half the body) /early-close /early-close/N /reject/CODE (answers the head, reads no body)
 */
import { Family } from '../../lib/sys/kernel.ts'
import { converse } from './dialogue.ts'
import type { ServerIdentity } from './fake-tls.ts'
import { type Hostility, readHostility } from './hostile.ts'
import type { Network } from './network.ts'
import { listenInWorld } from './peer.ts'
import { type OriginRequest, RequestParser } from './request-parser.ts'
import { type AnyPeer, makePeer } from './secure-peer.ts'
import type { StreamSocket } from './stream-socket.ts'
import type { World } from './world.ts'

export interface OriginOptions {
  readonly address?: string
  readonly port?: number
  /** Requests on one connection before the origin closes it. */
  readonly keepAliveMost?: number
  readonly fragments?: boolean
  readonly idleCloseMs?: number
  /** Speaks the fake TLS protocol. */
  readonly tls?: ServerIdentity
}

export interface SeenRequest extends OriginRequest {
  /** Counts connections from 1. */
  readonly connection: number
}

const DRIP_MS = 5

/** The bytes of a body, by what asks for them. */
export function originBytes(path: string, length: number): Uint8Array {
  let state = 0x811c9dc5
  for (let i = 0; i < path.length; i++) state = Math.imul(state ^ path.charCodeAt(i), 0x01000193)
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(state + i, 0x9e3779b1) >>> 13) & 0xff
  return bytes
}

/** The body that a GET of this path gives when all goes well. */
export function originBody(path: string): Uint8Array {
  const [, verb = '', first = '0', second = '0'] = path.split('/')
  if (verb === 'redirect') return originBody(`/${path.split('/').slice(3).join('/')}`)
  if (verb === 'status' || verb === 'reject') return originBytes(path, BODILESS.has(Number(first)) ? 0 : 10)
  return originBytes(path, Number(verb === 'slow' ? second : first) || 0)
}

const BODILESS: ReadonlySet<number> = new Set([204, 304])

/** What /eager/CODE answers, before the body is there. */
export function eagerAnswer(path: string): string {
  return `HTTP/1.1 ${path.split('/')[2]} Status\r\ncontent-length: 5\r\n\r\neager`
}

export class SimOrigin {
  readonly address: string
  readonly port: number
  readonly requests: SeenRequest[] = []
  connections = 0
  /** Connections open now. */
  open = 0
  /** What clients sent that is no request. */
  readonly complaints: string[] = []
  readonly #world: World
  readonly #options: OriginOptions
  readonly #listener: StreamSocket

  constructor(world: World, network: Network, options: OriginOptions = {}) {
    this.#world = world
    this.#options = options
    this.address = options.address ?? '127.0.0.1'
    const isUnix = this.address.startsWith('/') || this.address.startsWith('\0')
    const family = isUnix ? Family.UNIX : this.address.includes(':') ? Family.IPV6 : Family.IPV4
    this.port = isUnix ? 0 : (options.port ?? 80)
    this.#listener = listenInWorld(world, network, { family, address: this.address, port: this.port }, (socket) => {
      new OriginConnection(this, world, socket, options, ++this.connections)
    })
  }

  get host(): string {
    return this.address.includes(':') ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`
  }

  /** From now on, connections are refused. */
  close(): void {
    this.#listener.closed()
  }

  log(text: string): void {
    this.#world.record(`origin ${text}`)
  }

  get keepAliveMost(): number {
    return this.#options.keepAliveMost ?? Number.POSITIVE_INFINITY
  }
}

class OriginConnection {
  readonly #origin: SimOrigin
  readonly #world: World
  readonly #peer: AnyPeer
  readonly #parser: RequestParser
  readonly #number: number
  readonly #idleCloseMs: number
  #served = 0
  #after: (() => void) | null = null
  #ended = false

  constructor(origin: SimOrigin, world: World, socket: StreamSocket, options: OriginOptions, number: number) {
    this.#origin = origin
    this.#world = world
    this.#number = number
    this.#idleCloseMs = options.idleCloseMs ?? Number.POSITIVE_INFINITY
    this.#parser = new RequestParser((request) => this.#serve(request))
    this.#parser.onHead = (request) => this.#sawHead(request)
    origin.open++
    this.#peer = makePeer(
      world,
      socket,
      {
        data: (bytes) => this.#receive(bytes),
        ended: () => this.#sawEnd(),
        drained: () => this.#drained(),
        failed: () => this.#gone(),
      },
      options.fragments ?? false,
      options.tls,
    )
  }

  #receive(bytes: Uint8Array): void {
    this.#parser.push(bytes)
    if (this.#parser.error !== null && !this.#ended) {
      this.#origin.complaints.push(this.#parser.error)
      this.#close()
    }
  }

  #sawEnd(): void {
    if (!this.#parser.isIdle) this.#origin.log('end inside a request')
    if (this.#after === null) this.#close()
    else this.#ended = true
  }

  #close(): void {
    this.#gone()
    this.#peer.close()
  }

  #reset(): void {
    this.#gone()
    this.#peer.reset()
  }

  #gone(): void {
    if (this.#served >= 0) this.#origin.open--
    this.#served = Number.NEGATIVE_INFINITY
  }

  #sawHead(request: OriginRequest): void {
    if (request.target.startsWith('/reject/')) return
    if (request.target.startsWith('/eager/')) this.#write(eagerAnswer(request.target))
    else if (request.headers.get('expect')?.toLowerCase() === '100-continue')
      this.#write('HTTP/1.1 100 Continue\r\n\r\n')
  }

  #write(bytes: Uint8Array | string): void {
    this.#peer.write(bytes)
  }

  /** `after` runs when everything written so far is out. */
  #finish(after: () => void): void {
    this.#after = after
    this.#world.after(0, () => this.#peer.write(''))
  }

  #drained(): void {
    const after = this.#after
    this.#after = null
    after?.()
  }

  #serve(request: OriginRequest): void {
    this.#served++
    this.#origin.requests.push({ ...request, connection: this.#number })
    this.#origin.log(`${request.method} ${request.target} ${request.body.length} on ${this.#number}`)
    const [, verb = '', first = '0', second = '0'] = request.target.split('/')
    const count = Number(first) || 0
    switch (verb) {
      case 'hang':
        return
      case 'reset':
        return count === 0 ? this.#reset() : this.#half(request, count, () => this.#reset())
      case 'early-close':
        return count === 0 ? this.#close() : this.#half(request, count, () => this.#close())
      case 'stall':
        return this.#half(request, count, () => {})
      case 'slow':
        this.#world.after(count, () => this.#sized(request, 200, Number(second) || 0))
        return
      case 'drip':
        return this.#drip(request, count)
      case 'hostile':
        return this.#beHostile(readHostility(request.target))
      case 'eager':
        return this.#finish(() => this.#next(request))
      default:
        this.#answer(request, verb, count)
    }
  }

  #answer(request: OriginRequest, verb: string, count: number): void {
    switch (verb) {
      case 'chunked':
      case 'trailers':
        return this.#chunked(request, count, verb === 'trailers')
      case 'close':
        this.#head(request, 200, ['connection: close'])
        this.#body(request, originBytes(request.target, count))
        return this.#finish(() => this.#close())
      case '1xx':
        this.#write('HTTP/1.1 103 Early Hints\r\nlink: </style>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n')
        return this.#sized(request, 200, count)
      case 'status':
      case 'reject':
        return this.#sized(request, count, originBody(request.target).length)
      case 'echo':
        return this.#whole(request, 200, request.body)
      case 'bytes':
        return this.#sized(request, 200, count)
      case 'stray':
        this.#sized(request, 200, count, () => {
          this.#write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray')
          this.#parser.release()
        })
        return
      case 'idle-fin':
        return this.#sized(request, 200, count, () => this.#close())
      default:
        this.#converse(request)
    }
  }

  #head(request: OriginRequest, status: number, headers: readonly string[]): void {
    this.#write([`HTTP/1.1 ${status} Status`, `x-request: ${request.method}`, ...headers, '', ''].join('\r\n'))
  }

  #body(request: OriginRequest, bytes: Uint8Array): void {
    if (request.method !== 'HEAD') this.#write(bytes)
  }

  #sized(request: OriginRequest, status: number, length: number, after?: () => void): void {
    this.#whole(request, status, originBytes(request.target, length), after)
  }

  #whole(request: OriginRequest, status: number, body: Uint8Array, after?: () => void): void {
    const headers = BODILESS.has(status) ? [] : [`content-length: ${body.length}`]
    if (this.#isLast(request)) headers.push('connection: close')
    this.#head(request, status, headers)
    if (!BODILESS.has(status)) this.#body(request, body)
    this.#finish(after ?? (() => this.#next(request)))
  }

  #converse(request: OriginRequest): void {
    const answer = converse(request)
    if (answer === null) return this.#sized(request, 404, 0)
    const { status, fields, body, closes } = answer
    const last = closes || this.#isLast(request) ? ['connection: close'] : []
    this.#head(request, status, [...fields, `content-length: ${body.length}`, ...last])
    this.#body(request, body)
    this.#finish(() => (closes ? this.#close() : this.#next(request)))
  }

  #chunked(request: OriginRequest, length: number, trailers: boolean): void {
    this.#head(request, 200, ['transfer-encoding: chunked', ...(this.#isLast(request) ? ['connection: close'] : [])])
    if (request.method !== 'HEAD') {
      const bytes = originBytes(request.target, length)
      for (let at = 0; at < length; ) {
        const size = Math.min(length - at, this.#world.random.between(1, 1 + (length >> 1)))
        const extension = this.#world.random.chance(0.2) ? ';note="x"' : ''
        this.#write(`${size.toString(16)}${extension}\r\n`)
        this.#write(bytes.subarray(at, at + size))
        this.#write('\r\n')
        at += size
      }
      this.#write(`0\r\n${trailers ? 'x-sum: 1\r\nx-end: yes\r\n' : ''}\r\n`)
    }
    this.#finish(() => this.#next(request))
  }

  /** A promise of `length` bytes, of which half come. */
  #half(request: OriginRequest, length: number, after: () => void): void {
    this.#head(request, 200, [`content-length: ${length}`])
    this.#write(originBytes(request.target, length).subarray(0, length >> 1))
    this.#finish(after)
  }

  #beHostile({ first, again, everyMs, ending }: Hostility): void {
    this.#write(first)
    if (again !== '') {
      const sayAgain = (): void => {
        if (this.#served < 0 || this.#ended) return
        this.#write(again)
        this.#finish(() => this.#world.after(everyMs, sayAgain))
      }
      this.#finish(sayAgain)
    } else if (ending !== 'stay') this.#finish(() => (ending === 'reset' ? this.#reset() : this.#close()))
  }

  #drip(request: OriginRequest, length: number): void {
    this.#head(request, 200, [`content-length: ${length}`])
    const bytes = originBytes(request.target, length)
    const drop = (at: number): void => {
      if (this.#peer.isDone) return
      if (at >= length) return this.#finish(() => this.#next(request))
      this.#write(bytes.subarray(at, at + 1))
      this.#world.after(DRIP_MS, () => drop(at + 1))
    }
    drop(0)
  }

  #isLast(request: OriginRequest): boolean {
    return this.#served >= this.#origin.keepAliveMost || request.headers.get('connection')?.toLowerCase() === 'close'
  }

  #next(request: OriginRequest): void {
    if (this.#ended || this.#isLast(request) || request.target.startsWith('/reject/')) return this.#close()
    const served = this.#served
    if (this.#idleCloseMs !== Number.POSITIVE_INFINITY) {
      this.#world.after(this.#idleCloseMs, () => {
        if (this.#served === served && this.#parser.isIdle) this.#close()
      })
    }
    this.#parser.release()
  }
}

/**
 * The real origin: runs in a thread of its own, so that a test's synchronous loop does not stop it. Answers by path as
 * the simulated origin does (test/sim/origin.ts says which paths there are), over node:net.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'
import { converse } from '../sim/dialogue.ts'
import { type Hostility, readHostility } from '../sim/hostile.ts'
import { eagerAnswer, originBody, originBytes, type SeenRequest } from '../sim/origin.ts'
import { type OriginRequest, RequestParser } from '../sim/request-parser.ts'
import type { OriginAnswer, OriginQuestion, RealOriginOptions } from './origin-protocol.ts'

const BODILESS: ReadonlySet<number> = new Set([204, 304])
const DRIP_MS = 2

class RealOrigin {
  readonly requests: SeenRequest[] = []
  readonly complaints: string[] = []
  readonly options: RealOriginOptions
  readonly server: Server
  readonly sockets: Set<Socket> = new Set()
  connections = 0
  port = 0

  constructor(options: RealOriginOptions) {
    this.options = options
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      new RealConnection(this, socket, ++this.connections)
    })
  }

  listen(): Promise<void> {
    const { address = '127.0.0.1' } = this.options
    const isUnix = address.startsWith('/') || address.startsWith('\0')
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      const done = (): void => {
        const bound = this.server.address()
        this.port = typeof bound === 'object' && bound !== null ? bound.port : 0
        resolve()
      }
      if (isUnix) this.server.listen({ path: address, backlog: 1024 }, done)
      else this.server.listen({ host: address, port: 0, backlog: 1024 }, done)
    })
  }

  close(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

class RealConnection {
  readonly #origin: RealOrigin
  readonly #socket: Socket
  readonly #number: number
  readonly #parser: RequestParser
  #served = 0
  #idleTimer: NodeJS.Timeout | undefined

  constructor(origin: RealOrigin, socket: Socket, number: number) {
    this.#origin = origin
    this.#socket = socket
    this.#number = number
    this.#parser = new RequestParser((request) => this.#serve(request))
    this.#parser.onHead = (request) => this.#sawHead(request)
    socket.on('error', () => {})
    socket.on('data', (bytes) => this.#receive(bytes))
    socket.on('end', () => socket.end())
    socket.on('close', () => clearTimeout(this.#idleTimer))
  }

  #receive(bytes: Buffer): void {
    this.#parser.push(bytes)
    if (this.#parser.error === null) return
    this.#origin.complaints.push(this.#parser.error)
    this.#socket.destroy()
  }

  #sawHead(request: OriginRequest): void {
    if (request.target.startsWith('/reject/')) {
      const code = Number(request.target.split('/')[2])
      this.#origin.requests.push({ ...request, connection: this.#number })
      this.#socket.end(`HTTP/1.1 ${code} Status\r\ncontent-length: 10\r\nconnection: close\r\n\r\n`)
    } else if (request.target.startsWith('/eager/')) {
      this.#socket.write(eagerAnswer(request.target))
    } else if (request.headers.get('expect')?.toLowerCase() === '100-continue') {
      this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n')
    }
  }

  #serve(request: OriginRequest): void {
    if (request.target.startsWith('/reject/')) return
    this.#served++
    this.#origin.requests.push({ ...request, connection: this.#number })
    const [, verb = '', first = '0', second = '0'] = request.target.split('/')
    const count = Number(first) || 0
    switch (verb) {
      case 'hang':
        return
      case 'reset':
        if (count === 0) this.#socket.resetAndDestroy()
        else this.#half(request, count, () => this.#socket.resetAndDestroy())
        return
      case 'early-close':
        if (count === 0) this.#socket.end()
        else this.#half(request, count, () => this.#socket.end())
        return
      case 'stall':
        return this.#half(request, count, () => {})
      case 'slow':
        setTimeout(() => this.#whole(request, 200, originBytes(request.target, Number(second) || 0)), count)
        return
      case 'drip':
        return this.#drip(request, count)
      case 'hostile':
        return this.#beHostile(readHostility(request.target))
      case 'eager':
        return this.#next(request)
      default:
        this.#answer(request, verb, count)
    }
  }

  #beHostile({ first, again, everyMs, ending }: Hostility): void {
    const socket = this.#socket
    const sayAgain = (): void => {
      if (socket.destroyed) return
      const goOn = (): unknown => (everyMs > 0 ? setTimeout(sayAgain, everyMs) : setImmediate(sayAgain))
      if (socket.write(again, 'latin1')) goOn()
      else socket.once('drain', goOn)
    }
    socket.write(first, 'latin1', () => {
      if (again !== '') sayAgain()
      else if (ending === 'reset') socket.resetAndDestroy()
      else if (ending === 'close') socket.end()
    })
  }

  #answer(request: OriginRequest, verb: string, count: number): void {
    switch (verb) {
      case 'chunked':
      case 'trailers':
        return this.#chunked(request, count, verb === 'trailers')
      case 'close':
        this.#head(request, 200, ['connection: close'])
        if (request.method !== 'HEAD') this.#socket.write(originBytes(request.target, count))
        this.#socket.end()
        return
      case '1xx':
        this.#socket.write('HTTP/1.1 103 Early Hints\r\nlink: </style>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n')
        return this.#whole(request, 200, originBytes(request.target, count))
      case 'status':
        return this.#whole(request, count, originBody(request.target))
      case 'echo':
        return this.#whole(request, 200, request.body)
      case 'bytes':
        return this.#whole(request, 200, originBytes(request.target, count))
      case 'stray':
        this.#whole(request, 200, originBytes(request.target, count))
        this.#socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray')
        return
      case 'idle-fin':
        this.#whole(request, 200, originBytes(request.target, count))
        this.#socket.end()
        return
      default:
        this.#converse(request)
    }
  }

  #head(request: OriginRequest, status: number, headers: readonly string[]): void {
    this.#socket.write([`HTTP/1.1 ${status} Status`, `x-request: ${request.method}`, ...headers, '', ''].join('\r\n'))
  }

  #whole(request: OriginRequest, status: number, body: Uint8Array): void {
    const headers = BODILESS.has(status) ? [] : [`content-length: ${body.length}`]
    if (this.#isLast(request)) headers.push('connection: close')
    // Head and body in one segment: a server of today does the same.
    this.#socket.cork()
    this.#head(request, status, headers)
    if (!BODILESS.has(status) && request.method !== 'HEAD') this.#socket.write(body)
    this.#socket.uncork()
    this.#next(request)
  }

  #converse(request: OriginRequest): void {
    const answer = converse(request)
    if (answer === null) return this.#whole(request, 404, new Uint8Array(0))
    const { status, fields, body, closes } = answer
    const last = closes || this.#isLast(request) ? ['connection: close'] : []
    this.#socket.cork()
    this.#head(request, status, [...fields, `content-length: ${body.length}`, ...last])
    if (request.method !== 'HEAD') this.#socket.write(body)
    this.#socket.uncork()
    if (closes) this.#socket.end()
    else this.#next(request)
  }

  #chunked(request: OriginRequest, length: number, trailers: boolean): void {
    this.#head(request, 200, ['transfer-encoding: chunked', ...(this.#isLast(request) ? ['connection: close'] : [])])
    if (request.method !== 'HEAD') {
      const bytes = originBytes(request.target, length)
      for (let at = 0, size = 1; at < length; at += size, size = Math.min(size * 2 + 1, 8000)) {
        const piece = bytes.subarray(at, Math.min(at + size, length))
        this.#socket.write(`${piece.length.toString(16)}${at % 3 === 0 ? ';note="x"' : ''}\r\n`)
        this.#socket.write(piece)
        this.#socket.write('\r\n')
      }
      this.#socket.write(`0\r\n${trailers ? 'x-sum: 1\r\nx-end: yes\r\n' : ''}\r\n`)
    }
    this.#next(request)
  }

  /** A promise of `length` bytes, of which half come. */
  #half(request: OriginRequest, length: number, after: () => void): void {
    this.#head(request, 200, [`content-length: ${length}`])
    this.#socket.write(originBytes(request.target, length).subarray(0, length >> 1), after)
  }

  #drip(request: OriginRequest, length: number): void {
    this.#head(request, 200, [`content-length: ${length}`])
    const bytes = originBytes(request.target, length)
    const drop = (at: number): void => {
      if (this.#socket.destroyed) return
      if (at >= length) return this.#next(request)
      this.#socket.write(bytes.subarray(at, at + 1))
      setTimeout(() => drop(at + 1), DRIP_MS)
    }
    drop(0)
  }

  #isLast(request: OriginRequest): boolean {
    const { keepAliveMost = Number.POSITIVE_INFINITY } = this.#origin.options
    return this.#served >= keepAliveMost || request.headers.get('connection')?.toLowerCase() === 'close'
  }

  #next(request: OriginRequest): void {
    if (this.#isLast(request)) {
      this.#socket.end()
      return
    }
    const { idleCloseMs } = this.#origin.options
    const served = this.#served
    if (idleCloseMs !== undefined) {
      clearTimeout(this.#idleTimer)
      this.#idleTimer = setTimeout(() => {
        if (this.#served === served && this.#parser.isIdle) this.#socket.end()
      }, idleCloseMs)
    }
    this.#parser.release()
  }
}

const origins: RealOrigin[] = []

async function answer(question: OriginQuestion): Promise<OriginAnswer> {
  let index = question.ask === 'open' ? origins.length : question.origin
  if (question.ask === 'open') {
    const opened = new RealOrigin(question.options)
    index = origins.push(opened) - 1
    await opened.listen()
  }
  const origin = origins[index] as RealOrigin
  if (question.ask === 'close') origin.close()
  return {
    id: question.id,
    origin: index,
    port: origin.port,
    requests: origin.requests,
    connections: origin.connections,
    open: origin.sockets.size,
    complaints: origin.complaints,
  }
}

parentPort?.on('message', (question: OriginQuestion) => {
  void answer(question).then((reply) => parentPort?.postMessage(reply))
})

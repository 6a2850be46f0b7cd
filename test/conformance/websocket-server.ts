/** WebSocket servers of the simulated network, written with the library's own codec in the server's role. */

import { InflateFormat } from '../../lib/sys/inflate.ts'
import { inflateProvider } from '../../lib/sys/native.ts'
import { answerDeflateOffers, type DeflateTerms, deflateMessage } from '../../lib/wire/websocket/deflate-extension.ts'
import { FrameQueue } from '../../lib/wire/websocket/frame-queue.ts'
import { acceptOf, parseExtensions } from '../../lib/wire/websocket/handshake.ts'
import { MessageInflater } from '../../lib/wire/websocket/message-inflater.ts'
import { MessageEvent, MessageReader } from '../../lib/wire/websocket/message-reader.ts'
import { COMPRESSED_BIT, FINAL_BIT, Opcode } from '../../lib/wire/websocket/protocol.ts'
import type { Simulation } from '../sim/simulation.ts'
import { type ScriptedConnection, serveScript } from './scripted.ts'

export interface WebSocketServerOptions {
  /** Fields behind those of the upgrade, each with its line end. */
  readonly fields?: string
  readonly compresses?: boolean
  /** Instead of an upgrade. */
  readonly answer?: (head: string) => string
  /** Echo messages; default true. */
  readonly echoes?: boolean
  /** Answer close frames, then end; default true. */
  readonly closes?: boolean
  onOpen?(client: SimWebSocketClient): void
  onMessage?(client: SimWebSocketClient, data: Uint8Array): void
}

/** A client as the server sees it. */
export class SimWebSocketClient {
  readonly connection: ScriptedConnection
  readonly messages: { readonly type: number; readonly data: Buffer }[] = []
  readonly pings: string[] = []
  readonly pongs: string[] = []
  closeCode = -1
  closeReason = ''
  fault = ''
  readonly #reader: MessageReader
  readonly #terms: DeflateTerms | null
  readonly #options: WebSocketServerOptions

  constructor(connection: ScriptedConnection, terms: DeflateTerms | null, options: WebSocketServerOptions) {
    this.connection = connection
    this.#terms = terms
    this.#options = options
    const stream = terms === null ? null : inflateProvider.open(InflateFormat.RAW)
    const inflater = stream === null || terms === null ? null : new MessageInflater(stream, terms.peerKeepsContext)
    this.#reader = new MessageReader({ role: 'server', inflater })
  }

  /** Frames are as their bits say. */
  frame(first: number, payload: Uint8Array | string = ''): void {
    this.connection.peer.write(frameBytes(first, payload))
  }

  send(opcode: Opcode, data: Uint8Array | string): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    const deflated = this.#terms === null ? null : deflateMessage(bytes, this.#terms)
    if (deflated !== null) this.frame(FINAL_BIT | COMPRESSED_BIT | opcode, deflated)
    else this.frame(FINAL_BIT | opcode, bytes)
  }

  close(code: number, reason = ''): void {
    this.frame(FINAL_BIT | Opcode.CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))
  }

  take(bytes: Uint8Array): void {
    const reader = this.#reader
    reader.receive(bytes, 0, bytes.length)
    for (let event = reader.nextEvent(); event !== MessageEvent.NEED_MORE; event = reader.nextEvent()) {
      if (event === MessageEvent.ERROR) {
        this.fault = reader.fault?.message ?? ''
        this.connection.peer.close()
        return
      }
      if (event === MessageEvent.CLOSE) return this.#takeClose()
      const data = Buffer.from(reader.data)
      if (event === MessageEvent.PING) {
        this.pings.push(data.toString())
        this.frame(FINAL_BIT | Opcode.PONG, data)
      } else if (event === MessageEvent.PONG) this.pongs.push(data.toString())
      else if (event === MessageEvent.MESSAGE) this.#takeMessage(reader.type, data)
    }
  }

  #takeMessage(type: Opcode, data: Buffer): void {
    this.messages.push({ type, data })
    this.#options.onMessage?.(this, data)
    if (this.#options.echoes ?? true) this.send(type, data)
  }

  #takeClose(): void {
    const { closeCode, closeReason } = this.#reader
    this.closeCode = closeCode
    this.closeReason = closeReason
    if (!(this.#options.closes ?? true)) return
    this.frame(FINAL_BIT | Opcode.CLOSE, closeCode === 1005 ? '' : Buffer.from([closeCode >> 8, closeCode & 255]))
    this.connection.peer.end()
  }

  /** Memory of the inflater. */
  release(): void {
    this.#reader.close()
  }
}

export function frameBytes(first: number, payload: Uint8Array | string = ''): Uint8Array {
  const queue = new FrameQueue(null)
  queue.push((first & 15) as Opcode, typeof payload === 'string' ? Buffer.from(payload) : payload, first & 0xf0)
  return queue.chunk.subarray(queue.start, queue.end)
}

export interface SimWebSocketServer {
  readonly url: string
  readonly clients: SimWebSocketClient[]
  readonly heads: string[]
  release(): void
}

export function serveWebSocket(
  simulation: Simulation,
  port: number,
  options: WebSocketServerOptions = {},
): SimWebSocketServer {
  const clients: SimWebSocketClient[] = []
  const heads: string[] = []
  const byConnection = new Map<ScriptedConnection, SimWebSocketClient>()
  const { url } = serveScript(simulation, port, (connection, fresh) => {
    const known = byConnection.get(connection)
    if (known !== undefined) {
      known.take(Buffer.from(fresh, 'latin1'))
      return
    }
    const end = connection.received.indexOf('\r\n\r\n') + 4
    if (end < 4) return
    const head = connection.received.slice(0, end)
    heads.push(head)
    if (options.answer !== undefined) {
      connection.peer.write(options.answer(head))
      connection.received = ''
      if (!/^HTTP\/1.1 101/.test(options.answer(head))) return
    }
    const client = upgrade(connection, head, options)
    clients.push(client)
    byConnection.set(connection, client)
    options.onOpen?.(client)
    const rest = connection.received.slice(end)
    if (rest !== '') client.take(Buffer.from(rest, 'latin1'))
  })
  return {
    url: url.replace('http', 'ws'),
    clients,
    heads,
    release: () => {
      for (const client of clients) client.release()
    },
  }
}

/** The head that accepts. */
export function acceptingHead(head: string, fields = ''): string {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1] ?? ''
  const accept = `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n`
  const upgrade = 'Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n'
  return `HTTP/1.1 101 Switching Protocols\r\n${upgrade}${accept}${fields}\r\n`
}

function upgrade(connection: ScriptedConnection, head: string, options: WebSocketServerOptions): SimWebSocketClient {
  const offers = parseExtensions(/^sec-websocket-extensions: (.*)\r$/im.exec(head)?.[1] ?? '') ?? []
  const chosen = options.compresses ? answerDeflateOffers(offers) : null
  const extension = chosen === null ? '' : `Sec-WebSocket-Extensions: ${chosen.answer}\r\n`
  if (options.answer === undefined) {
    connection.peer.write(acceptingHead(head, `${extension}${options.fields ?? ''}`))
  }
  return new SimWebSocketClient(connection, chosen?.terms ?? null, options)
}

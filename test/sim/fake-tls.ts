/**
 * A protocol in the shape of TLS 1.3 for simulated runs: the same bytes for the same seed, no secrets. Hellos of many
 * bytes, an answer that ends the handshake, tickets behind it, records that are scrambled and summed, an announced end.
 * A record is its type, the length of its content in two bytes, the content, and a sum over it and its place in the
 * stream, so that a byte that is lost, doubled or changed is noticed.
 */
import type { TlsFailure } from '../../lib/sys/tls.ts'
import { TlsFailureKind } from '../../lib/sys/tls.ts'

export const RECORD_CONTENT_MAX = 16_384
const HEAD_BYTES = 3
const SUM_BYTES = 2
export const RECORD_OVERHEAD = HEAD_BYTES + SUM_BYTES
/** What certificates would weigh. */
const SERVER_PADDING = 2500
const CLIENT_PADDING = 300

const Record = { CLIENT_HELLO: 1, SERVER_HELLO: 2, FINISHED: 3, TICKET: 4, KEY_UPDATE: 5, DATA: 6, CLOSE: 7 } as const

interface ClientHello {
  readonly name: string
  readonly protocols: readonly string[]
  /** '' begins anew. */
  readonly ticket: string
}

interface ServerHello {
  /** Hosts that the server may stand for. */
  readonly names: readonly string[]
  readonly protocol: string
  readonly isResumed: boolean
}

export interface ServerIdentity {
  readonly names: readonly string[]
  readonly protocols: readonly string[]
  /** Tickets that were given out and not used. */
  readonly tickets: Set<string>
  /** What is sent between data now and then: true for a ticket or new keys. */
  readonly interjects: () => boolean
}

export class FakeTls {
  readonly #server: ServerIdentity | null
  /** Ciphertext for the peer, in records. */
  output: Buffer[] = []
  /** Plaintext for the owner. */
  plain: Buffer = Buffer.alloc(0)
  isEstablished = false
  peerClosed = false
  failure: TlsFailure | null = null
  hello: ServerHello | null = null
  readonly newTickets: string[] = []
  #input: Buffer = Buffer.alloc(0)
  #received = 0
  #sent = 0
  #ticketsMade = 0

  constructor(server: ServerIdentity | null) {
    this.#server = server
  }

  /** Of a client, first of all. */
  begin(hello: ClientHello): void {
    this.#emit(Record.CLIENT_HELLO, padded(hello, CLIENT_PADDING))
  }

  receive(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#input = Buffer.concat([this.#input, bytes])
  }

  /** A whole record waits. */
  get hasRecord(): boolean {
    return this.#input.length >= HEAD_BYTES && this.#input.length >= this.#input.readUInt16BE(1) + RECORD_OVERHEAD
  }

  /** Looks at records until there is plaintext, the handshake is complete, or nothing is left. */
  advance(): void {
    const wasEstablished = this.isEstablished
    while (this.hasRecord && this.failure === null && !this.peerClosed && this.plain.length === 0) {
      this.#take()
      if (this.isEstablished !== wasEstablished) return
    }
  }

  takePlain(most: number): Buffer {
    const taken = this.plain.subarray(0, most)
    this.plain = this.plain.subarray(taken.length)
    return taken
  }

  /** One record. */
  sendData(bytes: Uint8Array): number {
    const before = this.#sent
    this.#emit(Record.DATA, Buffer.from(bytes))
    return this.#sent - before
  }

  sendClose(): void {
    this.#emit(Record.CLOSE, Buffer.alloc(0))
  }

  /** Of a server: what a client must take without its owner hearing of it. */
  interject(): void {
    if (this.#server === null || !this.isEstablished || !this.#server.interjects()) return
    if (this.#ticketsMade % 2 === 0) this.#emit(Record.KEY_UPDATE, Buffer.alloc(1))
    this.#giveTicket(this.#server)
  }

  fail(kind: number, reason: string): void {
    this.failure ??= { kind, reason, verifyResult: 0 }
  }

  #take(): void {
    const length = this.#input.readUInt16BE(1)
    const type = this.#input[0] as number
    const content = Buffer.from(this.#input.subarray(HEAD_BYTES, HEAD_BYTES + length))
    const sum = this.#input.readUInt16BE(HEAD_BYTES + length)
    this.#input = this.#input.subarray(length + RECORD_OVERHEAD)
    scramble(content, this.#received)
    const expected = sumOf(content, this.#received)
    this.#received += length + RECORD_OVERHEAD
    if (sum !== expected) return this.fail(TlsFailureKind.PROTOCOL, 'bad record mac')
    this.#understand(type, content)
  }

  #understand(type: number, content: Buffer): void {
    if (type === Record.CLIENT_HELLO && this.#server !== null) return this.#answer(this.#server, unpadded(content))
    if (type === Record.SERVER_HELLO && this.#server === null && !this.isEstablished) {
      this.hello = unpadded(content)
      this.#emit(Record.FINISHED, Buffer.alloc(32))
      this.isEstablished = true
      return
    }
    if (type === Record.FINISHED && this.#server !== null) {
      this.isEstablished = true
      for (let count = 0; count < 2; count++) this.#giveTicket(this.#server)
      return
    }
    if (!this.isEstablished) return this.fail(TlsFailureKind.PROTOCOL, 'unexpected message')
    if (type === Record.DATA) this.plain = Buffer.concat([this.plain, content])
    else if (type === Record.CLOSE) this.peerClosed = true
    else if (type === Record.TICKET) this.newTickets.push(content.toString())
    // To be answered in kind, while the owner perhaps only reads.
    else if (type === Record.KEY_UPDATE && content.length > 0) this.#emit(Record.KEY_UPDATE, Buffer.alloc(0))
    else if (type !== Record.KEY_UPDATE) this.fail(TlsFailureKind.PROTOCOL, `unexpected message ${type}`)
  }

  #answer(server: ServerIdentity, hello: ClientHello): void {
    const isResumed = hello.ticket !== '' && server.tickets.delete(hello.ticket)
    const protocol = server.protocols.find((name) => hello.protocols.includes(name)) ?? ''
    const answer: ServerHello = { names: server.names, protocol, isResumed }
    this.#emit(Record.SERVER_HELLO, padded(answer, isResumed ? 100 : SERVER_PADDING))
  }

  #giveTicket(server: ServerIdentity): void {
    const ticket = `ticket ${server.tickets.size} ${this.#ticketsMade++} ${this.#received}`
    server.tickets.add(ticket)
    this.#emit(Record.TICKET, Buffer.from(ticket))
  }

  #emit(type: number, content: Buffer): void {
    const record = Buffer.alloc(content.length + RECORD_OVERHEAD)
    record[0] = type
    record.writeUInt16BE(content.length, 1)
    record.writeUInt16BE(sumOf(content, this.#sent), HEAD_BYTES + content.length)
    content.copy(record, HEAD_BYTES)
    scramble(record.subarray(HEAD_BYTES, HEAD_BYTES + content.length), this.#sent)
    this.#sent += record.length
    this.output.push(record)
  }
}

function padded(value: object, padding: number): Buffer {
  return Buffer.from(JSON.stringify(value).padEnd(padding))
}

function unpadded<T>(content: Buffer): T {
  return JSON.parse(content.toString()) as T
}

function scramble(bytes: Uint8Array, place: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] as number) ^ ((place * 31 + i * 7 + 0x5a) & 0xff)
}

function sumOf(bytes: Uint8Array, place: number): number {
  let sum = place & 0xffff
  for (let i = 0; i < bytes.length; i++) sum = (sum * 31 + (bytes[i] as number) + 1) & 0xffff
  return sum
}

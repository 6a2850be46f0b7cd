/**
 * One accepted or adopted connection as users hold it: who is at the other end, what went over it, and the verbs that
 * end it. What a server keeps of its connections is its book. Verbs are legal inside and outside of callbacks and act
 * at once; after the end they do nothing, and bytes are neither taken nor given.
 */
import type { ByteStream } from '../connection/stream.ts'
import type { Host } from '../multi/host.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import type { CloseReason } from './close-reason.ts'
import { ConnectionMachine, type ConnectionOwner } from './connection-machine.ts'
import type { Driver } from './driver.ts'

/** Who made the connection: a Listener, a Server, or whoever adopted its descriptor. */
export interface ConnectionBook {
  /** After our last byte the peer's are read out for so long. 0: not at all. */
  readonly lingerMs: number
  /**
   * The layers are set up: what drives the connection from now on. It only builds; code of the user's is called by
   * `Driver.open`, which follows.
   */
  beginDriver(connection: Connection, machine: ConnectionMachine): Driver
  /** Called once, after its end. Nobody outside may be told anything when `host.closed`. */
  ended(connection: Connection, reason: CloseReason, error: Error | null): void
  /** A callback of the user's threw. The connection is reset already, or has ended before. */
  threw(connection: Connection, error: unknown): void
  /** Throws a RangeError when another connection has that name. */
  rename(connection: Connection, name: string): void
}

let machineWithin: (connection: Connection) => ConnectionMachine

/** The machine of a connection, for what runs on it inside this library. */
export function machineOf(connection: Connection): ConnectionMachine {
  return machineWithin(connection)
}

export class Connection implements ConnectionOwner {
  /** Anything of yours. */
  data: unknown = undefined
  readonly #machine: ConnectionMachine
  readonly #book: ConnectionBook
  readonly #peer: SocketAddress | null = null
  #name = ''

  static {
    machineWithin = (connection) => connection.#machine
  }

  /** @internal Connections come from a Listener or a Server. */
  constructor(host: Host, stream: ByteStream, book: ConnectionBook) {
    this.#book = book
    this.#machine = new ConnectionMachine(host, stream, this, null)
  }

  /** Never used again within a Multi, unlike the descriptor. */
  get id(): number {
    return this.#machine.stream.id
  }

  /** -1 once closed or handed over. */
  get fd(): number {
    return this.#machine.stream.fd
  }

  /** Who is at the other end: of the PROXY header when one came. null when the kernel no longer knows it. */
  get peer(): SocketAddress | null {
    return this.#peer ?? this.rawPeer
  }

  /** The other end of the socket itself. */
  get rawPeer(): SocketAddress | null {
    return this.#machine.stream.peer
  }

  /** Our end: of the PROXY header when one came. */
  get local(): SocketAddress | null {
    return this.#machine.stream.local
  }

  /** '' until it is set. Unique within a server whatever the case of its letters, at most 127 characters. */
  get name(): string {
    return this.#name
  }

  set name(name: string) {
    this.#book.rename(this, name)
    this.#name = name
  }

  /** ms by the clock of its Multi. */
  get createdAt(): number {
    return this.#machine.stream.createdAt
  }

  get bytesRead(): number {
    return this.#machine.bytesRead
  }

  get bytesWritten(): number {
    return this.#machine.bytesWritten
  }

  /** Orderly: what was written is sent, then FIN, then the peer's last bytes are read out. */
  close(): void {
    this.#machine.finish('done', true)
  }

  /** At once, by RST. */
  abort(): void {
    this.#machine.reset('aborted')
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal */
  get lingerMs(): number {
    return this.#book.lingerMs
  }

  /** @internal */
  begin(machine: ConnectionMachine): Driver {
    return this.#book.beginDriver(this, machine)
  }

  /** @internal */
  ended(reason: CloseReason, error: Error | null): void {
    this.#book.ended(this, reason, error)
  }

  /** @internal */
  threw(error: unknown): void {
    this.#book.threw(this, error)
  }
}

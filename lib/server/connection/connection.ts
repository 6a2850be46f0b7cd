/**
 * One accepted or adopted connection as users hold it: who is at the other end, what went over it, and the verbs that
 * end it. Its bytes are in `byte-face.ts`. What a server keeps of its connections is its book. Verbs are legal inside
 * and outside of callbacks and act at once; after the end they do nothing.
 */
import { MultiError } from '../../base/errors.ts'
import { checkOptions, isDuration, wrongRange, wrongType } from '../../base/options.ts'
import type { ByteStream } from '../../connection/stream.ts'
import type { Host } from '../../multi/host.ts'
import { settlementDesk } from '../../multi/settlement.ts'
import type { PeerCredentials, SocketAddress } from '../../sys/kernel.ts'
import { systemError } from '../../sys/system-error.ts'
import { isPriority, levelOf, type Priority, priorityAt } from '../priority.ts'
import { withinEngine } from '../within-engine.ts'
import { type ByteCallback, ByteDriver, type ByteSettings } from './byte-driver.ts'
import { ByteFace, pipe } from './byte-face.ts'
import type { CloseReason } from './close-reason.ts'
import { ConnectionMachine, type ConnectionOwner } from './connection-machine.ts'
import { type SetupPlan, type SetupResult, StreamSetup } from './connection-setup.ts'
import { type ConnectionTls, describeTls } from './connection-tls.ts'
import type { Driver } from './driver.ts'
import type { FoldedConnection, FoldedOwner } from './folded-connection.ts'
import { ReplayFilter } from './replay-filter.ts'
import type { SocketTicket } from './ticket.ts'
import { type TicketGiver, ticketOffices, UNCLAIMED_MS } from './ticket-office.ts'

/** Who made the connection: a Listener, a Server, or whoever adopted its descriptor. */
export interface ConnectionBook extends TicketGiver {
  /** After our last byte the peer's are read out for so long. 0: not at all. */
  readonly lingerMs: number
  /** Of connections whose bytes go to the program. */
  readonly bytes: ByteSettings
  /**
   * The layers are set up: what drives the connection from now on. It only builds; code of the user's is called by
   * `Driver.open`, which follows. For bytes that go to the program: `bytesOf(connection).begin(onOpen)`.
   */
  beginDriver(connection: Connection, machine: ConnectionMachine): Driver
  /** It is open; may end it, and its driver is not opened then. */
  opened?(connection: Connection): void
  /** Called once, after its end. Nobody outside may be told anything when `host.closed`. */
  ended(connection: Connection, reason: CloseReason, error: Error | null): void
  /** A callback of the user's threw. The connection has ended already. Must not throw. */
  threw(connection: Connection, error: unknown): void
  /** Throws a RangeError when another connection has that name. */
  rename(connection: Connection, name: string): void
}

export interface DetachOptions {
  /** Who has not adopted the socket by then finds it closed. Default 30,000. */
  readonly unclaimedMs?: number
}

const NAME_LENGTH_MAX = 127
const DETACH = { unclaimedMs: isDuration }

let standingWithin: (connection: Connection) => Standing
let machineWithin: (connection: Connection) => ConnectionMachine
let bytesWithin: (connection: Connection) => ByteDriver<Connection>

/** What it is at this moment: to look at it leaves it so. */
type Standing = ConnectionMachine | FoldedConnection

export function standingOf(connection: Connection): Standing {
  return standingWithin(connection)
}

/** The machine of a connection, for what runs on it inside this library. */
export function machineOf(connection: Connection): ConnectionMachine {
  return machineWithin(connection)
}

/** The driver that gives its bytes to the program, made on first use. After another protocol: `bytesAfter`. */
export function bytesOf(connection: Connection): ByteDriver<Connection> {
  return bytesWithin(connection)
}

export class Connection extends ByteFace<Connection> implements ConnectionOwner, FoldedOwner {
  /** Anything of yours. */
  data: unknown = undefined
  #standing: Standing
  readonly #book: ConnectionBook
  #bytes: ByteDriver<Connection> | null = null
  /** What the set-up learned: the addresses of a PROXY header. */
  #found: SetupResult | null = null
  #name = ''
  #controller: AbortController | null = null

  static {
    standingWithin = (connection) => connection.#standing
    machineWithin = (connection) => connection.#machine()
    bytesWithin = (connection) => connection.#bytesFor(null)
  }

  /** @internal Connections come from a Listener or a Server. `head`: bytes of it that somebody read before. */
  constructor(
    host: Host,
    stream: ByteStream,
    book: ConnectionBook,
    plan: SetupPlan | null = null,
    head: Uint8Array | null = null,
  ) {
    super()
    this.#book = book
    if (head !== null && head.length > 0) stream.push(new ReplayFilter(host, stream.top, head))
    const isSetUp = plan === null || !StreamSetup.isNeeded(plan, stream.peer)
    const setup = isSetUp ? null : new StreamSetup(host, stream, plan, this)
    this.#standing = new ConnectionMachine(host, stream, this, setup)
  }

  /** Never used again within a Multi, unlike the descriptor. */
  get id(): number {
    return this.#standing.stream.id
  }

  /** -1 once closed or handed over. */
  get fd(): number {
    return this.#standing.stream.fd
  }

  /** Who is at the other end: of the PROXY header when one came. null when the kernel no longer knows it. */
  get peer(): SocketAddress | null {
    return this.#found?.peer ?? this.rawPeer
  }

  /** The other end of the socket itself: behind a proxy, the proxy. */
  get rawPeer(): SocketAddress | null {
    return this.#standing.stream.peer
  }

  /** Our end: of the PROXY header when one came. */
  get local(): SocketAddress | null {
    return this.#found?.local ?? this.#standing.stream.local
  }

  /** Who opened the other end of a unix socket; null for others, and once closed. */
  get peerCredentials(): PeerCredentials | null {
    const { host, stream } = this.#standing
    const answer = stream.fd < 0 ? -1 : host.kernel.peerCredentials(stream.fd)
    return typeof answer === 'number' ? null : answer
  }

  /** What TLS agreed on; null without TLS, and before the handshake is complete. */
  get tls(): ConnectionTls | null {
    return describeTls(this.#standing.stream)
  }

  /** '' until it is set. Unique within a server whatever the case of its letters, at most 127 characters. */
  get name(): string {
    return this.#name
  }

  set name(name: string) {
    if (typeof name !== 'string') throw wrongType('name', 'a string', name)
    if (name.length > NAME_LENGTH_MAX) throw wrongRange('name', `at most ${NAME_LENGTH_MAX} characters`, name)
    if (!this.#standing.ended) this.#book.rename(this, name)
    this.#name = name
  }

  /** ms by the clock of its Multi. */
  get createdAt(): number {
    return this.#standing.stream.createdAt
  }

  /** ms since bytes last came or went. */
  get idleMs(): number {
    return Math.max(0, this.#standing.host.now - this.#standing.movedAt)
  }

  /** How much it may read and send before others have their turn; that of its server when it came. */
  get priority(): Priority {
    return priorityAt(this.#standing.level)
  }

  /** From its next turn on; returns the previous one. */
  setPriority(priority: Priority): Priority {
    isPriority('priority', priority)
    const previous = this.priority
    this.#standing.level = levelOf(priority)
    return previous
  }

  /** Without those of TLS and of a PROXY header. */
  get bytesRead(): number {
    return this.#standing.bytesRead
  }

  get bytesWritten(): number {
    return this.#standing.bytesWritten
  }

  /** 'closing': our last word is said, and the peer's last bytes are read out. */
  get state(): 'setting-up' | 'open' | 'closing' | 'closed' {
    const machine = this.#standing
    if (machine.open) return 'open'
    return machine.settingUp ? 'setting-up' : machine.ended ? 'closed' : 'closing'
  }

  get open(): boolean {
    return this.#standing.open
  }

  /** Aborts when the connection has ended, however it did; its reason is the error, if there was one. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#standing.ended) this.#controller.abort()
    }
    return this.#controller.signal
  }

  // Ends

  /** So many ms more, counted from now, before it counts as idle. */
  extend(milliseconds: number): void {
    isDuration('milliseconds', milliseconds)
    if (this.#isOver()) return
    const { driver, host } = this.#machine()
    withinEngine(host, 'extend', () => (driver ?? this.#bytesFor('extend')).extend?.(milliseconds, host.now))
  }

  /** Orderly: what was written is sent, then FIN, then the peer's last bytes are read out for a while. Idempotent. */
  close(): void {
    if (this.#isOver()) return
    const machine = this.#machine()
    withinEngine(machine.host, 'close', () => {
      const driver = machine.settingUp ? this.#bytes : machine.driver
      if (driver?.close !== undefined) driver.close('done')
      else machine.finish('done', true)
    })
  }

  /** At once, by RST: what was not sent is lost. `onClose` has been called when it returns. */
  abort(): void {
    if (!this.#isOver()) withinEngine(this.#standing.host, 'abort', () => this.#machine().reset('aborted'))
  }

  /**
   * Hands the socket to another owner: the ticket is good for one `adopt`, in this thread or in another. Nothing of
   * the protocol moves along but the bytes that were put back with `unread`. Throws for TLS, whose keys stay here, and
   * while written bytes wait.
   */
  detach(options: DetachOptions = {}): SocketTicket {
    checkOptions('detach', options, DETACH)
    const machine = this.#machine()
    const { stream, host } = machine
    const bytes = this.#bytesFor('detach')
    if (this.#isOver()) throw new MultiError('BAD_SOCKET', 'detach: this connection is closed')
    if (machine.hasSetup) throw new MultiError('BAD_SOCKET', 'detach: this connection is still being set up')
    const replay = stream.top instanceof ReplayFilter ? stream.top : null
    if (replay === null && !stream.isPlain)
      throw new MultiError('BAD_SOCKET', 'detach: the state of TLS cannot be moved')
    const { fd, peer, local } = stream
    return withinEngine(host, 'detach', () => {
      bytes.flush()
      if (bytes.writableLength > 0) {
        throw new MultiError('BAD_SOCKET', `detach: ${bytes.writableLength} bytes are not sent yet`)
      }
      const head = joined(bytes.reader.head, replay?.head ?? null)
      machine.release()
      const generation = host.kernel.offer(fd)
      if (generation < 0) {
        host.kernel.close(fd)
        throw systemError(host.kernel, generation, 'detach')
      }
      const { unclaimedMs = UNCLAIMED_MS } = options
      host.facility(ticketOffices).watch(fd, generation, unclaimedMs, this.#book)
      return { fd, generation, peer: this.#found?.peer ?? peer, local: this.#found?.local ?? local, head }
    })
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // What its machine and its set-up ask for

  /** @internal */
  get lingerMs(): number {
    return this.#book.lingerMs
  }

  /** @internal */
  begin(machine: ConnectionMachine): Driver {
    return this.#book.beginDriver(this, machine)
  }

  /** @internal */
  opened(): void {
    this.#book.opened?.(this)
  }

  /** @internal */
  found(result: SetupResult): void {
    this.#found = result
  }

  /** @internal After another protocol: the driver of bytes, of which those that were read already come first. */
  bytesAfter(head: Uint8Array | null, onOpen: ByteCallback<Connection> | null): ByteDriver<Connection> {
    this.#bytes = new ByteDriver<Connection>(this.#machine(), this, this.#book.bytes, head).begin(onOpen)
    return this.#bytes
  }

  /** @internal */
  ended(reason: CloseReason, error: Error | null): void {
    const controller = this.#controller
    if (controller !== null) {
      const why = error ?? new Error(`the connection has ended: ${reason}`)
      settlementDesk(this.#standing.host).push({ settle: () => controller.abort(why) })
    }
    // It may have callbacks, although it never opened.
    try {
      this.#bytes?.closed(reason, error)
    } catch (thrown) {
      this.#book.threw(this, thrown)
    }
    this.#book.ended(this, reason, error)
  }

  /** @internal */
  threw(error: unknown): void {
    this.#book.threw(this, error)
  }

  /** @internal Between two requests: gives up what serves them until there is another. False: not now. */
  fold(): boolean {
    const folded = this.#machine().fold(this)
    if (folded !== null) this.#standing = folded
    return folded !== null
  }

  /** @internal */
  unfold(): ConnectionMachine {
    return this.#machine()
  }

  #machine(): ConnectionMachine {
    const standing = this.#standing
    if (standing instanceof ConnectionMachine) return standing
    const machine = ConnectionMachine.unfold(standing, this)
    this.#standing = machine
    return machine
  }

  #isOver(): boolean {
    return !this.#standing.open && !this.#standing.settingUp
  }

  /** null as a name: the driver itself is being made. */
  #bytesFor(name: string | null): ByteDriver<Connection> {
    const { driver } = this.#machine()
    if (name !== null && driver !== null && driver !== this.#bytes) {
      throw new MultiError('BAD_SOCKET', `${name}: a protocol moves the bytes of this connection`)
    }
    if (this.#bytes === null && this.#standing.host.closed) {
      throw new MultiError('BAD_HANDLE', `${name}: the Multi of this connection is closed`)
    }
    this.#bytes ??= new ByteDriver<Connection>(this.#machine(), this, this.#book.bytes)
    return this.#bytes
  }

  /** @internal */
  [pipe](name: string): ByteDriver<Connection> {
    return this.#bytesFor(name)
  }
}

function joined(first: Uint8Array | null, second: Uint8Array | null): Uint8Array | null {
  if (second === null || second.length === 0) return first
  return first === null ? second.slice() : Uint8Array.from([...first, ...second])
}

/**
 * Takes connections at one address and hands each to `onAccept`, as libevent's evconnlistener does. A machine of its
 * Multi: it accepts while a loop drives that, and keeps the loop going until it is closed. Verbs are legal everywhere,
 * inside its own callbacks as well; nothing is accepted while there is no `onAccept`.
 */
import { MultiError, SystemError } from '../../base/errors.ts'
import { isFunctionOrNull, show } from '../../base/options.ts'
import { SocketFilter } from '../../connection/socket-filter.ts'
import { ByteStream } from '../../connection/stream.ts'
import type { Host } from '../../multi/host.ts'
import { engineOf, Multi } from '../../multi/multi.ts'
import type { SocketAddress } from '../../sys/kernel.ts'
import { type ByteSettings, HIGH_WATER_MARK } from '../connection/byte-driver.ts'
import type { CloseReason } from '../connection/close-reason.ts'
import { bytesOf, Connection, type ConnectionBook, machineOf } from '../connection/connection.ts'
import type { Driver } from '../connection/driver.ts'
import { panic, report } from '../panic.ts'
import { TIMEOUT_DEFAULTS } from '../timeouts.ts'
import { withinEngine } from '../within-engine.ts'
import { type ListenHandle, type ListenOptions, listenSettings } from './listen-options.ts'
import { openListenSocket } from './listen-socket.ts'
import { type AcceptSink, ListenerMachine } from './listener-machine.ts'

/** What accept answered, and what happens next. */
export interface AcceptError extends SystemError {
  /** 0: it goes on at once. */
  readonly retryInMs: number
  /** The listener is disabled: its descriptor accepts nothing any more. */
  readonly fatal: boolean
}

/** The connection is yours: set its callbacks, or read and write from here on. Else it rests until its end. */
export type AcceptFunction = (connection: Connection, listener: Listener) => void
export type AcceptErrorFunction = (error: AcceptError, listener: Listener) => void

export class Listener {
  /** Anything of yours. */
  data: unknown = undefined
  readonly name: string
  readonly multi: Multi<object>
  readonly #host: Host
  readonly #desk: AcceptDesk
  readonly #machine: ListenerMachine

  /**
   * Opens the socket at once. Throws a SystemError with `syscall`, `address` and `port` when the system refuses, and
   * then nothing is left open. Without `onAccept` it is disabled until there is one.
   */
  constructor(multi: Multi<object>, options: ListenOptions, onAccept: AcceptFunction | null = null) {
    if (!(multi instanceof Multi)) throw new TypeError(`Listener: expected a Multi, not ${show(multi)}`)
    isFunctionOrNull('onAccept', onAccept)
    const settings = listenSettings(options)
    if (multi.closed) throw new MultiError('BAD_HANDLE', 'Listener: this Multi is closed')
    const host = engineOf(multi)
    if (host.dead && host.book.subjects.size > 0) {
      throw new MultiError('ABORTED_BY_CALLBACK', 'Listener: a socket or timer function failed; remove every transfer')
    }
    const socket = openListenSocket(host, settings)
    if (socket instanceof SystemError) throw socket
    this.multi = multi
    this.name = settings.name
    this.#host = host
    this.#desk = new AcceptDesk(host, this, onAccept)
    this.#machine = withinEngine(host, 'Listener', () => new ListenerMachine(host, socket, this.#desk, settings, this))
    this.#desk.machine = this.#machine
  }

  /** -1 once closed or released. */
  get fd(): number {
    return this.#machine.fd
  }

  /** With the port that the system chose. */
  get address(): SocketAddress {
    return this.#machine.address
  }

  /** False while disabled, after a fatal error, and once closed. True while it waits for descriptors. */
  get enabled(): boolean {
    return this.#machine.enabled
  }

  get closed(): boolean {
    return this.#machine.closed
  }

  /**
   * Called for each connection; null: nothing is accepted, peers wait in the queue. When it throws, that connection is
   * reset and the panic handler hears of it.
   */
  get onAccept(): AcceptFunction | null {
    return this.#desk.onAccept
  }

  set onAccept(onAccept: AcceptFunction | null) {
    isFunctionOrNull('onAccept', onAccept)
    this.#desk.onAccept = onAccept
    this.#do('onAccept', () => this.#machine.wake())
  }

  /**
   * What accept answered: one call per episode of trouble, however long that lasts. Connections that broke in the queue
   * are not told. Without it a fatal error goes to the panic handler, and others are overcome in silence.
   */
  get onError(): AcceptErrorFunction | null {
    return this.#desk.onError
  }

  set onError(onError: AcceptErrorFunction | null) {
    isFunctionOrNull('onError', onError)
    this.#desk.onError = onError
  }

  enable(): void {
    this.#do('enable', () => this.#machine.enable())
  }

  /** Peers wait in the queue. Inside `onAccept` no further connection comes. */
  disable(): void {
    this.#do('disable', () => this.#machine.disable())
  }

  /** Resets what waits in the queue. Connections that were accepted live on. Idempotent. */
  close(): void {
    this.#do('close', () => this.#machine.close())
  }

  /** Closes without closing the descriptor, whose queue is kept: for another Listener, in any Multi of this thread. */
  release(): ListenHandle {
    if (this.closed) throw new MultiError('BAD_HANDLE', 'release: this listener is closed')
    return withinEngine(this.#host, 'release', () => this.#machine.release())
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** A closed Multi has closed its listeners. */
  #do(name: string, verb: () => void): void {
    if (!this.#host.closed && !this.closed) withinEngine(this.#host, name, verb)
  }
}

/** Idle connections are the program's to end; one whose peer takes nothing is not worth waiting for. */
const BYTE_SETTINGS: ByteSettings = {
  idleMs: 0,
  writeStallMs: TIMEOUT_DEFAULTS.writeStallMs,
  highWaterMark: HIGH_WATER_MARK,
}

/** Where its machine delivers, and the book of its connections. */
class AcceptDesk implements AcceptSink, ConnectionBook {
  readonly lingerMs: number = TIMEOUT_DEFAULTS.lingerMs
  readonly bytes: ByteSettings = BYTE_SETTINGS
  onAccept: AcceptFunction | null
  onError: AcceptErrorFunction | null = null
  machine: ListenerMachine | null = null
  readonly #host: Host
  readonly #listener: Listener

  constructor(host: Host, listener: Listener, onAccept: AcceptFunction | null) {
    this.#host = host
    this.#listener = listener
    this.onAccept = onAccept
  }

  room(): number {
    return this.onAccept === null ? 0 : Number.POSITIVE_INFINITY
  }

  accepted(fd: number, generation: number): void {
    const host = this.#host
    const { onAccept } = this
    if (onAccept === null) {
      host.closeFd(fd, generation)
      return
    }
    const stream = new ByteStream(host, new SocketFilter(host, fd, generation), host.now)
    const connection = new Connection(host, stream, this)
    try {
      onAccept(connection, this.#listener)
    } catch (error) {
      machineOf(connection).reset('aborted', error instanceof Error ? error : null)
      report('onAccept', error)
    }
  }

  failed(error: SystemError, retryInMs: number, fatal: boolean): void {
    if (this.onError === null) {
      if (fatal) panic('accept', error)
      return
    }
    try {
      this.onError(Object.assign(error, { retryInMs, fatal }), this.#listener)
    } catch (thrown) {
      panic('onError', thrown)
    }
  }

  beginDriver(connection: Connection): Driver {
    return bytesOf(connection).begin(null)
  }

  /** There is a descriptor more. */
  ended(_connection: Connection, _reason: CloseReason, _error: Error | null): void {
    this.machine?.wake()
  }

  threw(_connection: Connection, error: unknown): void {
    report('a callback of a connection', error)
  }

  rename(_connection: Connection, _name: string): void {}
}

/**
 * One of a server's listening sockets: where it listens, and whether it takes anybody. It belongs to the server, which
 * opens and closes it; switching it off and on is the program's right.
 */
import { SystemError } from '../../base/errors.ts'
import type { Host } from '../../multi/host.ts'
import type { FileIdentity, SocketAddress } from '../../sys/kernel.ts'
import { withinEngine } from '../within-engine.ts'
import type { ListenHandle, ListenSettings } from './listen-options.ts'
import { type ListenSocket, openListenSocket } from './listen-socket.ts'
import { type AcceptSink, ListenerMachine } from './listener-machine.ts'

/** Connections taken out of a queue before it is closed: more than any queue holds. */
const QUEUE_MOST = 65_536

/** Where its connections go. */
export interface ListenerOwner {
  room(): number
  reserve(): boolean
  giveBack(): void
  accepted(fd: number, generation: number): void
  failed(error: SystemError, retryInMs: number, fatal: boolean): void
}

export class ServerListener implements AcceptSink {
  readonly name: string
  readonly #host: Host
  readonly #settings: ListenSettings
  readonly #owner: ListenerOwner
  #machine: ListenerMachine
  /** The program's wish; the server's own pauses come on top. */
  #isWanted: boolean
  #isHeld = false

  /** @internal */
  static open(host: Host, settings: ListenSettings, owner: ListenerOwner): ServerListener | SystemError {
    const socket = openListenSocket(host, settings)
    return socket instanceof SystemError ? socket : new ServerListener(host, settings, owner, socket)
  }

  private constructor(host: Host, settings: ListenSettings, owner: ListenerOwner, socket: ListenSocket) {
    this.#host = host
    this.#settings = settings
    this.#owner = owner
    this.#isWanted = settings.enabled
    this.name = settings.name
    this.#machine = new ListenerMachine(host, socket, this, settings)
  }

  /** With the port that the system chose. */
  get address(): SocketAddress {
    return this.#machine.address
  }

  /** -1 once closed. */
  get fd(): number {
    return this.#machine.fd
  }

  /** Of a unix socket, removed when it is closed; null where there is none, or it belongs to somebody else. */
  get file(): FileIdentity | null {
    return this.#machine.file
  }

  get enabled(): boolean {
    return this.#machine.enabled
  }

  /** Takes connections again, if the server does. Legal inside callbacks. */
  enable(): void {
    this.#isWanted = true
    this.#apply('enable')
  }

  /** Peers wait in the queue of the kernel. Legal inside callbacks; no further connection comes. */
  disable(): void {
    this.#isWanted = false
    this.#apply('disable')
  }

  /** @internal The server takes nobody for now. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld
    this.#apply('hold')
  }

  /** @internal There may be room again. */
  wake(): void {
    this.#machine.wake()
  }

  /** @internal Takes what waits in the queue, so that closing resets nobody. */
  emptyQueue(): void {
    const { kernel } = this.#host
    const { ECONNABORTED, EINTR } = kernel.errno
    for (let count = 0; count < QUEUE_MOST && this.fd >= 0; count++) {
      const accepted = kernel.accept(this.fd)
      if (accepted >= 0) this.accepted(accepted, kernel.generation(accepted))
      else if (accepted !== -ECONNABORTED && accepted !== -EINTR) return
    }
  }

  /** @internal */
  close(): void {
    this.#machine.close()
  }

  /** @internal */
  release(): ListenHandle {
    return this.#machine.release()
  }

  /** @internal Closes and opens anew, at the port that it had. A descriptor of the program's stays as it is. */
  reopen(): SystemError | null {
    const { address } = this
    const { target } = this.#settings
    if (target.kind === 'fd') return null
    this.close()
    const settings: ListenSettings =
      target.kind === 'unix' ? this.#settings : { ...this.#settings, target: { ...target, address, fallback: null } }
    const socket = openListenSocket(this.#host, settings)
    if (socket instanceof SystemError) return socket
    this.#machine = new ListenerMachine(this.#host, socket, this, settings)
    this.#apply('reopen')
    return null
  }

  // What its machine asks for

  /** @internal */
  room(): number {
    return this.#owner.room()
  }

  /** @internal */
  reserve(): boolean {
    return this.#owner.reserve()
  }

  /** @internal */
  giveBack(): void {
    this.#owner.giveBack()
  }

  /** @internal */
  accepted(fd: number, generation: number): void {
    this.#owner.accepted(fd, generation)
  }

  /** @internal */
  failed(error: SystemError, retryInMs: number, fatal: boolean): void {
    this.#owner.failed(error, retryInMs, fatal)
  }

  #apply(name: string): void {
    const { closed } = this.#machine
    if (closed) return
    withinEngine(this.#host, name, () => {
      if (this.#isWanted && !this.#isHeld) this.#machine.enable()
      else this.#machine.disable()
    })
  }
}

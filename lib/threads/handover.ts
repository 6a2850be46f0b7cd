/**
 * The old process's side of a handover. It listens on a unix socket that only its own user may open; a new process
 * connects, is given every listening socket and this one too, and says when it serves. Then the server here accepts
 * nobody any more, lets everybody finish, and stops. Until that word is said, whatever the other one does or fails to
 * do changes nothing. It is a Listener of the server's Multi, so it works in every loop.
 */
import { MultiError } from '../base/errors.ts'
import { checkOptions, isDuration, isObject, isText, show } from '../base/options.ts'
import { engineOf, type Multi } from '../multi/multi.ts'
import { settlementDesk } from '../multi/settlement.ts'
import type { Connection } from '../server/connection/connection.ts'
import type { ListenHandle } from '../server/listening/listen-options.ts'
import { Listener } from '../server/listening/listener.ts'
import type { DrainOptions, DrainReport } from '../server/server-control.ts'
import type { FileIdentity } from '../sys/kernel.ts'
import { descriptorSharing, kernel } from '../sys/native.ts'
import {
  encodeHandover,
  HandoverDecoder,
  type HandoverEntry,
  HandoverKind,
  type HandoverMessage,
} from './handover-message.ts'
import type { Takeover } from './takeover.ts'

/** A new process may have much to read before it serves. */
const DEADLINE_MS = 30_000
const MODE = 0o600
const ROOT = 0
/** What one message can carry, less the handover socket itself. */
const LISTENERS_MAX = 252

/** What can be handed over: a Server, or a ServerGroup. */
export interface HandoverSource {
  readonly multi: Multi<object>
  readonly listening: boolean
  readonly listeners: readonly { readonly name: string; readonly fd: number; readonly file: FileIdentity | null }[]
  quiesce(): ListenHandle[] | Promise<ListenHandle[]>
  drain(options?: DrainOptions): Promise<DrainReport>
  onClose(callback: () => unknown): void
}

export interface HandoverOptions {
  /** Of the unix socket; '\0name' is an abstract one. Its permissions are 0600. */
  readonly path: string
  /** What this process took over itself: its socket is listened on again, and the old process is told to let go. */
  readonly previous?: Takeover | null
  /** How long the new process may take from its first word to its last. Default 30,000. */
  readonly deadlineMs?: number
  /** How the server here takes leave afterwards. */
  readonly drain?: DrainOptions
}

/** Offers what the server listens on, from now until it stops. Throws a SystemError when the path cannot be bound. */
export function serveHandover(server: HandoverSource, options: HandoverOptions): Handover {
  return new Handover(server, options)
}

export class Handover {
  /** Who took over has been told, and everybody here has left; null: it was closed, and nobody had taken over. */
  readonly done: Promise<DrainReport | null>
  readonly #server: HandoverSource
  readonly #options: HandoverOptions
  readonly #listener: Listener
  /** Who is being handed to. */
  #successor: Connection | null = null
  #isTaken = false
  #settle!: (report: DrainReport | null) => void
  #fail!: (error: unknown) => void

  constructor(server: HandoverSource, options: HandoverOptions) {
    checkServer(server)
    checkOptions('handover options', options, {
      path: isText,
      previous: isTakeover,
      deadlineMs: isDuration,
      drain: isObject,
    })
    const { path, previous } = options
    if (path === undefined) throw new TypeError('handover options: path is needed')
    this.#server = server
    this.#options = options
    this.done = new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#fail = reject
    })
    this.done.catch(() => {})
    const where = previous ? { fd: previous.handover, backlog: 0 } : { path, stale: 'replace' as const, mode: MODE }
    this.#listener = new Listener(server.multi, path.startsWith('\0') && !previous ? { path } : where)
    this.#listener.onAccept = (connection) => this.#accepted(connection)
    server.onClose(() => this.close())
    previous?.ready()
  }

  /** Nobody can take over any more; one who has is not affected. Idempotent. */
  close(): void {
    if (this.#isTaken) return
    this.#isTaken = true
    this.#successor?.abort()
    this.#listener.close()
    this.#settleLater(() => this.#settle(null))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #accepted(connection: Connection): void {
    const decoder = new HandoverDecoder()
    connection.idleTimeoutMs = this.#options.deadlineMs ?? DEADLINE_MS
    connection.onData = (_connection, chunk) => {
      const message = decoder.receive(chunk)
      if (message instanceof Error) refuse(connection, message.message)
      else if (message !== null) this.#received(connection, message)
    }
    connection.onClose = () => {
      if (this.#successor === connection) this.#successor = null
    }
  }

  #received(connection: Connection, { kind }: HandoverMessage): void {
    if (kind === HandoverKind.HELLO && this.#successor !== connection) this.#offer(connection)
    else if (kind === HandoverKind.READY && this.#successor === connection) this.#handOver(connection)
    else refuse(connection, `message ${kind} was not expected`)
  }

  #offer(connection: Connection): void {
    const reason = this.#reasonToRefuse(connection)
    if (reason !== null) return refuse(connection, reason)
    const { listeners } = this.#server
    const entries: HandoverEntry[] = listeners.map(({ name, file }) => ({ name, file }))
    const fds = Int32Array.from([...listeners.map(({ fd }) => fd), this.#listener.fd])
    if (!sendWithDescriptors(connection.fd, encodeHandover(HandoverKind.OFFER, JSON.stringify(entries)), fds)) {
      return connection.abort()
    }
    this.#successor = connection
  }

  #reasonToRefuse(connection: Connection): string | null {
    const uid = connection.peerCredentials?.uid
    if (uid !== undefined && uid !== -1 && uid !== ROOT && uid !== process.getuid?.()) return 'another user asks'
    if (this.#successor !== null) return 'somebody else is taking over'
    if (!this.#server.listening) return 'the server does not listen'
    if (this.#server.listeners.length > LISTENERS_MAX) return `there are more than ${LISTENERS_MAX} listeners`
    return null
  }

  #handOver(successor: Connection): void {
    this.#isTaken = true
    const handles = this.#server.quiesce()
    if (Array.isArray(handles)) this.#quiesced(successor, handles)
    else handles.then((all) => this.#quiesced(successor, all), this.#fail)
  }

  /** The descriptors are closed here, and their files left alone: both belong to the successor now. */
  #quiesced(successor: Connection, handles: readonly ListenHandle[]): void {
    for (const { fd, generation } of [...handles, this.#listener.release()]) kernel.close(fd, generation)
    if (successor.open) {
      successor.write(encodeHandover(HandoverKind.TAKEN))
      successor.close()
    }
    this.#server.drain(this.#options.drain ?? {}).then(this.#settle, this.#fail)
  }

  #settleLater(settle: () => void): void {
    settlementDesk(engineOf(this.#server.multi)).push({ settle })
  }
}

function refuse(connection: Connection, reason: string): void {
  connection.write(encodeHandover(HandoverKind.REFUSED, reason))
  connection.close()
}

/** All of it or nothing: a fresh unix socket has room for what a handover says. */
function sendWithDescriptors(fd: number, content: Uint8Array, fds: Int32Array): boolean {
  const buffer = kernel.allocate(content.length)
  buffer.bytes.set(content)
  const sent = descriptorSharing.sendDescriptors(fd, fds, fds.length, buffer.id, 0, content.length)
  kernel.release(buffer.id)
  return sent === content.length
}

function isTakeover(option: string, value: unknown): void {
  if (value !== null) isObject(option, value)
}

function checkServer(server: HandoverSource): void {
  if (typeof server !== 'object' || server === null || typeof server.quiesce !== 'function') {
    throw new TypeError(`serveHandover: expected a Server or a ServerGroup, not ${show(server)}`)
  }
  if (server.multi.closed) throw new MultiError('BAD_HANDLE', 'serveHandover: the Multi of this server is closed')
}

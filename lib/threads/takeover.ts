/**
 * The new process's side of a handover, at its start: it connects, takes the listening sockets that the old process
 * has, and says `ready` once it serves. It waits in calls that block, each with a deadline, so it needs no loop and
 * comes before there is one, as `listenFds` does. What it took belongs to this thread; a Server takes it by `listen`.
 */
import { checkOptions, isDuration, isText } from '../base/options.ts'
import type { ListenHandle, ListenOptions } from '../server/listening/listen-options.ts'
import { ServerError } from '../server/server-error.ts'
import { systemClock } from '../sys/clock.ts'
import { Family, POLL_STRIDE, type RegisteredBuffer, SocketOption } from '../sys/kernel.ts'
import { descriptorSharing, kernel } from '../sys/native.ts'
import { Readiness } from '../sys/readiness.ts'
import { systemError } from '../sys/system-error.ts'
import {
  encodeHandover,
  HANDOVER_BYTES_MAX,
  HandoverDecoder,
  type HandoverEntry,
  HandoverKind,
  type HandoverMessage,
} from './handover-message.ts'

const DEADLINE_MS = 5000
/** As many as one message carries. */
const FDS_MAX = 253

export interface TakeoverOptions {
  readonly path: string
  /** For each wait on the old process. Default 5000. */
  readonly deadlineMs?: number
}

/**
 * What the old process listens on; null when nobody is there to take over from, as at the very first start. Throws a
 * ServerError when the old process refuses, goes away or takes too long, and then nothing has changed.
 */
export function takeOver(options: TakeoverOptions): Takeover | null {
  checkOptions('takeOver options', options, { path: isText, deadlineMs: isDuration })
  const { path, deadlineMs = DEADLINE_MS } = options
  if (path === undefined) throw new TypeError('takeOver options: path is needed')
  const line = OldProcess.connect(path, deadlineMs)
  if (line === null) return null
  try {
    line.send(HandoverKind.HELLO)
    const { text } = line.receive(HandoverKind.OFFER)
    return new Takeover(line, JSON.parse(text) as HandoverEntry[])
  } catch (error) {
    line.close()
    throw error
  }
}

export class Takeover {
  /** One per listener of the old process, with its name: for `listen` of a server. */
  readonly listen: readonly ListenOptions[]
  /** The socket on which the old process was asked: for `serveHandover` in this one. */
  readonly handover: ListenHandle
  readonly #line: OldProcess
  #isSettled = false

  /** @internal */
  constructor(line: OldProcess, entries: readonly HandoverEntry[]) {
    if (!Array.isArray(entries) || line.fds.length !== entries.length + 1) {
      throw new ServerError('REFUSED', `takeOver: ${line.fds.length} descriptors came, not ${entries.length + 1}`)
    }
    this.#line = line
    const handles = line.fds.map((fd, index) => handleOf(fd, entries[index]?.file ?? null))
    this.listen = entries.map(({ name }, index) => ({ fd: handles[index] as ListenHandle, backlog: 0, name }))
    const socket = handles[entries.length] as ListenHandle
    const file = kernel.fileIdentity(socket.address.address)
    this.handover = typeof file === 'number' ? socket : { ...socket, file }
  }

  /**
   * This process serves: the old one accepts nobody any more when this returns, and takes leave. Throws a ServerError
   * when the old process is gone or does not answer; it may be serving still, and both take connections. Idempotent.
   */
  ready(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    try {
      this.#line.send(HandoverKind.READY)
      this.#line.receive(HandoverKind.TAKEN)
    } finally {
      this.#line.hangUp()
    }
  }

  /** Closes what was taken and nobody uses; the old process goes on as if nothing had been. Idempotent. */
  cancel(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#line.close()
  }

  [Symbol.dispose](): void {
    this.cancel()
  }
}

function handleOf(fd: number, file: ListenHandle['file']): ListenHandle {
  const address = kernel.localAddress(fd)
  if (typeof address === 'number' || kernel.getOption(fd, SocketOption.ACCEPTING) !== 1) {
    throw new ServerError('REFUSED', `takeOver: descriptor ${fd} does not listen`)
  }
  return { fd, generation: kernel.generation(fd), address, file }
}

/** The connection to the old process, and what came over it. */
class OldProcess {
  readonly fds: number[] = []
  readonly #generations: number[] = []
  readonly #fd: number
  readonly #deadlineMs: number
  readonly #buffer: RegisteredBuffer = kernel.allocate(HANDOVER_BYTES_MAX)

  /** null: nobody listens there. */
  static connect(path: string, deadlineMs: number): OldProcess | null {
    const fd = kernel.socket(Family.UNIX)
    if (fd < 0) throw systemError(kernel, fd, 'socket')
    const result = kernel.connect(fd, Family.UNIX, path, 0)
    if (result >= 0) return new OldProcess(fd, deadlineMs)
    kernel.close(fd)
    if (result === -kernel.errno.ENOENT || result === -kernel.errno.ECONNREFUSED) return null
    throw systemError(kernel, result, 'connect', { family: Family.UNIX, address: path, port: 0 })
  }

  private constructor(fd: number, deadlineMs: number) {
    this.#fd = fd
    this.#deadlineMs = deadlineMs
  }

  send(kind: HandoverKind): void {
    const bytes = encodeHandover(kind)
    const sent = kernel.sendBytes(this.#fd, bytes, 0, bytes.length)
    if (sent !== bytes.length) throw new ServerError('GONE', 'takeOver: the old process has gone away')
  }

  /** The next message, which must be of that kind. */
  receive(kind: HandoverKind): HandoverMessage {
    const decoder = new HandoverDecoder()
    const deadline = systemClock.now() + this.#deadlineMs
    for (;;) {
      const message = decoder.receive(this.#read(deadline))
      if (message === null) continue
      if (message instanceof Error) throw new ServerError('REFUSED', `takeOver: ${message.message}`)
      if (message.kind === kind) return message
      throw new ServerError('REFUSED', `takeOver: ${message.text || `message ${message.kind} was not expected`}`)
    }
  }

  /** Closes everything that came. */
  close(): void {
    for (const [index, fd] of this.fds.entries()) kernel.close(fd, this.#generations[index] as number)
    this.hangUp()
  }

  hangUp(): void {
    kernel.close(this.#fd)
    kernel.release(this.#buffer.id)
  }

  #read(deadline: number): Uint8Array {
    const entry = new Int32Array(POLL_STRIDE)
    const fds = new Int32Array(1 + FDS_MAX)
    for (;;) {
      const result = descriptorSharing.receiveDescriptors(this.#fd, fds, this.#buffer.id, 0, HANDOVER_BYTES_MAX)
      if (result > 0) {
        for (const fd of fds.subarray(1, 1 + (fds[0] as number))) {
          this.fds.push(fd)
          this.#generations.push(kernel.generation(fd))
        }
        return this.#buffer.bytes.slice(0, result)
      }
      if (result !== -kernel.errno.EAGAIN) throw new ServerError('GONE', 'takeOver: the old process has gone away')
      const waitMs = Math.ceil(deadline - systemClock.now())
      if (waitMs <= 0) throw new ServerError('TIMEOUT', `takeOver: no answer within ${this.#deadlineMs} ms`)
      entry.set([this.#fd, Readiness.READABLE, 0])
      kernel.poll(entry, 1, waitMs)
    }
  }
}

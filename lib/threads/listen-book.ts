/**
 * The listening sockets of servers in other threads. They belong to the thread that opened them, so that no end of a
 * worker resets who waits in their queues; each worker has a descriptor of its own for the same queue.
 */
import { SystemError } from '../base/errors.ts'
import type { ListenHandle, ListenSettings } from '../server/listening/listen-options.ts'
import {
  closeListenSocket,
  type ListenSocket,
  openListenSocket,
  type SocketHost,
} from '../server/listening/listen-socket.ts'
import type { FileIdentity, SocketAddress } from '../sys/kernel.ts'
import { descriptorSharing, kernel } from '../sys/native.ts'
import { systemError } from '../sys/system-error.ts'

/** One of them on its way to a worker: plain data, good for any number of workers while it is open here. */
export interface ListenShare {
  readonly fd: number
  readonly generation: number
  readonly address: SocketAddress
  readonly name: string
  /** The file of a unix socket, removed with it. */
  readonly file: FileIdentity | null
  readonly enabled: boolean
  readonly acceptBudget: number
  /** Of several threads that wait for connections the system wakes one, as far as it can. */
  readonly exclusive?: boolean
}

interface Shared {
  readonly socket: ListenSocket
  readonly share: ListenShare
}

/** No Multi watches them here. */
const host: SocketHost = {
  kernel,
  closeFd: (fd, generation) => void kernel.close(fd, generation),
  letGoOfFd: () => {},
}

export class ListenBook {
  #entries: Shared[] = []
  readonly #settings: readonly ListenSettings[]
  readonly #opened: readonly ListenShare[]

  /** Throws a SystemError, and then none is open. */
  constructor(listen: readonly ListenSettings[]) {
    this.#settings = listen
    for (const settings of listen) {
      const opened = this.#open(settings)
      if (opened === null) continue
      this.close()
      throw opened
    }
    this.#opened = this.shares
  }

  /** Everything was closed or handed out. */
  get isClosed(): boolean {
    return this.#entries.length === 0
  }

  /** Opens everything once more, at the ports that it had. Throws a SystemError. */
  reopened(): ListenBook {
    return new ListenBook(
      this.#settings.map((settings, index) => {
        const { target } = settings
        const address = this.#opened[index]?.address
        if (target.kind !== 'internet' || address === undefined) return settings
        return { ...settings, target: { ...target, address, fallback: null } }
      }),
    )
  }

  get shares(): readonly ListenShare[] {
    return this.#entries.map(({ share }) => share)
  }

  /** Also of those that are closed by now. */
  get addresses(): readonly SocketAddress[] {
    return this.#opened.map(({ address }) => address)
  }

  /** Hands them out as descriptors that nobody shares, with their queues. The second call has none to give. */
  release(): ListenHandle[] {
    const entries = this.#entries
    this.#entries = []
    return entries.map(({ socket, share }) => {
      const fd = duplicate(share)
      kernel.close(socket.fd, share.generation)
      return { fd, generation: kernel.generation(fd), address: socket.address, file: socket.file }
    })
  }

  /** Workers that have descriptors of their own keep the queues. */
  close(): void {
    const entries = this.#entries
    this.#entries = []
    for (const { socket, share } of entries) closeListenSocket(host, { ...socket, generation: share.generation })
  }

  #open(settings: ListenSettings): SystemError | null {
    const socket = openListenSocket(host, settings)
    if (socket instanceof SystemError) return socket
    const generation = descriptorSharing.share(socket.fd)
    if (generation < 0) {
      closeListenSocket(host, socket)
      return systemError(kernel, generation, 'share', socket.address)
    }
    const { name, enabled, acceptBudget } = settings
    const { fd, address } = socket
    const file = socket.owned ? socket.file : null
    const share = { fd, generation, address, file, name, enabled, acceptBudget }
    this.#entries.push({ socket, share })
    return null
  }
}

/** A descriptor of the calling thread's own for the same queue. Throws a SystemError when it is not open any more. */
export function duplicate(share: ListenShare): number {
  const fd = descriptorSharing.duplicate(share.fd, share.generation)
  if (fd < 0) throw systemError(kernel, fd, 'dup', share.address)
  return fd
}

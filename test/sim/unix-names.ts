/**
 * The names of unix sockets: files that stay behind when their socket is closed, and abstract names that do not. Files
 * of other kinds may stand in the way. Each file has an identity of its own and permission bits less a fixed umask.
 */
import type { FileIdentity } from '../../lib/sys/kernel.ts'
import { fail, OpenFile, PollBit } from './open-file.ts'
import type { StreamSocket } from './stream-socket.ts'

const UMASK = 0o022
const MODE_MOST = 0o777
const LOCK_MODE = 0o600

interface NamedFile {
  readonly id: string
  mode: number
  readonly isSocket: boolean
  /** null: nobody has it open any more, or it is no socket. */
  socket: StreamSocket | null
  /** Of a file that is not a socket. */
  isLocked: boolean
}

/** What `lockFile` opens. */
class LockedFile extends OpenFile {
  readonly kind = 'file'
  readonly #file: NamedFile

  constructor(file: NamedFile) {
    super()
    this.#file = file
    file.isLocked = true
  }

  poll(): number {
    return PollBit.READABLE | PollBit.WRITABLE
  }

  closed(): void {
    this.#file.isLocked = false
  }
}

export class UnixNames {
  readonly #files = new Map<string, NamedFile>()
  #lastInode = 0

  has(name: string): boolean {
    return this.#files.has(name)
  }

  socketAt(name: string): StreamSocket | null {
    return this.#files.get(name)?.socket ?? null
  }

  bind(name: string, socket: StreamSocket): void {
    const file = this.#create(name, socket.mode & ~UMASK, socket)
    socket.onClosed = () => {
      file.socket = null
      if (name.startsWith('\0')) this.#files.delete(name)
    }
  }

  /** A file that is no socket. */
  addFile(name: string): void {
    this.#create(name, 0o644, null)
  }

  unlink(name: string): number {
    return this.#files.delete(name) ? 0 : fail('ENOENT')
  }

  identity(name: string): FileIdentity | number {
    const file = this.#files.get(name)
    if (file === undefined || name.startsWith('\0')) return fail('ENOENT')
    return { id: file.id, mode: file.mode, isSocket: file.isSocket }
  }

  setMode(name: string, mode: number): number {
    const file = this.#files.get(name)
    if (file === undefined) return fail('ENOENT')
    file.mode = mode & MODE_MOST
    return 0
  }

  lock(name: string): OpenFile | null {
    const file = this.#files.get(name) ?? this.#create(name, LOCK_MODE, null)
    return file.isLocked ? null : new LockedFile(file)
  }

  #create(name: string, mode: number, socket: StreamSocket | null): NamedFile {
    const file = { id: `1:${++this.#lastInode}`, mode, isSocket: socket !== null, socket, isLocked: false }
    this.#files.set(name, file)
    return file
  }
}

/** Files of the simulation: bytes by path, open ones as descriptors of its kernel, so that sendfile finds them. */
import type { FileStatus, Files } from '../../lib/sys/files.ts'
import type { ErrnoTable } from '../../lib/sys/kernel.ts'
import type { SimKernel } from './kernel.ts'
import { fail, RegularFile, SIM_ERRNO } from './open-file.ts'

interface StoredFile {
  bytes: Uint8Array
  modifiedMs: number
}

export class SimFiles implements Files {
  readonly errno: ErrnoTable = SIM_ERRNO
  readonly #kernel: SimKernel
  readonly #stored = new Map<string, StoredFile>()
  readonly #open = new Map<number, StoredFile>()

  constructor(kernel: SimKernel) {
    this.#kernel = kernel
  }

  /** Made anew: what is open keeps the old bytes. */
  put(path: string, bytes: Uint8Array | string, modifiedMs = 0): void {
    this.#stored.set(path, { bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes, modifiedMs })
  }

  /** How many are open. */
  get openCount(): number {
    return this.#open.size
  }

  open(path: string): number {
    const stored = this.#stored.get(path)
    if (stored === undefined) return fail('ENOENT')
    const fd = this.#kernel.table.open(new RegularFile(stored.bytes), 'internal')
    this.#open.set(fd, stored)
    return fd
  }

  status(fd: number): FileStatus | number {
    const stored = this.#open.get(fd)
    if (stored === undefined) return fail('EBADF')
    return { isFile: true, isDirectory: false, size: stored.bytes.length, modifiedMs: stored.modifiedMs }
  }

  read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number {
    const stored = this.#open.get(fd)
    if (stored === undefined) return fail('EBADF')
    const part = stored.bytes.subarray(position, position + length)
    into.set(part, offset)
    return part.length
  }

  close(fd: number): void {
    if (!this.#open.delete(fd)) throw new Error(`close of file ${fd}, which is not open`)
    this.#kernel.closeEvent(fd)
  }
}

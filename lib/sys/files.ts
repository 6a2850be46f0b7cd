/**
 * Regular files as a contract, for what servers send: synchronous verbs that return a result or -errno and never throw
 * for what the operating system answers. Descriptors of files belong to whoever opened them and go through `close`
 * here, not through the kernel; `Kernel.sendfile` takes them. Implementations: `native-files.ts` and that of
 * `test/sim/`.
 */
import type { ErrnoTable } from './kernel.ts'

export interface FileStatus {
  readonly isFile: boolean
  readonly isDirectory: boolean
  readonly size: number
  /** ms since 1970, with a fraction where the file system has one. */
  readonly modifiedMs: number
}

export interface Files {
  /** What its negative answers mean. */
  readonly errno: ErrnoTable
  /** For reading. A descriptor ≥ 0, or -errno; does not wait for the other end of a named pipe. */
  open(path: string): number
  status(fd: number): FileStatus | number
  /** Bytes read, 0 at the end of the file, or -errno. */
  read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number
  close(fd: number): void
}

/**
 * Files of the machine. What is opened here is owned by the thread, as sockets are, and closed with it at the latest;
 * what the program opened by node:fs is known to Node, which has to close it.
 */
import { closeSync } from 'node:fs'
import type { FileStatus, Files } from './files.ts'
import { fileVerbs, kernel } from './native.ts'

/** Kind in `native/file.cc`. */
const FileKind = { REGULAR: 1, DIRECTORY: 2 } as const
/** Kind, size in bytes, ms since 1970. */
const figures = new Float64Array(3)

export const nativeFiles: Files = {
  errno: kernel.errno,
  open: fileVerbs.open,
  status(fd: number): FileStatus | number {
    const result = fileVerbs.status(fd, figures)
    if (result < 0) return result
    const kind = figures[0]
    return {
      isFile: kind === FileKind.REGULAR,
      isDirectory: kind === FileKind.DIRECTORY,
      size: figures[1] as number,
      modifiedMs: figures[2] as number,
    }
  },
  read: fileVerbs.read,
  close(fd: number): void {
    if (kernel.close(fd) !== -kernel.errno.EBADF) return
    try {
      closeSync(fd)
    } catch (error) {
      // libuv's answer, as of a descriptor that is closed already. What is no system error is misuse.
      if (typeof (error as NodeJS.ErrnoException).errno !== 'number') throw error
    }
  },
}

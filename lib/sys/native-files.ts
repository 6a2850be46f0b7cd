/** Files of the machine, by node:fs: its descriptors are known to Node, so that it can warn of what is left open. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { FileStatus, Files } from './files.ts'
import { kernel } from './native.ts'

const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

/** libuv's numbers are those of the platform, negative. What is no system error is misuse and is thrown. */
function errnoOf(error: unknown): number {
  const { errno } = error as NodeJS.ErrnoException
  if (typeof errno !== 'number') throw error
  return errno
}

export const nativeFiles: Files = {
  errno: kernel.errno,
  open(path: string): number {
    try {
      return openSync(path, OPEN_FLAGS)
    } catch (error) {
      return errnoOf(error)
    }
  },
  status(fd: number): FileStatus | number {
    try {
      const found = fstatSync(fd)
      return {
        isFile: found.isFile(),
        isDirectory: found.isDirectory(),
        size: found.size,
        modifiedMs: found.mtimeMs,
      }
    } catch (error) {
      return errnoOf(error)
    }
  },
  read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number {
    try {
      return readSync(fd, into, offset, length, position)
    } catch (error) {
      return errnoOf(error)
    }
  },
  close(fd: number): void {
    try {
      closeSync(fd)
    } catch (error) {
      errnoOf(error)
    }
  },
}

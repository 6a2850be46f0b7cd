/**
 * The file of a unix socket: its permission bits without a moment in which it has others, what an earlier run left
 * behind, and its removal if it is still ours. Replacing happens under a lock that everybody who replaces takes, after
 * a probe found nobody listening; only sockets are ever removed.
 */
import { Family, type FileIdentity, type Kernel } from '../../sys/kernel.ts'
import type { UnixTarget } from './listen-options.ts'
import type { Refusal } from './refusal.ts'

/** Beside the socket, for as long as a stale one is replaced. */
const LOCK_SUFFIX = '.lock'

/** The identity of the file that the socket has now; null for an abstract one. */
export function bindUnixPath(kernel: Kernel, fd: number, target: UnixTarget): FileIdentity | Refusal | null {
  const { address, mode } = target
  const path = address.address
  // Before the socket has a name: what it gets then is this, less umask. Some systems refuse; it is set below as well.
  if (mode !== null) kernel.setMode(fd, mode)
  const result = target.replaceStale ? bindReplacing(kernel, fd, path) : bind(kernel, fd, path)
  if (result < 0) return { syscall: 'bind', result }
  if (path.startsWith('\0')) return null
  const file = kernel.fileIdentity(path)
  if (typeof file === 'number') {
    kernel.unlink(path)
    return { syscall: 'lstat', result: file }
  }
  if (mode === null || file.mode === mode) return file
  const changed = kernel.setPathMode(path, mode)
  if (changed >= 0) return { ...file, mode }
  removeUnixPath(kernel, path, file)
  return { syscall: 'chmod', result: changed }
}

/** Unless somebody else has put a file of theirs there meanwhile. */
export function removeUnixPath(kernel: Kernel, path: string, file: FileIdentity): void {
  const present = kernel.fileIdentity(path)
  if (typeof present === 'number' || !isSame(present, file)) return
  kernel.unlink(path)
}

function isSame(a: FileIdentity, b: FileIdentity): boolean {
  return a.id === b.id && a.isSocket && b.isSocket
}

function bind(kernel: Kernel, fd: number, path: string): number {
  return kernel.bind(fd, Family.UNIX, path, 0)
}

function bindReplacing(kernel: Kernel, fd: number, path: string): number {
  const first = bind(kernel, fd, path)
  if (first !== -kernel.errno.EADDRINUSE) return first
  const lock = kernel.lockFile(path + LOCK_SUFFIX)
  // Somebody else is replacing it at this moment: then it is in use.
  if (lock < 0) return lock === -kernel.errno.EAGAIN ? first : lock
  try {
    const file = kernel.fileIdentity(path)
    if (typeof file !== 'number') {
      if (!file.isSocket || isAlive(kernel, path)) return first
      removeUnixPath(kernel, path, file)
    }
    return bind(kernel, fd, path)
  } finally {
    kernel.unlink(path + LOCK_SUFFIX)
    kernel.close(lock)
  }
}

/** Anything but a refusal, or no file any more, means somebody: a full queue, another type of socket, no permission. */
function isAlive(kernel: Kernel, path: string): boolean {
  const probe = kernel.socket(Family.UNIX)
  if (probe < 0) return true
  const result = kernel.connect(probe, Family.UNIX, path, 0)
  kernel.close(probe)
  return result !== -kernel.errno.ECONNREFUSED && result !== -kernel.errno.ENOENT
}

/**
 * Descriptors that a service manager opened for this process (systemd's LISTEN_FDS): from 3 on, in order, each perhaps
 * with a name. They are looked at and stay nobody's; a Listener takes one by its number.
 */
import { defaults } from '../../sys/defaults.ts'
import { type ProcessEnvironment, processEnvironment } from '../../sys/environment.ts'
import { type Family, type Kernel, SocketOption } from '../../sys/kernel.ts'
import { systemError } from '../../sys/system-error.ts'
import { descriptor } from './listen-socket.ts'

const FIRST_FD = 3
const FDS_MOST = 4096
/** What systemd calls those that nobody named. */
const NO_NAME = 'unknown'
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const

export interface ListenFd {
  /** 'unknown' when it was given none. */
  readonly name: string
  readonly fd: number
  /** null for what is no socket, or of a family that is not ours. */
  readonly family: Family | null
  /** It listens already: `{ fd, backlog: 0 }`. */
  readonly accepting: boolean
}

/**
 * Empty when none were passed, or to another process. They are closed on exec from now on. With `unsetEnvironment` (the
 * default) the variables are removed, so that children are not misled, and a second call finds nothing. Throws a
 * RangeError when LISTEN_FDS makes no sense, and a SystemError when a descriptor is not there.
 */
export function listenFds(options: { unsetEnvironment?: boolean } = {}): ListenFd[] {
  return passedDescriptors(defaults.kernel, processEnvironment, options.unsetEnvironment ?? true)
}

export function passedDescriptors(kernel: Kernel, environment: ProcessEnvironment, unset: boolean): ListenFd[] {
  const [pid, count, names] = VARIABLES.map((name) => environment.get(name))
  if (unset) for (const name of VARIABLES) environment.unset(name)
  if (pid === undefined || Number(pid) !== environment.pid || count === undefined) return []
  const total = Number(count)
  if (!Number.isInteger(total) || total < 0 || total > FDS_MOST || count.trim() === '') {
    throw new RangeError(`LISTEN_FDS must be a whole number from 0 to ${FDS_MOST}, not ${JSON.stringify(count)}`)
  }
  const known = names === undefined || names === '' ? [] : names.split(':')
  return Array.from({ length: total }, (_, index) => look(kernel, FIRST_FD + index, known[index] || NO_NAME))
}

function look(kernel: Kernel, fd: number, name: string): ListenFd {
  const known = kernel.generation(fd)
  const generation = known > 0 ? known : kernel.adopt(fd)
  if (generation < 0) throw systemError(kernel, generation, 'fcntl', descriptor(fd))
  const address = kernel.localAddress(fd)
  const accepting = kernel.getOption(fd, SocketOption.ACCEPTING) === 1
  if (known < 0) kernel.disown(fd, generation)
  return { name, fd, family: typeof address === 'number' ? null : address.family, accepting }
}

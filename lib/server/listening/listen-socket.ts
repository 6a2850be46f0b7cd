/**
 * Opens a listening socket, or says what the system answered: which call, which errno, which address. On failure
 * nothing is left open and no file is left behind. A descriptor from elsewhere is taken over: non-blocking, closed on
 * exec, known by its generation.
 */
import { SystemError } from '../../base/errors.ts'
import type { Host } from '../../multi/host.ts'
import { Family, type FileIdentity, type Kernel, type SocketAddress, SocketOption } from '../../sys/kernel.ts'
import { systemError } from '../../sys/system-error.ts'
import type { DescriptorTarget, InternetTarget, ListenSettings, UnixTarget } from './listen-options.ts'
import type { Refusal } from './refusal.ts'
import { bindUnixPath, removeUnixPath } from './unix-path.ts'

export interface ListenSocket {
  readonly fd: number
  readonly generation: number
  /** Ports that the system chose included. */
  readonly address: SocketAddress
  /** Closed with the listener; else it stays open. */
  readonly owned: boolean
  /** It was nobody's before, and becomes nobody's again unless it is closed. */
  readonly adopted: boolean
  /** The file that goes with the socket. */
  readonly file: FileIdentity | null
}

export type SocketHost = Pick<Host, 'kernel' | 'closeFd' | 'letGoOfFd'>

export function openListenSocket(host: SocketHost, settings: ListenSettings): ListenSocket | SystemError {
  const { target } = settings
  switch (target.kind) {
    case 'fd':
      return takeOver(host, target, settings)
    case 'unix':
      return openUnix(host, target, settings)
    case 'internet': {
      const opened = openInternet(host, target, target.address, settings)
      const { fallback } = target
      if ('fd' in opened || fallback === null || !lacksIpv6(host.kernel, opened)) return opened
      return openInternet(host, target, fallback, settings)
    }
  }
}

/** Closed, or given back to whoever it belongs to. */
export function closeListenSocket(host: SocketHost, socket: ListenSocket): void {
  const { kernel } = host
  if (!socket.owned) {
    host.letGoOfFd(socket.fd)
    if (socket.adopted) kernel.disown(socket.fd, socket.generation)
    return
  }
  if (socket.file !== null) removeUnixPath(kernel, socket.address.address, socket.file)
  host.closeFd(socket.fd, socket.generation)
}

function lacksIpv6(kernel: Kernel, { errno }: SystemError): boolean {
  return errno === -kernel.errno.EAFNOSUPPORT || errno === -kernel.errno.EADDRNOTAVAIL
}

function openInternet(
  host: SocketHost,
  target: InternetTarget,
  address: SocketAddress,
  settings: ListenSettings,
): ListenSocket | SystemError {
  const { kernel } = host
  const fd = kernel.socket(address.family)
  if (fd < 0) return systemError(kernel, fd, 'socket', address)
  const refusal =
    setInternetOptions(kernel, fd, target, address.family) ??
    step('bind', kernel.bind(fd, address.family, address.address, address.port)) ??
    step('listen', kernel.listen(fd, settings.backlog))
  return refusal === null ? finish(host, fd, address, settings, null) : giveUp(host, fd, refusal, address)
}

function setInternetOptions(kernel: Kernel, fd: number, target: InternetTarget, family: Family): Refusal | null {
  const set = (option: SocketOption, value: number): Refusal | null =>
    step('setsockopt', kernel.setOption(fd, option, value))
  let refusal: Refusal | null = null
  if (family === Family.IPV6) refusal = set(SocketOption.V6_ONLY, target.ipv6Only ? 1 : 0)
  if (target.reusePort) refusal ??= set(SocketOption.REUSE_PORT, 1)
  if (refusal !== null) return refusal
  // Refused, bind still says whether the address is free.
  if (target.reuseAddress) kernel.setOption(fd, SocketOption.REUSE_ADDRESS, 1)
  // These make things faster where they exist, and change nothing else.
  if (target.deferAccept > 0) kernel.setOption(fd, SocketOption.DEFER_ACCEPT, target.deferAccept)
  if (target.fastOpen > 0) kernel.setOption(fd, SocketOption.FAST_OPEN, target.fastOpen)
  return null
}

function openUnix(host: SocketHost, target: UnixTarget, settings: ListenSettings): ListenSocket | SystemError {
  const { kernel } = host
  const { address } = target
  const fd = kernel.socket(Family.UNIX)
  if (fd < 0) return systemError(kernel, fd, 'socket', address)
  const bound = bindUnixPath(kernel, fd, target)
  if (bound !== null && 'syscall' in bound) return giveUp(host, fd, bound, address)
  const refusal = step('listen', kernel.listen(fd, settings.backlog))
  if (refusal === null) return finish(host, fd, address, settings, bound)
  if (bound !== null) removeUnixPath(kernel, address.address, bound)
  return giveUp(host, fd, refusal, address)
}

function finish(
  host: SocketHost,
  fd: number,
  wanted: SocketAddress,
  settings: ListenSettings,
  file: FileIdentity | null,
): ListenSocket | SystemError {
  const { kernel } = host
  const address = kernel.localAddress(fd)
  inherit(kernel, fd, wanted, settings)
  if (typeof address === 'number') {
    if (file !== null) removeUnixPath(kernel, wanted.address, file)
    return giveUp(host, fd, { syscall: 'getsockname', result: address }, wanted)
  }
  return { fd, generation: kernel.generation(fd), address, owned: settings.closeOnEnd, adopted: false, file }
}

/** A number may be nobody's yet, or this thread's already; a handle this thread's, or offered by another one. */
function takeOver(host: SocketHost, target: DescriptorTarget, settings: ListenSettings): ListenSocket | SystemError {
  const { kernel } = host
  const { fd, handle } = target
  const known = kernel.generation(fd)
  if (handle !== null && known !== handle.generation) {
    const claimed = kernel.claim(fd, handle.generation)
    if (claimed < 0) return systemError(kernel, -kernel.errno.ESTALE, 'listen', handle.address)
    const socket = take(kernel, target, settings, claimed, false)
    // Its handle is used up, so nobody else could close it.
    if (socket instanceof SystemError) kernel.close(fd, claimed)
    return socket
  }
  const generation = known > 0 ? known : kernel.adopt(fd)
  if (generation < 0) return systemError(kernel, generation, 'fcntl', descriptor(fd))
  return take(kernel, target, settings, generation, known < 0)
}

function take(
  kernel: Kernel,
  target: DescriptorTarget,
  settings: ListenSettings,
  generation: number,
  adopted: boolean,
): ListenSocket | SystemError {
  const { fd, handle } = target
  const address = checkListening(kernel, fd, target, settings)
  if ('syscall' in address) {
    if (adopted) kernel.disown(fd, generation)
    return systemError(kernel, address.result, address.syscall, descriptor(fd))
  }
  inherit(kernel, fd, address, settings)
  return { fd, generation, address, owned: settings.closeOnEnd, adopted, file: handle?.file ?? null }
}

/**
 * What connections have from their beginning. With Nagle's algorithm a head and the file behind it, or a second small
 * piece, wait for an acknowledgement that the peer delays by 40 ms. Unix sockets have no such thing.
 */
function inherit(kernel: Kernel, fd: number, { family }: SocketAddress, { noDelay }: ListenSettings): void {
  if (noDelay && family !== Family.UNIX) kernel.setOption(fd, SocketOption.NO_DELAY, 1)
}

/** In the place of an address, which nobody knows. */
export function descriptor(fd: number): SocketAddress {
  return { family: Family.UNIX, address: `descriptor ${fd}`, port: 0 }
}

function checkListening(
  kernel: Kernel,
  fd: number,
  target: DescriptorTarget,
  settings: ListenSettings,
): SocketAddress | Refusal {
  const accepting = kernel.getOption(fd, SocketOption.ACCEPTING)
  if (accepting < 0) return { syscall: 'getsockopt', result: accepting }
  if (accepting === 0) {
    const result = target.mustListen ? -kernel.errno.EINVAL : kernel.listen(fd, settings.backlog)
    if (result < 0) return { syscall: 'listen', result }
  }
  const address = kernel.localAddress(fd)
  return typeof address === 'number' ? { syscall: 'getsockname', result: address } : address
}

function step(syscall: string, result: number): Refusal | null {
  return result < 0 ? { syscall, result } : null
}

function giveUp(host: SocketHost, fd: number, refusal: Refusal, address: SocketAddress): SystemError {
  host.kernel.close(fd)
  return systemError(host.kernel, refusal.result, refusal.syscall, address)
}

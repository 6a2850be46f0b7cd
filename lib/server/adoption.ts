/**
 * A connected socket from elsewhere becomes a connection of a server: of another library, of another thread, connected
 * by the program itself. The descriptor is the server's from the call on: closed whenever it fails.
 */
import { isInteger, isObject } from '../base/options.ts'
import type { Host } from '../multi/host.ts'
import { Family, type Kernel, type SocketAddress, SocketOption } from '../sys/kernel.ts'
import { systemError } from '../sys/system-error.ts'
import type { Connection } from './connection/connection.ts'
import type { SocketTicket } from './connection/ticket.ts'
import type { Reception } from './reception.ts'
import { checkAddress } from './server-checks.ts'
import { ServerError } from './server-error.ts'

const FD_MOST = 2 ** 30

export function checkAdoption(socket: unknown, peer: unknown): void {
  if (typeof socket === 'number') isInteger(0, FD_MOST)('socket', socket)
  else {
    isObject('socket', socket)
    isInteger(0, FD_MOST)('socket.fd', (socket as SocketTicket).fd)
    isInteger(1, Number.MAX_SAFE_INTEGER)('socket.generation', (socket as SocketTicket).generation)
  }
  if (peer !== undefined) checkAddress('peer', peer)
}

/** Throws a SystemError, or a ServerError when the server does not take it. */
export function adoptSocket(
  host: Host,
  reception: Reception,
  isOpen: boolean,
  socket: SocketTicket | number,
  peer: SocketAddress | undefined,
): Connection {
  const { kernel } = host
  const ticket = typeof socket === 'number' ? null : socket
  const fd = ticket?.fd ?? (socket as number)
  const generation = ticket === null ? ownershipOf(kernel, fd) : kernel.claim(fd, ticket.generation)
  if (generation < 0) throw systemError(kernel, generation, ticket === null ? 'fcntl' : 'adopt')
  if (!isOpen) {
    host.closeFd(fd, generation)
    throw new ServerError('WRONG_STATE', 'adopt: the server is not started')
  }
  // Asked in any case: what is not connected is no connection.
  const asked = kernel.peerAddress(fd)
  if (typeof asked === 'number') {
    host.closeFd(fd, generation)
    throw systemError(kernel, asked, 'getpeername')
  }
  // As those that listeners accept; one with a ticket was accepted by a listener, or has been here.
  if (ticket === null && asked.family !== Family.UNIX) kernel.setOption(fd, SocketOption.NO_DELAY, 1)
  const answer = reception.adopt(fd, generation, peer ?? ticket?.peer ?? asked, ticket?.head ?? null)
  if (typeof answer !== 'string') return answer
  throw new ServerError('REFUSED', `adopt: turned away by ${answer}`)
}

function ownershipOf(kernel: Kernel, fd: number): number {
  const known = kernel.generation(fd)
  return known > 0 ? known : kernel.adopt(fd)
}

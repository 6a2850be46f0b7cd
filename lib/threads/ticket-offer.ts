/** Descriptors of this thread on their way to a server in another one. */
import type { SocketTicket } from '../server/connection/ticket.ts'
import type { SocketAddress } from '../sys/kernel.ts'
import { kernel } from '../sys/native.ts'
import { systemError } from '../sys/system-error.ts'

/** A ticket is on its way already; a descriptor is offered, and taken over first if it is nobody's. */
export function offerSocket(socket: SocketTicket | number, peer: SocketAddress | undefined): SocketTicket {
  if (typeof socket !== 'number') return socket
  const known = kernel.generation(socket)
  const adopted = known > 0 ? known : kernel.adopt(socket)
  if (adopted < 0) throw systemError(kernel, adopted, 'fcntl')
  const generation = kernel.offer(socket)
  if (generation < 0) throw systemError(kernel, generation, 'offer')
  return { fd: socket, generation, peer: peer ?? null, local: null, head: null }
}

/** Nobody came for it. Does nothing when somebody did. */
export function closeTicket({ fd, generation }: SocketTicket): void {
  const claimed = kernel.claim(fd, generation)
  if (claimed > 0) kernel.close(fd, claimed)
}

/** A raw echo service inside the world: sends back what it gets, and FIN for FIN. */
import type { Family } from '../../lib/sys/kernel.ts'
import type { Network } from './network.ts'
import { listenInWorld, Peer } from './peer.ts'
import type { StreamSocket } from './stream-socket.ts'
import type { World } from './world.ts'

export function serveEcho(
  world: World,
  network: Network,
  at: { family: Family; address: string; port: number },
): StreamSocket {
  return listenInWorld(world, network, at, (socket) => {
    const peer: Peer = new Peer(world, socket, {
      data: (bytes) => peer.write(bytes),
      ended: () => peer.end(),
    })
  })
}

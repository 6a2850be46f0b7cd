/** Peers of the simulated network that do exactly what a test says, byte for byte. */
import { Family } from '../../lib/sys/kernel.ts'
import { listenInWorld, Peer } from '../sim/peer.ts'
import type { Simulation } from '../sim/simulation.ts'

export interface ScriptedConnection {
  readonly number: number
  readonly peer: Peer
  /** Everything that came so far, as Latin-1. */
  received: string
  hasEnded: boolean
}

export interface ScriptedServer {
  readonly url: string
  readonly connections: ScriptedConnection[]
}

/** `act` runs after each arrival, with the connection's bytes so far. */
export function serveScript(
  simulation: Simulation,
  port: number,
  act: (connection: ScriptedConnection, fresh: string) => void,
): ScriptedServer {
  const { world, kernel } = simulation
  const connections: ScriptedConnection[] = []
  const at = { family: Family.IPV4, address: '127.0.0.1', port }
  listenInWorld(world, kernel.network, at, (socket) => {
    const peer: Peer = new Peer(world, socket, {
      data: (bytes) => {
        const fresh = Buffer.from(bytes).toString('latin1')
        connection.received += fresh
        act(connection, fresh)
      },
      ended: () => {
        connection.hasEnded = true
        peer.close()
      },
    })
    const connection: ScriptedConnection = { number: connections.length + 1, peer, received: '', hasEnded: false }
    connections.push(connection)
  })
  return { url: `http://127.0.0.1:${port}`, connections }
}

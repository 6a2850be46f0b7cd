/**
 * The whole stack of filters for scenarios over the client: TLS to the origin, alone or through a proxy that tunnels
 * (CONNECT, SOCKS 4a and 5, and CONNECT within TLS of the proxy's own).
 */
import { Family } from '../../lib/sys/kernel.ts'
import { PROXY_ADDRESS, PROXY_PORT, ProxyInWorld } from '../unit/connection/proxy-in-world.ts'
import type { ServerIdentity } from './fake-tls.ts'
import { FakeTlsProvider } from './fake-tls-provider.ts'
import { SimOrigin } from './origin.ts'
import type { Random } from './random.ts'
import { ORIGIN_HOST, type Simulation } from './simulation.ts'
import type { Layers } from './transfers.ts'

const TLS_PORT = 443
const PROXY_KINDS = ['http', 'socks4a', 'socks5', 'socks5h']

export interface WholeStack extends Layers {
  readonly provider: FakeTlsProvider
}

/** `behindTls`: the proxy itself is reached through TLS, which makes it TLS within TLS. */
export function wholeStack(simulation: Simulation, random: Random, behindTls = random.chance(0.2)): WholeStack {
  const { world, kernel } = simulation
  const { address } = simulation.origin
  const provider = new FakeTlsProvider()
  const fragments = random.chance(0.5)
  const interjections = random.chance(0.5) ? 0.3 : 0
  const identity: ServerIdentity = {
    names: [ORIGIN_HOST, address, PROXY_ADDRESS],
    protocols: ['http/1.1'],
    tickets: new Set(),
    interjects: () => random.chance(interjections),
  }
  const origin = new SimOrigin(world, kernel.network, { address, port: TLS_PORT, fragments, tls: identity })
  const proxy = new ProxyInWorld(simulation, () => ({
    manner: 'grant',
    wantsLogin: false,
    closesAfterChallenge: false,
    fragments,
    onward: { family: Family.IPV4, address, port: TLS_PORT },
    ...(behindTls ? { tls: identity } : {}),
  }))
  return {
    provider,
    multi: { tlsProvider: provider },
    next: () => {
      const kind = behindTls ? 'https' : random.pick(PROXY_KINDS)
      const viaProxy = random.chance(0.6)
      return {
        origin: `https://${random.chance(0.5) ? ORIGIN_HOST : address}`,
        options: viaProxy ? { proxy: `${kind}://${PROXY_ADDRESS}:${PROXY_PORT}` } : {},
      }
    },
    complaints: () => [...origin.complaints, ...proxy.complaints, ...provider.leftovers()],
  }
}

/**
 * A proxy inside the simulated world: it understands CONNECT and SOCKS by reading them its own way, then does as it is
 * told. When it grants, it passes everything on, or plays the destination itself: a banner in the same breath, so that
 * it may arrive together with the last of the proxy's bytes, then everything comes back as it went.
 */
import { Family, type SocketAddress } from '../../../lib/sys/kernel.ts'
import type { ServerIdentity } from '../../sim/fake-tls.ts'
import type { Network } from '../../sim/network.ts'
import { listenInWorld, Peer, type PeerEvents } from '../../sim/peer.ts'
import { type AnyPeer, makePeer } from '../../sim/secure-peer.ts'
import type { Simulation } from '../../sim/simulation.ts'
import type { StreamSocket } from '../../sim/stream-socket.ts'
import type { World } from '../../sim/world.ts'

export type ProxyManner = 'grant' | 'refuse' | 'hang' | 'close' | 'reset' | 'garbage'

export interface ProxyPlan {
  readonly manner: ProxyManner
  /** User 'u' with password 'p'; Basic where it is HTTP. */
  readonly wantsLogin: boolean
  /** A 407 ends the connection. */
  readonly closesAfterChallenge: boolean
  readonly fragments: boolean
  /** TLS with the client first. */
  readonly tls?: ServerIdentity
  /** Where what is granted leads. */
  readonly onward?: SocketAddress
}

export const PROXY_ADDRESS = '10.0.0.1'
export const PROXY_PORT = 3128
export const BANNER = 'SSH-2.0-destination\r\n\r\n'

export class ProxyInWorld {
  /** Destinations as they were asked for. */
  readonly asked: string[] = []
  readonly complaints: string[] = []

  constructor({ world, kernel }: Simulation, nextPlan: () => ProxyPlan) {
    const at = { family: Family.IPV4, address: PROXY_ADDRESS, port: PROXY_PORT }
    listenInWorld(world, kernel.network, at, (socket) => {
      new ProxyConnection(this, world, kernel.network, socket, nextPlan())
    })
  }
}

class ProxyConnection {
  readonly #proxy: ProxyInWorld
  readonly #plan: ProxyPlan
  readonly #peer: AnyPeer
  readonly #dial: (to: SocketAddress) => Peer
  #upstream: Peer | null = null
  #input: Buffer = Buffer.alloc(0)
  #stage: 'begin' | 'login' | 'request' | 'tunnel' | 'done' = 'begin'

  constructor(proxy: ProxyInWorld, world: World, network: Network, socket: StreamSocket, plan: ProxyPlan) {
    this.#proxy = proxy
    this.#plan = plan
    const events = {
      data: (bytes: Uint8Array) => this.#receive(bytes),
      ended: () => this.#ended(),
      failed: () => this.#upstream?.reset(),
    }
    this.#peer = makePeer(world, socket, events, plan.fragments, plan.tls)
    this.#dial = (to) => Peer.connect(world, network, to, this.#upstreamEvents(), plan.fragments)
  }

  #upstreamEvents(): PeerEvents {
    return {
      data: (bytes) => this.#peer.write(bytes),
      ended: () => this.#peer.end(),
      failed: () => this.#peer.reset(),
    }
  }

  #ended(): void {
    if (this.#upstream === null) this.#peer.close()
    else this.#upstream.end()
  }

  #receive(bytes: Uint8Array): void {
    if (this.#stage === 'tunnel') {
      const next = this.#upstream ?? this.#peer
      next.write(bytes)
      return
    }
    this.#input = Buffer.concat([this.#input, bytes])
    if (this.#stage === 'done' || this.#input.length === 0) return
    if (this.#stage !== 'begin' || this.#input[0] === 5) this.#step5()
    else if (this.#input[0] === 4) this.#step4()
    else this.#stepHttp()
  }

  #take(length: number): Buffer {
    const taken = this.#input.subarray(0, length)
    this.#input = this.#input.subarray(length)
    return taken
  }

  #stepHttp(): void {
    const end = this.#input.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#take(end + 4).toString('latin1')
    const target = /^CONNECT (\S+) HTTP\/1\.1\r\nHost: (\S+)\r\n/.exec(head)
    if (target === null || target[1] !== target[2]) this.#complain(head)
    if (this.#plan.wantsLogin && !head.includes('\r\nProxy-Authorization: Basic dTpw\r\n')) {
      const { closesAfterChallenge } = this.#plan
      const close = closesAfterChallenge ? 'Connection: close\r\n' : ''
      this.#peer.write(`HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\n${close}Content-Length: 5\r\n\r\nhello`)
      if (closesAfterChallenge) this.#peer.end()
      return
    }
    this.#answer(target?.[1] ?? '', 'HTTP/1.1 200 OK\r\nVia: x\r\n\r\n', 'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n')
  }

  #step4(): void {
    const userEnd = this.#input.indexOf(0, 8)
    if (this.#input.length < 9 || userEnd < 0) return
    const isName = this.#input[4] === 0
    const end = isName ? this.#input.indexOf(0, userEnd + 1) : userEnd
    if (end < 0) return
    const request = this.#take(end + 1)
    const host = isName ? request.subarray(userEnd + 1, end).toString() : request.subarray(4, 8).join('.')
    const rest = '\x01\x02\x03\x04\x05\x06'
    this.#answer(`${host}:${request.readUInt16BE(2)}`, `\x00\x5a${rest}`, `\x00\x5b${rest}`)
  }

  #step5(): void {
    const input = this.#input
    if (this.#stage === 'begin') {
      if (input.length < 2 || input.length < 2 + (input[1] as number)) return
      const methods = this.#take(2 + (input[1] as number)).subarray(2)
      const method = this.#plan.wantsLogin ? 2 : 0
      this.#stage = this.#plan.wantsLogin ? 'login' : 'request'
      this.#peer.write(Uint8Array.of(5, methods.includes(method) ? method : 255))
    } else if (this.#stage === 'login') {
      if (input.length < 5) return
      const isKnown = this.#take(5).toString('latin1') === '\x01\x01u\x01p'
      this.#stage = 'request'
      this.#peer.write(Uint8Array.of(1, isKnown ? 0 : 1))
    } else {
      const length = input[3] === 3 ? 7 + (input[4] ?? 255) : input[3] === 4 ? 22 : 10
      if (input.length < length) return
      const request = this.#take(length)
      const bytes = request.subarray(input[3] === 3 ? 5 : 4, length - 2)
      const host = input[3] === 3 ? bytes.toString() : input[3] === 4 ? `[${bytes.toString('hex')}]` : bytes.join('.')
      const port = request.readUInt16BE(length - 2)
      this.#answer(`${host}:${port}`, '\x05\x00\x00\x03\x03abc\x00\x50', '\x05\x02\x00\x01\0\0\0\0\0\0')
    }
  }

  #answer(target: string, granted: string, refused: string): void {
    this.#proxy.asked.push(target)
    if (this.#input.length > 0) this.#complain(this.#input.toString('latin1'))
    this.#stage = 'done'
    switch (this.#plan.manner) {
      case 'grant':
        this.#stage = 'tunnel'
        this.#peer.write(this.#plan.onward === undefined ? granted + BANNER : granted)
        if (this.#plan.onward !== undefined) this.#upstream = this.#dial(this.#plan.onward)
        return
      case 'refuse':
        this.#peer.write(refused)
        return
      case 'garbage':
        this.#peer.write('garbage, and a good deal of it\r\n\r\n')
        return
      case 'close':
        this.#peer.write(granted.slice(0, 3))
        this.#peer.end()
        return
      case 'reset':
        this.#peer.reset()
    }
  }

  #complain(text: string): void {
    this.#proxy.complaints.push(`a proxy was told ${JSON.stringify(text)}`)
  }
}

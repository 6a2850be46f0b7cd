/**
 * Names, routes and listening queues: who answers at an address, and how a connection comes about. Hosts are up unless
 * told otherwise; an address nobody listens on refuses. Each new connection draws its link and its faults.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { Family, type SocketAddress, SocketOption } from '../../lib/sys/kernel.ts'
import { type Link, LOOPBACK } from './channel.ts'
import type { Faults } from './faults.ts'
import { fail, SIM_ERRNO } from './open-file.ts'
import { StreamSocket } from './stream-socket.ts'
import { UnixNames } from './unix-names.ts'
import type { World } from './world.ts'

export type Route = 'up' | 'blackhole' | 'unreachable'

const EPHEMERAL_FIRST = 32768
const CONNECT_TIMEOUT_MS = 127_000
const SYN_RETRY_MS = 1000
const WILDCARDS = new Set(['0.0.0.0', '::'])

export function sameFamilyAny(family: Family): string {
  return family === Family.IPV6 ? '::' : family === Family.IPV4 ? '0.0.0.0' : ''
}

const LOOPBACK_ADDRESSES: readonly SocketAddress[] = [
  { family: Family.IPV4, address: '127.0.0.1', port: 0 },
  { family: Family.IPV6, address: '::1', port: 0 },
]

export class Network {
  readonly #world: World
  readonly #faults: Faults
  readonly #bound = new Set<StreamSocket>()
  readonly #routes = new Map<string, Route>()
  readonly #foreignAddresses = new Set<string>()
  readonly unixNames: UnixNames = new UnixNames()
  readonly devices: Map<string, readonly SocketAddress[]> = new Map([['lo', LOOPBACK_ADDRESSES]])
  mayBindToDevice = true
  #nextPort = EPHEMERAL_FIRST
  /** The link of the next connection. */
  drawLink: () => Link = () => LOOPBACK
  connectionsMade = 0

  constructor(world: World, faults: Faults) {
    this.#world = world
    this.#faults = faults
  }

  /** What becomes of packets to this address. */
  setRoute(address: string, route: Route): void {
    this.#routes.set(address, route)
  }

  /** Lets sockets bind to this address besides the loopback ones. */
  addAddress(address: string): void {
    this.#foreignAddresses.add(address)
  }

  /** Any device leads everywhere here; all that matters is whether there is one, and whether one may. */
  bindToDevice(device: string): number {
    if (!this.devices.has(device)) return fail('ENODEV')
    return this.mayBindToDevice ? 0 : fail('EPERM')
  }

  bind(socket: StreamSocket, family: Family, address: string, port: number): number {
    if (!this.#isAddress(family, address)) return fail('EINVAL')
    if (family !== socket.family) return this.#wrongFamily(socket, family)
    if (socket.isUnix) return this.#bindUnix(socket, address)
    if (!socket.mayBind) return fail('EINVAL')
    if (!this.#isLocal(address)) return fail('EADDRNOTAVAIL')
    const chosen = port === 0 ? this.#freePort(socket, address) : port
    if (this.#conflict(socket, address, chosen, false)) return fail('EADDRINUSE')
    this.#hold(socket, { family, address, port: chosen })
    socket.hasChosenPort = port !== 0
    socket.hasChosenAddress = !WILDCARDS.has(address)
    return 0
  }

  #bindUnix(socket: StreamSocket, path: string): number {
    const name = path === '' ? `\0auto${this.#nextPort++}` : path
    // A path is made in the file system before anybody looks at the socket.
    const { unixNames } = this
    if (!name.startsWith('\0') && unixNames.has(name)) return fail('EADDRINUSE')
    if (!socket.mayBind) return fail('EINVAL')
    if (unixNames.has(name)) return fail('EADDRINUSE')
    unixNames.bind(name, socket)
    socket.local = { family: Family.UNIX, address: name, port: 0 }
    return 0
  }

  listen(socket: StreamSocket, backlog: number): number {
    if (socket.state === 'listening') {
      socket.backlog = { limit: Math.max(1, backlog), queue: socket.backlog?.queue ?? [] }
      return 0
    }
    if (socket.state !== 'fresh') return fail('EINVAL')
    if (socket.local === null) {
      if (socket.isUnix) return fail('EINVAL')
      this.#autobind(socket)
    }
    const { address, port } = socket.local as unknown as SocketAddress
    if (!socket.isUnix && this.#conflict(socket, address, port, true)) return fail('EADDRINUSE')
    socket.backlog = { limit: Math.max(1, backlog), queue: [] }
    socket.state = 'listening'
    return 0
  }

  connect(socket: StreamSocket, family: Family, address: string, port: number): number {
    if (!this.#isAddress(family, address)) return fail('EINVAL')
    if (socket.isUnix) return family === Family.UNIX ? this.#connectUnix(socket, address) : fail('EINVAL')
    if (socket.isSpoilt) return fail('EINVAL')
    switch (socket.state) {
      case 'connecting':
        return fail('EALREADY')
      case 'listening':
        return fail('EISCONN')
      case 'connected':
        if (socket.connectReported) return fail('EISCONN')
        socket.connectReported = true
        return socket.isOver ? -(socket.takeError() || SIM_ERRNO.ECONNABORTED) : 0
      case 'failed': {
        const error = socket.takeError() || SIM_ERRNO.ECONNABORTED
        socket.state = 'fresh'
        if (socket.hasLostPort && !socket.hasChosenAddress) this.#letGo(socket)
        return -error
      }
      default:
    }
    if (family !== socket.family) return this.#wrongFamily(socket, family)
    return this.#connectInternet(socket, address, port)
  }

  #connectUnix(socket: StreamSocket, path: string): number {
    if (!this.unixNames.has(path)) return fail(path.startsWith('\0') ? 'ECONNREFUSED' : 'ENOENT')
    const listener = this.unixNames.socketAt(path)
    if (listener?.state !== 'listening' || listener.backlog === null) return fail('ECONNREFUSED')
    if (listener.backlog.queue.length > listener.backlog.limit) return fail('EAGAIN')
    if (socket.state !== 'fresh') return fail(socket.state === 'connected' ? 'EISCONN' : 'EINVAL')
    const accepted = new StreamSocket(this.#world, Family.UNIX)
    accepted.local = listener.local
    accepted.remote = socket.local ?? { family: Family.UNIX, address: '', port: 0 }
    accepted.connectReported = true
    socket.remote = listener.local
    StreamSocket.join(socket, accepted, LOOPBACK)
    socket.connectReported = true
    socket.establish()
    accepted.establish()
    listener.backlog.queue.push(accepted)
    listener.changed()
    return 0
  }

  #connectInternet(socket: StreamSocket, address: string, port: number): number {
    const faults = this.#faults
    const { random } = this.#world
    const route = this.#routes.get(address) ?? 'up'
    if (route === 'unreachable' || random.chance(faults.connectUnreachable)) return fail('ENETUNREACH')
    if (socket.local === null || socket.hasLostPort) this.#autobind(socket, address)
    const target = WILDCARDS.has(address) ? (socket.family === Family.IPV6 ? '::1' : '127.0.0.1') : address
    socket.remote = { family: socket.family, address: target, port }
    socket.state = 'connecting'
    socket.connectReported = false
    const link = this.drawLink()
    const latency = link.latencyMs + (random.chance(faults.connectSlow) ? random.unit() * 3000 : 0)
    const timeout = this.#world.after(CONNECT_TIMEOUT_MS, () => {
      if (socket.state === 'connecting') socket.failConnect(SIM_ERRNO.ETIMEDOUT)
    })
    const settle = (): void => {
      timeout.cancelled = true
    }
    if (route === 'blackhole' || random.chance(faults.connectBlackHole)) return fail('EINPROGRESS')
    const refused = random.chance(faults.connectRefused)
    this.#later(latency, () => this.#arriveSyn(socket, link, latency, refused, settle))
    return fail('EINPROGRESS')
  }

  #arriveSyn(socket: StreamSocket, link: Link, latency: number, refused: boolean, settle: () => void): void {
    if (socket.state !== 'connecting' || socket.remote === null) return settle()
    const listener = refused ? null : this.#listenerFor(socket.remote)
    if (listener === null || listener.backlog === null) {
      this.#later(latency, () => {
        settle()
        if (socket.state === 'connecting') socket.failConnect(SIM_ERRNO.ECONNREFUSED)
      })
      return
    }
    if (listener.backlog.queue.length > listener.backlog.limit) {
      this.#world.after(SYN_RETRY_MS, () => this.#arriveSyn(socket, link, latency, false, settle))
      return
    }
    const accepted = this.#accepted(socket, listener)
    StreamSocket.join(socket, accepted, link)
    this.#drawFate(socket, accepted)
    accepted.establish()
    this.connectionsMade++
    listener.backlog.queue.push(accepted)
    listener.changed()
    this.#later(latency, () => {
      settle()
      if (socket.state === 'connecting') socket.establish()
      else accepted.receiveReset()
    })
  }

  #accepted(socket: StreamSocket, listener: StreamSocket): StreamSocket {
    const accepted = new StreamSocket(this.#world, listener.family)
    const mapped = (address: string): string =>
      listener.family === Family.IPV6 && socket.family === Family.IPV4 ? `::ffff:${address}` : address
    const remote = socket.remote as SocketAddress
    const local = socket.local as SocketAddress
    accepted.local = { family: listener.family, address: mapped(remote.address), port: remote.port }
    accepted.remote = { family: listener.family, address: mapped(local.address), port: local.port }
    for (const [option, value] of listener.options) accepted.options.set(option, value)
    accepted.lingerZero = listener.lingerZero
    accepted.connectReported = true
    return accepted
  }

  #drawFate(client: StreamSocket, server: StreamSocket): void {
    const { random } = this.#world
    const discards = random.chance(this.#faults.resetDiscards)
    client.discardsOnReset = discards
    server.discardsOnReset = discards
    if (random.chance(this.#faults.resetInFlight)) {
      const doomed = random.chance(0.5) ? client : server
      doomed.resetAfterBytes = Math.floor(20 * 2 ** (random.unit() * 12))
    }
  }

  #listenerFor(target: SocketAddress): StreamSocket | null {
    const candidates: StreamSocket[] = []
    for (const socket of this.#bound) {
      if (socket.state !== 'listening' || socket.local === null || socket.local.port !== target.port) continue
      const { address } = socket.local
      const exact = socket.family === target.family && address === target.address
      const any = address === sameFamilyAny(target.family) && socket.family === target.family
      const dual = address === '::' && target.family === Family.IPV4 && !socket.options.get(SocketOption.V6_ONLY)
      if (exact || any || dual) candidates.push(socket)
    }
    if (candidates.length < 2) return candidates[0] ?? null
    const exact = candidates.filter((socket) => socket.local?.address === target.address)
    return this.#world.random.pick(exact.length > 0 ? exact : candidates)
  }

  #later(delay: number, action: () => void): void {
    if (delay <= 0) action()
    else this.#world.after(delay, action)
  }

  #hold(socket: StreamSocket, local: SocketAddress): void {
    socket.local = local
    socket.hasLostPort = false
    socket.isRebound = socket.isOver
    this.#bound.add(socket)
    socket.onClosed = () => this.#bound.delete(socket)
  }

  #letGo(socket: StreamSocket): void {
    socket.onClosed?.()
    socket.onClosed = null
    socket.local = null
  }

  #autobind(socket: StreamSocket, target = ''): void {
    const loopback = socket.family === Family.IPV6 ? '::1' : '127.0.0.1'
    const address = target === '' ? sameFamilyAny(socket.family) : loopback
    this.#hold(socket, { family: socket.family, address, port: this.#freePort(socket, address) })
  }

  #freePort(socket: StreamSocket, address: string): number {
    for (;;) {
      const port = this.#nextPort++
      if (this.#nextPort > 60999) this.#nextPort = EPHEMERAL_FIRST
      if (!this.#conflict(socket, address, port, false)) return port
    }
  }

  #conflict(socket: StreamSocket, address: string, port: number, toListen: boolean): boolean {
    for (const other of this.#bound) {
      if (other === socket || other.local === null || other.local.port !== port) continue
      if (!this.#overlap(socket, address, other)) continue
      const both = (option: SocketOption): boolean =>
        Boolean(socket.options.get(option)) && Boolean(other.options.get(option))
      if (both(SocketOption.REUSE_PORT)) continue
      if (toListen && other.state !== 'listening') continue
      if (!toListen && both(SocketOption.REUSE_ADDRESS) && other.state !== 'listening') continue
      return true
    }
    return false
  }

  #overlap(socket: StreamSocket, address: string, other: StreamSocket): boolean {
    const otherAddress = (other.local as SocketAddress).address
    if (socket.family === other.family) {
      return address === otherAddress || WILDCARDS.has(address) || WILDCARDS.has(otherAddress)
    }
    const six = socket.family === Family.IPV6 ? socket : other
    const sixAddress = socket.family === Family.IPV6 ? address : otherAddress
    return sixAddress === '::' && !six.options.get(SocketOption.V6_ONLY)
  }

  #isAddress(family: Family, address: string): boolean {
    if (family === Family.UNIX) return address.startsWith('\0') || !address.includes('\0')
    return family === Family.IPV4 ? isIPv4(address) : isIPv6(address)
  }

  /** Linux looks at the length of an address first, and an IPv4 one is too short for an IPv6 socket. */
  #wrongFamily(socket: StreamSocket, family: Family): number {
    const isShort = socket.family === Family.IPV6 && family === Family.IPV4
    return fail(socket.isUnix || isShort ? 'EINVAL' : 'EAFNOSUPPORT')
  }

  #isLocal(address: string): boolean {
    return (
      WILDCARDS.has(address) || address.startsWith('127.') || address === '::1' || this.#foreignAddresses.has(address)
    )
  }
}

/** Opening on the simulated kernel: what each refused call leaves behind, and whose a descriptor is afterwards. */
import { describe, expect, it } from 'vitest'
import { SystemError } from '../../../lib/base/errors.ts'
import { type ListenOptions, listenSettings } from '../../../lib/server/listening/listen-options.ts'
import {
  closeListenSocket,
  type ListenSocket,
  openListenSocket,
  type SocketHost,
} from '../../../lib/server/listening/listen-socket.ts'
import { Family, SocketOption } from '../../../lib/sys/kernel.ts'
import { fail } from '../../sim/open-file.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { StreamSocket } from '../../sim/stream-socket.ts'

function hostOf({ kernel }: Simulation): SocketHost {
  return { kernel, closeFd: (fd, generation) => void kernel.close(fd, generation), letGoOfFd: () => {} }
}

function open(simulation: Simulation, options: ListenOptions): ListenSocket | SystemError {
  return openListenSocket(hostOf(simulation), listenSettings(options))
}

function mustOpen(simulation: Simulation, options: ListenOptions): ListenSocket {
  const socket = open(simulation, options)
  if (socket instanceof SystemError) throw socket
  return socket
}

/** A foreign listening descriptor. */
function inherit(simulation: Simulation, listens = true): number {
  const { kernel, world } = simulation
  const socket = new StreamSocket(world, Family.IPV4)
  kernel.network.bind(socket, Family.IPV4, '127.0.0.1', 8080)
  if (listens) kernel.network.listen(socket, 1)
  return kernel.openForeign(socket)
}

describe('when the n-th call fails, nothing is left open and no file is left', () => {
  it.each<[string, ListenOptions]>([
    ['an address', { host: '127.0.0.1', port: 8080, reusePort: true, deferAccept: true, fastOpen: true }],
    ['every address', { port: 8080 }],
    ['a path', { path: '/run/a', mode: 0o666 }],
    ['a stale path', { path: '/run/stale', mode: 0o600, stale: 'replace' }],
    ['an abstract path', { path: '\0a' }],
  ])('for %s', (_, options) => {
    for (let n = 1, ran = false; !ran; n++) {
      const simulation = simulate(n)
      const { kernel } = simulation
      const gone = kernel.socket(Family.UNIX)
      kernel.bind(gone, Family.UNIX, '/run/stale', 0)
      kernel.close(gone)
      const before = kernel.table.openCount
      kernel.failNth(n)
      const socket = open(simulation, options)
      const { injected } = kernel.gate
      kernel.failNth(0)
      ran = injected === null
      const isOpen = !(socket instanceof SystemError)
      if (isOpen) closeListenSocket(hostOf(simulation), socket)
      expect(kernel.table.openCount, String(injected)).toBe(before)
      for (const path of ['/run/a', '/run/stale.lock']) expect(kernel.fileIdentity(path)).toBe(fail('ENOENT'))
      expect(kernel.violations).toEqual([])
      // What cannot be probed counts as in use.
      if (!isOpen) expect([injected?.split(' ')[2], 'EADDRINUSE']).toContain(socket.code)
      if (ran) expect(n).toBeGreaterThan(4)
    }
  })
})

it('sets the options it was asked for before it binds', () => {
  const simulation = simulate(1)
  const { kernel } = simulation
  const { fd } = mustOpen(simulation, { port: 8080, reusePort: true, deferAccept: true, fastOpen: 7 })
  const value = (option: SocketOption): number => kernel.getOption(fd, option)
  expect(value(SocketOption.REUSE_ADDRESS)).toBe(1)
  expect(value(SocketOption.REUSE_PORT)).toBe(1)
  expect(value(SocketOption.V6_ONLY)).toBe(0)
  expect(value(SocketOption.DEFER_ACCEPT)).toBe(1)
  expect(value(SocketOption.FAST_OPEN)).toBe(7)
  const six = mustOpen(simulation, { host: '::', port: 8081, ipv6Only: true, reuseAddress: false })
  expect(kernel.getOption(six.fd, SocketOption.V6_ONLY)).toBe(1)
  expect(kernel.getOption(six.fd, SocketOption.REUSE_ADDRESS)).toBe(0)
})

describe('where there is no IPv6', () => {
  function withoutIpv6(): Simulation {
    const simulation = simulate(1)
    const { kernel } = simulation
    const works = kernel.socket
    kernel.socket = (family) => (family === Family.IPV6 ? fail('EAFNOSUPPORT') : works.call(kernel, family))
    return simulation
  }

  it('every address means every one of IPv4', () => {
    expect(mustOpen(withoutIpv6(), { port: 8080 }).address).toEqual({
      family: Family.IPV4,
      address: '0.0.0.0',
      port: 8080,
    })
  })

  it.each<ListenOptions>([
    { host: '::', port: 8080 },
    { host: '*', port: 8080, ipv6Only: true },
    { host: '*', port: 8080, ipv6Only: false },
  ])('%j is an error', (options) => {
    expect(open(withoutIpv6(), options)).toMatchObject({ code: 'EAFNOSUPPORT', syscall: 'socket', address: '::' })
  })

  it('a port in use is an error, and no reason for another family', () => {
    const simulation = simulate(1)
    mustOpen(simulation, { host: '0.0.0.0', port: 8080 })
    expect(open(simulation, { port: 8080 })).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', address: '::' })
  })
})

describe('a descriptor from elsewhere', () => {
  it('is ours while it listens, and nobody’s again afterwards', () => {
    const simulation = simulate(1)
    const { kernel } = simulation
    const fd = inherit(simulation)
    const socket = mustOpen(simulation, { fd, backlog: 0 })
    expect(socket).toMatchObject({ fd, owned: false, address: { address: '127.0.0.1', port: 8080 } })
    expect(kernel.table.ownership(fd)).toBe('owned')
    closeListenSocket(hostOf(simulation), socket)
    expect(kernel.table.ownership(fd)).toBe('foreign')
    closeListenSocket(hostOf(simulation), mustOpen(simulation, { fd, closeOnEnd: true }))
    expect(kernel.table.ownership(fd)).toBe(null)
  })

  it('that this thread has already stays its', () => {
    const simulation = simulate(1)
    const { kernel } = simulation
    const fd = kernel.socket(Family.IPV4)
    kernel.bind(fd, Family.IPV4, '127.0.0.1', 8080)
    const socket = mustOpen(simulation, { fd, backlog: 5 })
    expect(kernel.getOption(fd, SocketOption.ACCEPTING)).toBe(1)
    closeListenSocket(hostOf(simulation), socket)
    expect(kernel.table.ownership(fd)).toBe('owned')
  })

  it('that was offered is taken once', () => {
    const simulation = simulate(1)
    const { kernel } = simulation
    const before = kernel.table.openCount
    const { fd, address, file } = mustOpen(simulation, { host: '127.0.0.1', port: 8080 })
    const handle = { fd, address, file, generation: kernel.offer(fd) }
    const socket = mustOpen(simulation, { fd: handle, backlog: 0 })
    expect(socket).toMatchObject({ fd, owned: true, address })
    expect(socket.generation).toBe(kernel.generation(fd))
    expect(open(simulation, { fd: handle })).toMatchObject({ code: 'ESTALE', syscall: 'listen', port: 8080 })
    const again = { ...handle, generation: kernel.offer(fd) }
    kernel.failNth(2)
    expect(open(simulation, { fd: again })).toBeInstanceOf(SystemError)
    expect(kernel.table.openCount).toBe(before)
  })

  it('is refused when it cannot listen, and stays whose it was', () => {
    const simulation = simulate(1)
    const { kernel } = simulation
    const bound = inherit(simulation, false)
    expect(open(simulation, { fd: bound, backlog: 0 })).toMatchObject({ code: 'EINVAL', syscall: 'listen' })
    expect(kernel.table.ownership(bound)).toBe('foreign')
    const pair = new Int32Array(2)
    kernel.pipe(pair)
    expect(open(simulation, { fd: pair[0] as number })).toMatchObject({ code: 'ENOTSOCK', syscall: 'getsockopt' })
    expect(kernel.table.ownership(pair[0] as number)).toBe('owned')
    expect(open(simulation, { fd: 999 })).toMatchObject({ code: 'EBADF' })
  })
})

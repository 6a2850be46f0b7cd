import { mkdtempSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Family, type SocketAddress } from '../../lib/sys/kernel.ts'
import { kernel } from '../../lib/sys/native.ts'
import { describeWhen } from '../support/peers.ts'
import { answer, checkForLeaks, closeAll, LOCAL, must, openPair, recvText, sendText, waitFor } from './support.ts'

checkForLeaks()

function bound(family: Family, address: string, port: number = 0): { fd: number; result: number | string } {
  const fd = must(kernel.socket(family))
  return { fd, result: answer(kernel.bind(fd, family, address, port)) }
}

function bindResult(family: Family, address: string): number | string {
  const { fd, result } = bound(family, address)
  closeAll(fd)
  return result
}

const hasIpv6 = bindResult(Family.IPV6, '::1') === 0
const interfaces = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
  (list ?? []).map((entry) => ({ name, ...entry })),
)
const linkLocal = interfaces.find((entry) => entry.family === 'IPv6' && entry.address.startsWith('fe80:'))

function listenAt(family: Family, address: string): { fd: number; local: SocketAddress } {
  const { fd, result } = bound(family, address)
  expect(result).toBe(0)
  must(kernel.listen(fd, 1))
  return { fd, local: kernel.localAddress(fd) as SocketAddress }
}

describe('a network device', () => {
  it('has the addresses that the system says', () => {
    const loopback = interfaces.filter(({ internal }) => internal)
    for (const { name, address } of loopback) {
      expect(kernel.deviceAddresses(name).map((own) => own.address.split('%')[0])).toContain(address)
    }
    expect(kernel.deviceAddresses('nowhere7')).toEqual([])
    expect(kernel.deviceAddresses('constructor')).toEqual([])
  })

  it('holds a socket, or says why not', () => {
    const fd = must(kernel.socket(Family.IPV4))
    const [name = 'lo'] = interfaces.filter(({ internal }) => internal).map((entry) => entry.name)
    expect([0, 'EPERM', 'ENOPROTOOPT']).toContain(answer(kernel.bindToDevice(fd, name)))
    expect(answer(kernel.bindToDevice(fd, 'nowhere7'))).toMatch(/ENODEV|EPERM|ENOPROTOOPT|UNKNOWN/)
    for (const wrong of ['', 'x'.repeat(16), 'x'.repeat(600)]) {
      expect(answer(kernel.bindToDevice(fd, wrong))).toBe('EINVAL')
    }
    closeAll(fd)
  })
})

/** Connects to what listens there; local and peer addresses of both ends agree. */
function meet(family: Family, address: string): SocketAddress {
  const listener = listenAt(family, address)
  const client = must(kernel.socket(family))
  const result = kernel.connect(client, family, listener.local.address, listener.local.port)
  expect([0, 'EINPROGRESS']).toContain(answer(result))
  waitFor(listener.fd, 1)
  const server = must(kernel.accept(listener.fd))
  waitFor(client, 2)
  expect(kernel.peerAddress(client)).toEqual(listener.local)
  expect(kernel.peerAddress(server)).toEqual(kernel.localAddress(client))
  sendText(client, 'hello')
  waitFor(server, 1)
  expect(recvText(server)).toBe('hello')
  closeAll(client, server, listener.fd)
  return listener.local
}

describe('IPv4', () => {
  it('addresses are told as text and port', () => {
    const local = meet(Family.IPV4, LOCAL)
    expect(local).toEqual({ family: Family.IPV4, address: LOCAL, port: local.port })
    expect(local.port).toBeGreaterThan(0)
  })

  it.each(['', 'localhost', '127.0.0.1 ', '127.1', '256.0.0.1', '::1', '127.0.0.1\0', 'x'.repeat(5000)])(
    '%j is no address',
    (text) => {
      expect(bindResult(Family.IPV4, text)).toBe('EINVAL')
    },
  )

  it('of an unconnected socket has no peer', () => {
    const fd = must(kernel.socket(Family.IPV4))
    expect(answer(kernel.peerAddress(fd) as number)).toBe('ENOTCONN')
    closeAll(fd)
  })

  it('refuses an address that is not of this machine, and one in use', () => {
    expect(bindResult(Family.IPV4, '198.51.100.1')).toBe('EADDRNOTAVAIL')
    const listener = listenAt(Family.IPV4, LOCAL)
    const second = bound(Family.IPV4, LOCAL, listener.local.port)
    expect(second.result).toBe('EADDRINUSE')
    closeAll(listener.fd, second.fd)
  })
})

describe('text that is no IPv6 address', () => {
  it.each(['', '127.0.0.1', '[::1]', ':::1', '::1\0', '%lo', 'x'.repeat(5000)])('%j is EINVAL', (text) => {
    const fd = must(kernel.socket(Family.IPV4))
    expect(answer(kernel.bind(fd, Family.IPV6, text, 0))).toBe('EINVAL')
    closeAll(fd)
  })

  it('is EADDRNOTAVAIL when only its scope is unknown', () => {
    const fd = must(kernel.socket(Family.IPV4))
    for (const scope of ['', 'nowhere', '0', '99999999999', '1x']) {
      expect(answer(kernel.bind(fd, Family.IPV6, `fe80::1%${scope}`, 0))).toBe('EADDRNOTAVAIL')
    }
    closeAll(fd)
  })
})

describeWhen(hasIpv6, 'IPv6', 'this machine has no IPv6', () => {
  it('addresses are told as text and port', () => {
    expect(meet(Family.IPV6, '::1')).toMatchObject({ family: Family.IPV6, address: '::1' })
  })
})

describeWhen(hasIpv6 && linkLocal !== undefined, 'IPv6 scopes', 'no interface has a link-local address', () => {
  it('are told by the name of the interface, and understood as name and number', () => {
    const { address, name, scopeid } = linkLocal as { address: string; name: string; scopeid: number }
    expect(meet(Family.IPV6, `${address}%${name}`).address).toBe(`${address}%${name}`)
    expect(meet(Family.IPV6, `${address}%${scopeid}`).address).toBe(`${address}%${name}`)
  })
})

describe('unix sockets', () => {
  function withDirectory(body: (directory: string) => void): void {
    const directory = mkdtempSync(join(tmpdir(), 'sockmux-'))
    try {
      body(directory)
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  it('meet at a path', () => {
    withDirectory((directory) => {
      const path = join(directory, 'möwe')
      expect(meet(Family.UNIX, path)).toEqual({ family: Family.UNIX, address: path, port: 0 })
    })
  })

  it('of a pair are unnamed', () => {
    const [fd, peer] = openPair()
    const unnamed = { family: Family.UNIX, address: '', port: 0 }
    expect(kernel.localAddress(fd)).toEqual(unnamed)
    expect(kernel.peerAddress(peer)).toEqual(unnamed)
    closeAll(fd, peer)
  })

  it('refuse a path that does not fit, or that holds a NUL', () => {
    withDirectory((directory) => {
      for (const length of [108, 200, 5000]) {
        expect(bindResult(Family.UNIX, join(directory, 'x'.repeat(length)))).toBe('ENAMETOOLONG')
      }
      expect(bindResult(Family.UNIX, join(directory, 'a\0b'))).toBe('EINVAL')
      const longest = join(directory, 'x'.repeat(107 - directory.length - 1))
      expect(meet(Family.UNIX, longest).address).toBe(longest)
    })
  })

  it('connect to nothing with ENOENT', () => {
    withDirectory((directory) => {
      const fd = must(kernel.socket(Family.UNIX))
      expect(answer(kernel.connect(fd, Family.UNIX, join(directory, 'none'), 0))).toBe('ENOENT')
      closeAll(fd)
    })
  })
})

describeWhen(process.platform === 'linux', 'abstract unix sockets', 'only Linux has them', () => {
  it('meet at a name that may hold any character', () => {
    const name = `\0sockmux-${process.pid}\0x`
    expect(meet(Family.UNIX, name)).toEqual({ family: Family.UNIX, address: name, port: 0 })
    expect(bindResult(Family.UNIX, `\0${'x'.repeat(107)}`)).toBe(0)
    expect(bindResult(Family.UNIX, `\0${'x'.repeat(108)}`)).toBe('ENAMETOOLONG')
  })

  it('are named by the system when bound to nothing', () => {
    const { fd, result } = bound(Family.UNIX, '')
    expect(result).toBe(0)
    expect((kernel.localAddress(fd) as SocketAddress).address).toMatch(/^\0./)
    closeAll(fd)
  })
})

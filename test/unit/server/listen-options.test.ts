import { describe, expect, it } from 'vitest'
import { type ListenOptions, listenSettings } from '../../../lib/server/listening/listen-options.ts'
import { Family } from '../../../lib/sys/kernel.ts'

const UNIX = { path: '/run/a' }
const ABSTRACT = { path: '\0a' }
const HANDLE = { fd: 5, generation: 2, address: { family: Family.IPV4, address: '127.0.0.1', port: 80 }, file: null }

describe('what contradicts itself is refused by name', () => {
  it.each<[ListenOptions, RegExp]>([
    [{}, /one of port, path and fd/],
    [{ host: '127.0.0.1' }, /one of port, path and fd/],
    [{ port: 80, path: '/run/a' }, /option port does not go with path, got 80/],
    [{ ...UNIX, host: '::1' }, /option host does not go with path, got "::1"/],
    [{ ...UNIX, reuseAddress: true }, /option reuseAddress does not go with path/],
    [{ ...UNIX, reusePort: true }, /option reusePort does not go with path/],
    [{ ...UNIX, ipv6Only: false }, /option ipv6Only does not go with path/],
    [{ ...UNIX, deferAccept: true }, /option deferAccept does not go with path/],
    [{ ...ABSTRACT, mode: 0o600 }, /option mode does not go with an abstract path/],
    [{ ...ABSTRACT, stale: 'replace' }, /option stale does not go with an abstract path/],
    [{ port: 0, mode: 0o600 }, /option mode does not go with port/],
    [{ port: 0, stale: 'refuse' }, /option stale does not go with port/],
    [{ fd: 3, port: 0 }, /option port does not go with fd/],
    [{ fd: 3, ...UNIX }, /option path does not go with fd/],
    [{ fd: HANDLE, reusePort: false }, /option reusePort does not go with fd/],
    [{ host: '127.0.0.1', port: 0, ipv6Only: true }, /option ipv6Only must be absent .* IPv4 host "127\.0\.0\.1"/],
  ])('%j', (options, message) => {
    expect(() => listenSettings(options)).toThrow(TypeError)
    expect(() => listenSettings(options)).toThrow(message)
  })
})

describe('wrong values are refused by name', () => {
  it.each<[object, RegExp]>([
    [{ port: 0, prot: 1 }, /listen options: unknown option "prot"/],
    [{ Port: 0 }, /did you mean port\?/],
    [{ port: '80' }, /option port must be a number, not "80"/],
    [{ port: 65_536 }, /option port .* not 65536/],
    [{ port: -1 }, /option port/],
    [{ host: 'example.com', port: 0 }, /option host must be an IP address.*not "example\.com"/],
    [{ host: '', port: 0 }, /option host/],
    [{ host: '[127.0.0.1]', port: 0 }, /option host/],
    [{ port: 0, backlog: 0 }, /option backlog must be at least 1; 0 is for a descriptor/],
    [{ port: 0, backlog: -1 }, /option backlog/],
    [{ path: '' }, /option path/],
    [{ path: '/run/a\0b' }, /option path/],
    [{ ...UNIX, mode: 0o1000 }, /option mode/],
    [{ ...UNIX, stale: 'remove' }, /option stale must be 'refuse' or 'replace', not "remove"/],
    [{ port: 0, acceptBudget: 0 }, /option acceptBudget/],
    [{ port: 0, fastOpen: 1.5 }, /option fastOpen/],
    [{ port: 0, noDelay: 1 }, /option noDelay/],
    [{ path: '/run/a', noDelay: true }, /option noDelay does not go with path/],
    [{ fd: -1 }, /option fd/],
    [{ fd: 'three' }, /option fd/],
    [{ fd: { fd: 3 } }, /option fd\.generation/],
    [{ port: 0, enabled: 1 }, /option enabled/],
  ])('%j', (options, message) => {
    expect(() => listenSettings(options as ListenOptions)).toThrow(message)
  })
})

it('has defaults that are said', () => {
  expect(listenSettings({ port: 80 })).toEqual({
    target: {
      kind: 'internet',
      address: { family: Family.IPV6, address: '::', port: 80 },
      fallback: { family: Family.IPV4, address: '0.0.0.0', port: 80 },
      reuseAddress: true,
      reusePort: false,
      ipv6Only: false,
      deferAccept: 0,
      fastOpen: 0,
    },
    backlog: 65_535,
    noDelay: true,
    enabled: true,
    closeOnEnd: true,
    acceptBudget: 64,
    name: '',
  })
  expect(listenSettings(UNIX).target).toMatchObject({ kind: 'unix', mode: null, replaceStale: false })
})

it('closes what it opened or was handed, and leaves a bare number open', () => {
  expect(listenSettings({ fd: 3 })).toMatchObject({ closeOnEnd: false, target: { fd: 3, handle: null } })
  expect([listenSettings({ fd: 3 }).noDelay, listenSettings({ fd: HANDLE }).noDelay]).toEqual([true, false])
  expect(listenSettings({ fd: HANDLE })).toMatchObject({ closeOnEnd: true, target: { fd: 5, handle: HANDLE } })
  expect(listenSettings({ fd: 3, backlog: 0, closeOnEnd: true })).toMatchObject({
    closeOnEnd: true,
    target: { mustListen: true },
  })
})

it.each<[string, Family, string]>([
  ['localhost', Family.IPV4, '127.0.0.1'],
  ['0.0.0.0', Family.IPV4, '0.0.0.0'],
  ['::1', Family.IPV6, '::1'],
  ['[::1]', Family.IPV6, '::1'],
  ['fe80::1%eth0', Family.IPV6, 'fe80::1%eth0'],
])('host %s is one address, without a fallback', (host, family, address) => {
  expect(listenSettings({ host, port: 1 }).target).toMatchObject({
    address: { family, address, port: 1 },
    fallback: null,
  })
})

it('falls back to IPv4 unless it was told what to do', () => {
  expect(listenSettings({ host: '*', port: 1, ipv6Only: false }).target).toMatchObject({ fallback: null })
  expect(listenSettings({ host: '*', port: 1, ipv6Only: true }).target).toMatchObject({ fallback: null })
})

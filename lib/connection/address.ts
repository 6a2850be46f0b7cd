/**
 * Addresses as text and as a list to try: which hosts are IP literals, in which order a name's addresses are tried
 * (RFC 8305 §4), how host and port are written together.
 */
import { isIP } from 'node:net'
import { Family, type SocketAddress } from '../sys/kernel.ts'

export type IpFamily = typeof Family.IPV4 | typeof Family.IPV6

/** 'example.com' stays, '[::1]' becomes '::1'. */
export function stripBrackets(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
}

/** The family of an IP literal without brackets ('fe80::1%eth0' is one), 0 for anything else. */
export function ipFamily(host: string): IpFamily | 0 {
  const version = isIP(host)
  return version === 4 ? Family.IPV4 : version === 6 ? Family.IPV6 : 0
}

/** The address that a literal spells, brackets around IPv6 allowed; null when the host is a name. */
export function parseIpLiteral(host: string, port = 0): SocketAddress | null {
  const bare = stripBrackets(host)
  const family = ipFamily(bare)
  if (family === 0 || (bare !== host && family !== Family.IPV6)) return null
  return { family, address: bare, port }
}

/**
 * The addresses to try, at most `limit`, without duplicates. The resolver's order decides which family is first and
 * the order within each family; then the families alternate, so that one dead family costs one attempt, not all.
 */
export function interleaveFamilies(addresses: readonly SocketAddress[], limit: number): SocketAddress[] {
  const first: SocketAddress[] = []
  const second: SocketAddress[] = []
  const seen = new Set<string>()
  for (const address of addresses) {
    if (seen.has(address.address)) continue
    seen.add(address.address)
    if (address.family === addresses[0]?.family) first.push(address)
    else second.push(address)
  }
  const order: SocketAddress[] = []
  for (let index = 0; order.length < limit && index < Math.max(first.length, second.length); index++) {
    const one = first[index]
    const other = second[index]
    if (one !== undefined) order.push(one)
    if (other !== undefined && order.length < limit) order.push(other)
  }
  return order
}

/** 'example.com:80', '[::1]:80'. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]:${port}` : `${host}:${port}`
}

/** As formatHostPort; a unix socket by its path, '@name' when abstract, 'unix' when it has no name. */
export function formatSocketAddress(address: SocketAddress): string {
  if (address.family !== Family.UNIX) return formatHostPort(address.address, address.port)
  if (address.address === '') return 'unix'
  return address.address.startsWith('\0') ? `@${address.address.slice(1)}` : address.address
}

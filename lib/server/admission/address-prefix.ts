/**
 * Under which key the connections of one neighbourhood are counted: an IPv4 address by its first 32 bits, IPv6 by its
 * first 64 unless told otherwise, since one customer is given a whole /64. An IPv4 address in IPv6 clothes is the IPv4
 * address. Peers without an IP address have no key and are not counted.
 */
import { Family, type SocketAddress } from '../../sys/kernel.ts'
import { ipBytes, ipv4Value } from '../../wire/ip-address.ts'

/** A number for IPv4, a text for IPv6. Means something only among keys of the same lengths. */
export type PrefixKey = number | string

export interface PrefixLengths {
  /** Bits, 1…32. */
  readonly ipv4: number
  /** Bits, 1…128. */
  readonly ipv6: number
}

const LOOPBACK_FIRST_BYTE = 127
const MAPPED_AT = 12

export function prefixKey(peer: SocketAddress, lengths: PrefixLengths): PrefixKey | null {
  if (peer.family === Family.UNIX) return null
  const four = ipv4Of(peer.address)
  if (four >= 0) return lengths.ipv4 === 32 ? four : Math.floor(four / 2 ** (32 - lengths.ipv4))
  const bytes = ipBytes(peer.address)
  return bytes === null ? null : leadingBits(bytes, lengths.ipv6)
}

/** True for peers on this machine: 127.0.0.0/8, ::1, unix sockets. */
export function isLocalPeer(peer: SocketAddress): boolean {
  if (peer.family === Family.UNIX || peer.address === '::1') return true
  const four = ipv4Of(peer.address)
  return four >= 0 && four >>> 24 === LOOPBACK_FIRST_BYTE
}

/** -1 when it is no IPv4 address, in IPv6 clothes or not. */
function ipv4Of(address: string): number {
  const four = ipv4Value(address)
  if (four >= 0) return four
  const bytes = ipBytes(address)
  if (bytes === null || !isMapped(bytes)) return -1
  let value = 0
  for (let i = MAPPED_AT; i < MAPPED_AT + 4; i++) value = value * 256 + (bytes[i] as number)
  return value
}

function isMapped(bytes: Uint8Array): boolean {
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return false
  return bytes[10] === 255 && bytes[11] === 255
}

function leadingBits(bytes: Uint8Array, length: number): string {
  let key = ''
  for (let at = 0; at * 8 < length; at++) {
    const excess = Math.max((at + 1) * 8 - length, 0)
    key += String.fromCharCode(((bytes[at] as number) >> excess) << excess)
  }
  return key
}

/**
 * From whom a server takes a PROXY header. The header says who the client is, so only proxies that are known may send
 * one: from all others the same bytes are the protocol's, and mean nothing there.
 */
import { checkOptions, isBoolean, wrongRange, wrongType } from '../../base/options.ts'
import { Family, type SocketAddress } from '../../sys/kernel.ts'
import { type IpRange, ipBytes, isInRange, parseIpRange } from '../../wire/ip-address.ts'

export interface ProxyProtocolOptions {
  /** Addresses and ranges of the proxies: '10.0.0.0/8', '::1'; 'unix' for every peer over a unix socket. */
  readonly from: readonly string[]
  /**
   * true: a connection of such a proxy begins with a header, or is closed. false: it may; one that does not is taken
   * for what it is. Default true.
   */
  readonly required?: boolean
}

export interface ProxyAcceptance {
  readonly ranges: readonly IpRange[]
  readonly unix: boolean
  readonly required: boolean
}

/** Throws TypeError or RangeError naming the option. */
export function proxyAcceptance(option: string, value: unknown): ProxyAcceptance {
  checkOptions(`option ${option}`, value, { from: isListOfRanges, required: isBoolean })
  const { from, required } = value as Partial<ProxyProtocolOptions>
  if (from === undefined) throw wrongType(`${option}.from`, 'a list of addresses', from)
  const ranges = from.filter((text) => text !== 'unix').map((text) => parseIpRange(text) as IpRange)
  return { ranges, unix: from.includes('unix'), required: required ?? true }
}

export function isTrustedProxy(acceptance: ProxyAcceptance, peer: SocketAddress | null): boolean {
  if (peer === null) return false
  if (peer.family === Family.UNIX) return acceptance.unix
  const bytes = ipBytes(peer.address)
  if (bytes === null) return false
  const plain = unmapped(bytes)
  for (const range of acceptance.ranges) if (isInRange(range, plain) || isInRange(range, bytes)) return true
  return false
}

function isListOfRanges(option: string, value: unknown): void {
  if (!Array.isArray(value)) throw wrongType(option, 'a list of addresses', value)
  for (const text of value) {
    if (typeof text !== 'string') throw wrongType(option, 'a list of addresses', text)
    if (text !== 'unix' && parseIpRange(text) === null) throw wrongRange(option, 'a list of addresses', text)
  }
}

/** An IPv4 address in IPv6 clothes is the IPv4 address. */
function unmapped(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 16 || bytes[10] !== 255 || bytes[11] !== 255) return bytes
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return bytes
  return bytes.subarray(12)
}

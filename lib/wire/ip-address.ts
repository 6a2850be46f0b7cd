/**
 * IP addresses between text and bytes, and ranges of them. IPv6 is written in lower case without its longest run of
 * zeros (RFC 5952). A scope ('%eth0') belongs to this machine and has no place on the wire: it is left out.
 */
import { isIPv6 } from 'node:net'

const DOT = 46
const ZERO = 48

/** The 32 bits of an IPv4 address; -1 when the text is none. For every connection of a server, so without an object. */
export function ipv4Value(text: string): number {
  let value = 0
  let part = -1
  let dots = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT) {
      if (part < 0 || ++dots > 3) return -1
      value = value * 256 + part
      part = -1
    } else {
      const digit = code - ZERO
      // No leading zeros: they have been read as octal.
      if (digit < 0 || digit > 9 || part === 0) return -1
      part = part < 0 ? digit : part * 10 + digit
      if (part > 255) return -1
    }
  }
  return dots === 3 && part >= 0 ? value * 256 + part : -1
}

/** 4 or 16 bytes; null when the text is no IP address. No brackets. */
export function ipBytes(text: string): Uint8Array | null {
  const value = ipv4Value(text)
  if (value >= 0) return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
  if (!isIPv6(text)) return null
  const address = text.split('%', 1)[0] as string
  const bytes = new Uint8Array(16)
  const gap = address.indexOf('::')
  if (gap < 0) {
    writeGroups(bytes, 0, groupsOf(address))
    return bytes
  }
  const tail = groupsOf(address.slice(gap + 2))
  writeGroups(bytes, 0, groupsOf(address.slice(0, gap)))
  writeGroups(bytes, 16 - 2 * tail.length, tail)
  return bytes
}

/** 16-bit groups of one side of an IPv6 address; its end may be written as IPv4. */
function groupsOf(text: string): number[] {
  const groups: number[] = []
  if (text === '') return groups
  for (const part of text.split(':')) {
    if (part.includes('.')) {
      const [a, b, c, d] = part.split('.').map(Number) as [number, number, number, number]
      groups.push(a * 256 + b, c * 256 + d)
    } else groups.push(Number.parseInt(part, 16))
  }
  return groups
}

function writeGroups(bytes: Uint8Array, offset: number, groups: readonly number[]): void {
  for (const [index, group] of groups.entries()) {
    bytes[offset + 2 * index] = group >> 8
    bytes[offset + 2 * index + 1] = group & 255
  }
}

/** `length` is 4 or 16. */
export function ipText(bytes: Uint8Array, offset: number, length: number): string {
  if (length === 4) return bytes.subarray(offset, offset + 4).join('.')
  const groups: number[] = []
  for (let at = offset; at < offset + 16; at += 2) {
    groups.push((bytes[at] as number) * 256 + (bytes[at + 1] as number))
  }
  // An IPv4 address in IPv6 clothes is written so that it is recognised.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${ipText(bytes, offset + 12, 4)}`
  }
  const [start, count] = longestZeroRun(groups)
  const text = groups.map((group) => group.toString(16))
  if (count < 2) return text.join(':')
  return `${text.slice(0, start).join(':')}::${text.slice(start + count).join(':')}`
}

function longestZeroRun(groups: readonly number[]): [start: number, count: number] {
  let best = 0
  let bestCount = 0
  let count = 0
  for (const [index, group] of groups.entries()) {
    count = group === 0 ? count + 1 : 0
    if (count <= bestCount) continue
    bestCount = count
    best = index - count + 1
  }
  return [best, bestCount]
}

/** All addresses of one family whose first `prefixLength` bits are those of `bytes`. */
export interface IpRange {
  readonly bytes: Uint8Array
  readonly prefixLength: number
}

/** '10.0.0.0/8', 'fd00::/8', or one address. null when it is neither; the bits behind the prefix do not matter. */
export function parseIpRange(text: string): IpRange | null {
  const slash = text.indexOf('/')
  const bytes = ipBytes(slash < 0 ? text : text.slice(0, slash))
  if (bytes === null) return null
  const bits = bytes.length * 8
  if (slash < 0) return { bytes, prefixLength: bits }
  const length = text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(length) || Number(length) > bits) return null
  return { bytes, prefixLength: Number(length) }
}

/** `address` as `ipBytes` gives it. */
export function isInRange(range: IpRange, address: Uint8Array): boolean {
  const { bytes, prefixLength } = range
  if (bytes.length !== address.length) return false
  const whole = prefixLength >> 3
  for (let at = 0; at < whole; at++) if (bytes[at] !== address[at]) return false
  const rest = prefixLength & 7
  return rest === 0 || ((bytes[whole] as number) ^ (address[whole] as number)) >> (8 - rest) === 0
}

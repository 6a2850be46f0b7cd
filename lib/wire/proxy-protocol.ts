/**
 * The PROXY protocol, versions 1 and 2: a header before all other bytes that tells the ends of the connection which a
 * proxy accepted. `encodeProxyHeader` writes it. `ProxyHeaderReader` reads one from any cuts: `receive` uses bytes up
 * to the header's end and never beyond; who reads `needed` bytes at a time from a stream takes none that are others'.
 */
import { isIP } from 'node:net'
import { ipBytes, ipText } from './ip-address.ts'

const PROXY_TRANSPORTS = ['unknown', 'tcp4', 'tcp6', 'udp4', 'udp6', 'unix', 'unix-datagram'] as const
/** 'unknown': the proxy does not say; the connection's own ends are the real ones. */
export type ProxyTransport = (typeof PROXY_TRANSPORTS)[number]

/** An IP address and a port, or the path of a unix socket ('\0name' when abstract, '' unnamed) and 0. */
export interface ProxyEndpoint {
  readonly address: string
  readonly port: number
}

/** Something more that the proxy tells; what it means goes by its type. */
export interface ProxyTlv {
  /** 0…255. */
  readonly type: number
  readonly value: Uint8Array
}

export interface ProxyHeader {
  readonly version: 1 | 2
  /** 'local': the proxy connected on its own account, as for a health check. Only version 2 says so. */
  readonly command: 'local' | 'proxy'
  readonly transport: ProxyTransport
  /** null when the transport is 'unknown'. */
  readonly source: ProxyEndpoint | null
  readonly destination: ProxyEndpoint | null
  readonly tlvs: readonly ProxyTlv[]
}

/** What the specification allows a line of version 1, CRLF included. */
const V1_BYTES_MAX = 107
const V2_HEAD_BYTES = 16
/** Version 2 may announce 64 KiB; addresses take 216 bytes at most, the rest are TLVs of a few hundred. */
const V2_BYTES_MAX = 4096
const V1_PREFIX: Uint8Array = Buffer.from('PROXY ', 'latin1')
const V2_PREFIX: Uint8Array = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const UNIX_PATH_BYTES = 108
const CR = 13
const LF = 10

/** The byte of family and protocol, and how long one address is; by transport. */
const TRANSPORT_BYTES: Readonly<Record<ProxyTransport, readonly [code: number, addressBytes: number]>> = {
  unknown: [0x00, 0],
  tcp4: [0x11, 4],
  udp4: [0x12, 4],
  tcp6: [0x21, 16],
  udp6: [0x22, 16],
  unix: [0x31, UNIX_PATH_BYTES],
  'unix-datagram': [0x32, UNIX_PATH_BYTES],
}

/** The transport of a TCP connection between two IP addresses; 'unknown' when they are not of one family. */
export function proxyTransport(source: string, destination: string): ProxyTransport {
  const version = isIP(source)
  if (version === 0 || version !== isIP(destination)) return 'unknown'
  return version === 4 ? 'tcp4' : 'tcp6'
}

/** Version 1 knows TCP over IP only: other transports are written as unknown. Throws TypeError or RangeError. */
export function encodeProxyHeader(header: ProxyHeader): Uint8Array {
  return header.version === 1 ? encodeV1(header) : encodeV2(header)
}

function encodeV1(header: ProxyHeader): Uint8Array {
  const { transport, source, destination } = header
  if (header.command === 'local') throw new RangeError('PROXY header: command local needs version 2')
  if (header.tlvs.length > 0) throw new RangeError('PROXY header: tlvs need version 2')
  if (transport !== 'tcp4' && transport !== 'tcp6') return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const addressBytes = TRANSPORT_BYTES[transport][1]
  const ends = [source, destination].map((end) => {
    const bytes = endpointBytes(end, addressBytes)
    return ipText(bytes, 0, bytes.length)
  })
  const ports = `${source?.port} ${destination?.port}`
  return Buffer.from(`PROXY ${transport.toUpperCase()} ${ends.join(' ')} ${ports}\r\n`, 'latin1')
}

function encodeV2(header: ProxyHeader): Uint8Array {
  const { transport, tlvs } = header
  const [code, addressBytes] = TRANSPORT_BYTES[transport]
  const hasPorts = addressBytes === 4 || addressBytes === 16
  const addressesBytes = 2 * addressBytes + (hasPorts ? 4 : 0)
  const length = tlvs.reduce((sum, { value }) => sum + 3 + value.length, addressesBytes)
  if (length > 0xffff) throw new RangeError(`PROXY header: ${length} bytes of addresses and tlvs are more than 65535`)
  const bytes = new Uint8Array(V2_HEAD_BYTES + length)
  const view = new DataView(bytes.buffer)
  bytes.set(V2_PREFIX)
  bytes[12] = header.command === 'local' ? 0x20 : 0x21
  bytes[13] = code
  view.setUint16(14, length)
  let at = V2_HEAD_BYTES
  if (addressBytes > 0) {
    const { source, destination } = header
    bytes.set(endpointBytes(source, addressBytes), at)
    bytes.set(endpointBytes(destination, addressBytes), at + addressBytes)
    if (hasPorts) {
      view.setUint16(at + 2 * addressBytes, source?.port as number)
      view.setUint16(at + 2 * addressBytes + 2, destination?.port as number)
    }
    at += addressesBytes
  }
  for (const { type, value } of tlvs) {
    if (!Number.isInteger(type) || type < 0 || type > 255) {
      throw new RangeError(`PROXY header: type of a tlv must be 0 to 255, not ${type}`)
    }
    bytes[at] = type
    view.setUint16(at + 1, value.length)
    bytes.set(value, at + 3)
    at += 3 + value.length
  }
  return bytes
}

function endpointBytes(end: ProxyEndpoint | null, addressBytes: number): Uint8Array {
  if (end === null) throw new TypeError('PROXY header: source and destination must not be null with this transport')
  if (addressBytes === UNIX_PATH_BYTES) {
    const path = Buffer.from(end.address)
    if (path.length > UNIX_PATH_BYTES) {
      throw new RangeError(`PROXY header: a path of ${path.length} bytes is longer than ${UNIX_PATH_BYTES}`)
    }
    return Buffer.concat([path, new Uint8Array(UNIX_PATH_BYTES - path.length)])
  }
  const bytes = ipBytes(end.address)
  if (bytes?.length !== addressBytes) {
    throw new TypeError(`PROXY header: address '${end.address}' is not IPv${addressBytes === 4 ? 4 : 6}`)
  }
  if (!Number.isInteger(end.port) || end.port < 0 || end.port > 65535) {
    throw new RangeError(`PROXY header: port must be 0 to 65535, not ${end.port}`)
  }
  return bytes
}

export const ProxyHeaderStatus = { NEED_MORE: 0, COMPLETE: 1, FAILED: 2 } as const
export type ProxyHeaderStatus = (typeof ProxyHeaderStatus)[keyof typeof ProxyHeaderStatus]

export interface ProxyHeaderFault {
  /** 'absent': the bytes are no PROXY header at all. */
  readonly kind: 'absent' | 'malformed' | 'too-large'
  readonly message: string
}

export class ProxyHeaderReader {
  status: ProxyHeaderStatus = ProxyHeaderStatus.NEED_MORE
  /** After COMPLETE. */
  header: ProxyHeader | null = null
  /** After FAILED. */
  fault: ProxyHeaderFault | null = null
  readonly #bytesMax: number
  #kept: Uint8Array = new Uint8Array(V1_BYTES_MAX)
  #length = 0
  #version: 0 | 1 | 2 = 0
  /** Of a header of version 2, once its first 16 bytes are known. */
  #total = V2_HEAD_BYTES

  /** `bytesMax` limits version 2; a line of version 1 has at most 107 bytes. Default 4096. */
  constructor(options: { readonly bytesMax?: number } = {}) {
    this.#bytesMax = options.bytesMax ?? V2_BYTES_MAX
  }

  /** So many bytes of the header are certainly still to come; 0 at the end. */
  get needed(): number {
    if (this.status !== ProxyHeaderStatus.NEED_MORE) return 0
    if (this.#version === 2) return this.#total - this.#length
    const shortest = 'PROXY UNKNOWN\r\n'.length
    if (this.#length < shortest - 2) return shortest - this.#length
    return this.#kept[this.#length - 1] === CR ? 1 : 2
  }

  /** All bytes used so far, while they are kept: for who wants to treat an absent header as data. */
  get received(): Uint8Array {
    return this.#kept.subarray(0, this.#length)
  }

  /** Uses bytes as far as they belong to the header; returns the offset behind them. See `status` then. */
  receive(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    while (at < end && this.status === ProxyHeaderStatus.NEED_MORE) {
      if (this.#version === 2 && this.#length >= V2_HEAD_BYTES) at = this.#takeBody(bytes, at, end)
      else this.#takeByte(bytes[at++] as number)
    }
    return at
  }

  /** No more bytes will come. */
  receiveEof(): void {
    if (this.status !== ProxyHeaderStatus.NEED_MORE) return
    if (this.#length === 0) this.#fail('absent', 'connection closed before a PROXY header')
    else this.#fail('malformed', 'connection closed inside the PROXY header')
  }

  #takeByte(byte: number): void {
    const at = this.#length
    this.#kept[at] = byte
    this.#length++
    if (this.#version === 0) {
      const prefix = (at === 0 ? byte : this.#kept[0]) === V1_PREFIX[0] ? V1_PREFIX : V2_PREFIX
      if (byte !== prefix[at]) this.#fail('absent', 'the first bytes are no PROXY header')
      else if (this.#length === prefix.length) this.#version = prefix === V1_PREFIX ? 1 : 2
    } else if (this.#version === 1) this.#takeLineByte(byte)
    else if (this.#length === V2_HEAD_BYTES) this.#beginBody()
  }

  #takeLineByte(byte: number): void {
    const afterReturn = this.#kept[this.#length - 2] === CR
    if (byte === LF && afterReturn) this.#readLine()
    else if (byte === LF || afterReturn) this.#fail('malformed', 'the PROXY line does not end in CRLF')
    else if (this.#length === V1_BYTES_MAX) this.#fail('too-large', `PROXY line longer than ${V1_BYTES_MAX} bytes`)
  }

  #readLine(): void {
    const line = Buffer.from(this.#kept.subarray(V1_PREFIX.length, this.#length - 2)).toString('latin1')
    if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) {
      this.#complete(1, 'proxy', 'unknown', null, null, [])
      return
    }
    const parts = line.split(' ')
    const [protocol, source, destination, sourcePort, destinationPort] = parts
    const transport = protocol === 'TCP4' ? 'tcp4' : protocol === 'TCP6' ? 'tcp6' : null
    const from = endpointOf(source, sourcePort)
    const to = endpointOf(destination, destinationPort)
    const fits = from !== null && to !== null && proxyTransport(from.address, to.address) === transport
    if (transport === null || parts.length !== 5 || !fits) this.#fail('malformed', 'invalid PROXY line')
    else this.#complete(1, 'proxy', transport, from, to, [])
  }

  #beginBody(): void {
    const kept = this.#kept
    const command = kept[12] as number
    if (command !== 0x20 && command !== 0x21) {
      this.#fail('malformed', `unknown version or command 0x${command.toString(16)} in a PROXY header`)
      return
    }
    this.#total = V2_HEAD_BYTES + (kept[14] as number) * 256 + (kept[15] as number)
    if (this.#total > this.#bytesMax) {
      this.#fail('too-large', `PROXY header of ${this.#total} bytes is larger than ${this.#bytesMax}`)
      return
    }
    if (this.#total > kept.length) {
      this.#kept = new Uint8Array(this.#total)
      this.#kept.set(kept.subarray(0, V2_HEAD_BYTES))
    }
    if (this.#total === V2_HEAD_BYTES) this.#readBody()
  }

  #takeBody(bytes: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.#total - this.#length)
    this.#kept.set(bytes.subarray(start, stop), this.#length)
    this.#length += stop - start
    if (this.#length === this.#total) this.#readBody()
    return stop
  }

  #readBody(): void {
    const kept = this.#kept
    // The family of a local connection and whatever else it says do not matter.
    if (kept[12] === 0x20) {
      this.#complete(2, 'local', 'unknown', null, null, [])
      return
    }
    const transport = PROXY_TRANSPORTS.find((name) => TRANSPORT_BYTES[name][0] === kept[13])
    if (transport === undefined) {
      this.#fail('malformed', `unknown address family 0x${(kept[13] as number).toString(16)} in a PROXY header`)
      return
    }
    const [, size] = TRANSPORT_BYTES[transport]
    const hasPorts = size === 4 || size === 16
    const at = V2_HEAD_BYTES + 2 * size + (hasPorts ? 4 : 0)
    if (at > this.#total) {
      this.#fail('malformed', 'PROXY header too short for its addresses')
      return
    }
    const tlvs = this.#readTlvs(at)
    if (tlvs === null) this.#fail('malformed', 'PROXY header ends inside a tlv')
    else if (size === 0) this.#complete(2, 'proxy', transport, null, null, tlvs)
    else {
      const portsAt = V2_HEAD_BYTES + 2 * size
      const source = this.#readEndpoint(V2_HEAD_BYTES, size, portsAt)
      const destination = this.#readEndpoint(V2_HEAD_BYTES + size, size, portsAt + 2)
      this.#complete(2, 'proxy', transport, source, destination, tlvs)
    }
  }

  #readEndpoint(at: number, size: number, portAt: number): ProxyEndpoint {
    const kept = this.#kept
    if (size === UNIX_PATH_BYTES) return { address: unixPath(kept.subarray(at, at + size)), port: 0 }
    const port = (kept[portAt] as number) * 256 + (kept[portAt + 1] as number)
    return { address: ipText(kept, at, size), port }
  }

  #readTlvs(start: number): ProxyTlv[] | null {
    const kept = this.#kept
    const tlvs: ProxyTlv[] = []
    let at = start
    while (at < this.#total) {
      if (at + 3 > this.#total) return null
      const end = at + 3 + (kept[at + 1] as number) * 256 + (kept[at + 2] as number)
      if (end > this.#total) return null
      tlvs.push({ type: kept[at] as number, value: kept.slice(at + 3, end) })
      at = end
    }
    return tlvs
  }

  #complete(
    version: 1 | 2,
    command: ProxyHeader['command'],
    transport: ProxyTransport,
    source: ProxyEndpoint | null,
    destination: ProxyEndpoint | null,
    tlvs: readonly ProxyTlv[],
  ): void {
    this.header = { version, command, transport, source, destination, tlvs }
    this.status = ProxyHeaderStatus.COMPLETE
  }

  #fail(kind: ProxyHeaderFault['kind'], message: string): void {
    this.fault = { kind, message }
    this.status = ProxyHeaderStatus.FAILED
  }
}

function endpointOf(address: string | undefined, port: string | undefined): ProxyEndpoint | null {
  if (address === undefined || port === undefined || isIP(address) === 0 || address.includes('%')) return null
  if (!/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535) return null
  return { address, port: Number(port) }
}

/** The bytes behind the last that is not NUL are padding; a NUL in front marks an abstract name. */
function unixPath(bytes: Uint8Array): string {
  let end = bytes[0] === 0 ? bytes.length : bytes.indexOf(0)
  if (end < 0) end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return Buffer.from(bytes.subarray(0, end)).toString()
}

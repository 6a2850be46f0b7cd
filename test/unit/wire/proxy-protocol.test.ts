import { describe, expect, it } from 'vitest'
import {
  encodeProxyHeader,
  type ProxyHeader,
  ProxyHeaderReader,
  ProxyHeaderStatus,
  proxyTransport,
} from '../../../lib/wire/proxy-protocol.ts'

const TCP4: ProxyHeader = {
  version: 1,
  command: 'proxy',
  transport: 'tcp4',
  source: { address: '192.0.2.1', port: 56324 },
  destination: { address: '198.51.100.7', port: 443 },
  tlvs: [],
}
const SIGNATURE = '0d0a0d0a000d0a515549540a'

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

function read(bytes: Uint8Array, options: { bytesMax?: number } = {}): ProxyHeaderReader & { used: number } {
  const reader = new ProxyHeaderReader(options)
  const used = reader.receive(bytes, 0, bytes.length)
  return Object.assign(reader, { used })
}

function faultOf(bytes: Uint8Array, options: { bytesMax?: number } = {}): string {
  const { status, fault } = read(bytes, options)
  return status === ProxyHeaderStatus.FAILED ? `${fault?.kind}: ${fault?.message}` : `status ${status}`
}

describe('PROXY headers going out', () => {
  it('are a line in version 1', () => {
    const text = Buffer.from(encodeProxyHeader(TCP4)).toString('latin1')
    expect(text).toBe('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n')
  })

  it('write IPv6 short and without a scope', () => {
    const source = { address: 'FE80:0:0:0:0:0:0:1%eth0', port: 1 }
    const header = encodeProxyHeader({ ...TCP4, transport: 'tcp6', source, destination: { address: '::1', port: 2 } })
    expect(Buffer.from(header).toString('latin1')).toBe('PROXY TCP6 fe80::1 ::1 1 2\r\n')
  })

  it('say UNKNOWN in version 1 for what it cannot name', () => {
    for (const transport of ['unknown', 'unix', 'udp4'] as const) {
      const header = encodeProxyHeader({ ...TCP4, transport })
      expect(Buffer.from(header).toString('latin1')).toBe('PROXY UNKNOWN\r\n')
    }
  })

  it('are binary in version 2', () => {
    const tlvs = [{ type: 0x02, value: bytesOf('a.test') }]
    expect(Buffer.from(encodeProxyHeader({ ...TCP4, version: 2, tlvs })).toString('hex')).toBe(
      `${SIGNATURE}21110015c0000201c6336407dc0401bb020006${Buffer.from('a.test').toString('hex')}`,
    )
    const local: ProxyHeader = { ...TCP4, version: 2, command: 'local', transport: 'unknown' }
    expect(Buffer.from(encodeProxyHeader(local)).toString('hex')).toBe(`${SIGNATURE}20000000`)
  })

  it.each([
    [{ source: null }, TypeError, 'must not be null'],
    [{ source: { address: '::1', port: 1 } }, TypeError, "'::1' is not IPv4"],
    [{ source: { address: '1.2.3.4', port: 65536 } }, RangeError, 'port must be 0 to 65535, not 65536'],
    [{ command: 'local' }, RangeError, 'command local needs version 2'],
    [{ tlvs: [{ type: 1, value: new Uint8Array(0) }] }, RangeError, 'tlvs need version 2'],
    [{ version: 2, tlvs: [{ type: 256, value: new Uint8Array(0) }] }, RangeError, 'type of a tlv'],
    [{ version: 2, tlvs: [{ type: 1, value: new Uint8Array(65530) }] }, RangeError, 'more than 65535'],
    [{ version: 2, transport: 'unix', source: { address: 'x'.repeat(109), port: 0 } }, RangeError, 'longer than 108'],
  ] as const)('refuse %j', (change, kind, message) => {
    const encode = (): Uint8Array => encodeProxyHeader({ ...TCP4, ...(change as Partial<ProxyHeader>) })
    expect(encode).toThrow(kind)
    expect(encode).toThrow(message)
  })

  it('name the transport of two addresses', () => {
    expect(proxyTransport('1.2.3.4', '5.6.7.8')).toBe('tcp4')
    expect(proxyTransport('::1', '::2')).toBe('tcp6')
    expect(proxyTransport('::1', '5.6.7.8')).toBe('unknown')
    expect(proxyTransport('/a', '/b')).toBe('unknown')
  })
})

describe('PROXY headers coming in', () => {
  it('use no byte behind them', () => {
    const line = bytesOf('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET / HTTP/1.1\r\n')
    const reader = read(line)
    expect(reader.header).toEqual(TCP4)
    expect(reader.used).toBe(line.indexOf('G'.charCodeAt(0)))
    expect(reader.needed).toBe(0)
  })

  it('may be the shortest and the longest line', () => {
    expect(read(bytesOf('PROXY UNKNOWN\r\n')).header?.transport).toBe('unknown')
    const address = `${'ffff:'.repeat(7)}ffff`
    const longest = `PROXY UNKNOWN ${address} ${address} 65535 65535\r\n`
    expect(longest.length).toBe(107)
    expect(read(bytesOf(longest)).status).toBe(ProxyHeaderStatus.COMPLETE)
    expect(faultOf(bytesOf(longest.replace(' 65535\r', ' 655350\r')))).toMatch(/^too-large/)
  })

  it.each([
    ['PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n', 'malformed'],
    ['PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\r\n', 'malformed'],
    ['PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n', 'malformed'],
    ['PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n', 'malformed'],
    ['PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n', 'malformed'],
    ['PROXY TCP4 ::1 198.51.100.7 56324 443\r\n', 'malformed'],
    ['PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n', 'malformed'],
    ['PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n', 'malformed'],
    ['PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n', 'malformed'],
    ['PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n', 'malformed'],
    ['PROXY UNKNOWNX\r\n', 'malformed'],
    ['PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n', 'malformed'],
    ['PROXX TCP4', 'absent'],
    ['GET / HTTP/1.1\r\n', 'absent'],
    ['\r\n\r\n\0\r\nQUIX', 'absent'],
    ['\x16\x03\x01', 'absent'],
  ])('are refused when they are like %j', (text, kind) => {
    expect(faultOf(bytesOf(text))).toMatch(new RegExp(`^${kind}: `))
  })

  it.each([
    [`${SIGNATURE}11110000`, 'malformed: unknown version or command 0x11'],
    [`${SIGNATURE}22110000`, 'malformed: unknown version or command 0x22'],
    [`${SIGNATURE}21410000`, 'malformed: unknown address family 0x41'],
    [`${SIGNATURE}21110004 01020304`, 'malformed: PROXY header too short'],
    [`${SIGNATURE}21000002 0100`, 'malformed: PROXY header ends inside a tlv'],
    [`${SIGNATURE}21000004 01000261`, 'malformed: PROXY header ends inside a tlv'],
    [`${SIGNATURE}2100ffff`, 'too-large: PROXY header of 65551 bytes'],
  ])('of version 2 are refused when they are like %s', (text, message) => {
    expect(faultOf(hex(text))).toContain(message)
  })

  it('of a local connection tell nothing, whatever they carry', () => {
    const { header } = read(hex(`${SIGNATURE}20ff0003ffffff`))
    expect(header).toEqual({
      version: 2,
      command: 'local',
      transport: 'unknown',
      source: null,
      destination: null,
      tlvs: [],
    })
  })

  it('may be as large as the receiver says', () => {
    const tlvs = [{ type: 5, value: new Uint8Array(6000).fill(7) }]
    const bytes = encodeProxyHeader({ ...TCP4, version: 2, tlvs })
    expect(faultOf(bytes)).toMatch(/^too-large/)
    expect(read(bytes, { bytesMax: 65551 }).header?.tlvs).toEqual(tlvs)
  })

  it('know unix sockets, abstract and unnamed ones too', () => {
    for (const address of ['/run/a.sock', '\0abstract', '', 'x'.repeat(108)]) {
      const ends = { source: { address, port: 0 }, destination: { address: '/b', port: 0 } }
      const header: ProxyHeader = { ...TCP4, version: 2, transport: 'unix', ...ends }
      expect(read(encodeProxyHeader(header)).header).toEqual(header)
    }
  })

  it('that end too soon are absent or malformed', () => {
    const silent = new ProxyHeaderReader()
    silent.receiveEof()
    expect(silent.fault?.kind).toBe('absent')
    const cut = read(bytesOf('PROXY TC'))
    cut.receiveEof()
    expect(cut.fault?.kind).toBe('malformed')
    expect(Buffer.from(cut.received).toString()).toBe('PROXY TC')
    expect(cut.receive(bytesOf('P4'), 0, 2)).toBe(0)
  })
})

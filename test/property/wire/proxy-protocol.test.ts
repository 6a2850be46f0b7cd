import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipText } from '../../../lib/wire/ip-address.ts'
import {
  encodeProxyHeader,
  type ProxyHeader,
  ProxyHeaderReader,
  ProxyHeaderStatus,
} from '../../../lib/wire/proxy-protocol.ts'

const port = fc.nat(65535)
const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const ipv4 = bytes(4).map((address) => ipText(address, 0, 4))
const ipv6 = bytes(16).map((address) => ipText(address, 0, 16))
const path = fc.tuple(fc.constantFrom('', '\0'), fc.stringMatching(/^[!-~]{1,100}$/)).map((parts) => parts.join(''))
const tlvs = fc.array(fc.record({ type: fc.nat(255), value: fc.uint8Array({ maxLength: 40 }) }), { maxLength: 4 })

function ends(address: fc.Arbitrary<string>, number: fc.Arbitrary<number>): fc.Arbitrary<Partial<ProxyHeader>> {
  const end = fc.record({ address, port: number })
  return fc.record({ source: end, destination: end })
}

const nobody = { source: null, destination: null }
const base: ProxyHeader = { version: 1, command: 'proxy', transport: 'unknown', ...nobody, tlvs: [] }
const tcp = fc.oneof(
  ends(ipv4, port).map((pair) => ({ ...base, transport: 'tcp4' as const, ...pair })),
  ends(ipv6, port).map((pair) => ({ ...base, transport: 'tcp6' as const, ...pair })),
  fc.constant(base),
)
const version2 = fc
  .tuple(
    fc.oneof(
      tcp,
      ends(ipv4, port).map((pair) => ({ ...base, transport: 'udp4' as const, ...pair })),
      ends(ipv6, port).map((pair) => ({ ...base, transport: 'udp6' as const, ...pair })),
      ends(path, fc.constant(0)).map((pair) => ({ ...base, transport: 'unix' as const, ...pair })),
      ends(path, fc.constant(0)).map((pair) => ({ ...base, transport: 'unix-datagram' as const, ...pair })),
    ),
    tlvs,
  )
  .map(([header, list]): ProxyHeader => ({ ...header, version: 2, tlvs: list }))
const header = fc.oneof(tcp, version2)

/** Reads as a server does that takes no byte of the application's: exactly what is needed, and that in pieces. */
function readExactly(input: Uint8Array, most: number): { reader: ProxyHeaderReader; read: number } {
  const reader = new ProxyHeaderReader()
  let read = 0
  while (reader.needed > 0 && read < input.length) {
    const end = Math.min(input.length, read + Math.min(reader.needed, most))
    expect(reader.receive(input, read, end)).toBeGreaterThan(read)
    read = end
  }
  return { reader, read }
}

function told(reader: ProxyHeaderReader): unknown {
  return { status: reader.status, header: reader.header, fault: reader.fault }
}

describe('PROXY headers, whatever they are', () => {
  it('come back as they went out, and leave what follows alone', () => {
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 20 }), fc.integer({ min: 1, max: 40 }), (sent, rest, most) => {
        const encoded = encodeProxyHeader(sent)
        const input = new Uint8Array([...encoded, ...rest])
        const whole = new ProxyHeaderReader()
        expect(whole.receive(input, 0, input.length)).toBe(encoded.length)
        expect(whole.header).toEqual(sent)
        const exact = readExactly(input, most)
        expect(exact.read).toBe(encoded.length)
        expect(told(exact.reader)).toEqual(told(whole))
      }),
      { numRuns: 500 },
    )
  })

  it('are read alike in any pieces, and damaged ones neither throw nor come to no end', () => {
    const change = fc.tuple(fc.nat(), fc.nat(255))
    const damaged = fc.tuple(header, fc.array(change, { maxLength: 3 })).map(([sent, changes]) => {
      const encoded = Uint8Array.from(encodeProxyHeader(sent))
      for (const [at, byte] of changes) encoded[at % encoded.length] = byte
      return encoded
    })
    const garbage = fc.oneof(damaged, fc.uint8Array({ maxLength: 200 }))
    fc.assert(
      fc.property(garbage, fc.integer({ min: 1, max: 30 }), (input, piece) => {
        const whole = new ProxyHeaderReader()
        const used = whole.receive(input, 0, input.length)
        const other = new ProxyHeaderReader()
        let at = 0
        while (at < input.length && other.status === ProxyHeaderStatus.NEED_MORE) {
          at = other.receive(input, at, Math.min(at + piece, input.length))
        }
        expect(at).toBe(used)
        expect(told(other)).toEqual(told(whole))
        whole.receiveEof()
        expect(whole.status).not.toBe(ProxyHeaderStatus.NEED_MORE)
      }),
      { numRuns: 1000 },
    )
  })
})

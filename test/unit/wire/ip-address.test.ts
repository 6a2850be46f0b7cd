import { isIPv4 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipBytes, ipText, ipv4Value, isInRange, parseIpRange } from '../../../lib/wire/ip-address.ts'

describe('IP addresses as bytes', () => {
  it.each([
    ['127.0.0.1', [127, 0, 0, 1]],
    ['::', new Array(16).fill(0)],
    ['::1', [...new Array(15).fill(0), 1]],
    ['2001:DB8::ff00:42:8329', [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0x42, 0x83, 0x29]],
    ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ['::ffff:192.0.2.1', [...new Array(10).fill(0), 255, 255, 192, 0, 2, 1]],
    ['fe80::1%eth0', [0xfe, 0x80, ...new Array(13).fill(0), 1]],
  ])('reads %s', (text, bytes) => {
    expect([...(ipBytes(text) ?? [])]).toEqual(bytes)
  })

  it.each(['', 'example.com', '1.2.3', '1.2.3.256', '01.2.3.4', '[::1]', '1::2::3', '1:2:3:4:5:6:7:8:9'])(
    'refuses %j',
    (text) => {
      expect(ipBytes(text)).toBeNull()
    },
  )

  it.each([
    ['0:0:0:0:0:0:0:0', '::'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
  ])('writes %s as %s', (text, short) => {
    expect(ipText(ipBytes(text) as Uint8Array, 0, 16)).toBe(short)
  })

  it('are IPv4 for exactly those texts that Node takes for it', () => {
    const part = fc.oneof(fc.nat(300).map(String), fc.constantFrom('', '00', '01', '-1', '1e1', ' 1', '0x1', '١'))
    fc.assert(
      fc.property(fc.array(part, { minLength: 3, maxLength: 5 }), (parts) => {
        const text = parts.join('.')
        const value = isIPv4(text) ? parts.reduce((sum, digits) => sum * 256 + Number(digits), 0) : -1
        expect(ipv4Value(text)).toBe(value)
      }),
      { numRuns: 2000 },
    )
  })

  it('come back from their text', () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(255)), { minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(groups, (bytes) => {
        expect([...(ipBytes(ipText(Uint8Array.from(bytes), 0, 16)) ?? [])]).toEqual(bytes)
        expect([...(ipBytes(ipText(Uint8Array.from([9, ...bytes]), 1, 4)) ?? [])]).toEqual(bytes.slice(0, 4))
      }),
    )
  })
})

describe('ranges of IP addresses', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['192.168.1.77/25', '192.168.1.127', true],
    ['192.168.1.77/25', '192.168.1.128', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '::1', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['fd00::/9', 'fd7f::1', true],
    ['fd00::/9', 'fd80::1', false],
    ['::1/128', '0::1', true],
  ])('%s and %s: %s', (range, address, inside) => {
    const parsed = parseIpRange(range)
    expect(parsed !== null && isInRange(parsed, ipBytes(address) as Uint8Array)).toBe(inside)
  })

  it.each(['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/x', '10.0.0.0/-1', 'a/8', ''])('refuses %j', (text) => {
    expect(parseIpRange(text)).toBeNull()
  })
})

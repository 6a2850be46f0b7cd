import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatHostPort,
  formatSocketAddress,
  interleaveFamilies,
  ipFamily,
  parseIpLiteral,
} from '../../../lib/connection/address.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { ip } from './fake-engine.ts'

describe('IP literals', () => {
  it.each([
    ['127.0.0.1', 4],
    ['::1', 6],
    ['fe80::1%eth0', 6],
    ['::ffff:192.0.2.1', 6],
    ['localhost', 0],
    ['1.2.3', 0],
    ['256.0.0.1', 0],
    ['', 0],
    ['[::1]', 0],
  ])('sees %s as family %i', (text, family) => {
    expect(ipFamily(text)).toBe(family)
  })

  it('takes brackets off IPv6 only', () => {
    expect(parseIpLiteral('[::1]', 80)).toEqual({ family: Family.IPV6, address: '::1', port: 80 })
    expect(parseIpLiteral('[127.0.0.1]')).toBeNull()
    expect(parseIpLiteral('example.com')).toBeNull()
  })
})

describe('interleaveFamilies', () => {
  const texts = (addresses: string[], limit = 16): string[] =>
    interleaveFamilies(
      addresses.map((text) => ip(text)),
      limit,
    ).map(({ address }) => address)

  it('begins with the family that the resolver put first and then alternates', () => {
    expect(texts(['::1', '::2', '::3', '10.0.0.1', '10.0.0.2'])).toEqual(['::1', '10.0.0.1', '::2', '10.0.0.2', '::3'])
    expect(texts(['10.0.0.1', '10.0.0.2', '::1'])).toEqual(['10.0.0.1', '::1', '10.0.0.2'])
  })

  it('drops duplicates and what is beyond the limit', () => {
    expect(texts(['10.0.0.1', '10.0.0.1', '::1', '::1'])).toEqual(['10.0.0.1', '::1'])
    expect(texts(['10.0.0.1', '10.0.0.2', '::1', '::2'], 3)).toEqual(['10.0.0.1', '::1', '10.0.0.2'])
    expect(texts([])).toEqual([])
  })

  it('keeps the order within each family, every address once', () => {
    const text = fc.oneof(
      fc.integer({ min: 1, max: 30 }).map((n) => `10.0.0.${n}`),
      fc.integer({ min: 1, max: 30 }).map((n) => `::${n}`),
    )
    fc.assert(
      fc.property(fc.array(text), (list) => {
        const distinct = [...new Set(list)]
        const order = texts(list, 100)
        expect([...order].sort()).toEqual([...distinct].sort())
        for (const mark of [':', '.']) {
          expect(order.filter((t) => t.includes(mark))).toEqual(distinct.filter((t) => t.includes(mark)))
        }
        expect(order[0]).toBe(list[0])
      }),
    )
  })
})

describe('formatting', () => {
  it('puts brackets around IPv6 once', () => {
    expect(formatHostPort('example.com', 80)).toBe('example.com:80')
    expect(formatHostPort('::1', 80)).toBe('[::1]:80')
    expect(formatHostPort('[::1]', 80)).toBe('[::1]:80')
  })

  it('writes a unix socket as its path, an abstract one with @', () => {
    expect(formatSocketAddress({ family: Family.UNIX, address: '/run/x', port: 0 })).toBe('/run/x')
    expect(formatSocketAddress({ family: Family.UNIX, address: '\0x', port: 0 })).toBe('@x')
    expect(formatSocketAddress({ family: Family.UNIX, address: '', port: 0 })).toBe('unix')
    expect(formatSocketAddress(ip('10.0.0.1', 1))).toBe('10.0.0.1:1')
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeDnsQuery, RecordType, readDnsAnswer } from '../../../lib/wire/dns-message.ts'
import { ipBytes } from '../../../lib/wire/ip-address.ts'
import { type DnsRecord, readQuery, TYPE_A, TYPE_AAAA, TYPE_CNAME, writeAnswer } from '../../support/dns-answers.ts'

const label = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_'), minLength: 1, maxLength: 12 })
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'))
const type = fc.constantFrom(RecordType.A, RecordType.AAAA)
const ttl = fc.nat(0x7fffffff)

function query(host: string, wanted: number = TYPE_A): { id: number; name: string; type: number } {
  return { id: 0, name: host, type: wanted }
}

function a(owner: string, value: string, seconds = 60): DnsRecord {
  return { name: owner, type: TYPE_A, ttl: seconds, value }
}

function cname(owner: string, value: string, seconds = 60): DnsRecord {
  return { name: owner, type: TYPE_CNAME, ttl: seconds, value }
}

describe('a question', () => {
  it('says the name and the type as they were given', () => {
    fc.assert(
      fc.property(name, type, fc.boolean(), (host, wanted, isRooted) => {
        const message = encodeDnsQuery(isRooted ? `${host}.` : host, wanted) as Uint8Array
        expect(readQuery(message)).toEqual(query(host, wanted))
        expect(Buffer.from(message.subarray(0, 12)).toString('hex')).toBe('000001000001000000000000')
        expect(message.length).toBe(12 + host.length + 2 + 4)
      }),
    )
  })

  it.each(['', '.', 'a..b', '.a', 'a b', `${'x'.repeat(64)}.test`, 'ä.test', 'a\0b', `${'abc.'.repeat(64)}abc`])(
    'is not asked for %j, which no message can hold',
    (host) => {
      expect(encodeDnsQuery(host, RecordType.A)).toBeNull()
    },
  )

  it('holds the longest names', () => {
    expect(encodeDnsQuery(`${'abc.'.repeat(63)}a`, RecordType.A)).not.toBeNull()
    expect(encodeDnsQuery('x'.repeat(63), RecordType.A)).not.toBeNull()
  })
})

describe('an answer', () => {
  it('gives its addresses, in any order of records, compressed or not, with the shortest TTL on the way', () => {
    const chain = fc.uniqueArray(name, { minLength: 1, maxLength: 10, selector: (host) => host.toLowerCase() })
    const addresses = fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 10 })
    const random = fc.array(ttl, { minLength: 20, maxLength: 20 })
    fc.assert(
      fc.property(chain, addresses, random, fc.boolean(), fc.boolean(), (names, ips, ttls, isCompressed, isTurned) => {
        const last = names.at(-1) as string
        const records = [
          ...names.slice(0, -1).map((owner, index) => cname(owner, names[index + 1] as string, ttls[index])),
          ...ips.map((ip, index) => a(last.toUpperCase(), ip, ttls[10 + index])),
        ]
        if (isTurned) records.reverse()
        const message = writeAnswer(query(names[0] as string), records, { isCompressed })
        expect(readDnsAnswer(message, (names[0] as string).toLowerCase(), RecordType.A)).toEqual({
          responseCode: 0,
          addresses: isTurned ? ips.toReversed() : ips,
          ttlSeconds: Math.min(...records.map((record) => record.ttl)),
        })
      }),
    )
  })

  it('gives addresses of IPv6 as they are written', () => {
    const value = Buffer.from(ipBytes('2001:db8::1') as Uint8Array).toString('hex')
    const message = writeAnswer(query('a.test', TYPE_AAAA), [{ name: 'a.test', type: TYPE_AAAA, ttl: 5, value }])
    expect(readDnsAnswer(message, 'A.test.', RecordType.AAAA)).toMatchObject({ addresses: ['2001:db8::1'] })
  })

  it('says nothing of records for others, of other types and other classes', () => {
    const records = [
      a('b.test', '10.0.0.1'),
      { name: 'a.test', type: 16, ttl: 1, value: '0161' },
      a('test', '10.0.0.2'),
    ]
    expect(readDnsAnswer(writeAnswer(query('a.test'), records), 'a.test', RecordType.A)).toEqual({
      responseCode: 0,
      addresses: [],
      ttlSeconds: 0,
    })
  })

  it('tells a code that is an error, whatever else it says', () => {
    for (const responseCode of [1, 2, 3, 5]) {
      const message = writeAnswer(query('x'), [a('a.test', '10.0.0.1')], { responseCode })
      expect(readDnsAnswer(message, 'a.test', RecordType.A)).toEqual({ responseCode, addresses: [], ttlSeconds: 0 })
    }
  })

  it('takes a TTL with the highest bit for 0', () => {
    const message = writeAnswer(query('a.test'), [a('a.test', '10.0.0.1', 0x80000001)])
    expect(readDnsAnswer(message, 'a.test', RecordType.A)).toMatchObject({ ttlSeconds: 0 })
  })

  const good = writeAnswer(query('a.test'), [a('a.test', '10.0.0.1')])
  const circle = [cname('a.test', 'b.test'), cname('b.test', 'a.test')]
  const long = Array.from({ length: 30 }, (_, index) => cname(`n${index}.test`, `n${index + 1}.test`))
  it.each([
    ['another id', writeAnswer({ ...query('a.test'), id: 7 }, [])],
    ['a query', writeAnswer(query('a.test'), [], { flags: 0x0100 })],
    ['another opcode', writeAnswer(query('a.test'), [], { flags: 0x9180 })],
    ['truncated', writeAnswer(query('a.test'), [], { flags: 0x8380 })],
    ['another name', writeAnswer(query('b.test'), [])],
    ['another type', writeAnswer(query('a.test', TYPE_AAAA), [])],
    [
      'a label with a point inside',
      Buffer.from(good.toString('latin1').replace('\x01a\x04test', '\x06a.test'), 'latin1'),
    ],
    ['a circle', writeAnswer(query('a.test'), circle)],
    ['a chain without end', writeAnswer(query('n0.test'), long)],
    ['an address of three bytes', writeAnswer(query('a.test'), [a('a.test', '1.2.3')])],
    ['nothing', Buffer.alloc(0)],
  ])('is refused: %s', (title, message) => {
    const host = title === 'a chain without end' ? 'n0.test' : 'a.test'
    expect(readDnsAnswer(message, host, RecordType.A)).toEqual(expect.any(String))
  })

  it('is refused wherever it breaks off', () => {
    for (let length = 0; length < good.length; length++) {
      expect(readDnsAnswer(good.subarray(0, length), 'a.test', RecordType.A), `${length}`).toEqual(expect.any(String))
    }
  })

  it('with a name that points to itself, forwards, or in a circle ends', () => {
    for (const pointer of [0xc00c, 0xc00e, 0xc0ff, 0xffff, 0xc000, 0xc018]) {
      const message = Buffer.from(good)
      message.writeUInt16BE(pointer, 12 + 8 + 4)
      expect(readDnsAnswer(message, 'a.test', RecordType.A)).toBeDefined()
    }
  })

  it('of nothing but pointers is read in no time', () => {
    const message = Buffer.alloc(65_535)
    good.copy(message)
    message.writeUInt16BE(0xffff, 6)
    const begin = good.length - 16
    for (let at = begin; at + 1 < message.length; at += 2) {
      message.writeUInt16BE(0xc000 | Math.max(12, Math.min(at - 2, 0x3fff)), at)
    }
    expect(readDnsAnswer(message, 'a.test', RecordType.A)).toEqual(expect.any(String))
  })

  it('never throws, whatever comes', () => {
    const noise = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 })
    const chain = writeAnswer(query('a.test'), [
      cname('a.test', 'b.test'),
      cname('b.test', 'c.a.test'),
      a('c.a.test', '1.1.1.1'),
    ])
    fc.assert(
      fc.property(fc.constantFrom(good, chain), noise, fc.nat(20), (base, changes, cut) => {
        const message = Buffer.from(base.subarray(0, base.length - cut))
        for (const [at, value] of changes) if (at < message.length) message[at] = value
        const answer = readDnsAnswer(message, 'a.test', RecordType.A)
        expect(typeof answer === 'string' || answer.addresses.length <= 1).toBe(true)
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(readDnsAnswer(bytes, 'a.test', RecordType.A)).toBeDefined()
      }),
    )
  })
})

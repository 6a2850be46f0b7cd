import { describe, expect, it } from 'vitest'
import { FilterStatus } from '../../../lib/connection/filter.ts'
import { ProxyHeaderFilter, proxyHeaderBetween } from '../../../lib/connection/proxy-header-filter.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { Interest } from '../../../lib/sys/readiness.ts'
import { ERRNO, Interests, ip } from './fake-engine.ts'
import { scriptedStack } from './proxy-script.ts'

const LINE = 'PROXY TCP4 192.0.2.1 198.51.100.7 40000 80\r\n'

describe('a PROXY header in front of a stream', () => {
  it('goes out before anything else, in pieces if need be', () => {
    const { engine, below } = scriptedStack()
    const header = proxyHeaderBetween(ip('192.0.2.1', 40_000), ip('198.51.100.7', 80))
    const filter = new ProxyHeaderFilter(engine, below, header)
    below.sendsMost = 20
    for (const sent of [20, 40]) {
      expect(filter.connect(0)).toBe(FilterStatus.PENDING)
      expect(below.sent).toBe(LINE.slice(0, sent))
      const interests = new Interests()
      filter.interest(Interest.READABLE, interests)
      expect(interests.entries[0]?.[1]).toBe(Interest.WRITABLE)
    }
    below.sendsMost = 0
    expect(filter.connect(0)).toBe(FilterStatus.PENDING)
    below.sendsMost = 20
    expect(filter.connect(0)).toBe(FilterStatus.DONE)
    expect(below.sent).toBe(LINE)
    expect(below.reads).toEqual([])
    expect(filter.connect(0)).toBe(FilterStatus.DONE)
  })

  it('fails when it cannot be sent', () => {
    const { engine, below } = scriptedStack()
    const filter = new ProxyHeaderFilter(engine, below, Buffer.from(LINE))
    below.sendError = ERRNO.ECONNRESET
    expect(filter.connect(0)).toBe(FilterStatus.FAILED)
    expect(filter.failure).toMatchObject({ code: 'SEND_ERROR', syscall: 'send', errno: -ERRNO.ECONNRESET })
  })

  it('says UNKNOWN when the ends are not known or not IP', () => {
    const unix = { family: Family.UNIX, address: '/run/a', port: 0 }
    const pairs = [
      [null, ip('1.2.3.4')],
      [ip('1.2.3.4'), null],
      [unix, unix],
      [ip('1.2.3.4'), ip('::1')],
    ] as const
    for (const [source, destination] of pairs) {
      expect(Buffer.from(proxyHeaderBetween(source, destination)).toString()).toBe('PROXY UNKNOWN\r\n')
      // The command "local", which every receiver must accept; "proxy" without addresses it may refuse.
      expect([...proxyHeaderBetween(source, destination, 2).subarray(12)]).toEqual([0x20, 0, 0, 0])
    }
    const binary = proxyHeaderBetween(ip('::1', 1), ip('::2', 2), 2)
    expect([binary[12], binary[13], binary.length]).toEqual([0x21, 0x21, 16 + 36])
  })
})

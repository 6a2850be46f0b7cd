import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TransferError } from '../../../lib/base/errors.ts'
import { FilterStatus } from '../../../lib/connection/filter.ts'
import { nameService } from '../../../lib/connection/names.ts'
import { ProxyError } from '../../../lib/connection/proxy-error.ts'
import { type SocksDestination, SocksFilter } from '../../../lib/connection/socks-filter.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { Interest } from '../../../lib/sys/readiness.ts'
import { ERRNO, type FakeEngine, Interests, ip, Waiter } from './fake-engine.ts'
import { runFilter, type ScriptedLayer, scriptedStack } from './proxy-script.ts'

const GRANTED = '\x05\x00\x00\x01\0\0\0\0\x1f\x90'

interface Rig {
  readonly below: ScriptedLayer
  readonly fake: FakeEngine
  readonly socks: SocksFilter
  readonly waiter: Waiter
}

function setUp(destination: Partial<SocksDestination> = {}): Rig {
  const { engine, below, fake } = scriptedStack()
  const waiter = new Waiter(fake)
  const socks = new SocksFilter(engine, waiter.task, below, {
    kind: 'socks5h',
    host: 'a.test',
    port: 80,
    ...destination,
  })
  return { below, fake, socks, waiter }
}

function wants({ socks }: Rig, wanted: number): number {
  const interests = new Interests()
  socks.interest(wanted, interests)
  return interests.entries[0]?.[1] ?? 0
}

function failureOf({ socks }: Rig): ProxyError {
  expect(socks.failure).toBeInstanceOf(ProxyError)
  return socks.failure as ProxyError
}

describe('a SOCKS layer', () => {
  it('shakes hands, then lets everything through', () => {
    const rig = setUp()
    const { below, socks } = rig
    expect(wants(rig, Interest.NONE)).toBe(Interest.WRITABLE)
    expect(socks.connect(0)).toBe(FilterStatus.PENDING)
    expect(below.sent).toBe('\x05\x01\x00')
    expect(wants(rig, Interest.NONE)).toBe(Interest.READABLE)
    below.give('\x05\x00')
    expect(socks.connect(0)).toBe(FilterStatus.PENDING)
    expect(below.sent).toBe('\x05\x01\x00\x05\x01\x00\x03\x06a.test\x00\x50')
    below.give(`${GRANTED}hello`)
    expect(socks.connect(0)).toBe(FilterStatus.DONE)
    expect(below.left).toBe('hello')
    expect([socks.hasPending, socks.checkIdle(), socks.failure, socks.isResolving]).toEqual([false, true, null, false])
    expect(wants(rig, Interest.READABLE)).toBe(Interest.READABLE)
    expect(socks.send(1, 0, 3)).toBe(3)
  })

  it('speaks version 4a', () => {
    const { below, socks } = setUp({ kind: 'socks4a', credentials: { username: 'me', password: '' } })
    below.give('\x00\x5a\0\0\0\0\0\0hello')
    expect(socks.connect(0)).toBe(FilterStatus.DONE)
    expect(below.sent).toBe('\x04\x01\x00\x50\0\0\0\x01me\0a.test\0')
    expect(below.left).toBe('hello')
  })

  it('logs in', () => {
    const { below, socks } = setUp({ credentials: { username: 'me', password: 'pw' } })
    below.give(`\x05\x02\x01\x00${GRANTED}`)
    expect(socks.connect(0)).toBe(FilterStatus.DONE)
    expect(below.sent).toContain('\x05\x02\x00\x02\x01\x02me\x02pw\x05\x01')
  })

  it('says in words and in curl’s codes why it fails', () => {
    const rig = setUp()
    rig.below.give('\x05\x00\x05\x05')
    expect(rig.socks.connect(0)).toBe(FilterStatus.FAILED)
    expect(failureOf(rig)).toMatchObject({
      code: 'PROXY',
      number: 97,
      proxyCode: 'REPLY_CONNECTION_REFUSED',
      proxyNumber: 19,
      message: 'could not connect to a.test:80 through the socks5h proxy: connection refused',
    })
    expect(wants(rig, Interest.READABLE)).toBe(Interest.NONE)
    expect(rig.socks.connect(0)).toBe(FilterStatus.FAILED)
  })

  it('fails without a byte when the proxy cannot be asked', () => {
    const rig = setUp({ host: 'x'.repeat(300) })
    expect(rig.socks.connect(0)).toBe(FilterStatus.FAILED)
    expect(failureOf(rig).proxyCode).toBe('LONG_HOSTNAME')
    expect(rig.below.sent).toBe('')
  })

  it.each(['', '\x05', '\x05\x00', '\x05\x00\x05\x00\x00\x01\0'])('fails when the proxy closes after %j', (replies) => {
    const rig = setUp()
    rig.below.give(replies)
    rig.below.ended = true
    expect(rig.socks.connect(0)).toBe(FilterStatus.FAILED)
    expect(failureOf(rig).proxyCode).toBe('CLOSED')
  })

  it('fails with the system call that failed, and says in which part', () => {
    const sending = setUp()
    sending.below.sendError = ERRNO.EPIPE
    sending.socks.connect(0)
    expect(failureOf(sending)).toMatchObject({ proxyCode: 'SEND_CONNECT', syscall: 'send', errno: -ERRNO.EPIPE })
    const greeting = setUp()
    greeting.below.readError = ERRNO.ECONNRESET
    greeting.socks.connect(0)
    expect(failureOf(greeting)).toMatchObject({ proxyCode: 'RECV_CONNECT', syscall: 'recv' })
    const asking = setUp()
    asking.below.give('\x05\x00')
    asking.socks.connect(0)
    asking.below.readError = ERRNO.ECONNRESET
    asking.socks.connect(0)
    expect(failureOf(asking)).toMatchObject({ proxyCode: 'RECV_REQACK', errno: -ERRNO.ECONNRESET })
    const login = setUp({ credentials: { username: 'u', password: 'p' } })
    login.below.give('\x05\x02')
    login.socks.connect(0)
    login.below.readError = ERRNO.ECONNRESET
    login.socks.connect(0)
    expect(failureOf(login).proxyCode).toBe('RECV_AUTH')
  })

  it('fails with the layer below, whose own reason is kept', () => {
    const { below, socks } = setUp()
    below.failure = new TransferError('RECV_ERROR', 'bad record')
    below.readError = ERRNO.EPROTO
    expect(socks.connect(0)).toBe(FilterStatus.FAILED)
    expect(socks.failure).toBe(below.failure)
  })
})

describe('a SOCKS layer that looks the name up itself', () => {
  it('waits for the answer without any interest, then asks for the address', () => {
    const rig = setUp({ kind: 'socks5' })
    const { below, fake, socks, waiter } = rig
    expect(socks.connect(0)).toBe(FilterStatus.PENDING)
    expect(socks.isResolving).toBe(true)
    expect(wants(rig, Interest.READABLE)).toBe(Interest.NONE)
    expect(fake.resolver.asked).toEqual(['a.test any'])
    fake.resolver.answer('a.test', ['2001:db8::1', '192.0.2.1'])
    fake.pass()
    expect(waiter.runs).toBe(0)
    fake.pass()
    expect(waiter.runs).toBe(1)
    below.give(`\x05\x00${GRANTED}`)
    expect(socks.connect(0)).toBe(FilterStatus.DONE)
    expect(socks.isResolving).toBe(false)
    expect(Buffer.from(below.sent, 'latin1').toString('hex')).toBe('0501000501000420010db80000000000000000000000010050')
  })

  it('looks for the answer when it is run without one', () => {
    const { fake, socks, waiter } = setUp({ kind: 'socks5' })
    socks.connect(0)
    fake.pass()
    fake.resolver.answer('a.test', ['192.0.2.1'])
    fake.pass()
    expect(waiter.runs).toBe(0)
    expect(socks.connect(0)).toBe(FilterStatus.PENDING)
    fake.pass()
    fake.pass()
    expect(waiter.runs).toBe(1)
  })

  it('asks for IPv4 alone with version 4, and for one family when told to', () => {
    const four = setUp({ kind: 'socks4' })
    four.socks.connect(0)
    expect(four.fake.resolver.asked).toEqual([`a.test ${Family.IPV4}`])
    const six = setUp({ kind: 'socks5', family: Family.IPV6 })
    six.socks.connect(0)
    expect(six.fake.resolver.asked).toEqual([`a.test ${Family.IPV6}`])
  })

  it('takes the addresses that it is given', () => {
    const { below, socks, fake } = setUp({ kind: 'socks4', addresses: [ip('::1'), ip('192.0.2.9')] })
    below.give('\x00\x5a\0\0\0\0\0\0')
    expect(socks.connect(0)).toBe(FilterStatus.DONE)
    expect(below.sent).toBe('\x04\x01\x00\x50\xc0\x00\x02\x09\0')
    expect(fake.resolver.asked).toEqual([])
  })

  it('needs no lookup for an address', () => {
    const { socks, below } = setUp({ kind: 'socks5', host: '192.0.2.1' })
    expect(socks.connect(0)).toBe(FilterStatus.PENDING)
    expect(below.sent).toBe('\x05\x01\x00')
  })

  it('fails when there is no address of use', () => {
    const unknown = setUp({ kind: 'socks5' })
    unknown.socks.connect(0)
    unknown.fake.resolver.answer('a.test', [], 'ENOTFOUND')
    unknown.fake.pass()
    expect(unknown.socks.connect(0)).toBe(FilterStatus.FAILED)
    expect(failureOf(unknown)).toMatchObject({ proxyCode: 'RESOLVE_HOST', syscall: 'getaddrinfo' })
    const literal = setUp({ kind: 'socks4', host: '::1' })
    expect(literal.socks.connect(0)).toBe(FilterStatus.FAILED)
    expect(failureOf(literal).proxyCode).toBe('RESOLVE_HOST')
    const given = setUp({ kind: 'socks4', addresses: [ip('::1')] })
    expect(given.socks.connect(0)).toBe(FilterStatus.FAILED)
    expect(failureOf(given).message).toContain('no address that the proxy can be told')
  })

  it('takes the question back when it is closed', () => {
    const { socks, below, fake } = setUp({ kind: 'socks5' })
    socks.connect(0)
    socks.close()
    socks.close()
    expect(fake.resolver.cancelled.length).toBe(1)
    expect(fake.facility(nameService).outstanding).toBe(0)
    expect(below.closed).toBe(2)
    expect(socks.connect(0)).toBe(FilterStatus.FAILED)
  })
})

describe('a SOCKS layer, however the bytes are cut', () => {
  it('sends the same, takes its own bytes alone and comes to the same end', () => {
    const replies = fc.constantFrom(
      `\x05\x00${GRANTED}`,
      '\x05\x00\x05\x00\x00\x03\x02ab\x00\x00',
      `\x05\x00\x05\x00\x00\x04${'\x01'.repeat(18)}`,
      `\x05\x02\x01\x00${GRANTED}`,
      '\x05\x02\x01\x01',
      '\x05\x00\x05\x03\x00\x01',
      '\x05\xff',
      '\x04',
    )
    fc.assert(
      fc.property(replies, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), (text, reads, sends) => {
        const outcomes = [true, false].map((isWhole) => {
          const rig = setUp({ credentials: { username: 'user', password: 'pw' } })
          const { below, socks } = rig
          if (!isWhole) {
            below.readsMost = reads
            below.sendsMost = sends
          }
          below.give(`${text}rest`)
          const status = runFilter(socks)
          const left = status === FilterStatus.DONE ? below.left : ''
          if (status === FilterStatus.DONE) expect(left).toBe('rest')
          return JSON.stringify([status, below.sent, left, socks.failure?.message])
        })
        expect(outcomes[0]).toBe(outcomes[1])
      }),
      { numRuns: 300 },
    )
  })
})

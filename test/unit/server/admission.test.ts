import { describe, expect, it } from 'vitest'
import { Multi, Server, type ServerOptions, setPanicHandler } from '../../../lib/index.ts'
import { AcceptRate } from '../../../lib/server/admission/accept-rate.ts'
import { isLocalPeer, prefixKey } from '../../../lib/server/admission/address-prefix.ts'
import { Admission } from '../../../lib/server/admission/admission.ts'
import { panic } from '../../../lib/server/panic.ts'
import { Family, type SocketAddress } from '../../../lib/sys/kernel.ts'

const four = (address: string): SocketAddress => ({ family: Family.IPV4, address, port: 1 })
const six = (address: string): SocketAddress => ({ family: Family.IPV6, address, port: 1 })
const LENGTHS = { ipv4: 32, ipv6: 64 }

describe('the key of an address', () => {
  it('is one for IPv4 however it is dressed', () => {
    const key = prefixKey(four('192.0.2.1'), LENGTHS)
    expect(prefixKey(six('::ffff:192.0.2.1'), LENGTHS)).toBe(key)
    expect(prefixKey(six('::ffff:c000:201'), LENGTHS)).toBe(key)
    expect(prefixKey(four('192.0.2.2'), LENGTHS)).not.toBe(key)
    expect(prefixKey(four('192.0.2.2'), { ...LENGTHS, ipv4: 24 })).toBe(
      prefixKey(four('192.0.2.77'), { ...LENGTHS, ipv4: 24 }),
    )
  })

  it('is one for a /64 of IPv6, or for as many bits as are told', () => {
    const same = (a: string, b: string, ipv6: number): boolean =>
      prefixKey(six(a), { ipv4: 32, ipv6 }) === prefixKey(six(b), { ipv4: 32, ipv6 })
    expect(same('2001:db8::1', '2001:db8::ffff:0:0:2', 64)).toBe(true)
    expect(same('2001:db8::1', '2001:db8:0:1::1', 64)).toBe(false)
    expect(same('2001:db8::1', '2001:db8::2', 128)).toBe(false)
    expect(same('2001:db8::1', '2001:db8:1::1', 47)).toBe(true)
    expect(same('2001:db8::1', '2001:db8:1::1', 48)).toBe(false)
    expect(same('fe80::1%eth0', 'fe80::1%eth1', 128)).toBe(true)
  })

  it('is none for a unix socket, which is local as loopback addresses are', () => {
    expect(prefixKey({ family: Family.UNIX, address: '', port: 0 }, LENGTHS)).toBe(null)
    const local = [four('127.0.0.1'), four('127.9.9.9'), six('::1'), six('::ffff:127.0.0.1')]
    expect(local.map(isLocalPeer)).toEqual([true, true, true, true])
    expect([four('192.0.2.1'), six('::2')].map(isLocalPeer)).toEqual([false, false])
  })
})

describe('a rate', () => {
  it('lets a burst through after a pause and no more than one per interval then', () => {
    const rate = new AcceptRate()
    const limit = { minIntervalMs: 10, burst: 3 }
    expect(rate.available(limit, 0)).toBe(3)
    expect([1, 2, 3, 4].map(() => rate.take(limit, 0))).toEqual([true, true, true, false])
    expect([rate.available(limit, 9), rate.nextAt(limit)]).toEqual([0, 10])
    expect([rate.take(limit, 10), rate.take(limit, 10)]).toEqual([true, false])
    expect(rate.available(limit, 1000)).toBe(3)
  })

  it('keeps to its burst at any time, whatever is lost to rounding', () => {
    for (let now = 0.1; now < 1e9; now *= 1.37) {
      const rate = new AcceptRate()
      const limit = { minIntervalMs: 1e5 / 3, burst: 4 }
      expect(rate.available(limit, now)).toBe(4)
      expect(
        [1, 2, 3, 4, 5].map(() => rate.take(limit, now)),
        String(now),
      ).toEqual([true, true, true, true, false])
    }
  })
})

describe('admission', () => {
  const settings = { prefixLengths: LENGTHS, policy: null, overload: 'reject' } as const

  it('takes back what it took when a later step refuses', () => {
    let verdict = false
    const admission = new Admission({
      ...settings,
      limits: { connections: 2, perPrefix: 1, rate: null },
      policy: () => verdict,
    })
    const peer = four('192.0.2.1')
    const key = admission.keyOf(peer)
    for (let i = 0; i < 5; i++) expect(admission.admit(peer, key, 0)).toBe('policy')
    expect(admission.counts.connections).toBe(0)
    verdict = true
    expect(admission.admit(peer, key, 0)).toBe(null)
    expect(admission.admit(peer, key, 0)).toBe('address')
    const other = four('192.0.2.2')
    expect(admission.admit(other, admission.keyOf(other), 0)).toBe(null)
    expect(admission.admit(other, admission.keyOf(other), 0)).toBe('connections')
    admission.release(key)
    expect(admission.admit(peer, key, 0)).toBe(null)
  })

  it('counts the client in the place of its proxy', () => {
    const admission = new Admission({ ...settings, limits: { connections: 9, perPrefix: 1, rate: null } })
    const proxy = four('10.0.0.1')
    const client = four('192.0.2.1')
    const [proxyKey, clientKey] = [admission.keyOf(proxy), admission.keyOf(client)]
    expect(admission.admit(proxy, proxyKey, 0)).toBe(null)
    expect(admission.readmit(proxyKey, client, 0)).toBe(null)
    expect(admission.admit(proxy, proxyKey, 0)).toBe(null)
    expect(admission.readmit(proxyKey, client, 0)).toBe('address')
    admission.release(proxyKey)
    admission.release(clientKey)
    expect(admission.counts.connections).toBe(0)
    expect([admission.counts.ofPrefix(proxyKey as number), admission.counts.ofPrefix(clientKey as number)]).toEqual([
      0, 0,
    ])
  })

  it('bounds strangers by default, and not those of this machine', () => {
    const admission = new Admission({ ...settings, limits: { connections: 9999, perPrefix: 'default', rate: null } })
    const outcomes = (peer: SocketAddress): number => {
      let admitted = 0
      while (admitted < 1000 && admission.admit(peer, admission.keyOf(peer), 0) === null) admitted++
      return admitted
    }
    expect([outcomes(four('192.0.2.1')), outcomes(four('127.0.0.1'))]).toEqual([256, 1000])
  })
})

describe('wrong options', () => {
  const wrong: [ServerOptions, RegExp][] = [
    [{ limits: { connections: -1 } }, /connections.*-1/],
    [{ limits: { connections: Number.NaN } }, /connections/],
    [{ limits: { perPrefix: 'none' as never } }, /perPrefix/],
    [{ limits: { rate: {} as never } }, /exactly one of perSecond and minIntervalMs/],
    [{ limits: { rate: { perSecond: 0 } } }, /perSecond.*0/],
    [{ limits: { prefixLengths: { ipv4: 33 } } }, /ipv4.*33/],
    [{ limits: { conections: 1 } as never }, /unknown option "conections"/],
    [{ overload: 'drop' as never }, /overload.*"drop"/],
    [{ rejection: 'bye' as never }, /rejection.*"bye"/],
    [{ policy: true as never }, /policy/],
    [{ strategy: {} as never }, /callback/],
    [{ strategy: { session: () => {}, concurrency: { max: 0 } } }, /max.*0/],
    [{ strategy: { session: () => {}, callback: () => {} } as never }, /unknown option "callback"/],
    [{ timeouts: { idle: 5 } as never }, /unknown option "idle"/],
    [{ timeouts: { idleMs: -5 } }, /idleMs.*-5/],
    [{ priority: 'urgent' as never }, /priority.*"urgent"/],
    [{ listen: { host: '127.0.0.1' } }, /one of port, path and fd/],
    [{ tls: {} }, /tls.certificate/],
    [{ proxyProtocol: { from: ['nowhere'] } }, /proxyProtocol.from|from/],
    [{ lisen: [] } as never, /unknown option "lisen"/],
    [{ onDrop: 1 as never }, /onDrop/],
  ]

  it.each(wrong)('%j', (options, message) => {
    const multi = new Multi()
    expect(() => new Server(multi, options)).toThrow(message)
    expect(multi.waitFds()).toEqual([])
    multi.close()
  })

  it('of verbs are named as well', () => {
    const multi = new Multi()
    const server = new Server(multi)
    expect(() => server.suspend({ pending: 'drop' as never })).toThrow(/pending.*"drop"/)
    expect(() => server.throttle({ rate: { perSecond: -1 } })).toThrow(/perSecond/)
    expect(() => server.drain({ idle: 'now' as never })).toThrow(/idle.*"now"/)
    expect(() => server.stop({ graceMs: -1 })).toThrow(/graceMs/)
    expect(() => server.find({} as never)).toThrow(/find/)
    expect(() => server.disconnect(1, 'boring' as never)).toThrow(/reason.*"boring"/)
    expect(() => server.exclusive(1 as never)).toThrow(/section/)
    expect(() => server.setPriority('urgent' as never)).toThrow(/priority/)
    expect(() => server.suspend()).toThrow(/idle, not listening/)
    expect([server.setPriority('low'), server.priority]).toEqual(['normal', 'low'])
    expect(() => new Server({} as never)).toThrow(/needs a Multi/)
    multi.close()
    expect(() => new Server(multi)).toThrow(/closed/)
  })
})

it('the panic handler hears what belongs to nobody, and is given back', () => {
  const heard: string[] = []
  const previous = setPanicHandler((error) => heard.push(`${error.operation}: ${(error.cause as Error).message}`))
  panic('onIdle', new Error('of the program'))
  expect(setPanicHandler(previous)).not.toBe(previous)
  expect(heard).toEqual(['onIdle: of the program'])
  expect(() => setPanicHandler(1 as never)).toThrow(TypeError)
})

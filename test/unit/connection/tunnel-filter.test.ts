import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TransferError } from '../../../lib/base/errors.ts'
import { FilterStatus } from '../../../lib/connection/filter.ts'
import { TunnelError } from '../../../lib/connection/proxy-error.ts'
import { TunnelFilter, type TunnelOptions } from '../../../lib/connection/tunnel-filter.ts'
import { Interest } from '../../../lib/sys/readiness.ts'
import { ERRNO, Interests } from './fake-engine.ts'
import { runFilter, SCRIPT_FD, type ScriptedLayer, scriptedStack } from './proxy-script.ts'

const REQUEST = 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n'
const GRANTED = 'HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n'
const CHALLENGE = 'HTTP/1.1 407 Who?\r\nProxy-Authenticate: Digest realm="a"\r\nProxy-Authenticate: Basic\r\n'

function setUp(options: Partial<TunnelOptions> = {}): { below: ScriptedLayer; tunnel: TunnelFilter } {
  const { engine, below } = scriptedStack()
  return { below, tunnel: new TunnelFilter(engine, below, { host: 'a.test', port: 443, ...options }) }
}

function wants(tunnel: TunnelFilter, wanted: number): number {
  const interests = new Interests()
  tunnel.interest(wanted, interests)
  return interests.entries[0]?.[1] ?? 0
}

function codeOf(tunnel: TunnelFilter): string {
  const { failure } = tunnel
  return failure instanceof TransferError ? `${failure.code}: ${failure.message}` : String(failure)
}

describe('a tunnel', () => {
  it('asks, is granted, and lets everything through', () => {
    const { below, tunnel } = setUp()
    expect(tunnel.connect(0)).toBe(FilterStatus.PENDING)
    expect(below.sent).toBe(REQUEST)
    below.give(GRANTED)
    expect(tunnel.connect(0)).toBe(FilterStatus.DONE)
    expect(tunnel.response).toMatchObject({
      status: 200,
      reason: 'Connection established',
      httpVersion: '1.1',
      headText: GRANTED,
    })
    expect(tunnel.response?.headers.get('via')).toBe('proxy')
    const reads = below.reads.length
    expect(tunnel.connect(0)).toBe(FilterStatus.DONE)
    expect(below.reads.length).toBe(reads)
    expect(tunnel.send(1, 0, 5)).toBe(5)
    expect(tunnel.sendBytes(Buffer.from('x'), 0, 1)).toBe(1)
    expect(tunnel.shutdownWrite()).toBe(0)
    expect(below.log).toEqual(['send 5', 'shutdownWrite'])
    expect(tunnel.checkIdle()).toBe(true)
    expect(tunnel.failure).toBeNull()
  })

  it('leaves all bytes behind the head to the layer above', () => {
    const { below, tunnel } = setUp()
    below.give(`${GRANTED}SSH-2.0-server\r\n`)
    expect(tunnel.connect(0)).toBe(FilterStatus.DONE)
    expect(below.left).toBe('SSH-2.0-server\r\n')
    expect(tunnel.hasPending).toBe(false)
    below.hasPending = true
    expect(tunnel.hasPending).toBe(true)
  })

  it('writes IPv6 targets in brackets', () => {
    const { below, tunnel } = setUp({ host: '::1', port: 80 })
    tunnel.connect(0)
    expect(below.sent).toBe('CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n')
  })

  it('tells the proxy who asks, and what else it is told to', () => {
    const { below, tunnel } = setUp({
      authorization: 'Basic dTpw',
      headers: [
        ['User-Agent', 'x'],
        ['HOST', 'b.test'],
        ['Proxy-Authorization', 'old'],
      ],
    })
    tunnel.connect(0)
    expect(below.sent).toBe(
      'CONNECT a.test:443 HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\nUser-Agent: x\r\nHOST: b.test\r\n\r\n',
    )
  })

  it('refuses an authorization that is no field value', () => {
    expect(() => setUp({ authorization: 'a\r\nX: y' })).toThrow(TypeError)
  })

  it('passes over informational answers', () => {
    const { below, tunnel } = setUp()
    below.give(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n${GRANTED}rest`)
    expect(tunnel.connect(0)).toBe(FilterStatus.DONE)
    expect(below.left).toBe('rest')
  })

  it('takes any 2xx for success, and no other status, 101 least of all', () => {
    for (const [status, granted] of [
      [200, true],
      [204, true],
      [299, true],
      [101, false],
      [300, false],
      [502, false],
    ]) {
      const { below, tunnel } = setUp()
      below.give(`HTTP/1.1 ${status} X\r\n\r\n`)
      expect(tunnel.connect(0)).toBe(granted ? FilterStatus.DONE : FilterStatus.FAILED)
    }
  })

  it('does not believe that a granted tunnel has a body', () => {
    const { below, tunnel } = setUp()
    below.give('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello')
    expect(tunnel.connect(0)).toBe(FilterStatus.DONE)
    expect(below.left).toBe('hello')
  })
})

describe('a tunnel that waits', () => {
  it('wants to write until the request is out, then to read', () => {
    const { below, tunnel } = setUp()
    below.sendsMost = 0
    expect(wants(tunnel, Interest.NONE)).toBe(Interest.WRITABLE)
    tunnel.connect(0)
    expect(wants(tunnel, Interest.READABLE)).toBe(Interest.WRITABLE)
    below.sendsMost = 10
    for (let sent = 10; sent < REQUEST.length; sent += 10) {
      expect(tunnel.connect(0)).toBe(FilterStatus.PENDING)
      expect(below.sent).toBe(REQUEST.slice(0, sent))
    }
    tunnel.connect(0)
    expect(below.sent).toBe(REQUEST)
    expect(wants(tunnel, Interest.WRITABLE)).toBe(Interest.READABLE)
    below.give(GRANTED)
    tunnel.connect(0)
    expect(wants(tunnel, Interest.WRITABLE)).toBe(Interest.WRITABLE)
    expect(wants(tunnel, Interest.NONE)).toBe(Interest.NONE)
  })

  it('begins when the layer below is connected, and fails with it', () => {
    const { below, tunnel } = setUp()
    below.status = FilterStatus.PENDING
    expect(tunnel.connect(0)).toBe(FilterStatus.PENDING)
    expect(below.sent).toBe('')
    below.status = FilterStatus.FAILED
    below.failure = new Error('handshake')
    expect(tunnel.connect(0)).toBe(FilterStatus.FAILED)
    expect(tunnel.failure).toBe(below.failure)
    expect(wants(tunnel, Interest.READABLE)).toBe(Interest.NONE)
  })

  it('yields after a number of reads, and says that more is there', () => {
    const { below, tunnel } = setUp()
    below.give(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(5000)}\r\n\r\nrest`)
    expect(tunnel.connect(0)).toBe(FilterStatus.PENDING)
    expect(tunnel.hasPending).toBe(true)
    expect(below.reads.length).toBeLessThan(600)
    expect(runFilter(tunnel)).toBe(FilterStatus.DONE)
    expect(tunnel.hasPending).toBe(false)
    expect(below.left).toBe('rest')
  })

  it('costs few reads for a usual answer', () => {
    const { below, tunnel } = setUp()
    below.give('HTTP/1.1 200 Connection established\r\n\r\n')
    tunnel.connect(0)
    expect(below.reads.length).toBeLessThan(20)
    expect(Math.max(...below.reads)).toBe(14)
  })

  it('lets go of everything when it is closed', () => {
    const { below, tunnel } = setUp()
    below.sendsMost = 10
    tunnel.connect(0)
    tunnel.close()
    expect(below.closed).toBe(1)
    expect(tunnel.connect(0)).toBe(FilterStatus.FAILED)
    expect(below.sent.length).toBe(10)
    expect(tunnel.checkIdle()).toBe(false)
  })
})

describe('a tunnel that fails', () => {
  it.each([
    ['HTTP/1.1 403 No\r\n\r\n', 'RECV_ERROR: CONNECT tunnel failed, response 403'],
    ['HTTP/1.0 502 Bad\r\nContent-Length: 9\r\n\r\n', 'RECV_ERROR: CONNECT tunnel failed, response 502'],
    ['SSH-2.0-OpenSSH_9.6 Debian\r\n', 'CONNECT tunnel failed: invalid response head'],
    ['HTTP/2.0 200 OK\r\n\r\n', 'UNSUPPORTED_PROTOCOL: CONNECT tunnel failed'],
  ])('by the answer %j', (answer, message) => {
    const { below, tunnel } = setUp()
    below.give(answer)
    expect(runFilter(tunnel)).toBe(FilterStatus.FAILED)
    expect(codeOf(tunnel)).toContain(message)
  })

  it.each(['', 'H', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nA: b\r\n\r'])('by an end after %j', (answer) => {
    const { below, tunnel } = setUp()
    below.give(answer)
    below.ended = true
    expect(tunnel.connect(0)).toBe(FilterStatus.FAILED)
    expect(codeOf(tunnel)).toMatch(/^RECV_ERROR: CONNECT tunnel failed: connection closed/)
  })

  it('by a head that is too large', () => {
    const { below, tunnel } = setUp({ headBytesMax: 2000 })
    below.give(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(1000)}`)
    expect(runFilter(tunnel)).toBe(FilterStatus.FAILED)
    expect(codeOf(tunnel)).toMatch(/^TOO_LARGE: /)
    expect(below.left.length).toBeGreaterThan(3900)
  })

  it('by a system call, and says which', () => {
    const sending = setUp()
    sending.below.sendError = ERRNO.EPIPE
    expect(sending.tunnel.connect(0)).toBe(FilterStatus.FAILED)
    expect(sending.tunnel.failure).toMatchObject({ code: 'SEND_ERROR', syscall: 'send', errno: -ERRNO.EPIPE })
    const receiving = setUp()
    receiving.below.readError = ERRNO.ECONNRESET
    expect(receiving.tunnel.connect(0)).toBe(FilterStatus.FAILED)
    expect(receiving.tunnel.failure).toMatchObject({ code: 'RECV_ERROR', syscall: 'recv', errno: -ERRNO.ECONNRESET })
  })

  it('by the layer below, whose own reason is kept', () => {
    const { below, tunnel } = setUp()
    tunnel.connect(0)
    below.readError = ERRNO.EPROTO
    below.failure = new TransferError('RECV_ERROR', 'bad record')
    expect(tunnel.connect(0)).toBe(FilterStatus.FAILED)
    expect(tunnel.failure).toBe(below.failure)
  })
})

describe('a tunnel whose proxy wants to know who asks', () => {
  const asked = (rest: string): ReturnType<typeof setUp> => {
    const both = setUp()
    both.below.give(CHALLENGE + rest)
    expect(runFilter(both.tunnel)).toBe(FilterStatus.FAILED)
    return both
  }
  const failureOf = (tunnel: TunnelFilter): TunnelError => tunnel.failure as TunnelError

  it('fails with the challenges', () => {
    const { tunnel } = asked('Content-Length: 0\r\n\r\n')
    expect(failureOf(tunnel)).toBeInstanceOf(TunnelError)
    expect(failureOf(tunnel)).toMatchObject({ code: 'RECV_ERROR', number: 56, status: 407, reusable: true })
    expect(failureOf(tunnel).message).toBe('CONNECT tunnel failed, response 407')
    expect(failureOf(tunnel).challenges).toEqual(['Digest realm="a"', 'Basic'])
  })

  it.each([
    ['no body', 'Content-Length: 0\r\n\r\n'],
    ['a body', 'Content-Length: 5\r\n\r\nhello'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n'],
  ])('may be asked again on the same connection after %s', (_, rest) => {
    const { below, tunnel } = asked(rest)
    below.sent = ''
    tunnel.retry('Digest response="x"')
    expect(tunnel.failure).toBeNull()
    expect(tunnel.connect(0)).toBe(FilterStatus.PENDING)
    expect(below.sent).toBe(REQUEST.replace(/\r\n$/, 'Proxy-Authorization: Digest response="x"\r\n\r\n'))
    below.give(`${GRANTED}rest`)
    expect(tunnel.connect(0)).toBe(FilterStatus.DONE)
    expect(below.left).toBe('rest')
  })

  it('waits for the rest of the refusal before it asks again', () => {
    const { below, tunnel } = asked('Content-Length: 5\r\n\r\nhe')
    below.sent = ''
    tunnel.retry('x')
    expect(tunnel.connect(0)).toBe(FilterStatus.PENDING)
    expect(wants(tunnel, Interest.NONE)).toBe(Interest.READABLE)
    expect(below.sent).toBe('')
    below.give('llo')
    tunnel.connect(0)
    expect(below.sent).toContain('Proxy-Authorization: x')
  })

  it('may be asked a third time', () => {
    const { below, tunnel } = asked('Content-Length: 0\r\n\r\n')
    tunnel.retry('first')
    below.give(`${CHALLENGE}Content-Length: 2\r\n\r\nno`)
    expect(runFilter(tunnel)).toBe(FilterStatus.FAILED)
    tunnel.retry('second')
    expect(runFilter(tunnel, 2)).toBe(FilterStatus.PENDING)
    below.give(GRANTED)
    expect(runFilter(tunnel)).toBe(FilterStatus.DONE)
    expect(below.sent.match(/Authorization: \w+/g)).toEqual(['Authorization: first', 'Authorization: second'])
  })

  it.each([
    ['that says close', 'Connection: close\r\nContent-Length: 0\r\n\r\n'],
    ['that says close to the proxy connection', 'Proxy-Connection: close\r\nContent-Length: 0\r\n\r\n'],
    ['without a length', '\r\n'],
    ['with a large body', 'Content-Length: 100000\r\n\r\n'],
  ])('needs a new connection after a refusal %s', (_, rest) => {
    const { tunnel } = asked(rest)
    expect(failureOf(tunnel)).toMatchObject({ status: 407, reusable: false })
    expect(() => tunnel.retry('x')).toThrow('not possible now')
  })

  it.each([
    ['closes', 'Content-Length: 5\r\n\r\nhe', '', true],
    ['breaks its chunks', 'Transfer-Encoding: chunked\r\n\r\n', 'junk\r\n', false],
    ['goes on and on', 'Transfer-Encoding: chunked\r\n\r\n', `1ffff\r\n${'x'.repeat(70_000)}`, false],
    ['says more than that', 'Content-Length: 2\r\n\r\n', 'no more', false],
  ])('needs a new connection when the proxy %s behind the refusal', (_, rest, more, ended) => {
    const { below, tunnel } = asked(rest)
    tunnel.retry('x')
    below.give(more)
    below.ended = ended
    expect(runFilter(tunnel)).toBe(FilterStatus.FAILED)
    expect(failureOf(tunnel)).toMatchObject({ code: 'RECV_ERROR', status: 407, reusable: false })
    expect(failureOf(tunnel).challenges.length).toBe(2)
    expect(below.sent).toBe(REQUEST)
  })

  it('refuses nothing else that way', () => {
    const { below, tunnel } = setUp()
    expect(() => tunnel.retry('x')).toThrow('not possible now')
    below.give('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n')
    tunnel.connect(0)
    expect(tunnel.failure).toMatchObject({ status: 403, reusable: false })
    expect(() => tunnel.retry('x')).toThrow('not possible now')
  })
})

describe('a tunnel, however the answer is cut', () => {
  const line = fc.constantFrom('\r\n', '\n')
  const field = fc.stringMatching(/^[A-Z]{1,8}: ?[a-z ]{0,20}$/)
  const answer = fc
    .tuple(
      line,
      fc.constantFrom(200, 204, 403, 407, 103),
      fc.array(field, { maxLength: 5 }),
      fc.constantFrom('', ' OK'),
    )
    .map(([end, status, fields, reason]) => [`HTTP/1.1 ${status}${reason}`, ...fields, '', ''].join(end))

  it('takes the head alone, and tells the same', () => {
    fc.assert(
      fc.property(fc.array(answer, { minLength: 1, maxLength: 3 }), fc.nat(5), (answers, most) => {
        const outcomes = [Number.POSITIVE_INFINITY, most + 1, 1].map((readsMost) => {
          const { below, tunnel } = setUp()
          below.readsMost = readsMost
          below.give(`${answers.join('')}\n\r\nrest`)
          below.ended = true
          const isGranted = runFilter(tunnel) === FilterStatus.DONE
          // After a failure it does not matter how much was read.
          const left = isGranted ? below.left : ''
          if (isGranted) expect(left).toMatch(/\n\r\nrest$/)
          return JSON.stringify([isGranted, tunnel.response?.headText, left, codeOf(tunnel)])
        })
        expect(new Set(outcomes).size).toBe(1)
      }),
      { numRuns: 300 },
    )
  })

  it('never throws at garbage', () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(answer, fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
        const bytes = Uint8Array.from(Buffer.from(text))
        bytes[at % bytes.length] = byte
        return bytes
      }),
    )
    fc.assert(
      fc.property(garbage, fc.nat(5), (bytes, most) => {
        const { below, tunnel } = setUp()
        below.readsMost = most + 1
        below.give(bytes)
        below.ended = true
        expect(runFilter(tunnel)).not.toBe(FilterStatus.PENDING)
        expect(below.reads.every((length) => length <= 14)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a tunnel’s interest', () => {
  it('is the descriptor’s at the bottom', () => {
    const { tunnel } = setUp()
    const interests = new Interests()
    tunnel.interest(Interest.NONE, interests)
    expect(interests.entries).toEqual([[SCRIPT_FD, Interest.WRITABLE]])
  })
})

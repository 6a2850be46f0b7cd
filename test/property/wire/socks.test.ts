import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SocksClient, type SocksRequest, SocksStatus } from '../../../lib/wire/socks.ts'

const text = fc.string({ unit: 'grapheme-ascii', maxLength: 30 })
const request: fc.Arbitrary<SocksRequest> = fc.record({
  version: fc.constantFrom(4 as const, 5 as const),
  host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
  port: fc.nat(65535),
  credentials: fc.option(fc.record({ username: text, password: text })),
})
const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => [1, ...bytes]),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => [4, ...bytes]),
  fc.uint8Array({ maxLength: 255 }).map((bytes) => [3, bytes.length, ...bytes]),
)

/** The proxy's bytes, in order; it wants a login whenever it is offered one. */
function repliesTo({ version, credentials }: SocksRequest, bound: readonly number[]): number[] {
  if (version === 4) return [0, 90, 1, 2, 3, 4, 5, 6]
  const method = credentials === null ? [5, 0] : [5, 2, 1, 0]
  return [...method, 5, 0, 0, ...bound, 0x1f, 0x90]
}

interface Told {
  readonly sent: string
  readonly used: number
  readonly status: SocksStatus
  readonly fault: unknown
}

/** `most` bytes at a time of what the client says it needs, or of all there is when it is greedy. */
function talk(wanted: SocksRequest, input: Uint8Array, most: number, greedy: boolean): Told {
  const client = new SocksClient(wanted)
  let sent = ''
  let used = 0
  for (;;) {
    sent += Buffer.from(client.output).toString('hex')
    client.outputSent()
    if (used === input.length || client.status !== SocksStatus.PENDING) break
    const end = Math.min(input.length, used + (greedy ? most : Math.min(most, client.needed)))
    const next = client.receive(input, used, end)
    expect(next).toBeGreaterThan(used)
    used = next
  }
  return { sent, used, status: client.status, fault: client.fault }
}

describe('a SOCKS client, whatever comes', () => {
  it('gets through, in any pieces, and takes no byte that is not the proxy’s', () => {
    fc.assert(
      fc.property(request, address, fc.uint8Array({ maxLength: 10 }), fc.nat(20), (wanted, bound, rest, most) => {
        const replies = repliesTo(wanted, bound)
        const input = Uint8Array.from([...replies, ...rest])
        const whole = talk(wanted, input, input.length, true)
        expect(whole.status).toBe(SocksStatus.DONE)
        expect(whole.used).toBe(replies.length)
        expect(talk(wanted, input, 1, true)).toEqual(whole)
        expect(talk(wanted, input, most + 1, false)).toEqual(whole)
      }),
      { numRuns: 500 },
    )
  })

  it('tells the same of garbage in any pieces, and never throws', () => {
    const damaged = fc
      .tuple(request, address, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }), fc.nat(300))
      .map(([wanted, bound, changes, length]) => {
        const input = Uint8Array.from(repliesTo(wanted, bound)).slice(0, length)
        for (const [at, byte] of changes) if (input.length > 0) input[at % input.length] = byte
        return [wanted, input] as const
      })
    const garbage = fc.oneof(damaged, fc.tuple(request, fc.uint8Array({ maxLength: 300 })))
    fc.assert(
      fc.property(garbage, fc.nat(20), ([wanted, input], most) => {
        const whole = talk(wanted, input, input.length, true)
        expect(talk(wanted, input, most + 1, true)).toEqual(whole)
        expect(talk(wanted, input, most + 1, false)).toEqual(whole)
      }),
      { numRuns: 1000 },
    )
  })
})

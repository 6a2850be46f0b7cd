import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RateLimit } from '../../../lib/client/rate-limit.ts'
import { SpeedCheck } from '../../../lib/client/speed-check.ts'

describe('a rate limit', () => {
  it('lets a tenth of a second through at once, then holds until a twentieth has come', () => {
    const limit = new RateLimit(1000, 0)
    expect(limit.allowance(0)).toBe(100)
    limit.spend(100)
    expect(limit.allowance(0)).toBe(0)
    expect(limit.heldUntil).toBe(50)
    expect(limit.allowance(49)).toBe(0)
    expect(limit.allowance(50)).toBe(50)
    expect(limit.heldUntil).toBe(Number.POSITIVE_INFINITY)
  })

  it('gives no credit for time that was not used', () => {
    const limit = new RateLimit(1000, 0)
    expect(limit.allowance(1_000_000)).toBe(100)
  })

  it('keeps to the rate when used as soon as it lets, and is never held for nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 1, max: 100_000 }), (rate, most) => {
        const limit = new RateLimit(rate, 0)
        let now = 0
        let moved = 0
        for (let step = 0; step < 200; step++) {
          const allowed = Math.min(limit.allowance(now), most)
          if (allowed === 0) {
            expect(limit.heldUntil).toBeGreaterThan(now)
            now = limit.heldUntil
            expect(limit.allowance(now), 'at the time it named').toBeGreaterThan(0)
          } else {
            limit.spend(allowed)
            moved += allowed
          }
          expect(moved).toBeLessThanOrEqual((rate * now) / 1000 + Math.max(1, rate / 10) + 1)
        }
      }),
    )
  })
})

describe('a speed check', () => {
  it('complains once it was too slow for the whole time', () => {
    const check = new SpeedCheck(100, 3000, 0)
    expect(check.deadline).toBe(1000)
    expect(check.look(500, 0, false)).toBe(false)
    expect(check.look(1000, 50, false)).toBe(false)
    expect(check.look(2000, 100, false)).toBe(false)
    expect(check.look(3000, 199, false)).toBe(true)
    expect(check.complaint).toBe('Operation too slow. Less than 100 bytes/sec transferred the last 3 seconds')
  })

  it('begins anew after a fast second, and after a rest', () => {
    for (const rests of [true, false]) {
      const check = new SpeedCheck(100, 2000, 0)
      check.look(1000, 0, false)
      const moved = rests ? 0 : 100
      expect(check.look(2000, moved, rests)).toBe(false)
      expect(check.look(3000, moved, false)).toBe(false)
      expect(check.look(4000, moved, false)).toBe(true)
    }
  })

  it('looks more often when the time is short', () => {
    const check = new SpeedCheck(100, 20, 0)
    expect(check.deadline).toBe(20)
    expect(check.look(20, 1, false)).toBe(true)
  })
})

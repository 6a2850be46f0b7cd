import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { AbortWatch } from '../../../lib/request/abort-watch.ts'

interface Heard {
  readonly heard: unknown[]
  aborted(reason: unknown): void
}

function requests(count: number): Heard[] {
  return Array.from({ length: count }, () => {
    const heard: unknown[] = []
    return { heard, aborted: (reason: unknown) => void heard.push(reason) }
  })
}

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('an abort watch', () => {
  it('listens once for many, and no more when all have left', () => {
    const { signal } = new AbortController()
    const many = requests(100)
    const watches = many.map((request) => AbortWatch.join(signal, request))
    expect(new Set(watches).size).toBe(1)
    expect(listeners(signal)).toBe(1)
    many.forEach((request, index) => {
      watches[index]?.leave(request)
    })
    expect(listeners(signal)).toBe(0)
  })

  it('tells each one the reason, once, whoever leaves or joins meanwhile', () => {
    const controller = new AbortController()
    const [first, second, third] = requests(3) as [Heard, Heard, Heard]
    const watch = AbortWatch.join(controller.signal, first)
    first.aborted = (reason) => {
      first.heard.push(reason)
      watch.leave(first)
      watch.leave(third)
    }
    for (const request of [second, third]) AbortWatch.join(controller.signal, request)
    controller.abort('why')
    expect([first.heard, second.heard, third.heard]).toEqual([['why'], ['why'], ['why']])
    expect(listeners(controller.signal)).toBe(0)
  })

  it('begins anew for a signal that was left', () => {
    const controller = new AbortController()
    const [first, second] = requests(2) as [Heard, Heard]
    AbortWatch.join(controller.signal, first).leave(first)
    AbortWatch.join(controller.signal, second)
    controller.abort(1)
    expect([first.heard, second.heard]).toEqual([[], [1]])
  })
})

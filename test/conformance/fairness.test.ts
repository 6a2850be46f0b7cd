import { expect } from 'vitest'
import type { Message } from '../../lib/index.ts'
import { scenario } from './drivers.ts'
import { Fetch, readMessages } from './fetches.ts'

function placeOf(fetch: Fetch, messages: readonly Message[]): number {
  return messages.findIndex(({ transfer }) => transfer === fetch.transfer)
}

// On the simulated kernel, where no other thread's turns decide who comes first.

scenario(
  'lets small transfers finish beside a flood',
  async (bench) => {
    const multi = bench.multi()
    const flood = new Fetch({ url: bench.url('/bytes/20000000') })
    multi.add(flood.transfer)
    await bench.drive(multi, () => flood.chunks.length > 0)
    const small = Array.from({ length: 20 }, () => new Fetch({ url: bench.url('/bytes/10') }))
    for (const { transfer } of small) multi.add(transfer)
    await bench.drive(multi)
    const messages = readMessages(multi, [flood, ...small])
    expect(messages.length).toBe(21)
    expect(placeOf(flood, messages)).toBe(20)
  },
  { calm: true, on: 'simulated' },
)

scenario(
  'lets transfers finish while one floods upwards',
  async (bench) => {
    const multi = bench.multi()
    const piece = new Uint8Array(60_000)
    let pieces = 0
    const flood = new Fetch({ url: bench.url('/echo'), body: () => (pieces++ < 150 ? piece : null) })
    multi.add(flood.transfer)
    await bench.drive(multi, () => pieces > 2)
    const small = Array.from({ length: 20 }, () => new Fetch({ url: bench.url('/bytes/10') }))
    for (const { transfer } of small) multi.add(transfer)
    await bench.drive(multi)
    const messages = readMessages(multi, [flood, ...small])
    expect(messages.every(({ code }) => code === 0)).toBe(true)
    expect(placeOf(flood, messages)).toBe(20)
    expect(flood.body.length).toBe(150 * 60_000)
  },
  { calm: true, on: 'simulated' },
)

scenario('lets a transfer with a callback that always adds another come to its end', async (bench) => {
  const multi = bench.multi()
  const all: Fetch[] = []
  const add = (): void => {
    const fetch = new Fetch({
      url: bench.url('/bytes/3'),
      onHead: () => {
        if (all.length < 50) add()
      },
    })
    all.push(fetch)
    multi.add(fetch.transfer)
  }
  add()
  await bench.drive(multi)
  readMessages(multi, all)
  expect(all.length).toBe(50)
  expect(all.every(({ outcome }) => outcome === 'OK')).toBe(true)
})

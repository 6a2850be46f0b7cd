/**
 * Name lookup from a table: addresses or an error, after a delay, announced through a simulated descriptor. Answers of
 * cancelled queries are dropped. Single flight and caching are the library's business, so lookups are counted by name.
 */
import { Family, type SocketAddress } from '../../lib/sys/kernel.ts'
import type { Resolver, ResolverAnswer } from '../../lib/sys/resolver.ts'
import type { Faults } from './faults.ts'
import type { SimKernel } from './kernel.ts'
import { type EventFile, fail } from './open-file.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

export interface HostEntry {
  /** IPv4 and IPv6 addresses in text, in the order the system would prefer. */
  readonly addresses?: readonly string[]
  readonly error?: string
  readonly delayMs?: number
}

const DEFAULT_DELAY_MS = 2

export class SimResolver implements Resolver {
  readonly fd: number
  /** Lookups started, by name. */
  readonly lookups: Map<string, number> = new Map()
  readonly #kernel: SimKernel
  readonly #world: World
  readonly #faults: Faults
  readonly #random: Random
  readonly #event: EventFile
  readonly #hosts = new Map<string, HostEntry>()
  readonly #running = new Set<number>()
  #answers: { query: number; answer: ResolverAnswer }[] = []
  #lastQuery = 0
  #closed = false

  constructor(kernel: SimKernel, world: World, faults: Faults) {
    this.#kernel = kernel
    this.#world = world
    this.#faults = faults
    this.#random = world.random.fork()
    const { fd, event } = kernel.openEvent()
    this.fd = fd
    this.#event = event
  }

  set(hostname: string, entry: HostEntry): void {
    this.#hosts.set(hostname, entry)
  }

  /** Queries that are under way or whose answer nobody collected. */
  get outstanding(): number {
    return this.#running.size
  }

  lookup(hostname: string, family: typeof Family.IPV4 | typeof Family.IPV6 | null): number {
    const injected = this.#kernel.gate.pass('lookup', this.fd)
    if (this.#closed) {
      this.#kernel.violations.push('lookup on a closed resolver')
      return fail('EBADF')
    }
    if (injected !== null) return fail(injected)
    if (this.#random.chance(this.#faults.lookupRefused)) return fail('ENOMEM')
    const query = ++this.#lastQuery
    this.lookups.set(hostname, (this.lookups.get(hostname) ?? 0) + 1)
    this.#running.add(query)
    this.#world.record(`lookup ${hostname} ${query}`)
    const entry = this.#hosts.get(hostname)
    let delay = entry?.delayMs ?? DEFAULT_DELAY_MS
    if (this.#random.chance(this.#faults.lookupSlow)) delay += this.#random.unit() * 8000
    const answer = this.#answer(entry, family)
    this.#world.after(delay, () => this.#announce(query, answer))
    return query
  }

  cancel(query: number): void {
    this.#running.delete(query)
  }

  collect(deliver: (query: number, answer: ResolverAnswer) => void): number {
    if (this.#closed) this.#kernel.violations.push('collect on a closed resolver')
    const answers = this.#answers
    this.#answers = []
    this.#event.set = false
    let count = 0
    for (const { query, answer } of answers) {
      if (!this.#running.delete(query)) continue
      count++
      deliver(query, answer)
    }
    this.#world.record(`collect ${count}`)
    return count
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#running.clear()
    this.#kernel.closeEvent(this.fd)
  }

  #announce(query: number, answer: ResolverAnswer): void {
    if (this.#closed || !this.#running.has(query)) return
    this.#answers.push({ query, answer })
    this.#event.set = true
    this.#event.activity++
  }

  #answer(entry: HostEntry | undefined, family: Family | null): ResolverAnswer {
    if (this.#random.chance(this.#faults.lookupFailed)) return { addresses: [], error: 'EAI_AGAIN' }
    if (entry?.error !== undefined) return { addresses: [], error: entry.error }
    const addresses: SocketAddress[] = []
    for (const address of entry?.addresses ?? []) {
      const its = address.includes(':') ? Family.IPV6 : Family.IPV4
      if (family === null || family === its) addresses.push({ family: its, address, port: 0 })
    }
    return addresses.length > 0 ? { addresses, error: null } : { addresses: [], error: 'ENOTFOUND' }
  }
}

/**
 * Timers in a process of their own: `node timers.js NAME count repeats` arms `count` timers, cancels them in another
 * order, arms them again and lets them expire, and prints one line of JSON: nanoseconds of each, per repeat, as the C
 * peer does.
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { TimerHeap } from '../lib/base/timer-heap.ts'

export interface TimersAnswer {
  readonly arm: readonly number[]
  readonly cancel: readonly number[]
  readonly expire: readonly number[]
}

/** Delays are whole milliseconds: to be cancelled within a minute, to expire within ten. */
interface Timers {
  arm(id: number, delayMs: number): void
  cancel(id: number): void
  /** All that are armed are due. */
  expire(): void | Promise<void>
}

const LATER_MS = 60_000
const SOON_MS = 10
const NANOSECONDS_PER_MS = 1e6

/** As the engine keeps deadlines: one heap for all of them. */
class Deadlines implements Timers {
  readonly #heap = new TimerHeap()
  readonly #now = performance.now()

  arm(id: number, delayMs: number): void {
    this.#heap.set(id, this.#now + delayMs)
  }

  cancel(id: number): void {
    this.#heap.set(id, Number.POSITIVE_INFINITY)
  }

  expire(): void {
    const heap = this.#heap
    const due = this.#now + SOON_MS
    while (heap.next <= due) heap.set(heap.nextId, Number.POSITIVE_INFINITY)
  }
}

class NodeTimers implements Timers {
  readonly #timers: NodeJS.Timeout[] = []
  readonly #armed = { count: 0, done: (): void => {} }

  readonly #fire = (): void => {
    if (--this.#armed.count === 0) this.#armed.done()
  }

  arm(id: number, delayMs: number): void {
    this.#armed.count++
    this.#timers[id] = setTimeout(this.#fire, delayMs)
  }

  cancel(id: number): void {
    this.#armed.count--
    clearTimeout(this.#timers[id])
  }

  expire(): Promise<void> {
    return new Promise((resolve) => {
      this.#armed.done = resolve
    })
  }
}

const KINDS: Readonly<Record<string, () => Timers>> = {
  sockmux: () => new Deadlines(),
  node: () => new NodeTimers(),
}

/** The same sequence in every subject. */
function sequence(): (below: number) => number {
  let state = 1
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % below
  }
}

export async function measureTimers(name: string, count: number, repeats: number): Promise<TimersAnswer> {
  const open = KINDS[name]
  if (open === undefined) throw new Error(`no timers ${name}; there are ${Object.keys(KINDS).join(', ')}`)
  const timers = open()
  const draw = sequence()
  const order = Int32Array.from({ length: count }, (_, index) => index)
  for (let i = count - 1; i > 0; i--) {
    const j = draw(i + 1)
    const id = order[j] as number
    order[j] = order[i] as number
    order[i] = id
  }
  const answer = { arm: [] as number[], cancel: [] as number[], expire: [] as number[] }
  // One more than is told, which warms up.
  for (let repeat = -1; repeat < repeats; repeat++) {
    const begin = performance.now()
    for (let id = 0; id < count; id++) timers.arm(id, 1 + draw(LATER_MS))
    const armed = performance.now()
    for (const id of order) timers.cancel(id)
    const cancelled = performance.now()
    for (let id = 0; id < count; id++) timers.arm(id, 1 + draw(SOON_MS))
    wasteTime(SOON_MS + 1)
    const due = performance.now()
    await timers.expire()
    const end = performance.now()
    if (repeat < 0) continue
    answer.arm.push((armed - begin) * NANOSECONDS_PER_MS)
    answer.cancel.push((cancelled - armed) * NANOSECONDS_PER_MS)
    answer.expire.push((end - due) * NANOSECONDS_PER_MS)
  }
  return answer
}

/** Without leaving to Node's loop. */
function wasteTime(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [name = '', count = '0', repeats = '0'] = process.argv.slice(2)
  console.log(JSON.stringify(await measureTimers(name, Number(count), Number(repeats))))
}

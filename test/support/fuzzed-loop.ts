/**
 * A loop around anything shaped like a Multi, on any poller and clock, simulated or real, that is as badly behaved as a
 * loop may be: events twice, late, invented, with wrong bits or for descriptors long gone; timers early and late, kept
 * or used up once. It also holds the library to its word: no interest announced twice, no REMOVE of the unknown, no
 * second outstanding 0.
 */
import type { Clock } from '../../lib/sys/clock.ts'
import type { PollerLike } from '../../lib/sys/poller.ts'
import { Interest, SOCKET_TIMEOUT } from '../../lib/sys/readiness.ts'

export interface DrivenMulti {
  setSocketFunction(announce: ((fd: number, interest: number) => undefined | -1) | null): void
  setTimerFunction(arm: ((timeoutMs: number) => undefined | -1) | null): void
  socketAction(fd: number, readiness?: number): number
  socketActionBatch?(pairs: Int32Array, count: number): number
  readonly running: number
}

export interface LoopRandom {
  chance(probability: number): boolean
  int(limit: number): number
  unit(): number
  shuffle<T>(items: T[]): T[]
}

/** Probabilities; 0 is never. */
export interface LoopFuzz {
  droppedEvent: number
  duplicateEvent: number
  spuriousEvent: number
  wrongBits: number
  staleDescriptor: number
  shuffled: number
  batched: number
  earlyTimer: number
  lateTimer: number
  /** Per loop: a timer is used up when it fires, as libevent's and GLib's are; else it stays until told otherwise. */
  oneShotTimer: number
  /** Per loop: the timer is looked at only when a wait brought no event. */
  timerOnlyWhenIdle: number
}

export const NO_FUZZ: Readonly<LoopFuzz> = {
  droppedEvent: 0,
  duplicateEvent: 0,
  spuriousEvent: 0,
  wrongBits: 0,
  staleDescriptor: 0,
  shuffled: 0,
  batched: 0,
  earlyTimer: 0,
  lateTimer: 0,
  oneShotTimer: 0,
  timerOnlyWhenIdle: 0,
}

/** Each kind of misbehaviour is off in about half of the loops. */
export function drawFuzz(random: LoopRandom): LoopFuzz {
  const fuzz: LoopFuzz = { ...NO_FUZZ }
  for (const name of Object.keys(fuzz) as (keyof LoopFuzz)[]) {
    const on = random.chance(0.5)
    const share = random.unit()
    if (on) fuzz[name] = 0.4 * share * share
  }
  fuzz.oneShotTimer = random.chance(0.5) ? 1 : 0
  fuzz.timerOnlyWhenIdle = random.chance(0.5) ? 1 : 0
  return fuzz
}

export interface FuzzedLoopOptions {
  readonly multi: DrivenMulti
  readonly poller: PollerLike
  readonly clock: Clock
  readonly random: LoopRandom
  readonly fuzz?: LoopFuzz
  /** The longest wait; Infinity on a simulated poller, which notices a wait that cannot end. */
  readonly maxWaitMs?: number
  /** Rises with everything that counts as getting somewhere. */
  readonly progress?: () => number
  /** Called before every step, with nothing of the library on the stack. */
  readonly beforeStep?: () => void
}

export interface RunOptions {
  readonly until?: () => boolean
  readonly maxSteps?: number
  /** Steps at one instant and without progress that are taken for a livelock. */
  readonly maxStuckSteps?: number
}

/** The loop turns, and nothing gets anywhere. */
export class LoopStuck extends Error {}

const RECENT_MOST = 16

export class FuzzedLoop {
  readonly violations: string[] = []
  steps = 0
  readonly #options: FuzzedLoopOptions
  readonly #fuzz: LoopFuzz
  readonly #interests = new Map<number, number>()
  readonly #recent: number[] = []
  readonly #oneShot: boolean
  readonly #timerOnlyWhenIdle: boolean
  #deadline = Number.POSITIVE_INFINITY
  #told: number | null = null
  #toldAt = 0

  constructor(options: FuzzedLoopOptions) {
    this.#options = options
    this.#fuzz = options.fuzz ?? NO_FUZZ
    this.#oneShot = options.random.chance(this.#fuzz.oneShotTimer)
    this.#timerOnlyWhenIdle = options.random.chance(this.#fuzz.timerOnlyWhenIdle)
    options.multi.setSocketFunction((fd, interest) => this.#announced(fd, interest))
    options.multi.setTimerFunction((timeoutMs) => this.#armed(timeoutMs))
  }

  /** Descriptors announced and not removed. */
  get watched(): number {
    return this.#interests.size
  }

  get isTimerArmed(): boolean {
    return this.#deadline !== Number.POSITIVE_INFINITY
  }

  detach(): void {
    this.#options.multi.setSocketFunction(null)
    this.#options.multi.setTimerFunction(null)
  }

  /** Turns until the condition holds (default: nothing runs). Returns the steps taken. */
  run(options: RunOptions = {}): number {
    const { multi, clock } = this.#options
    const until = options.until ?? (() => multi.running === 0)
    const maxSteps = options.maxSteps ?? 200_000
    const maxStuckSteps = options.maxStuckSteps ?? 2000
    let stuck = 0
    for (let step = 0; ; step++) {
      this.#options.beforeStep?.()
      if (until()) return step
      if (step >= maxSteps) throw new LoopStuck(`not done after ${step} steps`)
      const instant = clock.now()
      const progress = this.#options.progress?.() ?? step
      this.step()
      const moved = clock.now() !== instant || (this.#options.progress?.() ?? step + 1) !== progress
      stuck = moved ? 0 : stuck + 1
      if (stuck >= maxStuckSteps) throw new LoopStuck(`${stuck} steps at one instant without progress`)
    }
  }

  step(): void {
    const { poller, clock, random } = this.#options
    this.steps++
    const count = poller.wait(this.#waitMs())
    const pairs: [number, number][] = []
    for (let i = 0; i < count; i++) this.#take(pairs, poller.ready[2 * i] ?? -1, poller.ready[2 * i + 1] ?? 0)
    this.#invent(pairs)
    if (random.chance(this.#fuzz.shuffled)) random.shuffle(pairs)
    this.#deliver(pairs)
    const isDue = clock.now() >= this.#deadline
    const isEarly = this.#deadline !== Number.POSITIVE_INFINITY && random.chance(this.#fuzz.earlyTimer)
    if ((isDue && (pairs.length === 0 || !this.#timerOnlyWhenIdle)) || isEarly) this.#fireTimer()
  }

  #waitMs(): number {
    const { clock, maxWaitMs = Number.POSITIVE_INFINITY } = this.#options
    let wait = Math.max(0, Math.ceil(this.#deadline - clock.now()))
    wait = Math.min(wait, maxWaitMs)
    return wait === Number.POSITIVE_INFINITY ? -1 : wait
  }

  #take(pairs: [number, number][], fd: number, readiness: number): void {
    const { random } = this.#options
    if (random.chance(this.#fuzz.droppedEvent)) return
    pairs.push([fd, random.chance(this.#fuzz.wrongBits) ? random.int(8) : readiness])
    if (random.chance(this.#fuzz.duplicateEvent)) pairs.push([fd, readiness])
  }

  #invent(pairs: [number, number][]): void {
    const { random } = this.#options
    if (this.#interests.size > 0 && random.chance(this.#fuzz.spuriousEvent)) {
      const fds = [...this.#interests.keys()]
      pairs.push([fds[random.int(fds.length)] as number, random.int(8)])
    }
    if (random.chance(this.#fuzz.staleDescriptor)) {
      const recent = this.#recent[random.int(this.#recent.length + 1)]
      pairs.push([recent ?? 900_000 + random.int(100), random.int(8)])
    }
  }

  #deliver(pairs: [number, number][]): void {
    const { multi, random } = this.#options
    if (pairs.length > 0 && multi.socketActionBatch !== undefined && random.chance(this.#fuzz.batched)) {
      multi.socketActionBatch(Int32Array.from(pairs.flat()), pairs.length)
      return
    }
    for (const [fd, readiness] of pairs) multi.socketAction(fd, readiness)
  }

  #fireTimer(): void {
    if (this.#oneShot) this.#deadline = Number.POSITIVE_INFINITY
    this.#told = null
    this.#options.multi.socketAction(SOCKET_TIMEOUT)
  }

  #announced(fd: number, interest: number): undefined {
    const { poller } = this.#options
    const known = this.#interests.get(fd)
    if (interest === Interest.REMOVE) {
      if (known === undefined) this.violations.push(`REMOVE of ${fd}, which was not announced`)
      this.#interests.delete(fd)
      this.#recent.push(fd)
      if (this.#recent.length > RECENT_MOST) this.#recent.shift()
      poller.remove(fd)
      return
    }
    if (!(interest >= 0 && interest <= 3)) this.violations.push(`interest ${interest} in ${fd}`)
    if (known === interest) this.violations.push(`interest ${interest} in ${fd} announced twice`)
    this.#interests.set(fd, interest)
    poller.modify(fd, interest)
  }

  #armed(timeoutMs: number): undefined {
    const { clock, random } = this.#options
    const again = this.#told === timeoutMs && (timeoutMs === -1 || this.#toldAt === clock.now())
    if (timeoutMs <= 0 && again) this.violations.push(`timer ${timeoutMs} told twice`)
    if (!Number.isInteger(timeoutMs) || timeoutMs < -1) this.violations.push(`timer ${timeoutMs}`)
    this.#told = timeoutMs
    this.#toldAt = clock.now()
    this.#deadline = timeoutMs < 0 ? Number.POSITIVE_INFINITY : clock.now() + timeoutMs
    if (timeoutMs >= 0 && random.chance(this.#fuzz.lateTimer)) this.#deadline += random.unit() * 100
  }
}

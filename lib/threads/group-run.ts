/**
 * A group at work: its sockets, its threads, and who gets what. Changes of the threads come one after the other, so
 * that a restart, an exclusive section and the end never meet half-way. `#enter` is the only setter of the state.
 */

import type { SystemError } from '../base/errors.ts'
import { attachToNodeLoop, type NodeLoopAttachment } from '../loops/node-loop.ts'
import { engineOf, Multi } from '../multi/multi.ts'
import { Admission, type Limits } from '../server/admission/admission.ts'
import { ClosingCallbacks } from '../server/closing-callbacks.ts'
import type { ListenHandle } from '../server/listening/listen-options.ts'
import { panic, report } from '../server/panic.ts'
import type { DrainReport, ServerStats, StopReport, SuspendOptions } from '../server/server-control.ts'
import { ServerError } from '../server/server-error.ts'
import { changedLimits, type LimitOptions, type ServerLimitOptions, serverSettings } from '../server/server-options.ts'
import { checkTransition, type ServerState } from '../server/server-state.ts'
import { systemClock } from '../sys/clock.ts'
import { kernel } from '../sys/native.ts'
import { Crew, type CrewOwner } from './crew.ts'
import { Dispatcher } from './dispatcher.ts'
import { packError } from './error-record.ts'
import { EventRelay } from './event-relay.ts'
import { type GroupMember, type LeaveTerms, type MemberPlace, within } from './group-member.ts'
import type { GroupSettings, ServerGroupOptions, WorkerChange } from './group-options.ts'
import { GroupSockets } from './group-sockets.ts'
import { addStats, sumReports } from './group-sums.ts'
import { HandOff } from './hand-off.ts'
import { Relief } from './relief.ts'
import { SharedCounts } from './shared-counts.ts'
import type { ThreadEvents, ThreadPlan } from './thread-verbs.ts'

/** Heartbeats are looked at so often within `stuckMs`. */
const LOOKS_PER_STUCK_TIME = 4
const LOOK_MS_MOST = 1000
/** The owner's own slot of the shared counts. */
const OWNER_SLOT = 0
/** Generations of threads that may take leave at the same time, besides those that serve. */
const GENERATIONS = 3
const SLOTS_MOST = 1024

export class GroupRun implements CrewOwner {
  readonly multi: Multi<object>
  readonly sockets: GroupSockets
  readonly crew: Crew
  readonly counts: SharedCounts
  readonly closing = new ClosingCallbacks((error) => panic('onClose', error))
  state: ServerState = 'idle'
  priority: ThreadPlan['priority']
  /** Of threads that took leave. */
  past: ServerStats | null = null
  data: unknown
  readonly #settings: GroupSettings
  readonly #relay: EventRelay
  readonly #relief: Relief
  readonly #admission: Admission
  readonly #dispatcher: Dispatcher
  readonly #handOff: HandOff | null
  /** null when the Multi is the program's. */
  readonly #loop: NodeLoopAttachment | null
  readonly #buffer: SharedArrayBuffer
  #module: string
  #watch: NodeJS.Timeout | null = null
  #suspension: SuspendOptions | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #leaving: Promise<DrainReport> | null = null
  #locks = 0
  #lastToken = 0
  #next = 0

  constructor(settings: GroupSettings, options: ServerGroupOptions) {
    const { managed, share, max } = settings
    this.#settings = settings
    this.#module = managed.module
    this.priority = managed.priority
    this.data = options.data
    const settingsOfLimits = serverSettings(
      'limits',
      { limits: sharedLimits(managed.server) },
      {},
      kernel.descriptorLimit(),
    )
    this.#buffer = SharedCounts.allocate(Math.min(1 + (GENERATIONS + 1) * max, SLOTS_MOST))
    this.counts = new SharedCounts({ buffer: this.#buffer, slot: OWNER_SLOT })
    const { overload = 'pause' } = managed.server as { overload?: 'pause' | 'reject' }
    this.#admission = new Admission({ ...settingsOfLimits, overload, policy: null }, this.counts)
    this.#relay = new EventRelay(options)
    this.sockets = new GroupSockets(managed.listen, share, max)
    this.#relief = new Relief(this.sockets)
    this.crew = new Crew(this, managed.timing, managed.worker)
    this.multi = options.multi ?? new Multi<object>()
    this.#loop = options.multi ? null : attachToNodeLoop(this.multi)
    const wake = (): void => this.#handOff?.wake()
    this.#dispatcher = new Dispatcher(this.crew, settings, this.#admission, wake, () => this.#grow())
    this.#handOff = share === 'handoff' ? new HandOff(engineOf(this.multi), this.#acceptor(), settings) : null
  }

  get isLocked(): boolean {
    return this.#locks > 0
  }

  async begin(): Promise<void> {
    this.#enter('starting')
    try {
      await this.crew.begin(this.#settings.min)
      this.#handOff?.listen(this.sockets.shares)
    } catch (error) {
      this.#close()
      throw error
    }
    this.#enter('listening')
    const { stuckMs } = this.#settings
    const lookMs = stuckMs === 0 ? LOOK_MS_MOST : Math.min(stuckMs / LOOKS_PER_STUCK_TIME, LOOK_MS_MOST)
    this.#watch = setInterval(() => this.#look(), lookMs)
  }

  // The verbs

  async suspend(options: SuspendOptions): Promise<void> {
    this.#require('suspend', ['listening', 'suspended'])
    this.#suspension = options
    if (this.state !== 'suspended') this.#enter('suspended')
    this.#handOff?.hold(this.#isHeld())
    await Promise.all(this.crew.all.map(({ thread }) => thread.call('suspend', [withoutTimer(options)])))
    if (options.forMs === undefined) return
    const timer = setTimeout(() => {
      if (this.#suspension === options) this.resume().catch(() => {})
    }, options.forMs)
    timer.unref()
  }

  async resume(): Promise<void> {
    if (this.state !== 'suspended') return
    this.#suspension = null
    this.#enter('listening')
    await Promise.all(this.crew.all.map(({ thread }) => thread.call('resume', [])))
    this.#handOff?.hold(this.#isHeld())
  }

  async throttle(limits: LimitOptions): Promise<Limits> {
    const previous = this.#admission.limits
    this.#admission.limits = changedLimits(previous, limits)
    await Promise.all(this.crew.all.map(({ thread }) => thread.call('throttle', [limits])))
    this.#handOff?.wake()
    return previous
  }

  /** One place, or all. `module` null: the one that runs. */
  replace(worker: number | null, terms: LeaveTerms, module: string | null): Promise<StopReport[]> {
    return this.#inTurn(async () => {
      this.#require(module === null ? 'recycle' : 'restart', ['listening', 'suspended', 'draining'])
      const before = this.#module
      this.#module = module ?? before
      const reports: StopReport[] = []
      const indices = worker === null ? [...this.crew.places.keys()] : [worker]
      for (const [count, index] of indices.entries()) {
        try {
          const report = await this.crew.replace(index, terms)
          if (report !== null) reports.push(report)
        } catch (error) {
          if (count === 0) this.#module = before
          throw error
        }
      }
      return reports
    })
  }

  /** While it runs nobody is started, nobody accepts, and every thread's loop stands still. */
  async exclusive<T>(section: () => T | PromiseLike<T>, timeoutMs: number, holdMs: number): Promise<T> {
    const deadline = systemClock.now() + timeoutMs
    let isLate = false
    let begins!: () => void
    const begun = new Promise<void>((resolve) => {
      begins = resolve
    })
    const result = this.#inTurn(async () => {
      if (isLate) throw new ServerError('TIMEOUT', 'exclusive: too late')
      begins()
      return this.#locked(section, deadline, holdMs)
    })
    try {
      await within('exclusive', timeoutMs, begun)
    } catch (error) {
      isLate = true
      result.catch(() => {})
      throw error
    }
    return result
  }

  async #locked<T>(section: () => T | PromiseLike<T>, deadline: number, holdMs: number): Promise<T> {
    const open = this.crew.shut()
    const remainingMs = (): number => Math.max(deadline - systemClock.now(), 0)
    this.#locks++
    this.#handOff?.hold(this.#isHeld())
    const token = ++this.#lastToken
    let members: GroupMember[] = []
    try {
      await within('exclusive', remainingMs(), this.crew.settled())
      members = this.crew.all
      await lockAll(members, token, remainingMs(), holdMs)
      return await within('exclusive', holdMs, (async () => section())())
    } finally {
      await unlockAll(members, token)
      this.#locks--
      open()
      this.#handOff?.hold(this.#isHeld())
    }
  }

  async quiesce(drainsQueue: boolean): Promise<ListenHandle[]> {
    if (this.state === 'listening' || this.state === 'suspended') this.#enter('draining')
    this.#handOff?.close()
    await Promise.all(this.crew.all.map(({ thread }) => thread.call('quiesce', [drainsQueue]).catch(() => {})))
    return this.sockets.release()
  }

  leave(terms: LeaveTerms): Promise<DrainReport> {
    this.#leaving ??= this.#leave(terms)
    return this.#leaving
  }

  /** Whose turn it is; null when there is nobody. */
  nextMember(): GroupMember | null {
    const { serving } = this.crew
    return serving[this.#next++ % Math.max(serving.length, 1)] ?? null
  }

  // What the crew asks for

  plan(place: MemberPlace): ThreadPlan {
    const { managed, share } = this.#settings
    const limits = { ...(managed.server['limits'] as object | undefined), ...this.#admission.limits }
    return {
      module: this.#module,
      listen: share === 'handoff' ? [] : this.sockets.sharesFor(place.index),
      options: { ...managed.server, limits },
      priority: this.priority,
      data: this.data,
      counts: { buffer: this.#buffer, slot: place.slot },
      signals: place.signals.buffer,
      forwards: managed.forwards,
    }
  }

  async prepare({ thread }: GroupMember): Promise<void> {
    await thread.call('throttle', [this.#admission.limits])
    if (this.#suspension !== null) await thread.call('suspend', [withoutTimer(this.#suspension)])
    else if (this.state === 'draining') await thread.call('quiesce', [false])
  }

  told<Event extends keyof ThreadEvents>(
    member: GroupMember,
    event: Event,
    args: Parameters<ThreadEvents[Event]>,
  ): void {
    if (event === 'disconnect') this.#dispatcher.ended(member)
    if (event === 'state') this.#stateOf(member, args[0] as ServerState)
    if (event === 'state' || (event === 'idle' && this.counts.connections > 0)) return
    const [client, ...rest] = args as unknown[]
    const isOfClient = event === 'connect' || event === 'disconnect'
    const told = isOfClient
      ? [{ ...(client as object), id: member.idOf((client as { id: number }).id) }, ...rest]
      : args
    this.#relay.told(event, told as Parameters<ThreadEvents[Event]>)
  }

  ended({ slot }: MemberPlace): void {
    this.counts.reclaim(slot)
  }

  changed(change: Omit<WorkerChange, 'threadId'>, member: GroupMember | null): void {
    const { onWorker } = this.#settings
    const { error, kind } = change
    if (kind === 'retired' && member?.lastStats) this.past = addStats(this.past, member.lastStats)
    if (!this.sockets.isClosed) this.#relief.settle(this.crew.places)
    this.#dispatcher.settle()
    try {
      if (onWorker !== null) onWorker({ ...change, threadId: member?.thread.threadId ?? -1 })
      else if (error !== null) report(`a worker of a group has ${kind}`, error)
    } catch (thrown) {
      panic('onWorker', thrown)
    }
  }

  // How

  async #leave(terms: LeaveTerms): Promise<DrainReport> {
    if (this.state !== 'draining') this.#enter('draining')
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#handOff?.close()
    // First, so that nobody joins a queue that nobody will serve; the threads empty theirs.
    this.sockets.close()
    const reports = await this.crew.close(terms)
    this.#enter('stopping')
    await new Promise<void>((resolve) => this.closing.run(resolve))
    this.#close()
    return sumReports(reports)
  }

  #close(): void {
    this.#handOff?.close()
    this.#dispatcher.close()
    this.sockets.close()
    this.#loop?.detach()
    if (this.#loop !== null && !this.multi.closed) this.multi.close()
    this.#enter('stopped')
  }

  /** Peers wait in the queue of the kernel. */
  #isHeld(): boolean {
    return this.isLocked || (this.#suspension !== null && (this.#suspension.pending ?? 'queue') === 'queue')
  }

  /** One change after the other; the end does not wait for its turn. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(change)
    this.#turn = result.catch(() => {})
    return result
  }

  #acceptor(): ConstructorParameters<typeof HandOff>[1] {
    return {
      room: () => this.#dispatcher.room(),
      give: (fd, peer, worker) => this.#dispatcher.give(fd, peer, worker),
      failed: (error: SystemError, retryInMs, fatal) => {
        const context = { operation: 'accept', connectionId: null, retryInMs, fatal, isHandled: false }
        this.#relay.told('error', [packError(error), context])
        if (fatal && (this.state === 'listening' || this.state === 'suspended')) this.#enter('faulted')
      },
    }
  }

  /** The module has stopped its own server, or it cannot accept any more: another one takes its place. */
  #stateOf(member: GroupMember, state: ServerState): void {
    if ((state !== 'stopped' && state !== 'faulted') || this.#leaving !== null) return
    void this.crew.kill(member, `the server of the thread is ${state}`)
  }

  /** Peers wait, and no thread has room. */
  #grow(): void {
    const { crew } = this
    if (this.state !== 'listening' || this.isLocked || crew.places.length >= this.#settings.max) return
    if (crew.startingCount > 0 || this.#handOff?.hasWaiting !== true) return
    crew.begin(1).catch((error: Error) => {
      this.changed({ worker: crew.places.length, kind: 'failed', error, retryInMs: 0 }, null)
    })
  }

  #look(): void {
    const now = systemClock.now()
    const { stuckMs } = this.#settings
    if (stuckMs > 0) for (const member of this.crew.places) if (member !== null) this.#lookAt(member, now)
    this.#shrink(now)
  }

  #lookAt(member: GroupMember, now: number): void {
    const isStuck = member.silenceMs(now) > this.#settings.stuckMs
    if (isStuck === member.isStuck) return
    member.isStuck = isStuck
    this.changed({ worker: member.index, kind: isStuck ? 'stuck' : 'recovered', error: null, retryInMs: 0 }, member)
  }

  #shrink(now: number): void {
    const { crew } = this
    const last = crew.places.at(-1)
    if (crew.places.length <= this.#settings.min || !last || this.state !== 'listening') return
    if (last.load > 0 || now - last.idleSince < this.#settings.idleMs) return
    void crew.shrink({ graceMs: 0, reset: false, keepsQueues: true })
  }

  #require(verb: string, states: readonly ServerState[]): void {
    if (states.includes(this.state) && this.#leaving === null) return
    throw new ServerError('WRONG_STATE', `${verb}: the group is ${this.state}, not ${states.join(' or ')}`)
  }

  #enter(state: ServerState): void {
    const previous = this.state
    if (state === previous) return
    checkTransition(previous, state)
    this.state = state
    this.#relay.state(state, previous)
  }
}

/** Those of HTTP are the threads' to know. */
function sharedLimits(server: Readonly<Record<string, unknown>>): ServerLimitOptions {
  const { connections, perPrefix, rate, prefixLengths } = (server['limits'] ?? {}) as Record<string, unknown>
  return { connections, perPrefix, rate, prefixLengths } as ServerLimitOptions
}

/** The group resumes all of them at once. */
function withoutTimer({ pending = 'queue', clients = 'keep' }: SuspendOptions): SuspendOptions {
  return { pending, clients }
}

/** All of them or none. */
async function lockAll(members: readonly GroupMember[], token: number, waitMs: number, holdMs: number): Promise<void> {
  await Promise.all(members.map(({ thread }) => thread.call('lock', [token, waitMs, holdMs], waitMs)))
}

/** Also those that were never locked, or have gone on by themselves. */
async function unlockAll(members: readonly GroupMember[], token: number): Promise<void> {
  await Promise.allSettled(members.map(({ thread }) => thread.call('unlock', [token])))
}

/**
 * One server in many threads, steered as one: the verbs of ServerControl as promises over all of them. The program is a
 * module, as that of a ManagedServer. What it listens on belongs to this thread and limits are counted in shared
 * memory, so threads may come and go: a recycled one resets nobody, a crashed one loses its own connections only.
 */
import { checkOptions, isBoolean, isDuration, isFunction, isInteger } from '../base/options.ts'
import type { Multi } from '../multi/multi.ts'
import type { Limits } from '../server/admission/admission.ts'
import { checkAdoption } from '../server/adoption.ts'
import type { CloseReason } from '../server/connection/close-reason.ts'
import type { SocketTicket } from '../server/connection/ticket.ts'
import type { ListenHandle } from '../server/listening/listen-options.ts'
import { isPriority, type Priority } from '../server/priority.ts'
import {
  checkDrain,
  checkIdOrName,
  checkQuiesce,
  checkReason,
  checkStop,
  checkSuspend,
} from '../server/server-checks.ts'
import type {
  ClientInfo,
  DrainOptions,
  DrainReport,
  ServerStats,
  StopOptions,
  StopReport,
  SuspendOptions,
} from '../server/server-control.ts'
import { ServerError } from '../server/server-error.ts'
import type { LimitOptions } from '../server/server-options.ts'
import type { ServerState } from '../server/server-state.ts'
import { systemClock } from '../sys/clock.ts'
import type { FileIdentity, SocketAddress } from '../sys/kernel.ts'
import { type GroupMember, splitId } from './group-member.ts'
import { groupSettings, type ServerGroupOptions, type ShareMode } from './group-options.ts'
import { GroupRun } from './group-run.ts'
import { sumReports, sumStats } from './group-sums.ts'
import { checkManagedExclusive, type ManagedExclusiveOptions, moduleUrl } from './managed-options.ts'
import type { PriorityReport, RemoteBroadcastOptions, ThreadVerb, ThreadVerbs } from './thread-verbs.ts'
import { closeTicket, offerSocket } from './ticket-offer.ts'

const DRAIN_MS = 30_000
const EXCLUSIVE_MS = 10_000
const HOLD_MS = 30_000

/** What becomes of threads that are replaced. */
export interface RecycleOptions extends StopOptions {
  /** Which one. Default: all, one after the other. */
  readonly worker?: number
}

export interface RollingRestartOptions extends StopOptions {
  /** New code. Default: the module that runs now, loaded anew. */
  readonly module?: string | URL
}

/** A thread of a group, as it is now. */
export interface WorkerInfo {
  readonly worker: number
  readonly threadId: number
  /** Its loop has not turned for `stuckMs`. */
  readonly stuck: boolean
  readonly ageMs: number
}

export class ServerGroup<Data = unknown> {
  readonly name: string
  readonly share: ShareMode
  readonly #run: GroupRun

  /**
   * Resolves when every thread serves. Rejects with a TypeError or RangeError for wrong options, a SystemError when it
   * cannot listen, or what the module threw; then nothing is left open.
   */
  static async start<Data>(options: ServerGroupOptions<Data>): Promise<ServerGroup<Data>> {
    const group = new ServerGroup<Data>(options)
    await group.#run.begin()
    return group
  }

  private constructor(options: ServerGroupOptions<Data>) {
    const settings = groupSettings(options as ServerGroupOptions)
    this.name = options.name ?? ''
    this.share = settings.share
    this.#run = new GroupRun(settings, options as ServerGroupOptions)
  }

  /** On which this thread accepts, with 'handoff', and listens for handovers. */
  get multi(): Multi<object> {
    return this.#run.multi
  }

  get state(): ServerState {
    return this.#run.state
  }

  get active(): boolean {
    return this.state !== 'stopped'
  }

  get listening(): boolean {
    return this.state === 'listening'
  }

  /** Somebody here is in `exclusive`. */
  get locked(): boolean {
    return this.#run.isLocked
  }

  /** Of all threads. */
  get connections(): number {
    return this.#run.counts.connections
  }

  /** Where it listens, with the ports that the system chose. */
  get addresses(): readonly SocketAddress[] {
    return this.#run.sockets.addresses
  }

  /** The sockets themselves, which belong to this thread. */
  get listeners(): readonly { readonly name: string; readonly fd: number; readonly file: FileIdentity | null }[] {
    return this.#run.sockets.shares
  }

  get workers(): WorkerInfo[] {
    const now = systemClock.now()
    return this.#run.crew.places
      .filter((member) => member !== null)
      .map(({ index, thread, isStuck, startedAt }) => {
        return { worker: index, threadId: thread.threadId, stuck: isStuck, ageMs: now - startedAt }
      })
  }

  async suspend(options: SuspendOptions = {}): Promise<void> {
    checkSuspend(options)
    await this.#run.suspend(options)
  }

  /** Does nothing unless it is suspended. */
  resume(): Promise<void> {
    return this.#run.resume()
  }

  /** Replaces limits, which are those of all threads together, and returns all as they were. */
  throttle(limits: LimitOptions): Promise<Limits> {
    return this.#run.throttle(limits)
  }

  /** Of all its threads, as far as the system allows: the reports say; and of connections to come. */
  async setPriority(priority: Priority): Promise<PriorityReport[]> {
    isPriority('priority', priority)
    this.#run.priority = priority
    return this.#all('setPriority', [priority])
  }

  /** Every thread has a copy, those to come as well. */
  async setData(data: Data): Promise<void> {
    this.#run.data = data
    await this.#all('setData', [data])
  }

  /** Summed up, those of threads that were replaced included, but not of those that crashed. */
  async stats(): Promise<ServerStats> {
    const { past } = this.#run
    const present = await this.#all('stats', [])
    const sum = sumStats(past === null ? present : [past, ...present])
    if (sum === null) throw new ServerError('GONE', `stats: the group is ${this.state}, without a thread`)
    return sum
  }

  /** Of every thread; their ids are the group's. */
  async clients(): Promise<ClientInfo[]> {
    const { all } = this.#run.crew
    const lists = await Promise.all(
      all.map(async (member) => (await this.#ask(member, 'clients', [])).map((client) => withGroupId(member, client))),
    )
    return lists.flat()
  }

  /** By id, or by the first with that name in any thread. */
  async find(idOrName: number | string): Promise<ClientInfo | null> {
    checkIdOrName('find', idOrName)
    const targets = this.#targetsOf(idOrName)
    const found = await Promise.all(
      targets.map(async ({ member, target }) => {
        const client = await this.#ask(member, 'find', [target])
        return client === null ? null : withGroupId(member, client)
      }),
    )
    return found.find((client) => client !== null) ?? null
  }

  async disconnect(idOrName: number | string, reason: CloseReason = 'shutdown'): Promise<boolean> {
    checkIdOrName('disconnect', idOrName)
    checkReason(reason)
    const answers = this.#targetsOf(idOrName).map(({ member, target }) => {
      return this.#ask(member, 'disconnect', [target, reason])
    })
    return (await Promise.all(answers)).includes(true)
  }

  /** Returns the previous one; null when it is not here. */
  async setClientPriority(idOrName: number | string, priority: Priority): Promise<Priority | null> {
    checkIdOrName('setClientPriority', idOrName)
    isPriority('priority', priority)
    const answers = this.#targetsOf(idOrName).map(({ member, target }) => {
      return this.#ask(member, 'setClientPriority', [target, priority])
    })
    return (await Promise.all(answers)).find((previous) => previous !== null) ?? null
  }

  /** To how many it was sent, in all threads. */
  async broadcast(bytes: Uint8Array | string, options: RemoteBroadcastOptions = {}): Promise<number> {
    const { except = [], slow } = options
    const ids = typeof except === 'number' ? [except] : except
    const answers = this.#run.crew.all.map((member) => {
      const own = ids.map(splitId).filter(({ serial }) => serial === member.place.serial)
      const mine: RemoteBroadcastOptions = { except: own.map(({ connectionId }) => connectionId) }
      return this.#ask(member, 'broadcast', [bytes, slow === undefined ? mine : { ...mine, slow }])
    })
    return (await Promise.all(answers)).reduce((sum, count) => sum + count, 0)
  }

  /** The id of the connection that it became. The socket is the group's from the call on: closed if this rejects. */
  async adopt(socket: SocketTicket | number, peer?: SocketAddress): Promise<number> {
    checkAdoption(socket, peer)
    const ticket = offerSocket(socket, peer)
    try {
      const member = this.#run.nextMember()
      if (member === null) throw new ServerError('GONE', `adopt: the group is ${this.state}, without a thread`)
      return member.idOf(await member.thread.call('adopt', [ticket, peer]))
    } catch (error) {
      closeTicket(ticket)
      throw error
    }
  }

  /**
   * Replaces threads by new ones with the same module, one after the other: each serves before the one in its place is
   * asked to end, with a grace of 30 s unless told otherwise. When one cannot start, this rejects, and what it was to
   * replace goes on.
   */
  async recycle(options: RecycleOptions = {}): Promise<StopReport> {
    checkOptions('recycle', options, { graceMs: isDuration, reset: isBoolean, worker: isInteger(0, this.#last()) })
    const { graceMs = DRAIN_MS, reset = false, worker } = options
    return sumReports(await this.#run.replace(worker ?? null, { graceMs, reset, keepsQueues: true }, null))
  }

  /** As `recycle`, of all threads, with new code. When the first one cannot start, the old code stays. */
  async restart(options: RollingRestartOptions = {}): Promise<StopReport> {
    checkOptions('restart', options, { graceMs: isDuration, reset: isBoolean, module: () => {} })
    const { graceMs = DRAIN_MS, reset = false } = options
    const module = options.module === undefined ? null : moduleUrl(options.module)
    return sumReports(await this.#run.replace(null, { graceMs, reset, keepsQueues: true }, module))
  }

  /** At once, in the middle of whatever it does; it is replaced. Its clients see their connections closed. */
  async terminate(worker: number): Promise<void> {
    isInteger(0, this.#last())('worker', worker)
    const { crew } = this.#run
    const member = crew.places[worker]
    if (member) await crew.kill(member, 'the thread was terminated')
  }

  /**
   * Runs a section here while no thread dispatches anything: what comes meanwhile waits. Rejects with TIMEOUT when not
   * all threads stood still in time, or when the section took longer than `holdMs` and they went on.
   */
  exclusive<T>(section: () => T | PromiseLike<T>, options: ManagedExclusiveOptions = {}): Promise<T> {
    isFunction('section', section)
    checkManagedExclusive(options)
    const { timeoutMs = EXCLUSIVE_MS, holdMs = HOLD_MS } = options
    return this.#run.exclusive(section, timeoutMs, holdMs)
  }

  /** Takes nobody any more and hands out the listening sockets with their queues. Connections live on. */
  async quiesce(options: { readonly drainQueue?: boolean } = {}): Promise<ListenHandle[]> {
    checkQuiesce(options)
    return this.#run.quiesce(options.drainQueue ?? false)
  }

  /** Takes nobody any more, lets everybody finish, cuts who has not by the deadline; then the threads end. */
  async drain(options: DrainOptions = {}): Promise<DrainReport> {
    checkDrain(options)
    return this.#run.leave({ graceMs: options.deadlineMs ?? DRAIN_MS, reset: false, keepsQueues: false })
  }

  /** Ends everything, at once unless there is a grace, and every thread. Idempotent. */
  async stop(options: StopOptions = {}): Promise<StopReport> {
    checkStop(options)
    const { graceMs = 0, reset = false } = options
    return this.#run.leave({ graceMs, reset, keepsQueues: false })
  }

  /** To be called when it stops, after every thread has ended: the last one first, each awaited. */
  onClose(callback: () => unknown): void {
    isFunction('callback', callback)
    this.#run.closing.add(callback)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #last(): number {
    return Math.max(this.#run.crew.places.length - 1, 0)
  }

  #targetsOf(idOrName: number | string): { readonly member: GroupMember; readonly target: number | string }[] {
    const { crew } = this.#run
    if (typeof idOrName === 'string') return crew.all.map((member) => ({ member, target: idOrName }))
    const { serial, connectionId } = splitId(idOrName)
    const member = crew.find(serial)
    return member === undefined ? [] : [{ member, target: connectionId }]
  }

  #ask<Verb extends ThreadVerb>(
    member: GroupMember,
    verb: Verb,
    args: Parameters<ThreadVerbs[Verb]>,
  ): Promise<ReturnType<ThreadVerbs[Verb]>> {
    return member.thread.call(verb, args)
  }

  #all<Verb extends ThreadVerb>(
    verb: Verb,
    args: Parameters<ThreadVerbs[Verb]>,
  ): Promise<ReturnType<ThreadVerbs[Verb]>[]> {
    return Promise.all(this.#run.crew.all.map((member) => this.#ask(member, verb, args)))
  }
}

function withGroupId(member: GroupMember, client: ClientInfo): ClientInfo {
  return { ...client, id: member.idOf(client.id) }
}

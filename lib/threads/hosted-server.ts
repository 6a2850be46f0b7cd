/**
 * The inside of a thread that runs a server: a Multi on this thread's own Node loop, the program's module, the server
 * made of both, and the answers to what the owner calls. It lives until the owner says so, or is gone itself.
 */
import { type MessagePort, threadId } from 'node:worker_threads'
import { attachToNodeLoop, type NodeLoopAttachment } from '../loops/node-loop.ts'
import { engineOf, Multi } from '../multi/multi.ts'
import type { Connection } from '../server/connection/connection.ts'
import type { Priority } from '../server/priority.ts'
import type { Server } from '../server/server.ts'
import type { BroadcastOptions, ClientInfo } from '../server/server-control.ts'
import { ServerError } from '../server/server-error.ts'
import type { ServerEvents } from '../server/server-events.ts'
import type { ServerBaseOptions } from '../server/server-options.ts'
import { kernel } from '../sys/native.ts'
import { ControlPort, type PortOwner } from './control-port.ts'
import { packError } from './error-record.ts'
import { duplicate } from './listen-book.ts'
import { loadModule, makeServer } from './server-module.ts'
import { SharedCounts } from './shared-counts.ts'
import { applyPriority } from './thread-priority.ts'
import { takeSignals } from './thread-signals.ts'
import type {
  OwnerEvents,
  RemoteBroadcastOptions,
  ThreadEvents,
  ThreadPlan,
  ThreadReport,
  ThreadStatus,
  ThreadVerb,
  ThreadVerbs,
} from './thread-verbs.ts'

/** What the module left behind (timers, sockets of its own) may go on for so long after the end. */
const LEFTOVERS_MS = 100

type Answers = { [Verb in ThreadVerb]: (...args: Parameters<ThreadVerbs[Verb]>) => unknown }

interface Lock {
  readonly release: () => void
  readonly timer: NodeJS.Timeout
}

export class HostedServer implements PortOwner {
  readonly #port: ControlPort
  readonly #multi: Multi<object> = new Multi<object>()
  readonly #locks = new Map<number, Lock>()
  readonly #answers: Answers = this.#makeAnswers()
  readonly #exclusiveFds = new Set<number>()
  #loop: NodeLoopAttachment
  #server: Server | null = null

  constructor(port: MessagePort) {
    this.#loop = this.#attach()
    this.#port = new ControlPort(port, this, true)
  }

  called(verb: string, args: readonly unknown[]): unknown {
    const answer = this.#answers[verb as ThreadVerb] as ((...args: readonly unknown[]) => unknown) | undefined
    if (answer === undefined) throw new TypeError(`a server in a thread has no verb ${verb}`)
    return answer(...args)
  }

  told(event: string, args: readonly unknown[]): void {
    const name = event as keyof OwnerEvents
    if (name === 'end') this.#end()
    else if (name === 'take') this.#take(args[0] as Parameters<OwnerEvents['take']>[0])
  }

  closed(): void {
    this.#end()
  }

  async #start(plan: ThreadPlan): Promise<ThreadReport> {
    const priority = applyPriority(plan.priority, 'normal')
    const module = await loadModule(plan.module)
    if (plan.signals !== null) takeSignals(plan.signals)
    const listen = plan.listen.map((share) => {
      const { name, enabled, acceptBudget } = share
      const fd = duplicate(share)
      if (share.exclusive === true) this.#exclusiveFds.add(fd)
      // What connections inherit was set by the owner.
      return { fd, closeOnEnd: true, noDelay: false, name, enabled, acceptBudget }
    })
    const counts = plan.counts === null ? {} : { counts: new SharedCounts(plan.counts) }
    const options = { ...plan.options, ...counts, listen, priority: plan.priority, data: plan.data }
    const server = makeServer(
      this.#multi,
      module,
      options as ServerBaseOptions,
      this.#observer(plan, module.error !== undefined),
    )
    await module.setup?.(server)
    this.#server = server
    server.start()
    return { threadId, addresses: server.listeners.map(({ address }) => address), priority }
  }

  #attach(): NodeLoopAttachment {
    return attachToNodeLoop(this.#multi, { exclusiveFds: this.#exclusiveFds })
  }

  #makeAnswers(): Answers {
    const server = (): Server => this.#running()
    return {
      start: (plan) => this.#start(plan),
      suspend: (options) => server().suspend(options),
      resume: () => server().resume(),
      throttle: (limits) => server().throttle(limits),
      reloadTls: (options) => server().reloadTls(options),
      setPriority: (priority: Priority) => applyPriority(priority, server().setPriority(priority)),
      quiesce: (drainQueue) => this.#quiesce(drainQueue),
      drain: (options) => this.#leaving().drain(options),
      stop: (options) => this.#leaving().stop(options),
      adopt: (ticket, peer) => server().adopt(ticket, peer).id,
      broadcast: (bytes, options) => server().broadcast(bytes, this.#localOptions(options)),
      enable: (listener, isEnabled) => {
        const found = server().listeners[listener]
        if (isEnabled) found?.enable()
        else found?.disable()
      },
      clients: () => [...server().clients()],
      find: (idOrName) => infoOf(server().find(idOrName), server()),
      disconnect: (idOrName, reason) => server().disconnect(idOrName, reason),
      setClientPriority: (idOrName, priority) => server().find(idOrName)?.setPriority(priority) ?? null,
      lock: (token, waitMs, holdMs) => this.#lock(token, waitMs, holdMs),
      unlock: (token) => this.#unlock(token),
      getData: () => server().data,
      setData: (data) => {
        server().data = data
      },
      status: () => statusOf(server()),
      stats: () => server().stats(),
    }
  }

  #running(): Server {
    if (this.#server === null) throw new ServerError('WRONG_STATE', 'the server of this thread has not been started')
    return this.#server
  }

  #tell<Event extends keyof ThreadEvents>(event: Event, ...args: Parameters<ThreadEvents[Event]>): void {
    this.#port.tell(event, ...args)
  }

  #observer({ forwards }: ThreadPlan, isHandled: boolean): ServerEvents {
    const observer: ServerEvents = {
      onState: (state, previous) => this.#tell('state', state, previous),
      onIdle: () => this.#tell('idle'),
      onError: (error, { operation, connection, retryInMs, fatal }) =>
        this.#tell('error', packError(error), {
          operation,
          connectionId: connection?.id ?? null,
          retryInMs,
          fatal,
          isHandled,
        }),
    }
    const describe = (connection: Connection): ClientInfo => infoOf(connection, this.#running()) as ClientInfo
    if (forwards.includes('connect')) observer.onConnect = (connection) => this.#tell('connect', describe(connection))
    if (forwards.includes('disconnect')) {
      observer.onDisconnect = (connection, reason, error) =>
        this.#tell('disconnect', describe(connection), reason, error === null ? null : packError(error))
    }
    if (forwards.includes('drop')) observer.onDrop = ({ reason, peer }) => this.#tell('drop', reason, peer)
    return observer
  }

  /** Their numbers will be other descriptors'. */
  #leaving(): Server {
    const server = this.#running()
    this.#exclusiveFds.clear()
    return server
  }

  /** The owner has the queues still. */
  #quiesce(drainQueue: boolean): void {
    for (const { fd, generation } of this.#leaving().quiesce({ drainQueue })) kernel.close(fd, generation)
  }

  #localOptions({ except, slow }: RemoteBroadcastOptions): BroadcastOptions {
    const ids = except === undefined ? [] : typeof except === 'number' ? [except] : except
    const found = ids.map((id) => this.#running().find(id)).filter((connection) => connection !== null)
    return slow === undefined ? { except: found } : { except: found, slow }
  }

  #take(ticket: Parameters<OwnerEvents['take']>[0]): void {
    try {
      this.#running().adopt(ticket)
    } catch (error) {
      const context = { operation: 'take', connectionId: null, retryInMs: 0, fatal: false, isHandled: false }
      this.#tell('error', packError(error), context)
    }
  }

  /** While it is held the Multi has no loop: nothing is dispatched, and what comes meanwhile waits in the kernel. */
  #lock(token: number, waitMs: number, holdMs: number): Promise<void> {
    return new Promise((granted, refused) => {
      let isLate = false
      // Not the Multi's: its time stands still while somebody else has the lock.
      const waiting = setTimeout(() => {
        isLate = true
        refused(new ServerError('TIMEOUT', `exclusive: its turn has not come within ${waitMs} ms`))
      }, waitMs)
      const section = (): Promise<void> | undefined => {
        clearTimeout(waiting)
        if (isLate) return undefined
        granted()
        return new Promise((release) => this.#park(token, holdMs, release))
      }
      this.#running().exclusive(section, { timeoutMs: waitMs }).catch(refused)
    })
  }

  #park(token: number, holdMs: number, release: () => void): void {
    this.#loop.detach()
    const timer = setTimeout(() => this.#unlock(token), holdMs)
    this.#locks.set(token, { release, timer })
  }

  #unlock(token: number): boolean {
    const lock = this.#locks.get(token)
    if (lock === undefined) return false
    this.#locks.delete(token)
    clearTimeout(lock.timer)
    if (!this.#multi.closed) this.#loop = this.#attach()
    lock.release()
    return true
  }

  /** Connections that are still here are closed with their Multi. */
  #end(): void {
    for (const token of [...this.#locks.keys()]) this.#unlock(token)
    this.#loop.detach()
    if (!this.#multi.closed) this.#multi.close()
    this.#port.close()
    setTimeout(() => process.exit(), LEFTOVERS_MS).unref()
  }
}

function infoOf(connection: Connection | null, server: Server): ClientInfo | null {
  if (connection === null) return null
  const { id, name, peer, local, createdAt, bytesRead, bytesWritten, priority } = connection
  const ageMs = engineOf(server.multi).clock.now() - createdAt
  return { id, name, peer, local, ageMs, bytesRead, bytesWritten, priority }
}

function statusOf({ state, active, listening, locked, limits, priority }: Server): ThreadStatus {
  return { state, active, listening, locked, limits, priority }
}

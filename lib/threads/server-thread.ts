/**
 * A thread that runs one server, as its owner holds it: it is started with a plan, called by the verbs of
 * `thread-verbs.ts`, and ended in order or at once. However it ends, its descriptors are closed, calls that were under
 * way reject, and the owner hears of an end that it did not ask for.
 */
import { MessageChannel, type MessagePort, Worker, type WorkerOptions } from 'node:worker_threads'
import { ServerError } from '../server/server-error.ts'
import { ControlPort } from './control-port.ts'
import type { OwnerEvents, ThreadEvents, ThreadPlan, ThreadReport, ThreadVerb, ThreadVerbs } from './thread-verbs.ts'

/** What a worker is given besides its plan. */
export interface BootData {
  readonly port: MessagePort
}

export type ThreadWorkerOptions = Pick<WorkerOptions, 'resourceLimits' | 'execArgv' | 'argv' | 'env'>

export interface ThreadOwner {
  told<Event extends keyof ThreadEvents>(
    thread: ServerThread,
    event: Event,
    args: Parameters<ThreadEvents[Event]>,
  ): void
  /** It ended without being asked to. */
  died(thread: ServerThread, error: Error): void
}

export interface ThreadTiming {
  /** Until the module is loaded and the server listens. */
  readonly startMs: number
  /** Until a call is answered, besides what it is given to do its work. */
  readonly callMs: number
}

/** A thread that was told to end is given so long, and is terminated then. */
const ENDING_MS = 5_000
/** As built; from the sources, which a worker of Node cannot run, what was built of them. */
const ENTRY = import.meta.url.endsWith('.ts') ? '../../dist/bundle/worker-boot.js' : './worker-boot.js'

export class ServerThread {
  readonly threadId: number
  readonly #worker: Worker
  readonly #port: ControlPort
  readonly #timing: ThreadTiming
  readonly #exited: Promise<void>
  #error: Error | null = null
  #isEnding = false

  /** Rejects with what went wrong, and then the thread has ended. */
  static async start(
    plan: ThreadPlan,
    owner: ThreadOwner,
    timing: ThreadTiming,
    options: ThreadWorkerOptions = {},
  ): Promise<{ readonly thread: ServerThread; readonly report: ThreadReport }> {
    const thread = new ServerThread(owner, timing, options)
    try {
      return { thread, report: (await thread.#port.call('start', [plan], timing.startMs)) as ThreadReport }
    } catch (error) {
      await thread.terminate()
      throw error
    }
  }

  private constructor(owner: ThreadOwner, timing: ThreadTiming, options: ThreadWorkerOptions) {
    const { port1, port2 } = new MessageChannel()
    this.#timing = timing
    const workerData: BootData = { port: port2 }
    const all: WorkerOptions = { ...inheritedOptions(), ...options, workerData, transferList: [port2] }
    this.#worker = new Worker(new URL(ENTRY, import.meta.url), all)
    this.threadId = this.#worker.threadId
    this.#port = new ControlPort(port1, this.#portOwner(owner), false)
    this.#worker.once('error', (error) => {
      this.#error = error instanceof Error ? error : new Error(String(error))
    })
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()))
    this.#worker.once('exit', (code) => this.#gone(owner, code))
  }

  get ended(): boolean {
    return this.#worker.threadId === -1
  }

  /** `workMs`: what the verb is given to do its work. Rejects with what it threw, or a ServerError: TIMEOUT, GONE. */
  call<Verb extends ThreadVerb>(
    verb: Verb,
    args: Parameters<ThreadVerbs[Verb]>,
    workMs = 0,
  ): Promise<ReturnType<ThreadVerbs[Verb]>> {
    const answer = this.#port.call(verb, args, this.#timing.callMs + workMs)
    return answer as Promise<ReturnType<ThreadVerbs[Verb]>>
  }

  tell<Event extends keyof OwnerEvents>(event: Event, ...args: Parameters<OwnerEvents[Event]>): void {
    this.#port.tell(event, ...args)
  }

  /** In order; connections that are still there are closed. Resolves when the thread has ended. */
  async end(): Promise<void> {
    this.#isEnding = true
    this.tell('end')
    const timer = setTimeout(() => this.#worker.terminate(), ENDING_MS)
    await this.#exited
    clearTimeout(timer)
  }

  /** At once, in the middle of whatever it does. Resolves when the thread has ended and its descriptors are closed. */
  async terminate(): Promise<void> {
    this.#isEnding = true
    await this.#worker.terminate()
    await this.#exited
  }

  #portOwner(owner: ThreadOwner): ConstructorParameters<typeof ControlPort>[1] {
    return {
      called: (verb) => {
        throw new TypeError(`the owner of a server has no verb ${verb}`)
      },
      told: (event, args) => owner.told(this, event as keyof ThreadEvents, args as Parameters<ThreadEvents['state']>),
      // Its exit says why.
      closed: () => {},
    }
  }

  #gone(owner: ThreadOwner, code: number): void {
    const error = this.#error ?? new ServerError('GONE', `the thread of the server has ended, with code ${code}`)
    this.#error = error
    this.#port.close(error)
    if (!this.#isEnding) owner.died(this, error)
  }
}

/** A thread is started with Node's options of the process, of which one is for programs without a file alone. */
function inheritedOptions(): ThreadWorkerOptions {
  return process.execArgv.some((option) => option.startsWith('--input-type')) ? { execArgv: [] } : {}
}

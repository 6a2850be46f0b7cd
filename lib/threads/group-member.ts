/**
 * One thread of a group, as the group holds it: where it stands, how many connections it was given, and how it takes
 * leave. A thread that does not answer is ended all the same, once its time is over.
 */
import type { ServerStats, StopReport } from '../server/server-control.ts'
import { ServerError } from '../server/server-error.ts'
import type { ServerThread } from './server-thread.ts'
import { Closing, type ThreadSignals } from './thread-signals.ts'

/** Ids of a thread's connections stay below. */
const IDS_PER_THREAD = 2 ** 32
/** To answer, when everything that it had to do was cut. */
const ANSWER_MS = 2000
const NOBODY: StopReport = { finished: 0, cut: 0, durationMs: 0 }

export interface LeaveTerms {
  readonly graceMs: number
  readonly reset: boolean
  /** Its queues are somebody else's from now on. */
  readonly keepsQueues: boolean
}

export interface MemberPlace {
  /** Which one it is; a replacement has the same. */
  readonly index: number
  /** Never used again. */
  readonly serial: number
  /** Of the shared counts. */
  readonly slot: number
  readonly signals: ThreadSignals
}

export class GroupMember {
  readonly place: MemberPlace
  readonly thread: ServerThread
  readonly startedAt: number
  isLeaving = false
  isStuck = false
  /** Connections that it was handed and that have not ended, as far as that is counted. */
  load = 0
  /** What it had counted when it took leave. */
  lastStats: ServerStats | null = null
  /** It has had no connection since. */
  idleSince: number
  #beats = 0
  #beatAt: number

  constructor(place: MemberPlace, thread: ServerThread, now: number) {
    this.place = place
    this.thread = thread
    this.startedAt = now
    this.idleSince = now
    this.#beatAt = now
  }

  get index(): number {
    return this.place.index
  }

  /** It takes connections. */
  get isServing(): boolean {
    return !this.isLeaving && !this.isStuck && !this.thread.ended
  }

  /** ms for which its loop has not turned. */
  silenceMs(now: number): number {
    const { beats } = this.place.signals
    if (beats !== this.#beats) {
      this.#beats = beats
      this.#beatAt = now
    }
    return now - this.#beatAt
  }

  /** An id that no other connection of the group has. */
  idOf(connectionId: number): number {
    return this.place.serial * IDS_PER_THREAD + connectionId
  }

  /** Ends it within a bounded time. Never rejects. */
  async leave({ graceMs, reset, keepsQueues }: LeaveTerms): Promise<StopReport> {
    this.isLeaving = true
    const { thread } = this
    const { signals } = this.place
    signals.close(graceMs > 0 ? Closing.SOON : Closing.NOW)
    const cutting = setTimeout(() => signals.close(Closing.NOW), graceMs)
    try {
      const quiesced = keepsQueues ? thread.call('quiesce', [false]) : Promise.resolve()
      const stopped = quiesced.then(() => thread.call('stop', [{ graceMs, reset }], graceMs))
      const report = await within('stop', graceMs + ANSWER_MS, stopped)
      this.lastStats = await within('stats', ANSWER_MS, thread.call('stats', []))
      return report
    } catch {
      await thread.terminate()
      return NOBODY
    } finally {
      clearTimeout(cutting)
      await thread.end()
    }
  }
}

/** Which thread, and which connection of it. */
export function splitId(id: number): { readonly serial: number; readonly connectionId: number } {
  return { serial: Math.floor(id / IDS_PER_THREAD), connectionId: id % IDS_PER_THREAD }
}

/** Rejects with TIMEOUT when the promise takes longer. */
export async function within<T>(what: string, milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const error = new ServerError('TIMEOUT', `${what}: not done within ${milliseconds} ms`)
    timer = setTimeout(() => reject(error), milliseconds)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
    promise.catch(() => {})
  }
}

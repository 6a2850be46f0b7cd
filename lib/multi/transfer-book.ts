/**
 * Which transfers a Multi has, how many still run, and who has ended: added → running → done (message queued) →
 * removed. Notifications are collected here in the order things happened and handed out at the end of an entry.
 */
import { MultiError, type TransferError } from '../base/errors.ts'
import { Ring } from '../base/ring.ts'
import type { Host } from './host.ts'
import { Completion, MessageQueue } from './message-queue.ts'
import { attachment, begin, ended, release, type Subject } from './subject.ts'
import { SubjectList } from './subject-list.ts'

export class TransferBook {
  readonly messages: MessageQueue<Subject> = new MessageQueue<Subject>()
  readonly subjects: SubjectList = new SubjectList()
  readonly #notifications = new Ring<'message' | 'done'>()
  /** Ever added, as curl's XFERS_ADDED. */
  added = 0
  running = 0

  get done(): number {
    return this.subjects.size - this.running
  }

  attach(host: Host, subject: Subject): void {
    const state = subject[attachment]
    state.completion = null
    this.subjects.add(subject)
    this.added++
    this.running++
    state.task = host.spawn(subject[begin](host))
  }

  /** Idempotent. An unfinished transfer is aborted without a message; an unread message is dropped. */
  detach(host: Host, subject: Subject): void {
    const state = subject[attachment]
    state.leaving = null
    if (!this.subjects.delete(subject)) return
    const { task, completion } = state
    if (task !== null) {
      state.task = null
      this.running--
      task.machine.abort(new MultiError('BAD_EASY_HANDLE', 'the transfer was removed'))
      host.retire(task)
    }
    if (completion !== null) this.messages.drop(completion)
    state.completion = null
    subject[release](host)
  }

  /** The transfer's machine has ended. Ignored when the transfer is being removed. */
  complete(host: Host, subject: Subject, error: TransferError | null, notifies: boolean): void {
    const state = subject[attachment]
    const { task } = state
    if (task === null) return
    state.task = null
    this.running--
    host.retire(task)
    if (subject[ended] !== undefined) {
      this.subjects.delete(subject)
      state.host = null
      subject[ended](error)
      subject[release](host)
      return
    }
    state.completion = new Completion(subject, error)
    const turnedNonEmpty = this.messages.push(state.completion)
    if (!notifies) return
    this.#notifications.push('done')
    if (turnedNonEmpty) this.#notifications.push('message')
  }

  takeNotification(): 'message' | 'done' | undefined {
    return this.#notifications.shift()
  }

  /** Lets go of every transfer, without a word. */
  clear(host: Host): void {
    for (const subject of this.subjects.all()) {
      this.subjects.delete(subject)
      const state = subject[attachment]
      state.host = null
      state.task = null
      state.completion = null
      subject[release](host)
    }
    this.messages.clear()
    this.#notifications.clear()
    this.running = 0
  }
}

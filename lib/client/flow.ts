/**
 * Which directions of a transfer are paused, by the user's last word. Read by the machines after every callback. One
 * that was removed inside a callback rests until the stack unwinds: it is told nothing more.
 */
import type { Attachment } from '../multi/subject.ts'

export class Flow {
  /** Since the last look at whether anything moved. */
  resumed = false
  readonly #attachment: Attachment
  #receivePaused = false
  #sendPaused = false

  constructor(attachment: Attachment) {
    this.#attachment = attachment
  }

  /** As new, for another run. */
  reset(): void {
    this.resumed = false
    this.#receivePaused = false
    this.#sendPaused = false
  }

  get receivePaused(): boolean {
    return this.#receivePaused || this.#attachment.leaving !== null
  }

  set receivePaused(isPaused: boolean) {
    this.#receivePaused = isPaused
  }

  get sendPaused(): boolean {
    return this.#sendPaused || this.#attachment.leaving !== null
  }

  set sendPaused(isPaused: boolean) {
    this.#sendPaused = isPaused
  }
}

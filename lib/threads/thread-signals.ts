/**
 * A page of memory that a thread shares with its owner, for what must pass even while the thread is busy: that it is
 * alive, counted up by its loop; how it is to end; and the descriptor that wakes it from a blocking wait.
 */

import { kernel } from '../sys/native.ts'
import { systemError } from '../sys/system-error.ts'

/** What a thread is asked for. */
export const Closing = {
  /** Nothing: go on. */
  NO: 0,
  /** Finish what is under way. */
  SOON: 1,
  /** Time is up: blocking calls fail. */
  NOW: 2,
} as const
export type Closing = (typeof Closing)[keyof typeof Closing]

const BEATS = 0
const CLOSING = 1
const WAKE_FD = 2
const WAKE_GENERATION = 3
const WORDS = 4
/** Four of them fit into the least time after which a thread may be called stuck. */
const BEAT_MS = 25

export class ThreadSignals {
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT)) {
    this.#words = new Int32Array(buffer)
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer as SharedArrayBuffer
  }

  get beats(): number {
    return Atomics.load(this.#words, BEATS)
  }

  get closing(): Closing {
    return Atomics.load(this.#words, CLOSING) as Closing
  }

  // The owner's side

  /** Never takes back. Wakes the thread when it waits in a blocking call. */
  close(closing: Closing): void {
    if (closing <= this.closing) return
    Atomics.store(this.#words, CLOSING, closing)
    const fd = Atomics.load(this.#words, WAKE_FD)
    if (fd > 0) kernel.wake(fd, Atomics.load(this.#words, WAKE_GENERATION))
  }

  // The thread's side

  /** From now on its loop counts, until the thread ends. */
  beat(): void {
    setInterval(() => Atomics.add(this.#words, BEATS, 1), BEAT_MS).unref()
  }

  /** The descriptor that is readable once the owner has said something; opened on first use. */
  get wakeFd(): number {
    const known = Atomics.load(this.#words, WAKE_FD)
    if (known > 0) return known
    const fd = kernel.openWakeup()
    if (fd < 0) throw systemError(kernel, fd, 'eventfd')
    Atomics.store(this.#words, WAKE_GENERATION, kernel.generation(fd))
    Atomics.store(this.#words, WAKE_FD, fd)
    return fd
  }
}

let present: ThreadSignals | null = null

/** The calling thread's, when it has an owner. */
export function ownSignals(): ThreadSignals | null {
  return present
}

/** The calling thread was started with these. */
export function takeSignals(buffer: SharedArrayBuffer): void {
  present = new ThreadSignals(buffer)
  present.beat()
}

/**
 * For programs in a thread of a ServerGroup: true from the moment on at which it is to end. Seen at once, even by code
 * that never returns to its loop.
 */
export function isClosing(): boolean {
  return present !== null && present.closing !== Closing.NO
}

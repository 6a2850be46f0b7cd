/**
 * What a descriptor of the simulated kernel may stand for, as its poll sees it. Verbs that a kind of file has not
 * answer with the errno that Unix gives.
 */
import { ERRNO_NAMES, type ErrnoName, type ErrnoTable } from '../../lib/sys/kernel.ts'

/** Raw poll bits; the first three are Readiness. */
export const PollBit = { READABLE: 1, WRITABLE: 2, ERROR: 4, HANGUP: 8 } as const

/** Made-up numbers, all distinct and none of a real platform: a number written into the library shows at once. */
export const SIM_ERRNO: ErrnoTable = Object.freeze(
  Object.fromEntries(ERRNO_NAMES.map((name, index) => [name, 2003 + index * 7])),
) as ErrnoTable

export function errnoName(number: number): string {
  for (const name of ERRNO_NAMES) if (SIM_ERRNO[name] === Math.abs(number)) return name
  return `errno ${number}`
}

export function fail(name: ErrnoName): number {
  return -SIM_ERRNO[name]
}

export abstract class OpenFile {
  abstract readonly kind: 'socket' | 'pipe' | 'event' | 'file'
  /** Rises with everything that a poll could newly report: what edge-triggered watching goes by. */
  activity = 0
  abstract poll(): number
  abstract closed(): void

  read(_into: Uint8Array): number {
    return fail('EINVAL')
  }

  write(_bytes: Uint8Array): number {
    return fail('EINVAL')
  }
}

/**
 * The answer of a poll to somebody with this interest (READABLE, WRITABLE, both or none). A hang-up is told in the
 * terms that were asked for; without an interest nothing is told.
 */
export function pollAnswer(bits: number, interest: number): number {
  if (interest === 0) return 0
  const readiness = bits & interest
  if (bits & PollBit.ERROR) return PollBit.ERROR | interest
  if (bits & PollBit.HANGUP) return readiness | (interest & PollBit.READABLE || interest)
  return readiness
}

/** Counts like an eventfd: the wakeup of a multi, the announcement of a resolver. */
export class EventFile extends OpenFile {
  readonly kind = 'event'
  set = false

  poll(): number {
    return PollBit.WRITABLE | (this.set ? PollBit.READABLE : 0)
  }

  closed(): void {
    this.set = false
  }

  override read(_into: Uint8Array): number {
    return fail('EAGAIN')
  }
}

/** A regular file in memory, for `sendfile`. */
export class RegularFile extends OpenFile {
  readonly kind = 'file'
  readonly bytes: Uint8Array
  #position = 0

  constructor(bytes: Uint8Array) {
    super()
    this.bytes = bytes
  }

  poll(): number {
    return PollBit.READABLE | PollBit.WRITABLE
  }

  closed(): void {}

  override read(into: Uint8Array): number {
    const part = this.bytes.subarray(this.#position, this.#position + into.length)
    into.set(part)
    this.#position += part.length
    return part.length
  }
}

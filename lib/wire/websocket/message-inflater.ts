/**
 * Undoes permessage-deflate (RFC 7692 §7.2.2) on the messages of one connection, synchronously and never beyond the
 * limit of the memory it writes to: a message that grows too much is stopped on the way.
 */
import type { MessageBuffer } from './message-buffer.ts'

/** A synchronous inflater of bare deflate, as `sys` offers it; `run` returns one of RawStatus. */
export interface RawInflate {
  readonly used: number
  readonly made: number
  run(input: Uint8Array, start: number, end: number, output: Uint8Array): number
  reset(): boolean
  close(): void
}

const RawStatus = { NEEDS_INPUT: 0, OUTPUT_FULL: 1, END: 2, INVALID: -1 } as const

export const InflateResult = { OK: 0, INVALID: 1, TOO_BIG: 2, NO_MEMORY: 3 } as const
export type InflateResult = (typeof InflateResult)[keyof typeof InflateResult]

/** What every message ends with and nobody sends. */
const TAIL: Uint8Array = Uint8Array.of(0x00, 0x00, 0xff, 0xff)

export class MessageInflater {
  readonly #stream: RawInflate
  readonly #keepsContext: boolean

  /** `keepsContext`: a message may refer to the ones before it. */
  constructor(stream: RawInflate, keepsContext: boolean) {
    this.#stream = stream
    this.#keepsContext = keepsContext
  }

  push(bytes: Uint8Array, start: number, end: number, into: MessageBuffer): InflateResult {
    let at = start
    for (;;) {
      const room = into.room()
      if (room === null) return InflateResult.TOO_BIG
      const status = this.#stream.run(bytes, at, end, room)
      at += this.#stream.used
      if (!into.made(this.#stream.made)) return InflateResult.TOO_BIG
      switch (status) {
        case RawStatus.OUTPUT_FULL:
          break
        case RawStatus.NEEDS_INPUT:
          return InflateResult.OK
        case RawStatus.END:
          // A last block may stand inside a message (§7.2.3.4); what follows begins anew.
          if (!this.#stream.reset()) return InflateResult.NO_MEMORY
          if (at === end) return InflateResult.OK
          break
        default:
          return status === RawStatus.INVALID ? InflateResult.INVALID : InflateResult.NO_MEMORY
      }
    }
  }

  /** The message is complete. */
  finish(into: MessageBuffer): InflateResult {
    const result = this.push(TAIL, 0, TAIL.length, into)
    if (result === InflateResult.OK && !this.#keepsContext && !this.#stream.reset()) return InflateResult.NO_MEMORY
    return result
  }

  close(): void {
    this.#stream.close()
  }
}

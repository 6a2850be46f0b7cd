/**
 * Whether bytes that come in pieces are UTF-8 (RFC 3629). What cannot become valid any more is refused with the byte
 * that makes it so. Whole characters are left to the platform; only those that a cut goes through are looked at one by
 * one.
 */
import { isUtf8 } from 'node:buffer'

/** A character is cut at most this far before the end of a piece. */
const LEAD_REACH = 3

export class Utf8Validator {
  /** Continuation bytes that the character which was begun still needs. */
  #missing = 0
  /** Bounds of the next one: they refuse overlong forms, surrogates and what is beyond U+10FFFF. */
  #low = 0x80
  #high = 0xbf

  /** False once the bytes so far are not the beginning of valid text. */
  push(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start
    while (at < end && this.#missing > 0) if (!this.#take(bytes[at++] as number)) return false
    const cut = findCut(bytes, at, end)
    if (cut > at && !isUtf8(bytes.subarray(at, cut))) return false
    for (at = cut; at < end; at++) if (!this.#take(bytes[at] as number)) return false
    return true
  }

  /** The text so far ends with a whole character. */
  get isComplete(): boolean {
    return this.#missing === 0
  }

  reset(): void {
    this.#missing = 0
    this.#low = 0x80
    this.#high = 0xbf
  }

  #take(byte: number): boolean {
    if (this.#missing === 0) return this.#begin(byte)
    if (byte < this.#low || byte > this.#high) return false
    this.#missing--
    this.#low = 0x80
    this.#high = 0xbf
    return true
  }

  #begin(byte: number): boolean {
    if (byte < 0x80) return true
    if (byte < 0xc2 || byte > 0xf4) return false
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    if (byte === 0xe0) this.#low = 0xa0
    else if (byte === 0xed) this.#high = 0x9f
    else if (byte === 0xf0) this.#low = 0x90
    else if (byte === 0xf4) this.#high = 0x8f
    return true
  }
}

/** Where the last character begins when it may be cut, otherwise the end. */
function findCut(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 1; at >= start && at >= end - LEAD_REACH; at--) {
    const byte = bytes[at] as number
    if (byte >= 0xc0) return at
    if (byte < 0x80) return end
  }
  return end
}

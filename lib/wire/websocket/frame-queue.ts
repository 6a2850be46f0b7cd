/**
 * Frames that wait to be sent, as bytes in memory: small ones share a chunk, so that one send carries them all. Whoever
 * sends looks at `chunk` from `start` to `end` and says how much of it was taken. Payloads are copied, and masked in
 * the copy when the role is a client's.
 */
import { type MaskSource, maskBytes } from './mask.ts'
import { FINAL_BIT, type Opcode } from './protocol.ts'

/** Frames are put behind each other up to here. */
const CHUNK_BYTES = 16 * 1024
const MASK_BIT = 0x80
const NOTHING = new Uint8Array(0)

export class FrameQueue {
  /** Bytes of frames that wait. */
  length = 0
  chunk: Uint8Array = NOTHING
  start = 0
  end = 0
  readonly #later: { readonly bytes: Uint8Array; end: number }[] = []
  readonly #masks: MaskSource | null

  /** `masks`: of a client; a server has none. */
  constructor(masks: MaskSource | null) {
    this.#masks = masks
  }

  /** `bits`: FINAL_BIT, COMPRESSED_BIT. */
  push(opcode: Opcode, payload: Uint8Array, bits: number = FINAL_BIT): void {
    const length = frameHeadLength(payload.length, this.#masks !== null) + payload.length
    const last = this.#reserve(length)
    writeFrame(last.bytes, last.end, bits | opcode, payload, this.#masks)
    last.end += length
    this.length += length
    if (this.#later.length === 0) this.end = last.end
  }

  sent(count: number): void {
    this.length -= count
    this.start += count
    if (this.start < this.end) return
    const next = this.#later.shift()
    this.chunk = next?.bytes ?? NOTHING
    this.start = 0
    this.end = next?.end ?? 0
  }

  clear(): void {
    this.#later.length = 0
    this.chunk = NOTHING
    this.length = 0
    this.start = 0
    this.end = 0
  }

  /** A chunk with room for that many bytes behind its end. */
  #reserve(length: number): { readonly bytes: Uint8Array; end: number } {
    const last = this.#later.at(-1)
    if (last !== undefined) {
      if (last.bytes.length - last.end >= length) return last
    } else if (this.chunk.length - this.end >= length) return { bytes: this.chunk, end: this.end }
    // The first frame is usually sent at once, so it gets no more memory than it needs.
    const bytes = new Uint8Array(this.length === 0 ? length : Math.max(length, CHUNK_BYTES))
    const fresh = { bytes, end: 0 }
    if (this.length === 0) this.chunk = bytes
    else this.#later.push(fresh)
    return fresh
  }
}

export function frameHeadLength(payloadLength: number, isMasked: boolean): number {
  return (payloadLength < 126 ? 2 : payloadLength < 65536 ? 4 : 10) + (isMasked ? 4 : 0)
}

/** Writes a whole frame at that offset, where there must be room for it. Returns the offset behind it. */
export function writeFrame(
  into: Uint8Array,
  at: number,
  first: number,
  payload: Uint8Array,
  masks: MaskSource | null,
): number {
  const { length } = payload
  const maskBit = masks === null ? 0 : MASK_BIT
  let end = at
  into[end++] = first
  if (length < 126) into[end++] = maskBit | length
  else if (length < 65536) {
    into[end++] = maskBit | 126
    into[end++] = length >>> 8
    into[end++] = length & 0xff
  } else {
    into[end++] = maskBit | 127
    let left = length
    for (let i = 7; i >= 0; i--) {
      into[end + i] = left % 256
      left = Math.floor(left / 256)
    }
    end += 8
  }
  if (masks === null) {
    into.set(payload, end)
    return end + length
  }
  const keyAt = masks.next()
  for (let i = 0; i < 4; i++) into[end++] = masks.bytes[keyAt + i] as number
  into.set(payload, end)
  maskBytes(into, end, end + length, masks.bytes, keyAt, 0)
  return end + length
}

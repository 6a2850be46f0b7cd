/**
 * What two processes say to each other when one takes over from the other: five messages, each a header of eight bytes
 * (a mark, the version, the kind, the length) and a little text. No bytes of a version that is not ours are believed.
 */
import type { FileIdentity } from '../sys/kernel.ts'

export const HandoverKind = {
  /** The new one asks for what the old one listens on. */
  HELLO: 1,
  /** The descriptors come along: one per entry, and the handover socket itself last. */
  OFFER: 2,
  /** The new one serves. */
  READY: 3,
  /** The old one accepts nobody any more. */
  TAKEN: 4,
  /** Why not; nothing changes. */
  REFUSED: 5,
} as const
export type HandoverKind = (typeof HandoverKind)[keyof typeof HandoverKind]

/** What goes along with the descriptors, in their order; the text of an OFFER is a list of them. */
export interface HandoverEntry {
  readonly name: string
  readonly file: FileIdentity | null
}

export interface HandoverMessage {
  readonly kind: HandoverKind
  readonly text: string
}

const VERSION = 1
const MARK = Buffer.from('SMXH', 'latin1')
const HEADER_BYTES = 8
const VERSION_AT = 4
const KIND_AT = 5
const LENGTH_AT = 6
/** Names of as many listeners as go at a time, at their longest. */
const TEXT_BYTES_MAX = 60_000
export const HANDOVER_BYTES_MAX: number = HEADER_BYTES + TEXT_BYTES_MAX

export function encodeHandover(kind: HandoverKind, text = ''): Buffer {
  const content = Buffer.from(text)
  if (content.length > TEXT_BYTES_MAX) throw new RangeError(`a handover takes ${TEXT_BYTES_MAX} bytes of names at most`)
  const header = Buffer.alloc(HEADER_BYTES)
  MARK.copy(header)
  header.writeUInt8(VERSION, VERSION_AT)
  header.writeUInt8(kind, KIND_AT)
  header.writeUInt16BE(content.length, LENGTH_AT)
  return Buffer.concat([header, content])
}

/** Collects bytes until a message is whole. One at a time: neither side speaks twice in a row. */
export class HandoverDecoder {
  #bytes: Buffer = Buffer.alloc(0)

  /** null: there is more to come. An Error: this is not our protocol. */
  receive(bytes: Uint8Array): HandoverMessage | Error | null {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    const { length } = this.#bytes
    if (!this.#bytes.subarray(0, MARK.length).equals(MARK.subarray(0, length))) {
      return new Error('this is no handover')
    }
    if (length > VERSION_AT && this.#bytes[VERSION_AT] !== VERSION) {
      return new Error(`version ${this.#bytes[VERSION_AT]} of the handover is not ${VERSION}`)
    }
    if (length < HEADER_BYTES) return null
    const total = HEADER_BYTES + this.#bytes.readUInt16BE(LENGTH_AT)
    if (total > HANDOVER_BYTES_MAX || length > total) return new Error('a message of the handover is too long')
    if (length < total) return null
    const kind = this.#bytes[KIND_AT] as HandoverKind
    const text = this.#bytes.toString('utf8', HEADER_BYTES)
    this.#bytes = Buffer.alloc(0)
    return { kind, text }
  }
}

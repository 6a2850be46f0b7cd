/**
 * DNS messages (RFC 1035): one question out, and what one answer says about it. Everything in an answer is the word of
 * a stranger: names are compressed with pointers, which here may only lead backwards; a chain of CNAMEs is followed in
 * whatever order its records come, no further than it has links and never in a circle; what is not about the question
 * is not looked at.
 */
import { ipText } from './ip-address.ts'

export const RecordType = { A: 1, CNAME: 5, AAAA: 28 } as const
export type AddressType = typeof RecordType.A | typeof RecordType.AAAA

/** Answers' codes that mean something here; all but the first and the last are failures to answer. */
export const ResponseCode = { NO_ERROR: 0, SERVER_FAILURE: 2, NAME_ERROR: 3 } as const

export interface DnsAnswer {
  readonly responseCode: number
  /** In the order of the records. */
  readonly addresses: readonly string[]
  /** The shortest of all records that led to the addresses; 0 when there are none. */
  readonly ttlSeconds: number
}

/** RFC 8484's limit, and that of TCP. */
export const DNS_MESSAGE_BYTES_MAX = 65_535
const HEADER_BYTES = 12
const LABEL_BYTES_MAX = 63
const NAME_BYTES_MAX = 255
/** Links of a chain of CNAMEs; resolvers stop at about as many. */
const CHAIN_LINKS_MAX = 16
/** A name of 255 bytes has no more labels; a chain of bare pointers only costs time. */
const POINTERS_MAX = 127
const CLASS_IN = 1
const FLAGS_RECURSION_DESIRED = 0x0100
const FLAG_RESPONSE = 0x8000
const FLAG_TRUNCATED = 0x0200
const OPCODE_BITS = 0x7800
const POINTER_BITS = 0xc0

/**
 * With the id 0, so that HTTP caches see equal messages for equal questions (RFC 8484 §4.1). null when no message can
 * hold that name.
 */
export function encodeDnsQuery(name: string, type: AddressType): Uint8Array | null {
  const labels = (name.endsWith('.') ? name.slice(0, -1) : name).split('.')
  const nameBytes = labels.reduce((sum, label) => sum + 1 + label.length, 1)
  if (nameBytes > NAME_BYTES_MAX) return null
  const message = Buffer.alloc(HEADER_BYTES + nameBytes + 4)
  message.writeUInt16BE(FLAGS_RECURSION_DESIRED, 2)
  message.writeUInt16BE(1, 4)
  let at = HEADER_BYTES
  for (const label of labels) {
    if (label.length === 0 || label.length > LABEL_BYTES_MAX || !/^[!-~]+$/.test(label)) return null
    at = message.writeUInt8(label.length, at)
    at += message.write(label, at, 'latin1')
  }
  at = message.writeUInt8(0, at)
  at = message.writeUInt16BE(type, at)
  message.writeUInt16BE(CLASS_IN, at)
  return message
}

/** What `message` answers to that question; a text says why it is no answer to it. */
export function readDnsAnswer(message: Uint8Array, name: string, type: AddressType): DnsAnswer | string {
  try {
    return new AnswerReader(message, type).read(keyOfName(name))
  } catch (error) {
    if (error instanceof Malformed) return error.message
    throw error
  }
}

class Malformed extends Error {}

interface Link {
  readonly target: string
  readonly ttl: number
}

interface Found {
  readonly addresses: string[]
  ttl: number
}

class AnswerReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #type: AddressType
  #at = HEADER_BYTES
  /** By the owner's name. */
  readonly #links = new Map<string, Link>()
  readonly #found = new Map<string, Found>()

  constructor(bytes: Uint8Array, type: AddressType) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#type = type
  }

  read(name: string): DnsAnswer {
    if (this.#bytes.length < HEADER_BYTES) throw new Malformed('it is shorter than its header')
    const flags = this.#uint16(2)
    const responseCode = flags & 15
    if (this.#uint16(0) !== 0) throw new Malformed('it has another id than the question')
    if ((flags & FLAG_RESPONSE) === 0 || (flags & OPCODE_BITS) !== 0) throw new Malformed('it is no answer to a query')
    if (responseCode !== ResponseCode.NO_ERROR) return { responseCode, addresses: [], ttlSeconds: 0 }
    if ((flags & FLAG_TRUNCATED) !== 0) throw new Malformed('it is truncated')
    this.#skipQuestion(name)
    for (let left = this.#uint16(6); left > 0; left--) this.#readRecord()
    return { responseCode, ...this.#follow(name) }
  }

  #skipQuestion(name: string): void {
    const isSame =
      this.#uint16(4) === 1 && this.#name() === name && this.#next16() === this.#type && this.#next16() === CLASS_IN
    if (!isSame) throw new Malformed('it answers another question')
  }

  #readRecord(): void {
    const owner = this.#name()
    const type = this.#next16()
    const recordClass = this.#next16()
    const ttl = this.#nextTtl()
    const length = this.#next16()
    const start = this.#at
    if (start + length > this.#bytes.length) throw new Malformed('a record is longer than the message')
    if (recordClass === CLASS_IN && type === RecordType.CNAME) {
      // A name has one canonical name; the first that is told counts.
      const target = this.#name()
      if (this.#at !== start + length) throw new Malformed('a CNAME is not as long as its record')
      if (!this.#links.has(owner)) this.#links.set(owner, { target, ttl })
    } else if (recordClass === CLASS_IN && type === this.#type) {
      if (length !== (type === RecordType.A ? 4 : 16)) throw new Malformed('an address has the wrong length')
      this.#keep(owner, ipText(this.#bytes, start, length), ttl)
    }
    this.#at = start + length
  }

  #keep(owner: string, address: string, ttl: number): void {
    const found = this.#found.get(owner)
    if (found === undefined) this.#found.set(owner, { addresses: [address], ttl })
    else {
      found.addresses.push(address)
      found.ttl = Math.min(found.ttl, ttl)
    }
  }

  #follow(name: string): { addresses: readonly string[]; ttlSeconds: number } {
    let owner = name
    let ttl = Number.POSITIVE_INFINITY
    for (let links = 0; links <= CHAIN_LINKS_MAX; links++) {
      const found = this.#found.get(owner)
      if (found !== undefined) return { addresses: found.addresses, ttlSeconds: Math.min(ttl, found.ttl) }
      const link = this.#links.get(owner)
      if (link === undefined) return { addresses: [], ttlSeconds: 0 }
      owner = link.target
      ttl = Math.min(ttl, link.ttl)
    }
    throw new Malformed('its chain of CNAMEs has no end')
  }

  /** The name at the present place, in lower case; afterwards the place is behind it. */
  #name(): string {
    const labels: string[] = []
    let at = this.#at
    let end = -1
    let length = 1
    // Each pointer leads before all that was read of this name, so this ends.
    let lowest = at
    let pointers = 0
    for (;;) {
      const size = this.#uint8(at)
      if (size === 0) break
      if ((size & POINTER_BITS) === POINTER_BITS) {
        if (end < 0) end = at + 2
        at = this.#uint16(at) & 0x3fff
        if (at >= lowest || at < HEADER_BYTES || ++pointers > POINTERS_MAX)
          throw new Malformed('a name points forwards, or nowhere')
        lowest = at
        continue
      }
      if (size > LABEL_BYTES_MAX) throw new Malformed('a name has a label of an unknown kind')
      length += 1 + size
      if (length > NAME_BYTES_MAX) throw new Malformed('a name is too long')
      if (at + 1 + size > this.#bytes.length) throw new Malformed('it breaks off')
      labels.push(labelText(this.#bytes.subarray(at + 1, at + 1 + size)))
      at += 1 + size
    }
    this.#at = end < 0 ? at + 1 : end
    return labels.join('.')
  }

  #next16(): number {
    const value = this.#uint16(this.#at)
    this.#at += 2
    return value
  }

  /** RFC 2181 §8: one whose highest bit is set is 0. */
  #nextTtl(): number {
    const high = this.#next16()
    const low = this.#next16()
    return high >= 0x8000 ? 0 : high * 0x10000 + low
  }

  #uint8(at: number): number {
    const value = this.#bytes[at]
    if (value === undefined) throw new Malformed('it breaks off')
    return value
  }

  #uint16(at: number): number {
    if (at + 2 > this.#bytes.length) throw new Malformed('it breaks off')
    return this.#view.getUint16(at)
  }
}

/** A point inside a label is not one between labels. */
function labelText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').toLowerCase().replaceAll('.', '\\.')
}

function keyOfName(name: string): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase()
}

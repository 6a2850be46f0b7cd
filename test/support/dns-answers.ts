/**
 * Reads DNS queries and writes answers, for servers of tests: on its own, so that it shares no mistake with the codec.
 * Names are compressed as RFC 1035 has it, unless told otherwise.
 */
export const TYPE_A = 1
export const TYPE_CNAME = 5
export const TYPE_AAAA = 28

export interface Query {
  readonly id: number
  /** As it was sent. */
  readonly name: string
  readonly type: number
}

export interface DnsRecord {
  readonly name: string
  readonly type: number
  readonly ttl: number
  /** An IPv4 address, sixteen bytes in hex, or the name that a CNAME leads to. */
  readonly value: string
}

export interface AnswerShape {
  readonly responseCode?: number
  readonly flags?: number
  readonly isCompressed?: boolean
}

export function readQuery(message: Uint8Array): Query {
  const bytes = Buffer.from(message)
  const labels: string[] = []
  let at = 12
  for (let size = bytes.readUInt8(at); size !== 0; size = bytes.readUInt8(at)) {
    labels.push(bytes.toString('latin1', at + 1, at + 1 + size))
    at += 1 + size
  }
  return { id: bytes.readUInt16BE(0), name: labels.join('.'), type: bytes.readUInt16BE(at + 1) }
}

export function writeAnswer(
  { id, name, type }: Query,
  records: readonly DnsRecord[],
  { responseCode = 0, flags = 0x8180, isCompressed = true }: AnswerShape = {},
): Buffer {
  const places = new Map<string, number>()
  const pieces: Buffer[] = []
  let length = 0
  const put = (piece: Buffer): void => {
    pieces.push(piece)
    length += piece.length
  }
  const putNumbers = (...numbers: number[]): void => {
    const piece = Buffer.alloc(numbers.length * 2)
    for (const [index, number] of numbers.entries()) piece.writeUInt16BE(number, 2 * index)
    put(piece)
  }
  const putName = (text: string): void => {
    const labels = text.split('.')
    for (let at = 0; at < labels.length; at++) {
      const rest = labels.slice(at).join('.').toLowerCase()
      const place = places.get(rest)
      if (isCompressed && place !== undefined) {
        putNumbers(0xc000 | place)
        return
      }
      if (length < 0x4000) places.set(rest, length)
      const label = Buffer.from(labels[at] as string, 'latin1')
      put(Buffer.concat([Buffer.of(label.length), label]))
    }
    put(Buffer.of(0))
  }
  putNumbers(id, flags | responseCode, 1, records.length, 0, 0)
  putName(name)
  putNumbers(type, 1)
  for (const record of records) {
    putName(record.name)
    putNumbers(record.type, 1, record.ttl >>> 16, record.ttl & 0xffff)
    const sizeAt = pieces.length
    putNumbers(0)
    const start = length
    if (record.type === TYPE_CNAME) putName(record.value)
    else if (record.type === TYPE_A) put(Buffer.from(record.value.split('.').map(Number)))
    else put(Buffer.from(record.value, 'hex'))
    ;(pieces[sizeAt] as Buffer).writeUInt16BE(length - start)
  }
  return Buffer.concat(pieces)
}

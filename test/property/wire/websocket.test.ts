import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InflateFormat } from '../../../lib/sys/inflate.ts'
import { inflateProvider } from '../../../lib/sys/native.ts'
import { deflateMessage } from '../../../lib/wire/websocket/deflate-extension.ts'
import { FrameQueue } from '../../../lib/wire/websocket/frame-queue.ts'
import { parseExtensions } from '../../../lib/wire/websocket/handshake.ts'
import { MaskSource } from '../../../lib/wire/websocket/mask.ts'
import { MessageInflater, type RawInflate } from '../../../lib/wire/websocket/message-inflater.ts'
import { MessageEvent, MessageReader } from '../../../lib/wire/websocket/message-reader.ts'
import { COMPRESSED_BIT, FINAL_BIT, Opcode, type Role } from '../../../lib/wire/websocket/protocol.ts'
import { Utf8Validator } from '../../../lib/wire/websocket/utf8-validator.ts'

const TERMS = { windowBits: 15, peerKeepsContext: false }
const MESSAGE_BYTES_MAX = 4096
const EVENTS_MAX = 10_000

interface Told {
  readonly events: string[]
  /** Bytes of pieces of frames, where frames are told. */
  readonly pieces: number
}

/** Feeds the bytes cut at those places, a copy of each piece, since they are unmasked in place. */
function read(role: Role, bytes: Uint8Array, cuts: readonly number[], compressed: boolean, frames = false): Told {
  const stream = compressed ? (inflateProvider.open(InflateFormat.RAW) as RawInflate) : null
  const inflater = stream === null ? null : new MessageInflater(stream, TERMS.peerKeepsContext)
  const limits = { frameBytesMax: MESSAGE_BYTES_MAX, messageBytesMax: MESSAGE_BYTES_MAX }
  const reader = new MessageReader({ role, inflater, frames, ...limits })
  const events: string[] = []
  let pieces = 0
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  try {
    for (let i = 0; i + 1 < places.length; i++) {
      const piece = new Uint8Array(bytes.subarray(places[i], places[i + 1]))
      reader.receive(piece, 0, piece.length)
      for (let count = 0; ; count++) {
        if (count > EVENTS_MAX) throw new Error('too many events')
        const event = reader.nextEvent()
        if (event === MessageEvent.NEED_MORE) break
        if (event === MessageEvent.FRAME) {
          pieces += reader.data.length
          continue
        }
        if (event === MessageEvent.ERROR) return { events: [...events, `fault ${reader.fault?.closeCode}`], pieces }
        const data = Buffer.from(reader.data).toString('hex')
        if (event === MessageEvent.CLOSE) events.push(`close ${reader.closeCode} ${reader.closeReason}`)
        else events.push(`${event} ${event === MessageEvent.MESSAGE ? reader.type : ''} ${data}`)
      }
    }
    return { events, pieces }
  } finally {
    reader.close()
  }
}

const cuts = fc.array(fc.nat(), { maxLength: 12 })
const role = fc.constantFrom<Role>('client', 'server')

type Operation =
  | {
      readonly kind: 'text' | 'binary'
      readonly data: Uint8Array
      readonly splits: readonly number[]
      readonly zip: boolean
    }
  | { readonly kind: 'ping' | 'pong'; readonly data: Uint8Array }

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constant<'text'>('text'),
    data: fc.string({ unit: 'binary', maxLength: 300 }).map((text) => new Uint8Array(Buffer.from(text))),
    splits: fc.array(fc.nat(), { maxLength: 4 }),
    zip: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant<'binary'>('binary'),
    data: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(MESSAGE_BYTES_MAX).map((size) => new Uint8Array(size).fill(7)),
    ),
    splits: fc.array(fc.nat(), { maxLength: 4 }),
    zip: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom('ping' as const, 'pong' as const), data: fc.uint8Array({ maxLength: 125 }) }),
)

/** Writes them as the other end of `reads` would, pings between the fragments, and says what should be told. */
function write(
  reads: Role,
  operations: readonly Operation[],
  compressed: boolean,
): { bytes: Uint8Array; told: string[] } {
  let seed = 1
  const random = (size: number): Uint8Array =>
    Uint8Array.from({ length: size }, () => (seed = (seed * 75 + 74) % 65537) & 255)
  const queue = new FrameQueue(reads === 'server' ? new MaskSource(random) : null)
  const told: string[] = []
  for (const one of operations) {
    const data = Buffer.from(one.data).toString('hex')
    if (!('splits' in one)) {
      queue.push(one.kind === 'ping' ? Opcode.PING : Opcode.PONG, one.data)
      told.push(`${one.kind === 'ping' ? MessageEvent.PING : MessageEvent.PONG}  ${data}`)
      continue
    }
    const opcode = one.kind === 'text' ? Opcode.TEXT : Opcode.BINARY
    const deflated = compressed && one.zip ? deflateMessage(one.data, TERMS) : null
    const payload = deflated ?? one.data
    const bits = deflated === null ? 0 : COMPRESSED_BIT
    const places = [0, ...one.splits.map((at) => at % (payload.length + 1)).sort((a, b) => a - b), payload.length]
    for (let i = 0; i + 1 < places.length; i++) {
      const isLast = i + 2 === places.length
      const first = i === 0 ? bits : 0
      queue.push(
        i === 0 ? opcode : Opcode.CONTINUATION,
        payload.subarray(places[i], places[i + 1]),
        first | (isLast ? FINAL_BIT : 0),
      )
      if (!isLast) {
        queue.push(Opcode.PING, Uint8Array.of(i))
        told.push(`${MessageEvent.PING}  ${Buffer.from([i]).toString('hex')}`)
      }
    }
    told.push(`${MessageEvent.MESSAGE} ${opcode} ${data}`)
  }
  return { bytes: drain(queue), told }
}

function drain(queue: FrameQueue): Uint8Array {
  const pieces: Uint8Array[] = []
  while (queue.length > 0) {
    pieces.push(queue.chunk.slice(queue.start, queue.end))
    queue.sent(queue.end - queue.start)
  }
  return Buffer.concat(pieces)
}

describe('a pair of codecs', () => {
  it('agrees on any operations, compressed or not, in any pieces', () => {
    fc.assert(
      fc.property(
        role,
        fc.array(operation, { maxLength: 8 }),
        fc.boolean(),
        cuts,
        (reads, operations, compressed, at) => {
          const { bytes, told } = write(reads, operations, compressed)
          expect(read(reads, bytes, at, compressed).events).toEqual(told)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('the reader', () => {
  const damaged = fc
    .tuple(
      fc.array(operation, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
    )
    .map(([operations, changes]) => {
      const bytes = new Uint8Array(write('client', operations, false).bytes)
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value
      return bytes
    })
  const anything = fc.oneof(damaged, fc.uint8Array({ maxLength: 200 }))

  it('tells the same for any bytes in any pieces', () => {
    fc.assert(
      fc.property(anything, role, fc.boolean(), cuts, (bytes, reads, compressed, at) => {
        expect(read(reads, bytes, at, compressed).events).toEqual(read(reads, bytes, [], compressed).events)
      }),
      { numRuns: 500 },
    )
  })

  it('tells the same frames in any pieces', () => {
    fc.assert(
      fc.property(anything, cuts, (bytes, at) => {
        const whole = read('client', bytes, [], false, true)
        const cut = read('client', bytes, at, false, true)
        expect(cut.events).toEqual(whole.events)
        // Text that is wrong is found with the piece it is in.
        if (whole.events.at(-1) !== 'fault 1007') expect(cut.pieces).toBe(whole.pieces)
      }),
      { numRuns: 300 },
    )
  })
})

describe('the parts', () => {
  it('judge text in pieces as in one', () => {
    const strict = new TextDecoder('utf-8', { fatal: true })
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 10 }).map((text) => new Uint8Array(Buffer.from(text))),
      fc.uint8Array({ maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const validator = new Utf8Validator()
        const isValid = pieces.every((bytes) => validator.push(bytes, 0, bytes.length)) && validator.isComplete
        let expected = true
        try {
          strict.decode(Buffer.concat(pieces))
        } catch {
          expected = false
        }
        expect(isValid).toBe(expected)
      }),
    )
  })

  it('read any field of extensions without failing', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab;,= "\\\t'), maxLength: 30 }), (text) => {
        const extensions = parseExtensions(text)
        for (const { name } of extensions ?? []) expect(name).toMatch(/^[ab]+$/)
      }),
    )
  })
})

import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { InflateFormat } from '../../../lib/sys/inflate.ts'
import { inflateProvider } from '../../../lib/sys/native.ts'
import {
  answerDeflateOffers,
  DEFLATE_OFFER,
  deflateMessage,
  readDeflateAnswer,
} from '../../../lib/wire/websocket/deflate-extension.ts'
import { FrameQueue, frameHeadLength, writeFrame } from '../../../lib/wire/websocket/frame-queue.ts'
import {
  acceptOf,
  type Extension,
  isKey,
  isProtocolName,
  listHas,
  newKey,
  parseExtensions,
} from '../../../lib/wire/websocket/handshake.ts'
import { MaskSource, maskBytes } from '../../../lib/wire/websocket/mask.ts'
import { MessageInflater, type RawInflate } from '../../../lib/wire/websocket/message-inflater.ts'
import { MessageEvent, MessageReader, type MessageReaderOptions } from '../../../lib/wire/websocket/message-reader.ts'
import { COMPRESSED_BIT, FINAL_BIT, isCloseCode, Opcode } from '../../../lib/wire/websocket/protocol.ts'
import { Utf8Validator } from '../../../lib/wire/websocket/utf8-validator.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

/** What a reader tells of those bytes. */
function tell(options: MessageReaderOptions, ...pieces: Uint8Array[]): string[] {
  const reader = new MessageReader(options)
  const told: string[] = []
  for (const piece of pieces) {
    reader.receive(piece, 0, piece.length)
    for (;;) {
      const event = reader.nextEvent()
      if (event === MessageEvent.NEED_MORE) break
      const text = Buffer.from(reader.data).toString()
      if (event === MessageEvent.MESSAGE) told.push(`${reader.type === Opcode.TEXT ? 'text' : 'binary'} ${text}`)
      else if (event === MessageEvent.PING) told.push(`ping ${text}`)
      else if (event === MessageEvent.PONG) told.push(`pong ${text}`)
      else if (event === MessageEvent.CLOSE) told.push(`close ${reader.closeCode} ${reader.closeReason}`)
      else {
        told.push(`fault ${reader.fault?.closeCode}`)
        break
      }
    }
  }
  reader.close()
  return told
}

function inflater(keepsContext = true): MessageInflater {
  return new MessageInflater(inflateProvider.open(InflateFormat.RAW) as RawInflate, keepsContext)
}

describe('the examples of RFC 6455 §5.7', () => {
  it.each([
    ['an unmasked text', 'client', '81 05 48 65 6c 6c 6f', ['text Hello']],
    ['a masked text', 'server', '81 85 37 fa 21 3d 7f 9f 4d 51 58', ['text Hello']],
    ['a fragmented text', 'client', '01 03 48 65 6c 80 02 6c 6f', ['text Hello']],
    ['a ping', 'client', '89 05 48 65 6c 6c 6f', ['ping Hello']],
    ['a masked pong', 'server', '8a 85 37 fa 21 3d 7f 9f 4d 51 58', ['pong Hello']],
  ] as const)('are read: %s', (_name, role, bytes, expected) => {
    expect(tell({ role }, hex(bytes))).toEqual(expected)
    expect(tell({ role }, ...Array.from(hex(bytes), (byte) => Uint8Array.of(byte)))).toEqual(expected)
  })

  it('are written', () => {
    const into = new Uint8Array(20)
    const payload = Buffer.from('Hello')
    expect(writeFrame(into, 2, FINAL_BIT | Opcode.TEXT, payload, null)).toBe(9)
    expect(into.subarray(2, 9)).toEqual(hex('81 05 48 65 6c 6c 6f'))
    const masks = new MaskSource(() => hex('37 fa 21 3d'))
    expect(writeFrame(into, 0, FINAL_BIT | Opcode.TEXT, payload, masks)).toBe(11)
    expect(into.subarray(0, 11)).toEqual(hex('81 85 37 fa 21 3d 7f 9f 4d 51 58'))
  })

  it('write a length of 16 and of 64 bits', () => {
    for (const [length, head] of [
      [125, '82 7d'],
      [126, '82 7e 00 7e'],
      [256, '82 7e 01 00'],
      [65535, '82 7e ff ff'],
      [65536, '82 7f 00 00 00 00 00 01 00 00'],
    ] as const) {
      const queue = new FrameQueue(null)
      queue.push(Opcode.BINARY, new Uint8Array(length))
      const bytes = hex(head)
      expect(frameHeadLength(length, false)).toBe(bytes.length)
      expect(queue.chunk.subarray(0, bytes.length)).toEqual(bytes)
      expect(queue.length).toBe(bytes.length + length)
    }
  })
})

describe('the examples of RFC 7692 §7.2.3', () => {
  it.each([
    ['one block', ['c1 07 f2 48 cd c9 c9 07 00'], ['text Hello']],
    ['two fragments', ['41 03 f2 48 cd', '80 04 c9 c9 07 00'], ['text Hello']],
    ['a shared window', ['c1 07 f2 48 cd c9 c9 07 00', 'c1 05 f2 00 11 00 00'], ['text Hello', 'text Hello']],
    ['no compression', ['c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00'], ['text Hello']],
    ['a final block', ['c1 08 f3 48 cd c9 c9 07 00 00'], ['text Hello']],
    ['two blocks', ['c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00'], ['text Hello']],
    [
      'final blocks in a row',
      ['c1 08 f3 48 cd c9 c9 07 00 00', 'c1 07 f2 48 cd c9 c9 07 00'],
      ['text Hello', 'text Hello'],
    ],
  ])('are read: %s', (_name, frames, expected) => {
    expect(tell({ role: 'client', inflater: inflater() }, ...frames.map(hex))).toEqual(expected)
  })

  it('know a window that is not shared', () => {
    const frames = ['c1 07 f2 48 cd c9 c9 07 00', 'c1 05 f2 00 11 00 00'].map(hex)
    expect(tell({ role: 'client', inflater: inflater(false) }, ...frames)).toEqual(['text Hello', 'fault 1007'])
  })
})

describe('compression', () => {
  const terms = { windowBits: 15, peerKeepsContext: false }

  it('becomes what it was', () => {
    const message = Buffer.from('abc'.repeat(50_000))
    const deflated = deflateMessage(message, terms) as Uint8Array
    expect(deflated.length).toBeLessThan(2000)
    const queue = new FrameQueue(null)
    queue.push(Opcode.TEXT, deflated, FINAL_BIT | COMPRESSED_BIT)
    expect(tell({ role: 'client', inflater: inflater(false) }, queue.chunk)).toEqual([`text ${message}`])
  })

  it('is left out where it does not help, or the window is too small for zlib', () => {
    expect(deflateMessage(Buffer.from('x'), terms)).toBe(null)
    expect(deflateMessage(Buffer.alloc(5000), { ...terms, windowBits: 8 })).toBe(null)
  })

  it('stops a message that grows beyond the limit, and takes one that reaches it', () => {
    for (const [length, expected] of [
      [100_000, `binary ${'\0'.repeat(100_000)}`],
      [100_001, 'fault 1009'],
      [50_000_000, 'fault 1009'],
    ] as const) {
      const queue = new FrameQueue(null)
      queue.push(Opcode.BINARY, deflateMessage(Buffer.alloc(length), terms) as Uint8Array, FINAL_BIT | COMPRESSED_BIT)
      const options = { role: 'client', inflater: inflater(), messageBytesMax: 100_000 } as const
      expect(tell(options, queue.chunk)).toEqual([expected])
    }
  })

  it('refuses what is no deflate', () => {
    expect(tell({ role: 'client', inflater: inflater() }, hex('c2 03 ff ff ff'))).toEqual(['fault 1007'])
  })

  it('reads what keeps its window over many messages', () => {
    const one = deflateRawSync(Buffer.from('abcdefgh'.repeat(10)), { finishFlush: 2 })
    const frames = Array.from({ length: 3 }, () => {
      const queue = new FrameQueue(null)
      queue.push(Opcode.TEXT, one.subarray(0, -4), FINAL_BIT | COMPRESSED_BIT)
      return queue.chunk
    })
    const text = `text ${'abcdefgh'.repeat(10)}`
    expect(tell({ role: 'client', inflater: inflater() }, ...frames)).toEqual([text, text, text])
  })
})

describe('negotiation', () => {
  const parse = (text: string): Extension[] => parseExtensions(text) as Extension[]
  const parameters = (text: string): Extension[] => parse(`permessage-deflate; ${text}`)

  it.each([
    ['', null],
    ['permessage-deflate', { windowBits: 15, peerKeepsContext: true }],
    ['permessage-deflate; server_no_context_takeover', { windowBits: 15, peerKeepsContext: false }],
    [
      'permessage-deflate; client_max_window_bits=10; server_max_window_bits="9"',
      { windowBits: 10, peerKeepsContext: true },
    ],
    ['permessage-deflate;client_no_context_takeover', { windowBits: 15, peerKeepsContext: true }],
  ])('reads the answer %j', (text, expected) => {
    expect(readDeflateAnswer(parse(text))).toEqual(expected)
  })

  it.each([
    'x-webkit-deflate-frame',
    'permessage-deflate, permessage-deflate',
    'permessage-deflate; client_max_window_bits',
    'permessage-deflate; server_max_window_bits',
    'permessage-deflate; server_max_window_bits=7',
    'permessage-deflate; server_max_window_bits=16',
    'permessage-deflate; server_max_window_bits=010',
    'permessage-deflate; server_no_context_takeover=1',
    'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
    'permessage-deflate; other',
  ])('refuses the answer %j', (text) => {
    expect(typeof readDeflateAnswer(parse(text))).toBe('string')
  })

  it('answers offers as a server, with the first that it can take', () => {
    expect(answerDeflateOffers(parse(DEFLATE_OFFER))).toEqual({
      answer: 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
      terms: { windowBits: 15, peerKeepsContext: false },
    })
    expect(answerDeflateOffers(parameters('server_max_window_bits=10'))?.terms.windowBits).toBe(10)
    expect(answerDeflateOffers(parameters('server_max_window_bits=8'))).toBe(null)
    expect(answerDeflateOffers(parse('permessage-deflate; x, permessage-deflate'))?.terms.peerKeepsContext).toBe(true)
    expect(answerDeflateOffers(parse('x-other'))).toBe(null)
  })

  it('reads extension lists, and refuses what is none', () => {
    expect(parseExtensions('a; b=c; d="e" , f,, ')).toEqual([
      {
        name: 'a',
        parameters: [
          ['b', 'c'],
          ['d', 'e'],
        ],
      },
      { name: 'f', parameters: [] },
    ])
    for (const bad of ['a b', 'a; b c', 'a;', 'a; b="c', 'a; b=', 'a; b="c d"', '"a"']) {
      expect(parseExtensions(bad), bad).toBe(null)
    }
  })
})

describe('the handshake', () => {
  it('accepts the key of RFC 6455 §1.3', () => {
    expect(acceptOf('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  })

  it('knows keys, subprotocols and lists', () => {
    expect(newKey((size) => new Uint8Array(size))).toBe('AAAAAAAAAAAAAAAAAAAAAA==')
    expect(isKey('dGhlIHNhbXBsZSBub25jZQ==')).toBe(true)
    for (const bad of ['', 'dGhlIHNhbXBsZSBub25jZQ=', 'dGhlIHNhbXBsZSBub25jZQ==x', 'AAAA'])
      expect(isKey(bad)).toBe(false)
    expect(['chat', 'v1.x+y'].every(isProtocolName)).toBe(true)
    expect(['', 'a b', 'a,b', 'ä'].some(isProtocolName)).toBe(false)
    expect(listHas(['a, Upgrade', 'b'], 'upgrade')).toBe(true)
    expect(listHas(['upgraded'], 'upgrade')).toBe(false)
  })

  it('knows the close codes that may be sent', () => {
    const valid = Array.from({ length: 6000 }, (_, code) => code).filter(isCloseCode)
    expect(valid.slice(0, 12)).toEqual([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014])
    expect(valid.length).toBe(12 + 2000)
  })
})

describe('masking', () => {
  it('is the same at every place, length and phase', () => {
    const key = hex('00 00 37 fa 21 3d')
    for (let start = 0; start < 9; start++) {
      for (const length of [0, 1, 3, 63, 64, 65, 66, 67, 200]) {
        for (let phase = 0; phase < 4; phase++) {
          const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 255)
          maskBytes(bytes, start, start + length, key, 2, phase)
          const expected = Array.from({ length: 300 }, (_, i) => {
            const isIn = i >= start && i < start + length
            return (i & 255) ^ (isIn ? (key[2 + ((phase + i - start) & 3)] as number) : 0)
          })
          expect(Array.from(bytes)).toEqual(expected)
        }
      }
    }
  })

  it('takes each key of a batch once', () => {
    let drawn = 0
    const source = new MaskSource((size) => new Uint8Array(size).fill(++drawn))
    const places = new Set<string>()
    for (let i = 0; i < 3000; i++) places.add(`${source.next()} of ${source.bytes[0]}`)
    expect(places.size).toBe(3000)
    expect(drawn).toBe(3)
  })
})

describe('UTF-8 in pieces', () => {
  const verdict = (bytes: Uint8Array, cut: number): boolean => {
    const validator = new Utf8Validator()
    return validator.push(bytes, 0, cut) && validator.push(bytes, cut, bytes.length) && validator.isComplete
  }

  it('is judged as in one piece, for every beginning of a character and every cut', () => {
    const strict = new TextDecoder('utf-8', { fatal: true })
    const isValid = (bytes: Uint8Array): boolean => {
      try {
        strict.decode(bytes)
        return true
      } catch {
        return false
      }
    }
    const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
    for (let first = 0; first < 256; first++) {
      for (const second of edges) {
        for (const tail of [[], [0x80], [0xbf, 0x80], [0x41]]) {
          const bytes = Uint8Array.of(first, second, ...tail)
          for (let cut = 0; cut <= bytes.length; cut++) expect(verdict(bytes, cut)).toBe(isValid(bytes))
        }
      }
    }
  })

  it('is refused with the byte that makes it wrong', () => {
    const validator = new Utf8Validator()
    expect(validator.push(hex('ce ba f4'), 0, 3)).toBe(true)
    expect(validator.push(hex('90'), 0, 1)).toBe(false)
  })
})

describe('the queue of frames', () => {
  it('puts small frames behind each other and tells what is left', () => {
    const queue = new FrameQueue(null)
    for (let i = 0; i < 10_000; i++) queue.push(Opcode.TEXT, Buffer.from(`${i}`))
    const pieces: Uint8Array[] = []
    let chunks = 0
    for (let step = 1; queue.length > 0; step = (step * 7) % 1000) {
      if (queue.start === 0) chunks++
      const count = Math.min(step + 1, queue.end - queue.start)
      pieces.push(queue.chunk.slice(queue.start, queue.start + count))
      queue.sent(count)
    }
    expect(chunks).toBeLessThan(10)
    expect(tell({ role: 'client' }, Buffer.concat(pieces))).toEqual(
      Array.from({ length: 10_000 }, (_, i) => `text ${i}`),
    )
  })
})

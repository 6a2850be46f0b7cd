/**
 * What clients must take, group by group as the Autobahn test suite has it: each case whole and octet by octet. What
 * they must refuse is a table of websocket.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { CONTINUATION_BYTES, type Piece, play } from './websocket-plays.ts'
import { frameBytes } from './websocket-server.ts'
import { converse } from './websocket-stage.ts'

const text = (payload: string, isFinal = true): Uint8Array => frameBytes(isFinal ? 0x81 : 0x01, payload)
const bytes = (payload: Uint8Array, isFinal = true): Uint8Array => frameBytes(isFinal ? 0x82 : 0x02, payload)
const more = (payload: Uint8Array | string, isFinal = false): Uint8Array => frameBytes(isFinal ? 0x80 : 0x00, payload)
const ping = (payload = ''): Uint8Array => frameBytes(0x89, payload)
const pong = (payload = ''): Uint8Array => frameBytes(0x8a, payload)

interface Case {
  readonly name: string
  readonly frames: readonly Uint8Array[]
  readonly messages?: readonly (string | Buffer)[]
  readonly pongs?: readonly string[]
}

function check(cases: readonly Case[]): void {
  const pieces: readonly Piece[] = ['whole', 'frame by frame', 'octet by octet']
  describe.each(pieces)('%s', (piece) => {
    it.each(cases.map((one) => [one.name, one] as const))(
      '%s',
      async (_name, { frames, messages = [], pongs = [] }) => {
        const told = await play(frames, piece)
        expect(told.outcome, told.reason).toBe('OK')
        expect(told.messages).toEqual(messages)
        expect(told.pongs).toEqual(pongs)
      },
    )
  })
}

describe('1 framing', () => {
  const sizes = [0, 125, 126, 127, 128, 65535, 65536]
  const short = sizes.slice(0, 5)
  check([
    ...short.map((size) => ({
      name: `text of ${size}`,
      frames: [text('*'.repeat(size))],
      messages: ['*'.repeat(size)],
    })),
    ...short.map((size) => ({
      name: `bytes of ${size}`,
      frames: [bytes(Buffer.alloc(size, 0xfe))],
      messages: [Buffer.alloc(size, 0xfe)],
    })),
  ])
  it.each(sizes)('a text of %i in pieces of 997 bytes', async (size) => {
    const told = await play([text('*'.repeat(size))], 997)
    expect(told).toMatchObject({ outcome: 'OK', messages: ['*'.repeat(size)] })
  })
})

describe('2 pings and pongs', () => {
  const ten = Array.from({ length: 10 }, (_, index) => `payload ${index}`)
  check([
    { name: 'a ping of nothing', frames: [ping()], pongs: [''] },
    { name: 'a ping of text', frames: [ping('Hello, world!')], pongs: ['Hello, world!'] },
    { name: 'a ping of 125 bytes', frames: [ping('\xfe'.repeat(62))], pongs: ['\xfe'.repeat(62)] },
    { name: 'a pong that nobody asked for', frames: [pong()] },
    { name: 'a pong with a payload, and a ping', frames: [pong('unasked'), ping('asked')], pongs: ['asked'] },
    { name: 'ten pings', frames: ten.map((payload) => ping(payload)), pongs: ten },
  ])
})

describe('5 fragmentation', () => {
  check([
    { name: 'a text of two', frames: [text('frag', false), more('ment', true)], messages: ['fragment'] },
    {
      name: 'a text of two with a ping between',
      frames: [text('frag', false), ping('between'), more('ment', true)],
      messages: ['fragment'],
      pongs: ['between'],
    },
    {
      name: 'a text of five with two pings between, and another one',
      frames: [text('1', false), more('2'), ping('a'), more('3'), more('4'), ping('b'), more('5', true), text('next')],
      messages: ['12345', 'next'],
      pongs: ['a', 'b'],
    },
    {
      name: 'bytes of nothing but the last',
      frames: [bytes(Buffer.alloc(0), false), more('x', true)],
      messages: [Buffer.from('x')],
    },
    { name: 'a text of three that are empty', frames: [text('', false), more(''), more('', true)], messages: [''] },
    {
      name: 'a text that begins and ends empty',
      frames: [text('', false), more('middle'), more('', true)],
      messages: ['middle'],
    },
  ])
})

describe('6 UTF-8', () => {
  const characters = [
    'κόσμε',
    'Hello-µ@ßöäüàá-UTF-8!!',
    '\0',
    '\x7f',
    '\x80',
    '\u07ff',
    '\u0800',
    '\uffff',
    '\ufffe',
    '\ud7ff',
    '\ue000',
    '\ufffd',
    '\u{10000}',
    '\u{1fffe}',
    '\u{10ffff}',
  ]
  check([
    ...characters.map((character) => ({
      name: `${encodeURIComponent(character)} in one frame`,
      frames: [text(character)],
      messages: [character],
    })),
    ...characters.map((character) => ({
      name: `${encodeURIComponent(character)} in a frame for each byte`,
      frames: [text('', false), ...[...Buffer.from(character)].map((byte) => more(Buffer.of(byte))), more('', true)],
      messages: [character],
    })),
  ])
  it('is refused at the first byte that is wrong, though the frame goes on', async () => {
    const wrong = Buffer.from([0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xed, 0xa0, 0x80])
    const { fetch, client } = await converse({
      onOpen: ({ connection }) => connection.peer.write(Buffer.concat([Buffer.from([0x81, 100]), wrong])),
    })
    expect([fetch.outcome, client.closeCode]).toEqual(['RECV_ERROR', 1007])
  })
})

describe('7 closing', () => {
  it.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    'with %i',
    async (code) => {
      const { fetch, client } = await converse({ onOpen: (server) => server.close(code, 'why') })
      expect([fetch.outcome, fetch.transfer.info.closeCode, client.closeCode]).toEqual(['OK', code, code])
    },
  )

  it('is the end: no message and no ping behind it is answered or told', async () => {
    const { fetch, client, received } = await converse({
      onOpen: (server) => {
        server.close(1000)
        server.frame(0x81, 'late')
        server.frame(0x89, 'late')
        server.frame(0x88, '')
      },
    })
    expect([fetch.outcome, received, client.pongs]).toEqual(['OK', [], []])
  })

  it('behind a long message that was not answered yet', async () => {
    const long = '*'.repeat(CONTINUATION_BYTES)
    const { fetch, received } = await converse({
      onOpen: (server) => {
        server.frame(0x81, long)
        server.close(1000)
        server.frame(0x89)
      },
    })
    expect([fetch.outcome, received.length, received[0]?.length]).toEqual(['OK', 1, long.length])
  })

  it('in the middle of a message ends without it', async () => {
    const { fetch, received } = await converse({
      onOpen: (server) => {
        server.frame(0x01, 'half')
        server.close(1000)
      },
    })
    expect([fetch.outcome, received]).toEqual(['OK', []])
  })
})

describe('9 limits', () => {
  it.each([
    [4 * 1024 * 1024, 64 * 1024],
    [4 * 1024 * 1024, 1024],
    [256 * 1024, 64],
  ])('a message of %i bytes in frames of %i, there and back', async (size, each) => {
    const content = Buffer.alloc(size, 'mass')
    let got: Buffer | undefined
    const { fetch, client } = await converse(
      { onOpen: (server) => sendFragments(server.frame.bind(server), content, each) },
      (self) => ({
        onMessage: (message) => {
          got = Buffer.from(message.data)
          self.webSocket().send(message.data)
          self.webSocket().close()
        },
      }),
    )
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(got?.equals(content)).toBe(true)
    expect(client.messages[0]?.data.equals(content)).toBe(true)
  })
  it.each([0, 16, 1024])('a thousand messages of %i bytes, each answered', async (size) => {
    let told = 0
    const { fetch, client } = await converse(
      {
        echoes: false,
        onOpen: (server) => void Array.from({ length: 1000 }, () => server.frame(0x82, '*'.repeat(size))),
      },
      (self) => ({
        onMessage: ({ data }) => {
          self.webSocket().send(data)
          if (++told === 1000) self.webSocket().close()
        },
      }),
    )
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(client.messages.map(({ data }) => data.length)).toEqual(Array(1000).fill(size))
  })
})

describe('10 fragments that the sender chose', () => {
  it('sends a message of 65,536 bytes in fragments of 1300', async () => {
    const content = Buffer.alloc(65_536, '*')
    const { fetch, client } = await converse({ echoes: false }, {}, ({ fetch: { transfer } }) => {
      for (let at = 0; at < content.length; at += 1300) {
        const isFinal = at + 1300 >= content.length
        transfer.webSocket.send(content.subarray(at, at + 1300), { isFinal })
      }
      transfer.webSocket.close()
    })
    expect([fetch.outcome, client.fault, client.messages.length]).toEqual(['OK', '', 1])
    expect(client.messages[0]?.data.equals(content)).toBe(true)
  })
})

describe('12 and 13 compression', () => {
  it.each([16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072])('messages of %i bytes', async (size) => {
    const contents = [
      '*'.repeat(size),
      Array.from({ length: size }, (_, at) => String.fromCharCode(33 + ((at * 7919) % 90))).join(''),
    ]
    const { fetch, received, client } = await converse({ compresses: true }, {}, ({ fetch: { transfer } }) => {
      for (const content of contents) for (let time = 0; time < 3; time++) transfer.webSocket.send(content)
      transfer.webSocket.close()
    })
    expect([fetch.outcome, client.fault]).toEqual(['OK', ''])
    expect(received).toEqual(contents.flatMap((content) => [content, content, content]))
  })
})

function sendFragments(frame: (first: number, payload: Uint8Array) => void, content: Buffer, each: number): void {
  for (let at = 0; at < content.length; at += each) {
    const isLast = at + each >= content.length
    frame((isLast ? 0x80 : 0) | (at === 0 ? 0x02 : 0), content.subarray(at, at + each))
  }
}

import { describe, expect, it } from 'vitest'
import { type TransferCodeName, type TransferError, type TransferOptions, WOULD_BLOCK } from '../../lib/index.ts'
import { FINAL_BIT, Opcode } from '../../lib/wire/websocket/protocol.ts'
import { SimulatedBench } from './bench.ts'
import { Fetch, readMessages } from './fetches.ts'
import { acceptingHead, frameBytes, serveWebSocket } from './websocket-server.ts'
import { converse, type Handle, PORT } from './websocket-stage.ts'

describe('the upgrade', () => {
  it('asks as RFC 6455 says, with a key of its own each time', async () => {
    const keys = new Set<string>()
    for (let run = 0; run < 2; run++) {
      const { server, fetch } = await converse(
        { onOpen: (client) => client.close(1000) },
        { headers: { 'X-Own': '1' } },
      )
      expect(fetch.outcome).toBe('OK')
      const [head = ''] = server.heads
      expect(head).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: 127\.0\.0\.1:81\r\n/)
      for (const line of ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'X-Own: 1']) {
        expect(head).toContain(`\r\n${line}\r\n`)
      }
      keys.add(/Sec-WebSocket-Key: (.{22}==)\r\n/.exec(head)?.[1] ?? '')
    }
    expect(keys.size).toBe(2)
    expect(keys.has('')).toBe(false)
  })

  it('tells the subprotocol that the server chose', async () => {
    const openings: string[] = []
    const { fetch, server } = await converse(
      { fields: 'Sec-WebSocket-Protocol: chat.v2\r\n', onOpen: (client) => client.close(1000) },
      { protocols: ['chat.v3', 'chat.v2'], onOpen: ({ protocol }) => openings.push(protocol) },
    )
    expect(server.heads[0]).toContain('Sec-WebSocket-Protocol: chat.v3, chat.v2\r\n')
    expect(openings).toEqual(['chat.v2'])
    expect(fetch.transfer.info.webSocketProtocol).toBe('chat.v2')
    expect(fetch.transfer.info.status).toBe(101)
  })

  it.each([
    [200, 'HTTP_RETURNED_ERROR'],
    [302, 'HTTP_RETURNED_ERROR'],
    [404, 'HTTP_RETURNED_ERROR'],
    [426, 'HTTP_RETURNED_ERROR'],
  ])('ends at once when the answer is %i', async (status, code) => {
    const answer = (): string => `HTTP/1.1 ${status} No\r\ncontent-length: 1000000\r\n\r\nthe rest never comes`
    const { fetch } = await converse({ answer }, { timeoutMs: 5000 })
    expect(fetch.outcome).toBe(code)
    expect(fetch.error.number).toBe(22)
    expect(fetch.error.message).toContain(String(status))
  })

  const wrong: readonly (readonly [string, (head: string) => string])[] = [
    ['a wrong accept', (head) => acceptingHead(head).replace(/Accept: .{4}/, 'Accept: AAAA')],
    ['no accept', (head) => acceptingHead(head).replace(/Sec-WebSocket-Accept.*\r\n/, '')],
    ['two accepts', (head) => acceptingHead(head).replace(/(Sec-WebSocket-Accept.*\r\n)/, '$1$1')],
    ['another protocol', (head) => acceptingHead(head).replace('WebSocket', 'h2c')],
    ['no Connection', (head) => acceptingHead(head).replace('keep-alive, Upgrade', 'keep-alive')],
    ['an unasked subprotocol', (head) => acceptingHead(head, 'Sec-WebSocket-Protocol: chat\r\n')],
    ['an unasked extension', (head) => acceptingHead(head, 'Sec-WebSocket-Extensions: x-zip\r\n')],
    ['an unreadable extension', (head) => acceptingHead(head, 'Sec-WebSocket-Extensions: a b\r\n')],
    ['an unknown parameter', (head) => acceptingHead(head, 'Sec-WebSocket-Extensions: permessage-deflate; x\r\n')],
  ]
  it.each(wrong)('is refused with %s', async (_what, answer) => {
    const { fetch } = await converse({ answer })
    expect(fetch.outcome).toBe('WEIRD_SERVER_REPLY')
  })

  it('proves who asks when it is challenged', async () => {
    const bench = new SimulatedBench('', 1, {}, false)
    const challenge = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\ncontent-length: 2\r\n\r\nno'
    const server = serveWebSocket(bench.simulation, PORT, {
      answer: (head) => (head.includes('Authorization: Digest') ? acceptingHead(head) : challenge),
      onOpen: (client) => client.close(1000),
    })
    const multi = bench.multi()
    const fetch = new Fetch({ url: server.url, username: 'u', password: 'p', httpAuth: 'digest' })
    multi.add(fetch.transfer)
    await bench.drive(multi)
    readMessages(multi, [fetch])
    expect(fetch.outcome).toBe('OK')
    expect(server.heads.length).toBe(2)
    multi.remove(fetch.transfer)
    await bench.close()
  })

  it('gives what came with the head to the connection', async () => {
    const { received, fetch } = await converse({
      answer: (head) => `${acceptingHead(head)}${latin1(0x81, 'early')}${latin1(0x88, '\x03\xe8')}`,
    })
    expect(received).toEqual(['early'])
    expect(fetch.outcome).toBe('OK')
  })
})

function latin1(first: number, payload: string): string {
  return Buffer.from(frameBytes(first, Buffer.from(payload, 'latin1'))).toString('latin1')
}

describe('messages', () => {
  it('go there and back, of any size, compressed or not', async () => {
    const sizes = [0, 1, 125, 126, 127, 128, 1000, 65535, 65536, 65537, 300_000]
    for (const compresses of [false, true]) {
      const { received, fetch, client } = await converse({ compresses }, {}, ({ fetch: { transfer } }) => {
        for (const size of sizes) {
          expect(transfer.webSocket.send('x'.repeat(size))).toBe(true)
          expect(transfer.webSocket.send(Buffer.alloc(size, size))).toBe(true)
        }
        transfer.webSocket.close()
      })
      expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
      expect(client.fault).toBe('')
      const expected = sizes.flatMap((size) => ['x'.repeat(size), Buffer.alloc(size, size)])
      expect(received.length).toBe(expected.length)
      for (const [index, message] of expected.entries()) expect(received[index]).toEqual(message)
      expect(fetch.transfer.info.closeCode).toBe(1000)
    }
  })

  it('survive every kind of link and loop', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const { received, fetch } = await converse(
        { compresses: seed % 2 === 0 },
        { closeTimeoutMs: 600_000 },
        ({ fetch: { transfer } }) => {
          for (let i = 0; i < 20; i++) transfer.webSocket.send(`${i} ${'ä'.repeat(i * 97)}`)
          transfer.webSocket.close(3000, 'enough')
        },
        seed,
        true,
      )
      expect(fetch.outcome, `seed ${seed}: ${fetch.message?.error?.message}`).toBe('OK')
      expect(received).toEqual(Array.from({ length: 20 }, (_, i) => `${i} ${'ä'.repeat(i * 97)}`))
    }
  })

  it('that are sent before the connection is open go out when it is', async () => {
    const bench = new SimulatedBench('', 1, {}, false)
    const server = serveWebSocket(bench.simulation, PORT)
    const received: string[] = []
    const multi = bench.multi()
    const fetch = new Fetch({
      url: server.url,
      onMessage: (message) => {
        received.push(message.text())
        fetch.transfer.webSocket.close()
      },
    })
    expect(() => fetch.transfer.webSocket.send('too early')).toThrow(/was added/)
    multi.add(fetch.transfer)
    expect(fetch.transfer.webSocket.state).toBe('connecting')
    fetch.transfer.webSocket.send('early')
    await bench.drive(multi)
    readMessages(multi, [fetch])
    expect(received).toEqual(['early'])
    expect(fetch.outcome).toBe('OK')
    expect(fetch.transfer.webSocket.state).toBe('closed')
    expect(fetch.transfer.webSocket.send('late')).toBe(false)
    multi.remove(fetch.transfer)
    await bench.close()
  })

  it('can be sent and the connection closed inside a callback', async () => {
    const { received, fetch, client } = await converse(
      { onOpen: (server) => server.send(Opcode.TEXT, 'go') },
      (self) => ({
        onMessage: (message) => {
          const webSocket = self.webSocket()
          if (message.text() === 'go') {
            webSocket.send('one')
            webSocket.send('two', { isFinal: false })
            webSocket.ping('p')
            webSocket.send(' three')
          } else if (message.text() === 'two three') webSocket.close(4000, 'bye')
        },
      }),
    )
    expect(received).toEqual([])
    expect(fetch.outcome).toBe('OK')
    expect(client.messages.map(({ data }) => data.toString())).toEqual(['one', 'two three'])
    expect(client.pings).toEqual(['p'])
    expect([client.closeCode, client.closeReason]).toEqual([4000, 'bye'])
  })

  it('are refused beyond the limit of the queue, and taken again after onSendable', async () => {
    let told = 0
    let sent = 0
    const piece = Buffer.alloc(200_000, 7)
    const { fetch, client } = await converse(
      { echoes: false },
      (self) => ({
        maxQueuedBytes: 500_000,
        onSendable: () => {
          told++
          if (told === 1) while (self.webSocket().send(piece)) sent++
          else if (told === 2) self.webSocket().close()
        },
      }),
      ({ fetch: { transfer } }) => {
        while (transfer.webSocket.send(piece)) sent++
        expect(transfer.webSocket.bytesQueued).toBeLessThanOrEqual(500_000)
        // One that is longer than the limit is refused while others wait.
        expect(transfer.webSocket.send(Buffer.alloc(600_000))).toBe(false)
      },
    )
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(told).toBeGreaterThanOrEqual(2)
    expect(client.messages.length).toBe(sent)
  })

  it('wait while receiving is paused, and come in order afterwards', async () => {
    const texts: string[] = []
    const { fetch } = await converse(
      {
        onOpen: (client) => {
          for (let i = 0; i < 50; i++) client.send(Opcode.TEXT, `${i}`)
          client.close(1000)
        },
      },
      (self) => ({
        onMessage: (message) => {
          self.transfer().pause('receive')
          texts.push(message.text())
        },
      }),
      async (stage) => {
        for (let i = 0; i < 50; i++) {
          await stage.pass(3)
          expect(texts.length).toBeLessThanOrEqual(i + 1)
          stage.fetch.transfer.resume('receive')
        }
      },
    )
    expect(texts).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`))
    expect(fetch.outcome).toBe('OK')
  })

  it('fail the transfer when the callback throws', async () => {
    const { fetch } = await converse(
      { onOpen: (client) => client.send(Opcode.TEXT, 'x') },
      {
        onMessage: () => {
          throw new Error('no')
        },
      },
    )
    expect(fetch.outcome).toBe('ABORTED_BY_CALLBACK')
  })
})

describe('closing', () => {
  it.each([
    [1000, ''],
    [1001, 'going'],
    [3000, 'ä'.repeat(61)],
    [4999, 'x'.repeat(123)],
  ])('by the peer with %i is answered and told', async (code, reason) => {
    const { fetch, client } = await converse({ onOpen: (server) => server.close(code, reason) })
    expect(fetch.outcome).toBe('OK')
    expect([fetch.transfer.info.closeCode, fetch.transfer.info.closeReason]).toEqual([code, reason])
    expect(client.closeCode).toBe(code)
  })

  it('without a code is 1005', async () => {
    const { fetch, client } = await converse({ onOpen: (server) => server.frame(0x88) })
    expect(fetch.outcome).toBe('OK')
    expect(fetch.transfer.info.closeCode).toBe(1005)
    expect(client.closeCode).toBe(1005)
  })

  it('fails with a timeout when the peer does not answer', async () => {
    const { fetch } = await converse({ closes: false }, { closeTimeoutMs: 300 }, ({ fetch: { transfer } }) =>
      transfer.webSocket.close(),
    )
    expect(fetch.outcome).toBe('OPERATION_TIMEDOUT')
    expect(fetch.transfer.info.closeCode).toBe(1006)
  })

  it('succeeds after the deadline when the peer answered and keeps the connection', async () => {
    const { fetch, bench } = await converse(
      { closes: false, onOpen: (client) => client.close(1000) },
      { closeTimeoutMs: 300 },
    )
    expect(fetch.outcome).toBe('OK')
    expect(bench.now()).toBeLessThan(5000)
  })

  it('tells messages that come before the answer, and nothing behind it', async () => {
    const { received, fetch } = await converse(
      {
        closes: false,
        onOpen: (client) => {
          client.send(Opcode.TEXT, 'before')
          client.close(1000)
          client.send(Opcode.TEXT, 'behind')
          client.connection.peer.end()
        },
      },
      {},
      ({ fetch: { transfer } }) => transfer.webSocket.close(),
    )
    expect(received).toEqual(['before'])
    expect(fetch.outcome).toBe('OK')
  })

  it.each(['end', 'reset'] as const)('without a close frame is an error (%s)', async (how) => {
    const { fetch } = await converse({
      onOpen: (client) => {
        client.frame(0x01, 'half')
        client.connection.peer[how]()
      },
    })
    expect(fetch.outcome).toBe('RECV_ERROR')
    expect(fetch.transfer.info.closeCode).toBe(1006)
  })

  it('refuses codes and reasons that cannot be sent', async () => {
    await converse({}, {}, ({ fetch: { transfer } }) => {
      for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1.5]) {
        expect(() => transfer.webSocket.close(code), String(code)).toThrow(RangeError)
      }
      expect(() => transfer.webSocket.close(1000, 'ä'.repeat(62))).toThrow(RangeError)
      expect(() => transfer.webSocket.ping('x'.repeat(126))).toThrow(RangeError)
      expect(() => transfer.webSocket.send(Buffer.from([0xff]), { type: 'text' })).toThrow(TypeError)
      transfer.webSocket.close()
      transfer.webSocket.close(1001)
    })
  })
})

describe('pings', () => {
  it('are answered with what they carry, between fragments too', async () => {
    const pings: string[] = []
    const { received, fetch, client } = await converse(
      {
        onOpen: (server) => {
          server.frame(0x89, '')
          server.frame(0x01, 'He')
          server.frame(0x89, 'a'.repeat(125))
          server.frame(0x80, 'llo')
          server.frame(0x8a, 'unasked')
          server.close(1000)
        },
      },
      { onPing: (payload) => pings.push(Buffer.from(payload).toString()) },
    )
    expect(fetch.outcome).toBe('OK')
    expect(received).toEqual(['Hello'])
    expect(client.pongs).toEqual(['', 'a'.repeat(125)])
    expect(pings).toEqual(['', 'a'.repeat(125)])
  })

  it('are left to the user with noAutoPong', async () => {
    const { client } = await converse({ onOpen: (server) => server.frame(0x89, 'x') }, (self) => ({
      noAutoPong: true,
      onPing: () => {
        self.webSocket().pong('mine')
        self.webSocket().close()
      },
    }))
    expect(client.pongs).toEqual(['mine'])
  })

  it('that flood fill no memory', async () => {
    const { client, fetch } = await converse(
      { onOpen: (server) => server.connection.peer.pauseReading() },
      {},
      async (stage) => {
        const ping = frameBytes(0x89, 'p'.repeat(125))
        let most = 0
        for (let i = 0; i < 100; i++) {
          stage.client.connection.peer.write(Buffer.concat(Array.from({ length: 100 }, () => ping)))
          await stage.pass(2)
          most = Math.max(most, stage.fetch.transfer.webSocket.bytesQueued)
        }
        expect(most).toBeLessThan(70_000)
        stage.client.frame(0x89, 'last')
        await stage.pass(2)
        stage.client.connection.peer.resumeReading()
        await stage.pass(10)
        stage.fetch.transfer.webSocket.close()
      },
    )
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(client.pongs.at(-1)).toBe('last')
  })
})

type Offence = readonly [name: string, bytes: (string | number)[], closeCode: number, code?: TransferCodeName]

function bytesOf(parts: readonly (string | number)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part, 'latin1'))),
  )
}

/** What a peer must not send, in the order of the Autobahn test suite's chapters. */
const OFFENCES: readonly Offence[] = [
  ['a ping of 126 bytes', [0x89, 126, 0, 126, 'x'.repeat(126)], 1002],
  ['the first reserved bit', [0xc1, 5, 'Hello'], 1002],
  ['the second reserved bit', [0xa1, 5, 'Hello'], 1002],
  ['the third reserved bit', [0x91, 5, 'Hello'], 1002],
  ['a reserved bit of a ping', [0xc9, 0], 1002],
  ['a reserved bit of a close', [0xa8, 0], 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): Offence => [`opcode ${opcode}`, [0x80 | opcode, 0], 1002]),
  ['a fragmented ping', [0x09, 0], 1002],
  ['a fragmented pong', [0x0a, 0], 1002],
  ['a fragmented close', [0x08, 0], 1002],
  ['a continuation of nothing', [0x80, 5, 'Hello'], 1002],
  ['an unfinished continuation of nothing', [0x00, 5, 'Hello'], 1002],
  ['a message inside a message', [0x01, 5, 'Hello', 0x81, 5, 'Hello'], 1002],
  ['a continuation behind a final one', [0x01, 1, 'a', 0x80, 1, 'b', 0x80, 1, 'c'], 1002],
  ['a masked frame', [0x81, 0x81, 0, 0, 0, 0, 'x'], 1002],
  ['a length of 16 bits that fits into 7', [0x81, 126, 0, 125, 'x'.repeat(125)], 1002],
  ['a length of 64 bits that fits into 16', [0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 1002],
  ['a length above 2^63', [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002],
  ['text that is not UTF-8', [0x81, 1, 0xff], 1007],
  ['text with a surrogate', [0x81, 3, 0xed, 0xa0, 0x80], 1007],
  ['text with an overlong form', [0x81, 2, 0xc0, 0xaf], 1007],
  ['text beyond U+10FFFF', [0x81, 4, 0xf4, 0x90, 0x80, 0x80], 1007],
  ['text that ends inside a character', [0x81, 2, 0xe2, 0x82], 1007],
  ['text that is wrong before its frame is whole', [0x81, 126, 1, 0, 0xf4, 0x90], 1007],
  ['fragments that end inside a character', [0x01, 1, 0xe2, 0x80, 1, 0x82], 1007],
  ['half a close code', [0x88, 1, 0x03], 1002],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535].map(
    (code): Offence => [`close code ${code}`, [0x88, 2, code >> 8, code & 255], 1002],
  ),
  ['a close of 126 bytes', [0x88, 126, 0, 126, 0x03, 0xe8, 'x'.repeat(124)], 1002],
  ['a close reason that is not UTF-8', [0x88, 3, 0x03, 0xe8, 0xff], 1007],
  ['a frame above the limit', [0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa1], 1009, 'TOO_LARGE'],
  ['a message above the limit', [0x02, 126, 0xc3, 0x50, 'x'.repeat(50_000), 0x80, 126, 0xc3, 0x51], 1009, 'TOO_LARGE'],
]

describe('a peer that breaks the protocol', () => {
  it.each(OFFENCES.map(([name, parts, closeCode, code = 'RECV_ERROR']) => [name, parts, closeCode, code] as const))(
    'is closed: %s',
    async (_name, parts, closeCode, code) => {
      const bytes = bytesOf(parts)
      const { fetch, client, received } = await converse(
        { onOpen: ({ connection }) => connection.peer.write(bytes) },
        { maxMessageBytes: 100_000, maxFrameBytes: 100_000, perMessageDeflate: false },
      )
      expect(fetch.outcome).toBe(code)
      expect(client.closeCode).toBe(closeCode)
      expect(received.every((text) => text === 'ab')).toBe(true)
    },
  )

  it.each([0xc1, 0xc2])('is closed: a bomb of compression', async (first) => {
    const { fetch, client } = await converse(
      {
        compresses: true,
        closes: false,
        onOpen: (server) => {
          server.send(first === 0xc1 ? Opcode.TEXT : Opcode.BINARY, Buffer.alloc(5_000_000, 'x'))
        },
      },
      { maxMessageBytes: 1_000_000, closeTimeoutMs: 100 },
    )
    expect(fetch.outcome).toBe('TOO_LARGE')
    expect(client.closeCode).toBe(1009)
  })

  it.each([
    ['bytes that are not deflate', [0xc1, 3, 0xff, 0xff, 0xff], 1007],
    ['a compressed continuation', [0x41, 1, 'x', 0xc0, 1, 'x'], 1002],
    ['a compressed ping', [0xc9, 0], 1002],
  ] satisfies [string, (string | number)[], number][])('is closed: %s', async (_name, parts, closeCode) => {
    const bytes = bytesOf(parts)
    const { fetch, client } = await converse({
      compresses: true,
      onOpen: ({ connection }) => connection.peer.write(bytes),
    })
    expect(fetch.outcome).toBe('RECV_ERROR')
    expect(client.closeCode).toBe(closeCode)
  })
})

describe('frames', () => {
  it('are told as they are, in pieces that join, control frames included', async () => {
    const frames = new Map<number, { type: string; isFinal: boolean; data: string; bytesLeft: number }>()
    let index = 0
    const { fetch, server } = await converse(
      {
        onOpen: (client) => {
          client.frame(0x01, 'a'.repeat(70_000))
          client.frame(0x89, 'ping')
          client.frame(0x00, '')
          client.frame(FINAL_BIT, 'end')
          client.close(1000, 'bye')
        },
      },
      {
        onFrame: (frame) => {
          const one = frames.get(index) ?? { type: frame.type, isFinal: frame.isFinal, data: '', bytesLeft: 0 }
          expect(frame.offset).toBe(one.data.length)
          one.data += frame.text()
          one.bytesLeft = frame.bytesLeft
          frames.set(index, one)
          if (frame.bytesLeft === 0) index++
        },
      },
    )
    expect(fetch.outcome).toBe('OK')
    expect(server.heads[0]).not.toContain('permessage-deflate')
    expect([...frames.values()]).toEqual([
      { type: 'text', isFinal: false, data: 'a'.repeat(70_000), bytesLeft: 0 },
      { type: 'ping', isFinal: true, data: 'ping', bytesLeft: 0 },
      { type: 'continuation', isFinal: false, data: '', bytesLeft: 0 },
      { type: 'continuation', isFinal: true, data: 'end', bytesLeft: 0 },
      { type: 'close', isFinal: true, data: expect.stringMatching(/bye$/), bytesLeft: 0 },
    ])
    expect(server.clients[0]?.pongs).toEqual(['ping'])
  })
})

describe('by calls (connectOnly)', () => {
  it('sends and receives without waiting', async () => {
    const bench = new SimulatedBench('', 1, {}, false)
    const server = serveWebSocket(bench.simulation, PORT, { compresses: true })
    const multi = bench.multi()
    const fetch = new Fetch({ url: server.url, connectOnly: true })
    multi.add(fetch.transfer)
    await bench.drive(multi)
    readMessages(multi, [fetch])
    expect(fetch.outcome).toBe('OK')
    const { webSocket, info } = fetch.transfer
    expect(info.activeSocket).toBeGreaterThanOrEqual(0)
    expect(webSocket.state).toBe('open')
    expect(() => fetch.transfer.send(new Uint8Array(1))).toThrow(/raw transfer/)
    expect(webSocket.receive()).toBe(WOULD_BLOCK)
    for (const size of [5, 100_000]) {
      expect(webSocket.send('y'.repeat(size))).toBe(true)
      const message = await receive(bench, multi, webSocket)
      expect(message).toBe('y'.repeat(size))
    }
    server.clients[0]?.frame(0x89, 'hidden')
    await bench.pass(multi, 5)
    expect(webSocket.receive()).toBe(WOULD_BLOCK)
    webSocket.close(1000)
    expect(await receive(bench, multi, webSocket)).toBe(null)
    expect(webSocket.receive()).toBe(null)
    await bench.pass(multi, 5)
    expect(server.clients[0]?.pongs).toEqual(['hidden'])
    expect([server.clients[0]?.closeCode, info.closeCode]).toEqual([1000, 1000])
    multi.remove(fetch.transfer)
    expect(() => webSocket.receive()).toThrow(/not removed/)
    server.release()
    await bench.close()
  })

  it('throws what is wrong, every time', async () => {
    for (const [bytes, code] of [
      [Buffer.from([0xff]), 'RECV_ERROR'],
      [null, 'GOT_NOTHING'],
    ] as const) {
      const bench = new SimulatedBench('', 1, {}, false)
      const server = serveWebSocket(bench.simulation, PORT, {
        onOpen: ({ connection }) => (bytes === null ? connection.peer.end() : connection.peer.write(bytes)),
      })
      const multi = bench.multi()
      const fetch = new Fetch({ url: server.url, connectOnly: true, receiveFrames: true })
      multi.add(fetch.transfer)
      await bench.drive(multi)
      await bench.pass(multi, 5)
      for (let i = 0; i < 2; i++) {
        try {
          fetch.transfer.webSocket.receive()
          expect.unreachable()
        } catch (error) {
          expect((error as TransferError).code).toBe(code)
        }
      }
      multi.remove(fetch.transfer)
      await bench.close()
    }
  })
})

async function receive(bench: SimulatedBench, multi: ReturnType<SimulatedBench['multi']>, handle: Handle) {
  for (let turns = 0; turns < 100; turns++) {
    handle.flush()
    const message = handle.receive()
    if (message !== WOULD_BLOCK) return message === null ? null : message.text()
    await bench.pass(multi, 1)
  }
  throw new Error('nothing came')
}

describe('options', () => {
  it.each([
    [{ url: 'http://x/', onMessage: () => {} }, /onMessage needs a url of ws/],
    [{ url: 'ws://x/', method: 'POST' }, /method/],
    [{ url: 'ws://x/', body: 'x' }, /body/],
    [{ url: 'ws://x/', followRedirects: true }, /followRedirects/],
    [{ url: 'ws://x/', onMessage: () => {}, onFrame: () => {} }, /onMessage/],
    [{ url: 'ws://x/', connectOnly: true, onMessage: () => {} }, /onMessage/],
    [{ url: 'ws://x/', receiveFrames: true }, /receiveFrames/],
    [{ url: 'ws://x/', onFrame: () => {}, perMessageDeflate: true }, /perMessageDeflate/],
    [{ url: 'ws://x/', protocols: ['a b'] }, /protocols/],
    [{ url: 'ws://x/', protocols: ['a', 'a'] }, /protocols/],
    [{ url: 'ws://x/', maxMessageBytes: 0 }, /maxMessageBytes/],
    [{ url: 'ws://x/', headers: { Upgrade: 'h2c' } }, /Upgrade/],
    [{ url: 'ws://x/', headers: { 'sec-websocket-key': 'x' } }, /sec-websocket-key/],
  ] as [TransferOptions, RegExp][])('are refused where they make no sense (%#)', (options, message) => {
    expect(() => new Fetch(options)).toThrow(message)
  })

  it('give no connection to other protocols', () => {
    expect(() => new Fetch({ url: 'http://x/' }).transfer.webSocket).toThrow(TypeError)
  })
})

import { createHash } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Interest, Multi, type TransferOptions, WOULD_BLOCK } from '../../lib/index.ts'
import { ownedCount, Poller } from '../../lib/sys/native.ts'
import { makeCertificate } from '../support/certificates.ts'
import { type ChildServer, makeDirectory, startModule } from '../support/child-server.ts'
import { drivers } from '../support/drivers.ts'
import { patternBytes } from '../support/test-files.ts'
import { Fetch, readMessages } from './fetches.ts'

const PEER = new URL('./websocket-peer.mjs', import.meta.url)
const SIZES = [0, 1, 125, 126, 1023, 1024, 65_535, 65_536, 1_000_000, 5_000_000]

let server: ChildServer & { readonly ready: { readonly port: number } }

beforeAll(async () => {
  server = await startModule<{ port: number }>(PEER)
})

afterAll(() => server.stop())

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const urlOf = (path: string, port = server.ready.port): string => `ws://127.0.0.1:${port}${path}`

describe.each(drivers)('a server of the ws package, through $name', ({ drive }) => {
  async function run(options: TransferOptions, act: (fetch: Fetch) => void = () => {}): Promise<Fetch> {
    const before = ownedCount()
    const multi = new Multi()
    const fetch = new Fetch(options)
    multi.add(fetch.transfer)
    act(fetch)
    await drive(multi, { limitMs: 15_000 })
    readMessages(multi, [fetch])
    multi.remove(fetch.transfer)
    multi.close()
    expect(ownedCount()).toBe(before)
    return fetch
  }

  it.each(['/echo', '/plain', '/context'])('echoes text and bytes of many sizes, each as it was: %s', async (path) => {
    const sent: string[] = []
    const received: string[] = []
    const messages = SIZES.flatMap((size) => [
      { type: 'binary', data: patternBytes(size, `${size}`) },
      { type: 'text', data: Buffer.from('añ€𝄞 '.repeat(size / 11)) },
    ])
    let compressed: boolean | null = null
    const fetch = await run(
      {
        url: urlOf(path),
        maxQueuedBytes: 64 * 1024 * 1024,
        onOpen: (opening) => {
          compressed = opening.isCompressed
        },
        onMessage: (message) => {
          received.push(`${message.type} ${hash(message.data)}`)
          if (received.length === messages.length) fetch0.transfer.webSocket.close(1000, 'done')
        },
      },
      (own) => {
        fetch0 = own
        for (const { type, data } of messages) {
          sent.push(`${type} ${hash(data)}`)
          expect(own.transfer.webSocket.send(type === 'text' ? data.toString() : data)).toBe(true)
        }
      },
    )
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(received).toEqual(sent)
    expect(compressed).toBe(path !== '/plain')
    expect(fetch.transfer.info.closeCode).toBe(1000)
  })

  it('agrees on a subprotocol', async () => {
    const fetch = await run({ url: urlOf('/echo'), protocols: ['first', 'second'] }, (own) =>
      own.transfer.webSocket.close(),
    )
    expect(fetch.transfer.info.webSocketProtocol).toBe('second')
  })

  it.each([
    [1000, ''],
    [1001, 'going away'],
    [4321, 'ünïcödé'],
  ])('tells how the server closes: %i %s', async (code, reason) => {
    const fetch = await run({ url: urlOf(`/close/${code}/${encodeURIComponent(reason)}`) })
    expect(fetch.outcome).toBe('OK')
    expect([fetch.transfer.info.closeCode, fetch.transfer.info.closeReason]).toEqual([code, reason])
  })

  it('answers pings and hears pongs', async () => {
    const heard: string[] = []
    const fetch = await run(
      {
        url: urlOf('/ping'),
        onPong: (payload) => heard.push(`pong ${Buffer.from(payload)}`),
        onMessage: (message) => {
          heard.push(`server heard ${message.text()}`)
          if (heard.length === 3) fetch0.transfer.webSocket.close()
        },
      },
      (own) => {
        fetch0 = own
        own.transfer.webSocket.ping('from the client')
      },
    )
    expect(fetch.outcome).toBe('OK')
    expect(heard.sort()).toEqual([
      'pong from the client',
      'server heard ping from the client',
      'server heard pong from the server',
    ])
  })

  it('brings many small messages, paused and resumed in between', async () => {
    let count = 0
    const multi = new Multi()
    const fetch = new Fetch({
      url: urlOf('/many/20000'),
      onMessage: (message) => {
        expect(message.text()).toBe(`${count++}`)
        if (count % 5000 === 0) fetch.transfer.pause('receive')
        if (count === 20_000) fetch.transfer.webSocket.close()
      },
    })
    multi.add(fetch.transfer)
    await drive(multi, { onStep: () => fetch.transfer.resume('receive') })
    readMessages(multi, [fetch])
    multi.close()
    expect(fetch.outcome).toBe('OK')
    expect(count).toBe(20_000)
  })

  it('refuses with 200', async () => {
    const fetch = await run({ url: urlOf('/refused') })
    expect(fetch.outcome).toBe('HTTP_RETURNED_ERROR')
    expect(fetch.transfer.info.status).toBe(200)
  })

  it('dies in the middle of a message', async () => {
    const mortal = await startModule<{ port: number }>(PEER)
    try {
      const fetch = await run({ url: urlOf('/die', mortal.ready.port) })
      expect(fetch.outcome).toBe('RECV_ERROR')
      expect(fetch.transfer.info.closeCode).toBe(1006)
    } finally {
      await mortal.stop()
    }
  })

  it('talks by calls after connectOnly, watched by a poller of the user', async () => {
    const multi = new Multi()
    const fetch = new Fetch({ url: urlOf('/context'), connectOnly: true, maxQueuedBytes: 64 * 1024 * 1024 })
    multi.add(fetch.transfer)
    await drive(multi)
    readMessages(multi, [fetch])
    expect(fetch.outcome).toBe('OK')
    const { webSocket, info } = fetch.transfer
    const poller = new Poller()
    poller.add(info.activeSocket, Interest.READABLE_WRITABLE)
    const next = (): Uint8Array | null => {
      for (const end = performance.now() + 10_000; performance.now() < end; ) {
        const wants = webSocket.flush() ? Interest.READABLE : Interest.READABLE_WRITABLE
        const message = webSocket.receive()
        if (message !== WOULD_BLOCK) return message === null ? null : message.data
        poller.modify(info.activeSocket, wants)
        poller.wait(100)
      }
      throw new Error('nothing came')
    }
    try {
      for (const size of SIZES) {
        const data = patternBytes(size, `${size}`)
        expect(webSocket.send(data)).toBe(true)
        expect(hash(next() ?? new Uint8Array(0))).toBe(hash(data))
      }
      webSocket.close(1000)
      expect(next()).toBe(null)
    } finally {
      poller.close()
      multi.close()
    }
  })
})

let fetch0: Fetch

describe.each(drivers)('wss:, through $name', ({ drive }) => {
  let secure: ChildServer & { readonly ready: { readonly port: number } }
  const certificate = makeCertificate({ commonName: 'localhost', names: ['localhost'] })
  const directory = makeDirectory('wss')

  beforeAll(async () => {
    writeFileSync(`${directory}/cert.pem`, certificate.certificate)
    writeFileSync(`${directory}/key.pem`, certificate.key)
    secure = await startModule<{ port: number }>(PEER, [`${directory}/cert.pem`, `${directory}/key.pem`])
  })

  afterAll(async () => {
    await secure.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  it('echoes messages of many sizes, each as it was', async () => {
    const multi = new Multi()
    const sent = SIZES.map((size) => hash(patternBytes(size, `${size}`)))
    const received: string[] = []
    const fetch = new Fetch({
      url: `wss://localhost:${secure.ready.port}/echo`,
      resolve: [`localhost:${secure.ready.port}:127.0.0.1`],
      ca: certificate.certificate,
      maxQueuedBytes: 64 * 1024 * 1024,
      onMessage: (message) => {
        received.push(hash(message.data))
        if (received.length === sent.length) fetch.transfer.webSocket.close()
      },
    })
    multi.add(fetch.transfer)
    for (const size of SIZES) fetch.transfer.webSocket.send(patternBytes(size, `${size}`))
    await drive(multi)
    readMessages(multi, [fetch])
    multi.close()
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
    expect(received).toEqual(sent)
  })
})

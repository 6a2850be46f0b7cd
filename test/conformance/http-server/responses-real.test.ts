/** What other people's clients make of the responses, over TCP and TLS, in Node's loop. */
import { rmSync, writeFileSync } from 'node:fs'
import { get, Agent as HttpAgent, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, get as secureGet } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { attachToNodeLoop, fileResponse, type HttpResponse, HttpServer, Multi } from '../../../lib/index.ts'
import { makeCertificate } from '../../support/certificates.ts'

const SIZE = 3_000_000
const CONTENT = Buffer.alloc(SIZE)
for (let at = 0; at + 4 <= SIZE; at += 4) CONTENT.writeUInt32LE(at, at)
const PATH = join(tmpdir(), `sockmux-real-${process.pid}.bin`)
writeFileSync(PATH, CONTENT)
afterAll(() => rmSync(PATH))

const certificate = makeCertificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] })
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function* later(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < SIZE; at += 100_000) {
    await new Promise((resolve) => setImmediate(resolve))
    yield CONTENT.subarray(at, at + 100_000)
  }
}

const ANSWERS: Record<string, () => HttpResponse> = {
  '/bytes': () => ({ body: CONTENT }),
  '/gathered': () => ({
    body: [CONTENT.subarray(0, 10), CONTENT.subarray(10, 2_000_000), CONTENT.subarray(2_000_000)],
  }),
  '/file': () => ({ body: { file: PATH } }),
  '/pulled': () => ({ body: (at, most) => (at < SIZE ? CONTENT.subarray(at, at + most) : null) }),
  '/async': () => ({ body: later(), trailers: { 'x-sum': '7' } }),
  '/stream': () => ({ body: new Blob([CONTENT]).stream() }),
}

function serve(secure: boolean): (target: string, headers?: Record<string, string>) => Promise<Received> {
  const multi = new Multi()
  const loop = attachToNodeLoop(multi)
  const server = new HttpServer(multi, {
    listen: { host: '127.0.0.1', port: 0 },
    ...(secure ? { tls: { certificate: certificate.certificate, certificateKey: certificate.key } } : {}),
    handler: (request) => ANSWERS[request.url]?.() ?? fileResponse(request, PATH),
  })
  server.start()
  const port = server.listeners[0]?.address?.port as number
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, maxSockets: 1, ca: certificate.certificate })
    : new HttpAgent({ keepAlive: true, maxSockets: 1 })
  closers.push(() => {
    agent.destroy()
    loop.detach()
    multi.close()
  })
  return (path, headers = {}) =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, agent, headers }
      const receive = (message: IncomingMessage): void => {
        const pieces: Buffer[] = []
        message.on('data', (piece: Buffer) => pieces.push(piece))
        message.on('end', () => resolve({ message, body: Buffer.concat(pieces) }))
        message.on('error', reject)
      }
      const request = secure ? secureGet(options, receive) : get(options, receive)
      request.on('error', reject)
    })
}

interface Received {
  readonly message: IncomingMessage
  readonly body: Buffer
}

describe.each([
  ['TCP', false],
  ['TLS', true],
])('over %s', (_name, secure) => {
  it('bodies of every kind arrive whole on one connection', async () => {
    const ask = serve(secure)
    let socket: unknown = null
    for (const target of Object.keys(ANSWERS)) {
      const { message, body } = await ask(target)
      expect(body.equals(CONTENT), target).toBe(true)
      socket ??= message.socket
      expect(message.socket).toBe(socket)
      if (target === '/async') expect(message.trailers).toEqual({ 'x-sum': '7' })
    }
  })

  it('files are sent in parts', async () => {
    const ask = serve(secure)
    const part = await ask('/x', { range: 'bytes=1000000-1999999' })
    expect(part.message.statusCode).toBe(206)
    expect(part.body.equals(CONTENT.subarray(1_000_000, 2_000_000))).toBe(true)
    const parts = await ask('/x', { range: 'bytes=0-99,1000000-1999999' })
    expect(parts.body.indexOf(CONTENT.subarray(1_000_000, 2_000_000))).toBeGreaterThan(0)
    const { etag } = part.message.headers
    expect((await ask('/x', { 'if-none-match': etag as string })).message.statusCode).toBe(304)
  })
})

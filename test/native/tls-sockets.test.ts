import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpsServer, type Server } from 'node:https'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TransferError } from '../../lib/base/errors.ts'
import { FilterStatus } from '../../lib/connection/filter.ts'
import { SocketFilter } from '../../lib/connection/socket-filter.ts'
import { ByteStream } from '../../lib/connection/stream.ts'
import type { TlsFilter } from '../../lib/connection/tls-filter.ts'
import { TlsService, tlsService } from '../../lib/connection/tls-service.ts'
import { type TlsOptions, tlsSettings } from '../../lib/connection/tls-settings.ts'
import { upgradeToTls } from '../../lib/connection/tls-upgrade.ts'
import { Family } from '../../lib/sys/kernel.ts'
import { addonPath, kernel } from '../../lib/sys/native.ts'
import { openTls } from '../../lib/sys/native-tls.ts'
import * as contract from '../../lib/sys/tls.ts'
import { type Certificate, makeCertificate } from '../support/certificates.ts'
import { describeWithPeer } from '../support/peers.ts'
import { TestHost } from '../support/tls-pair.ts'
import { checkForLeaks, LOCAL, must } from './support.ts'

const AGAIN = -kernel.errno.EAGAIN
const { DONE, PENDING } = FilterStatus
const WAIT_MS = 10_000
const BODY = Buffer.alloc(6_000_000, 'The quick brown fox jumps over the lazy dog. ')

let host: TestHost
let authority: Certificate
let certificate: Certificate
let directory: string

beforeAll(() => {
  host = new TestHost()
  directory = mkdtempSync(join(tmpdir(), 'sockmux-tls-'))
  authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
  certificate = makeCertificate({ commonName: 'server', names: ['localhost', LOCAL], issuer: authority })
  writeFileSync(join(directory, 'authority.pem'), authority.certificate)
  writeFileSync(join(directory, 'server.pem'), certificate.certificate)
  writeFileSync(join(directory, 'server-key.pem'), certificate.key)
})

afterAll(() => {
  host.close()
  rmSync(directory, { recursive: true })
})

checkForLeaks()

/** Lets Node's side of the connection run until `step` has something. */
async function until<T>(step: () => T | undefined): Promise<T> {
  const end = performance.now() + WAIT_MS
  for (;;) {
    const value = step()
    if (value !== undefined) return value
    if (performance.now() > end) throw new Error('waited too long')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

interface Connected {
  readonly stream: ByteStream
  readonly tls: TlsFilter
}

async function connect(port: number, options: TlsOptions = {}, name = 'localhost'): Promise<Connected> {
  const fd = must(kernel.socket(Family.IPV4))
  kernel.connect(fd, Family.IPV4, LOCAL, port)
  await until(() => (typeof kernel.peerAddress(fd) === 'number' ? undefined : true))
  const stream = new ByteStream(host, new SocketFilter(host, fd, kernel.generation(fd)), 0)
  const settings = tlsSettings({ ca: authority.certificate, ...options })
  const tls = upgradeToTls(host.tls, stream, settings, { host: name, port, protocols: ['http/1.1'] })
  if (tls instanceof TransferError) throw tls
  const status = await until(() => {
    const now = stream.connect(0)
    return now === PENDING ? undefined : now
  })
  if (status !== DONE) {
    stream.close()
    throw stream.failure
  }
  return { stream, tls }
}

async function sendAll(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  let at = 0
  await until(() => {
    const sent = stream.sendBytes(bytes, at, bytes.length - at)
    if (sent < 0 && sent !== AGAIN) throw new Error(`send: ${sent}`)
    at += Math.max(sent, 0)
    return at === bytes.length ? true : undefined
  })
}

/** Everything until the end, which must be one. */
async function receiveAll(stream: ByteStream): Promise<Buffer> {
  const parts: Buffer[] = []
  await until(() => {
    const count = stream.recv(host.scratch.id, 0, host.scratch.bytes.length)
    if (count === 0) return true
    if (count < 0 && count !== AGAIN) throw stream.failure ?? new Error(`recv: ${count}`)
    if (count > 0) parts.push(Buffer.from(host.scratch.bytes.subarray(0, count)))
    return undefined
  })
  return Buffer.concat(parts)
}

async function listenOn(server: { listen(port: number, host: string, then: () => void): unknown; address(): unknown }) {
  await new Promise<void>((resolve) => server.listen(0, LOCAL, resolve))
  return (server.address() as AddressInfo).port
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe('a server of Node', () => {
  let server: Server
  let port = 0
  const resumed: boolean[] = []

  beforeAll(async () => {
    server = createHttpsServer({ key: certificate.key, cert: certificate.certificate }, (request, response) => {
      if (request.url === '/download') {
        response.end(BODY)
        return
      }
      const hash = createHash('sha256')
      request.on('data', (chunk) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')))
    })
    server.on('secureConnection', (socket: TLSSocket) => resumed.push(socket.isSessionReused()))
    port = await listenOn(server)
  })

  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('sends and receives large bodies in %s', async (tlsMaxVersion) => {
    const down = await connect(port, { tlsMaxVersion })
    expect(down.tls.description).toMatchObject({ protocol: tlsMaxVersion, alpn: 'http/1.1', verifyResult: 0 })
    await sendAll(down.stream, Buffer.from('GET /download HTTP/1.0\r\n\r\n'))
    const response = await receiveAll(down.stream)
    expect(hashOf(response.subarray(-BODY.length))).toBe(hashOf(BODY))
    down.stream.close()

    const up = await connect(port, { tlsMaxVersion })
    const head = `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${BODY.length}\r\n\r\n`
    await sendAll(up.stream, Buffer.from(head))
    await sendAll(up.stream, BODY)
    expect((await receiveAll(up.stream)).toString()).toContain(hashOf(BODY))
    up.stream.close()
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('sees that a session of %s is resumed', async (tlsMaxVersion) => {
    resumed.length = 0
    for (let round = 0; round < 3; round++) {
      const { stream } = await connect(port, { tlsMaxVersion, curves: 'P-256' })
      await sendAll(stream, Buffer.from('GET / HTTP/1.0\r\n\r\n'))
      await receiveAll(stream)
      stream.close()
    }
    expect(resumed).toEqual([false, true, true])
  })

  it('is verified by caFile, and by NODE_EXTRA_CA_CERTS when nothing is said', async () => {
    const caFile = join(directory, 'authority.pem')
    const first = await connect(port, { caFile, sessionCache: false })
    first.stream.close()
    process.env['NODE_EXTRA_CA_CERTS'] = caFile
    const made = openTls().createContext({ ...tlsSettings({}).context, protocols: [] })
    expect(made).not.toBeInstanceOf(TransferError)
    const fresh = new TestHost()
    const settings = tlsSettings({})
    const fd = must(kernel.socket(Family.IPV4))
    kernel.connect(fd, Family.IPV4, LOCAL, port)
    await until(() => (typeof kernel.peerAddress(fd) === 'number' ? undefined : true))
    const stream = new ByteStream(fresh, new SocketFilter(fresh, fd, kernel.generation(fd)), 0)
    upgradeToTls(fresh.tls, stream, settings, { host: 'localhost', port, protocols: [] })
    expect(await until(() => stream.connect(0) || undefined)).toBe(DONE)
    stream.close()
    fresh.close()
  })

  it('writes its secrets to a key log', async () => {
    const keyLogFile = join(directory, 'keys.log')
    const { stream } = await connect(port, { keyLogFile, tlsMaxVersion: 'TLSv1.3' })
    stream.close()
    expect(readFileSync(keyLogFile, 'latin1')).toMatch(/^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]{64,}$/m)
  })
})

describe('a server of Node that asks for a certificate', () => {
  it('gets the one that was given', async () => {
    const me = makeCertificate({ commonName: 'me', issuer: authority })
    const server = createTlsServer(
      { key: certificate.key, cert: certificate.certificate, ca: authority.certificate, requestCert: true },
      (socket) => void socket.write(socket.getPeerCertificate().subject.CN as string),
    )
    const port = await listenOn(server)
    const { stream } = await connect(port, { certificate: me.certificate, certificateKey: me.key })
    const count = await until(() => {
      const received = stream.recv(host.scratch.id, 0, 100)
      return received === AGAIN ? undefined : received
    })
    expect(Buffer.from(host.scratch.bytes.subarray(0, count)).toString()).toBe('me')
    stream.close()
    const stranger = await connect(port)
    await expect(receiveAll(stranger.stream)).rejects.toThrow()
    stranger.stream.close()
    server.close()
  })
})

describe('a server that is none', () => {
  it('and closes at once is a failure to connect', async () => {
    const server = createTcpServer((socket) => void socket.on('error', () => {}).end())
    const port = await listenOn(server)
    await expect(connect(port)).rejects.toMatchObject({ code: 'SSL_CONNECT_ERROR' })
    server.close()
  })

  it('and answers with nonsense is a failure to connect', async () => {
    const server = createTcpServer((socket) => void socket.on('error', () => {}).end('220 ready\r\n'))
    const port = await listenOn(server)
    await expect(connect(port)).rejects.toMatchObject({ code: 'SSL_CONNECT_ERROR' })
    server.close()
  })
})

describeWithPeer('openssl', (openssl) => {
  it('s_server turns lines round, updates keys, and says goodbye', async () => {
    const [port] = await freePort()
    const files = ['-cert', join(directory, 'server.pem'), '-key', join(directory, 'server-key.pem')]
    const child = spawn(openssl, ['s_server', '-accept', `${LOCAL}:${port}`, ...files, '-rev', '-quiet'])
    try {
      await accepting(child, port!)
      const { stream } = await connect(port!)
      for (const line of ['abc', 'a longer line']) {
        await sendAll(stream, Buffer.from(`${line}\n`))
        const answer = await until(() => {
          const count = stream.recv(host.scratch.id, 0, 1000)
          return count > 0 ? Buffer.from(host.scratch.bytes.subarray(0, count)).toString() : undefined
        })
        expect(answer.trim()).toBe([...line].reverse().join(''))
      }
      expect(stream.checkIdle()).toBe(true)
      stream.close()
    } finally {
      child.kill()
      await new Promise((resolve) => child.once('exit', resolve))
    }
  })
})

async function freePort(): Promise<number[]> {
  const probe = createTcpServer()
  const port = await listenOn(probe)
  await new Promise((resolve) => probe.close(resolve))
  return [port]
}

async function accepting(child: ChildProcess, port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`openssl ended with ${child.exitCode}`)
    const fd = must(kernel.socket(Family.IPV4))
    kernel.connect(fd, Family.IPV4, LOCAL, port)
    const isOpen = typeof kernel.peerAddress(fd) !== 'number'
    kernel.close(fd)
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('openssl s_server does not accept')
}

describe('the binding', () => {
  it('spells the numbers of the contract as the addon does', () => {
    const path = join(dirname(addonPath()), 'sockmux_tls.node')
    const { numbers } = createRequire(import.meta.url)(path) as { numbers: Record<string, number> }
    const { TlsAnswer, TlsStatus, TlsFlag, TlsFailureKind, STATUS_LENGTH, PIECE_BYTES } = contract
    const spelled = { ...TlsAnswer, ...TlsStatus, ...TlsFlag, ...TlsFailureKind, STATUS_LENGTH, PIECE_BYTES }
    expect(numbers).toEqual(spelled)
  })

  it('has the OpenSSL of this process', () => {
    expect(process.versions.openssl).toContain(openTls().version)
  })

  it('that fails leaves a reason for those who want TLS, and nothing else', () => {
    const service = new TlsService(host, () => {
      throw new Error('no TLS: this runtime does not bring OpenSSL')
    })
    const stack = { top: null as never, push: () => {} }
    const target = { host: 'localhost', port: 443, protocols: [] }
    expect(upgradeToTls(service, stack, tlsSettings({}), target)).toMatchObject({
      code: 'UNSUPPORTED_PROTOCOL',
      message: expect.stringContaining('does not bring OpenSSL'),
    })
    service.close()
  })

  it('belongs to a Multi as a facility', () => {
    const service = tlsService.create({ ...host, openTls } as unknown as Parameters<typeof tlsService.create>[0])
    expect(service.provider?.version).toBe(openTls().version)
    tlsService.close?.(service)
  })

  it('ends with the worker that used it, whatever was open', async () => {
    const path = join(dirname(addonPath()), 'sockmux_tls.node')
    const program = `
      const addon = require(${JSON.stringify(path)})
      const nothing = new Uint8Array(0)
      const store = addon.newStore({ authorities: [], directory: '', revocations: nothing })
      const options = ${JSON.stringify({ ...tlsSettings({ verifyPeer: false }).context })}
      const bytes = { certificate: nothing, key: nothing, pins: nothing, alpn: nothing, ocspResponse: nothing }
      const context = addon.newContext(store, { ...options, ...bytes })
      const memory = addon.memoryRegister(new Uint8Array(20000), new Uint8Array(20000), new Int32Array(16))
      const names = { serverName: 'a.example', peerName: '', peerNameIsAddress: false }
      const engine = addon.engineOpen(context, names, 0)
      require('node:worker_threads').parentPort.postMessage(addon.engineHandshake(engine, memory, 0))
    `
    const worker = new Worker(program, { eval: true })
    // Its last message and its end may be told in one go.
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    expect(answer).toBe(contract.TlsAnswer.AGAIN)
    await ended
  })

  it('refuses arguments of the wrong kind', () => {
    const path = join(dirname(addonPath()), 'sockmux_tls.node')
    const addon = createRequire(import.meta.url)(path) as Record<string, (...values: unknown[]) => unknown>
    const misuse: [string, unknown[]][] = [
      ['newStore', [{}]],
      ['newContext', [{}, {}]],
      ['newContext', [null, {}]],
      ['memoryRegister', [1, 2, 3]],
      ['memoryRegister', [new Uint8Array(1), new Uint8Array(1), new Int32Array(1)]],
      ['engineOpen', [{}, {}, 0]],
      ['engineHandshake', [0, 0, 0]],
      ['engineRead', [1.5, 0, 0]],
      ['engineDescribe', [4711]],
      ['engineDescribe', ['1']],
      ['sessionExport', [{}]],
      ['sessionExport', [4711]],
      ['sessionImport', ['bytes']],
    ]
    for (const [name, values] of misuse) expect(() => addon[name]!(...values), name).toThrow(/TypeError|RangeError|:/)
  })
})

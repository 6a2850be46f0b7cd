import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  attachToNodeLoop,
  type Connection,
  Multi,
  Server,
  type ServerOptions,
  type ServerTlsOptions,
  Transfer,
} from '../../lib/index.ts'
import { encryptedKey, makeCertificate } from '../support/certificates.ts'
import { describeWithPeers } from '../support/peers.ts'

const authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
const server = makeCertificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1'], issuer: authority })
const other = makeCertificate({ commonName: 'other.test', names: ['other.test'], issuer: authority })
const client = makeCertificate({ commonName: 'a client', issuer: authority })
const stranger = makeCertificate({ commonName: 'a stranger' })
const TLS: ServerTlsOptions = { certificate: server.certificate, certificateKey: server.key }
const WAIT_MS = 15_000

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sockmux-server-tls-'))
  for (const [name, one] of Object.entries({ authority, server, other, client, stranger })) {
    writeFileSync(join(directory, `${name}.pem`), one.certificate)
    writeFileSync(join(directory, `${name}-key.pem`), one.key)
  }
})
afterAll(() => rmSync(directory, { recursive: true }))

interface Ended {
  readonly output: string
  readonly status: number | null
}

/** A server that greets with what it knows of its client, then echoes. */
class Stage {
  readonly multi = new Multi()
  readonly server: Server
  readonly ends: string[] = []
  readonly #children: ChildProcess[] = []

  constructor(tls: ServerTlsOptions, options: ServerOptions = {}) {
    attachToNodeLoop(this.multi)
    this.server = new Server(this.multi, {
      listen: { host: '127.0.0.1', port: 0 },
      tls,
      onConnect: greet,
      ...options,
      onDisconnect: (_, reason, error) => this.ends.push(`${reason} ${error?.message ?? ''}`),
    })
    this.server.start()
  }

  get port(): number {
    return this.server.listeners[0]?.address.port as number
  }

  /** `openssl s_client`, until it ends by itself, or has shown what is awaited. */
  async openssl(args: readonly string[], input = 'echo me\n', awaited = /echo me/): Promise<Ended> {
    const connect = ['s_client', '-connect', `127.0.0.1:${this.port}`, '-CAfile', join(directory, 'authority.pem')]
    const child = spawn('openssl', [...connect, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#children.push(child)
    let output = ''
    const collect = (chunk: Buffer): void => {
      output += chunk
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.stdin.on('error', () => {})
    child.stdin.write(input)
    let status: number | null | undefined
    child.on('close', (code) => {
      status = code
    })
    await until(() => status !== undefined || awaited.test(output))
    child.stdin.end()
    await until(() => status !== undefined)
    return { output, status: status ?? null }
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill()
    await this.server.stop()
    this.multi.close()
  }
}

function greet(connection: Connection): void {
  const { tls } = connection
  const names = tls?.certificates.map((one) => one.subject).join()
  connection.write(`${tls?.protocol} alpn=${tls?.alpn} sni=${tls?.serverName} ${tls?.isAuthorized} ${names}\n`)
  connection.onData = (one, chunk) => one.write(chunk)
}

async function until(isEnough: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS
  while (!isEnough()) {
    if (performance.now() > end) throw new Error('waited too long')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

async function withStage(tls: ServerTlsOptions, use: (stage: Stage) => Promise<void>, options?: ServerOptions) {
  const stage = new Stage(tls, options)
  try {
    await use(stage)
  } finally {
    await stage.close()
  }
}

describeWithPeers(['openssl'], () => {
  describe('a server with TLS', () => {
    it.each([
      ['-tls1_2', 'TLSv1.2'],
      ['-tls1_3', 'TLSv1.3'],
    ])('serves %s', async (argument, version) => {
      await withStage(TLS, async (stage) => {
        const { output } = await stage.openssl([argument, '-servername', 'localhost'])
        expect(output).toContain('Verify return code: 0 (ok)')
        expect(output).toContain(`${version} alpn= sni=localhost false`)
        expect(output).toContain('echo me')
        await until(() => stage.ends.length === 1)
        expect(stage.ends).toEqual(['peer '])
      })
    })

    it('keeps to its lowest and highest version', async () => {
      for (const [limits, argument] of [
        [{ tlsMinVersion: 'TLSv1.3' }, '-tls1_2'],
        [{ tlsMaxVersion: 'TLSv1.2' }, '-tls1_3'],
      ] as const) {
        await withStage({ ...TLS, ...limits }, async (stage) => {
          const { output, status } = await stage.openssl([argument])
          expect(status).not.toBe(0)
          expect(output).toMatch(/alert protocol version/)
          await until(() => stage.ends.length === 1)
          expect(stage.ends[0]).toMatch(/^error .*TLS/)
        })
      }
    })

    it('agrees on a protocol', async () => {
      await withStage({ ...TLS, alpnProtocols: ['second', 'first'] }, async (stage) => {
        const { output } = await stage.openssl(['-alpn', 'first,second'])
        expect(output).toContain('ALPN protocol: second')
        expect(output).toContain('alpn=second')
      })
    })

    it('chooses a certificate by the name that is asked for', async () => {
      const asked: string[] = []
      const choice = { certificate: other.certificate, certificateKey: other.key }
      const sni = (name: string): ServerTlsOptions | undefined => {
        asked.push(name)
        return name === 'other.test' ? choice : undefined
      }
      await withStage({ ...TLS, sni }, async (stage) => {
        for (const [name, subject] of [
          ['other.test', 'other.test'],
          ['localhost', 'localhost'],
          ['other.test', 'other.test'],
        ]) {
          const { output } = await stage.openssl(['-servername', name as string])
          expect(output).toMatch(new RegExp(`subject=CN = ${subject}`))
          expect(output).toContain(`sni=${name}`)
        }
        const { output } = await stage.openssl(['-noservername'])
        expect(output).toMatch(/subject=CN = localhost/)
        expect(asked).toEqual(['other.test', 'localhost', 'other.test', ''])
      })
    })

    it('ends the connection whose sni callback throws, and no other', async () => {
      const sni = (name: string): undefined => {
        if (name === 'bad') throw new Error('from sni')
      }
      await withStage({ ...TLS, sni }, async (stage) => {
        const bad = await stage.openssl(['-servername', 'bad'])
        expect(bad.status).not.toBe(0)
        expect(stage.ends).toEqual(['aborted from sni'])
        expect((await stage.openssl(['-servername', 'good'])).output).toContain('echo me')
      })
    })

    it.each(['-tls1_2', '-tls1_3'])('asks for client certificates (%s)', async (version) => {
      const shows = (name: string): string[] => [
        version, '-cert', join(directory, `${name}.pem`), '-key', join(directory, `${name}-key.pem`),
      ] // biome-ignore format: a command
      const ca = authority.certificate
      await withStage({ ...TLS, ca, clientCertificate: 'require' }, async (stage) => {
        expect((await stage.openssl(shows('client'))).output).toContain('true CN=a client')
        const none = await stage.openssl([version])
        expect(none.output).toMatch(/alert certificate required|alert handshake failure/)
        const wrong = await stage.openssl(shows('stranger'))
        expect(wrong.output).toMatch(/alert unknown ca|alert bad certificate|alert certificate unknown/i)
        await until(() => stage.ends.length === 3)
        expect(stage.ends.filter((end) => end.startsWith('error'))).toHaveLength(2)
      })
      await withStage({ ...TLS, ca, clientCertificate: 'request' }, async (stage) => {
        expect((await stage.openssl(shows('client'))).output).toContain('true CN=a client')
        expect((await stage.openssl([version])).output).toContain('false')
        expect((await stage.openssl(shows('stranger'))).output).toMatch(/alert unknown ca/i)
      })
    })

    it('takes new certificates without a restart, and keeps the old ones when the new are wrong', async () => {
      await withStage(TLS, async (stage) => {
        expect((await stage.openssl([])).output).toMatch(/subject=CN = localhost/)
        const wrong = { ...TLS, certificate: 'nonsense' }
        expect(() => stage.server.reloadTls(wrong)).toThrow(/option tls\.certificate: .*certificate/)
        expect((await stage.openssl([])).output).toMatch(/subject=CN = localhost/)
        stage.server.reloadTls({ certificate: other.certificate, certificateKey: other.key })
        expect((await stage.openssl([])).output).toMatch(/subject=CN = other.test/)
      })
    })

    it('gives a client a session to resume', async () => {
      const session = join(directory, 'session.pem')
      await withStage(TLS, async (stage) => {
        await stage.openssl(['-tls1_2', '-sess_out', session])
        expect((await stage.openssl(['-tls1_2', '-sess_in', session])).output).toMatch(/Reused, TLSv1.2/)
      })
      await withStage({ ...TLS, sessionTickets: false }, async (stage) => {
        const { output } = await stage.openssl(['-tls1_2'])
        expect(output).not.toMatch(/TLS session ticket:/)
      })
    })

    it('ends a handshake that takes too long, or is none', async () => {
      await withStage(
        TLS,
        async (stage) => {
          const silent = await fetchRaw(stage.port, null)
          expect(silent).toBe('')
          await until(() => stage.ends.length === 1)
          expect(stage.ends[0]).toMatch(/^timeout TLS handshake of 127\.0\.0\.1:\d+: timed out after 60 ms/)
          await fetchRaw(stage.port, 'GET / HTTP/1.1\r\n\r\n')
          await until(() => stage.ends.length === 2)
          expect(stage.ends[1]).toMatch(/^error .*/)
        },
        { timeouts: { handshakeMs: 60 } },
      )
    })

    it('ends with a client that leaves in the middle of its handshake', async () => {
      await withStage(TLS, async (stage) => {
        const { connect } = await import('node:net')
        for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
          const socket = connect(stage.port, '127.0.0.1')
          socket.on('error', () => {})
          socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), () => setTimeout(() => socket[leave](), 10))
        }
        await until(() => stage.ends.length === 3)
        for (const end of stage.ends) expect(end).toMatch(/^error TLS handshake/)
      })
    })

    it('keeps its keys: a connection cannot be detached', async () => {
      const thrown: string[] = []
      const onConnect = (connection: Connection): void => {
        try {
          connection.detach()
        } catch (error) {
          thrown.push(String(error))
        }
        connection.close()
      }
      await withStage(TLS, async (stage) => void (await stage.openssl(['-quiet'], '', /never/)), { onConnect })
      expect(thrown).toEqual([expect.stringMatching(/the state of TLS cannot be moved/)])
    })

    it('sends all before it closes', async () => {
      const much = 'x'.repeat(3_000_000)
      const onConnect = (connection: Connection): void => {
        connection.write(much)
        connection.close()
      }
      await withStage(
        TLS,
        async (stage) => {
          const { output } = await stage.openssl(['-quiet'], '', /never/)
          expect(output.match(/x{1000,}/)?.[0].length).toBe(much.length)
        },
        { onConnect },
      )
    })
  })
})

describe('TLS between our own ends, on one Multi', () => {
  it('carries bytes both ways', async () => {
    const onConnect = (connection: Connection): void => {
      connection.onData = () => {
        connection.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n')
        connection.write('y'.repeat(1_000_000))
        connection.onData = null
      }
    }
    const play = async (stage: Stage): Promise<void> => {
      let received = 0
      const transfer = new Transfer({
        url: `https://127.0.0.1:${stage.port}/`,
        ca: authority.certificate,
        onData: (chunk) => {
          received += chunk.length
        },
      })
      stage.multi.add(transfer)
      await until(() => stage.multi.running === 0)
      expect(stage.multi.infoRead()?.code).toBe(0)
      expect(received).toBe(1_000_000)
    }
    await withStage(TLS, play, { onConnect })
  })
})

describe('wrong options of TLS', () => {
  const made = (tls: unknown): Server => {
    using multi = new Multi()
    return new Server(multi, { tls: tls as ServerTlsOptions })
  }

  it.each([
    [{}, /option tls\.certificate or tls\.certificateFile is needed/],
    [{ ...TLS, certificate: 'nonsense' }, /option tls\.certificate: .*the certificate cannot be used/],
    [{ ...TLS, certificateKey: 'nonsense' }, /option tls\.certificateKey: .*the private key cannot be used/],
    [{ ...TLS, certificateKey: other.key }, /option tls\.certificateKey: .*mismatch/],
    [
      { ...TLS, certificateKey: encryptedKey(server, 'right'), keyPassphrase: 'wrong' },
      /option tls\.certificateKey: .*the private key cannot be used/,
    ],
    [{ certificateFile: '/nowhere/a.pem' }, /option tls\.certificateFile: .*ENOENT.*\/nowhere\/a\.pem/],
    [{ ...TLS, ciphers: 'NONSENSE' }, /option tls\.ciphers: /],
    [{ ...TLS, curves: 'NONSENSE' }, /option tls\.curves: /],
    [{ ...TLS, ca: 'nonsense' }, /option tls\.ca: /],
    [{ ...TLS, clientCertificate: 'require' }, /option tls\.clientCertificate needs tls\.ca/],
    [{ ...TLS, clientCertificate: 'maybe' }, /clientCertificate must be 'none', 'request' or 'require'/],
    [{ ...TLS, alpnProtocols: [''] }, /alpnProtocols must be names of 1 to 255 bytes/],
    [{ ...TLS, tlsMinVersion: 'TLSv1.3', tlsMaxVersion: 'TLSv1.2' }, /tlsMaxVersion must be at least/],
    [{ ...TLS, cert: 'x' }, /unknown option "cert"/],
    [{ ...TLS, keyLogFile: '/nowhere/keys' }, /option tls\.keyLogFile: /],
  ])('%# are named', (tls, message) => {
    expect(() => made(tls)).toThrow(message)
  })

  it('are none when the passphrase is right', () => {
    const certificateKey = encryptedKey(server, 'right')
    expect(() => made({ ...TLS, certificateKey, keyPassphrase: 'right' })).not.toThrow()
  })
})

/** What a peer in the clear is sent until the end; null: it says nothing. */
async function fetchRaw(port: number, bytes: string | null): Promise<string> {
  const { connect } = await import('node:net')
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(received))
    if (bytes !== null) socket.write(bytes)
  })
}

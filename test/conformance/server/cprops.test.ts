/** What libcprops' cp_socket does wrong, and a server here must not. */
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { attachToNodeLoop, kernel, Multi, Server, type ServerOptions } from '../../../lib/index.ts'
import { ownedCount } from '../../../lib/sys/native.ts'
import { makeCertificate } from '../../support/certificates.ts'
import { connectClient } from '../../support/local-client.ts'
import { scenario } from '../drivers.ts'
import { LOCAL, Stage } from './stage.ts'

scenario(
  'a fatal error of accept ends the loop once, instead of being met for ever',
  async (bench) => {
    const stage = Stage.start(bench, { listen: [LOCAL, LOCAL] })
    const { server } = stage
    const [broken, sound] = server.listeners
    if (bench.simulation === null || broken === undefined || sound === undefined) return stage.stop()
    bench.simulation.kernel.failNth(1, 'EINVAL')
    stage.connect(broken.address)
    await stage.until(() => server.state === 'faulted')
    expect(stage.errors).toMatchObject([{ code: 'EINVAL', syscall: 'accept' }])
    await stage.pass(1000)
    expect(stage.count('error accept')).toBe(1)
    // The rest goes on until somebody decides.
    const [client] = await stage.connected(1, sound.address)
    expect(client?.isOver).toBe(false)
    void server.stop()
    expect(server.state).toBe('stopped')
    return stage.stop()
  },
  { on: 'simulated', calm: true },
)

scenario(
  'a server that nobody talks to makes no system call',
  async (bench) => {
    const stage = Stage.start(bench)
    await stage.connected(2)
    const calls = bench.simulation?.kernel.calls ?? {}
    await stage.pass(10)
    const before = { ...calls, poll: 0 }
    await stage.pass(20_000)
    // A loop that reports what did not happen is answered by looking.
    if (bench.driver === 'the simulated kernel') expect({ ...calls, poll: 0 }).toEqual(before)
    await stage.stop()
  },
  { on: 'simulated', calm: true },
)

scenario(
  'more descriptors than select could watch are no trouble',
  async (bench) => {
    const stage = Stage.start(bench, {
      onConnect: (connection) => {
        connection.onData = (_, chunk) => connection.write(Buffer.from(chunk))
      },
    })
    const clients = await stage.connected(1200)
    const last = clients.at(-1)
    expect(Math.max(...stage.connections.map((connection) => connection.fd))).toBeGreaterThan(1024)
    last?.write('far away')
    await stage.until(() => last?.received === 'far away')
    expect([...stage.server.clients()]).toHaveLength(1200)
    await stage.stop()
  },
  { on: 'simulated', calm: true },
)

scenario(
  'IPv6 is served as well, and every peer is known by its address',
  async (bench) => {
    const stage = Stage.start(bench, { listen: [{ host: '::1', port: 0 }, LOCAL, { path: '\0cprops-test' }] })
    const addresses = stage.server.listeners.map((listener) => listener.address)
    for (const [index, address] of addresses.entries()) {
      await stage.connected(1, address)
      expect(stage.connections[index]?.peer?.address).toBe(['::1', '127.0.0.1', ''][index])
      expect(stage.connections[index]?.local?.address).toBe(address.address)
    }
    await stage.stop()
  },
  { calm: true },
)

const authority = makeCertificate({ commonName: 'authority', isAuthority: true })
const certificate = makeCertificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1'], issuer: authority })
const tls = { certificate: certificate.certificate, certificateKey: certificate.key }

describe('with TLS', () => {
  async function withServers(
    options: readonly ServerOptions[],
    run: (servers: Server[], ports: number[]) => Promise<void>,
  ): Promise<void> {
    const before = ownedCount()
    const multi = new Multi()
    const loop = attachToNodeLoop(multi)
    const servers = options.map((one) => new Server(multi, { listen: LOCAL, ...one }))
    try {
      for (const server of servers) server.start()
      await run(
        servers,
        servers.map((server) => server.listeners[0]?.address.port ?? 0),
      )
    } finally {
      for (const server of servers) await server.stop({ reset: true })
      loop.detach()
      multi.close()
    }
    expect(ownedCount(), 'descriptors left open').toBe(before)
  }

  function dial(port: number, options: ConnectionOptions = {}): TLSSocket {
    return connect({ host: '127.0.0.1', port, ca: authority.certificate, ...options })
  }

  const greeting: ServerOptions = { tls, onConnect: (connection) => void connection.write('hello') }

  /** What came until it was enough, or 'closed'. */
  function hears(socket: TLSSocket, text: string): Promise<string> {
    return new Promise((resolve) => {
      let heard = ''
      socket.on('data', (chunk) => {
        heard += chunk
        if (heard.length >= text.length) resolve(heard)
      })
      socket.on('close', () => resolve('closed'))
      socket.on('error', () => {})
    })
  }

  it('a client that is slow to shake hands holds up nobody, and one that cannot leaves nothing open', async () => {
    const ended: string[] = []
    const onDisconnect: ServerOptions['onDisconnect'] = (_, reason) => void ended.push(reason)
    await withServers([{ ...greeting, onDisconnect, timeouts: { handshakeMs: 300 } }], async ([server], [port = 0]) => {
      const to = { family: 4, address: '127.0.0.1', port } as const
      const silent = Array.from({ length: 5 }, () => connectClient(null, to))
      const garbled = connectClient(null, to)
      garbled.write('GET / HTTP/1.1\r\n\r\n')
      const socket = dial(port)
      expect(await hears(socket, 'hello')).toBe('hello')
      socket.destroy()
      const giveUpAt = performance.now() + 5000
      while ((server?.stats().connections ?? 0) > 0 && performance.now() < giveUpAt) {
        garbled.isOver && garbled.close()
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      expect(ended.filter((reason) => reason === 'timeout')).toHaveLength(5)
      expect(ended.filter((reason) => reason === 'error').length).toBeGreaterThanOrEqual(1)
      for (const client of [...silent, garbled]) client.close()
    })
  })

  it('bytes that TLS has decrypted already are read without waiting for more', async () => {
    const callback: NonNullable<ServerOptions['strategy']> = {
      callback: (connection) => {
        const one = new Uint8Array(1)
        if (connection.read(one) === 1) connection.write(one)
      },
    }
    await withServers([{ tls, strategy: callback }], async (_, [port = 0]) => {
      const socket = dial(port)
      const text = 'one record, read byte by byte'
      socket.write(text)
      expect(await hears(socket, text)).toBe(text)
      socket.destroy()
    })
  })

  it('each server asks for certificates as it was told, whatever others with the same key do', async () => {
    const strict = { ...tls, ca: authority.certificate, clientCertificate: 'require' } as const
    await withServers([greeting, { ...greeting, tls: strict }], async (_, [easy = 0, hard = 0]) => {
      const without = dial(hard)
      expect(await hears(without, 'hello')).toBe('closed')
      const welcome = dial(easy)
      expect(await hears(welcome, 'hello')).toBe('hello')
      const client = makeCertificate({ commonName: 'client', issuer: authority })
      const known = dial(hard, { cert: client.certificate, key: client.key })
      expect(await hears(known, 'hello')).toBe('hello')
      for (const socket of [without, welcome, known]) socket.destroy()
    })
  })
})

it('leaves signals alone', async () => {
  const before = process.listenerCount('SIGPIPE')
  const multi = new Multi()
  const server = new Server(multi, { listen: LOCAL })
  server.start()
  expect(process.listenerCount('SIGPIPE')).toBe(before)
  await server.stop()
  multi.close()
  expect(kernel.generation(server.listeners[0]?.fd ?? -1)).toBeLessThan(0)
})

/** `sockmux serve` as a process: its log, its end, where it listens, and what is wrong. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Listener, Multi } from '../../lib/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import {
  ask,
  folder,
  INSTALL_MS_MAX,
  install,
  killAll,
  Served,
  serve,
  site,
  uninstall,
  WAIT,
} from '../support/served-command.ts'

const LARGE_BYTES = 30_000_000

const sockets = new Set<Socket>()

beforeAll(install, INSTALL_MS_MAX)
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  killAll()
})
afterAll(uninstall)

describe('the access log', () => {
  it('is combined', async () => {
    const served = await serve(site())
    const headers = { referer: 'http://a/"\\', 'user-agent': 'agent\t1' }
    await ask(served, '/hello.txt', { headers })
    await ask(served, '/missing', { method: 'HEAD' })
    await expect.poll(() => served.lines.length, WAIT).toBe(2)
    const time = '\\[\\d\\d/[A-Z][a-z]{2}/\\d{4}:\\d\\d:\\d\\d:\\d\\d \\+0900\\]'
    expect(served.lines[0]).toMatch(new RegExp(`^127\\.0\\.0\\.1 - - ${time} "GET /hello\\.txt HTTP/1\\.1" 200 12 `))
    expect(served.lines[0]?.endsWith(String.raw`"http://a/\"\\" "agent\x091"`)).toBe(true)
    expect(served.lines[1]).toMatch(/"HEAD \/missing HTTP\/1\.1" 404 0 "-" "-"$/)
  })

  it('is common, JSON or nothing', async () => {
    const root = site()
    const common = await serve('--log', 'common', root)
    await ask(common, '/hello.txt', { headers: { range: 'bytes=0-3' } })
    await expect.poll(() => common.lines[0], WAIT).toMatch(/"GET \/hello\.txt HTTP\/1\.1" 206 4$/)
    const json = await serve('--log', 'json', root)
    await ask(json, '/')
    await expect.poll(() => json.lines.length, WAIT).toBe(1)
    const entry = JSON.parse(json.lines[0] as string)
    expect(entry).toMatchObject({ client: '127.0.0.1', method: 'GET', target: '/', httpVersion: '1.1', status: 200 })
    expect(entry).toMatchObject({ end: 'completed', referer: null, userAgent: null })
    expect(entry.bytes).toBeGreaterThan(100)
    expect(Date.parse(entry.time)).toBeGreaterThan(0)
    const quiet = new Served(['--quiet', '--unix', join(root, 'q.sock'), root])
    const question = { socketPath: join(root, 'q.sock') }
    await expect
      .poll(
        () =>
          ask(null, '/hello.txt', question).then(
            ({ status }) => status,
            () => 0,
          ),
        WAIT,
      )
      .toBe(200)
    quiet.child.kill('SIGTERM')
    expect(await quiet.ended()).toBe(0)
    expect(quiet.stdout + quiet.stderr).toBe('')
  })

  it('does not stop the server when nobody reads it any more', async () => {
    const served = await serve(site())
    served.child.stdout?.destroy()
    for (let i = 0; i < 5; i++) expect((await ask(served, '/hello.txt')).status).toBe(200)
  })
})

describe('the end', () => {
  /** A client that has begun to receive something large and does not go on. */
  async function slowClient(served: Served, root: string): Promise<Socket> {
    writeFileSync(join(root, 'large'), Buffer.alloc(LARGE_BYTES))
    const socket = connect(served.port, '127.0.0.1')
    sockets.add(socket)
    socket.on('error', () => {})
    socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
    await once(socket, 'readable')
    return socket
  }

  it.each(['SIGINT', 'SIGTERM'] as const)('lets answers end at %s', async (signal) => {
    const root = site()
    const served = await serve(root)
    const socket = await slowClient(served, root)
    served.child.kill(signal)
    await expect.poll(() => served.stderr, WAIT).toMatch(/stopping: 1 connection may take/)
    // Nobody else is taken.
    const late = connect(served.port, '127.0.0.1')
    const [error] = await once(late, 'error')
    expect(error.code).toBe('ECONNREFUSED')
    let bytes = 0
    socket.on('data', (chunk) => (bytes += chunk.length))
    await once(socket, 'close')
    expect(bytes).toBeGreaterThan(LARGE_BYTES)
    expect(await served.ended()).toBe(0)
    expect(served.lines[0]).toMatch(new RegExp(` 200 ${LARGE_BYTES} `))
  })

  it('comes when the grace is over', async () => {
    const root = site()
    const served = await serve('--grace', '0.1', root)
    await slowClient(served, root)
    served.child.kill('SIGTERM')
    expect(await served.ended()).toBe(0)
    expect(served.stderr).toMatch(/stopped: 1 connection cut\n$/)
    expect(served.lines[0]).toMatch(/"GET \/large HTTP\/1\.1" 200 - /)
  })

  it('comes at once at a second signal', async () => {
    const root = site()
    const served = await serve('--grace', '1000', root)
    await slowClient(served, root)
    served.child.kill('SIGINT')
    await expect.poll(() => served.stderr, WAIT).toMatch(/stopping/)
    served.child.kill('SIGTERM')
    expect(await served.ended()).toBe(143)
  })

  it('takes the file of a unix socket along', async () => {
    const root = site()
    const socketPath = join(root, 'sock')
    const served = await new Served(['--unix', socketPath, root]).begun()
    expect((await ask(null, '/hello.txt', { socketPath })).body).toBe('hello, world')
    served.child.kill('SIGTERM')
    expect(await served.ended()).toBe(0)
    await expect(ask(null, '/', { socketPath })).rejects.toThrow(/ENOENT/)
  })
})

describe('limits and TLS', () => {
  it('serves one after the other when only one connection may be open', async () => {
    const served = await serve('--max-connections', '1', site())
    const answers = Array.from({ length: 5 }, () => ask(served, '/hello.txt', { headers: { connection: 'close' } }))
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  })

  it('has a descriptor for the file of each client, however many want one', async () => {
    const root = site()
    writeFileSync(join(root, 'large'), Buffer.alloc(LARGE_BYTES))
    const served = await new Served(['--port', '0', root], folder(), { prepare: 'ulimit -n 400' }).begun()
    let answered = 0
    for (let i = 0; i < 250; i++) {
      const socket = connect(served.port, '127.0.0.1')
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('readable', () => answered++)
      socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
    }
    await expect.poll(() => answered, WAIT).toBe(168)
    for (const socket of sockets) socket.destroy()
    expect((await ask(served, '/hello.txt')).status).toBe(200)
    expect(served.stderr).not.toMatch(/EMFILE/)
  })

  it('speaks TLS with a certificate and its key', async () => {
    const root = site()
    const authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
    const own = makeCertificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1'], issuer: authority })
    const [chain, key] = [join(root, '..', 'chain.pem'), join(root, '..', 'key.pem')]
    writeFileSync(chain, own.certificate)
    writeFileSync(key, own.key)
    const served = await serve('--tls-certificate', chain, '--tls-key', key, root)
    expect(served.stderr).toMatch(/ at https:\/\/127\.0\.0\.1:\d+\/\n$/)
    expect((await ask(served, '/hello.txt', { ca: authority.certificate })).body).toBe('hello, world')
  })
})

describe('what a service manager passed', () => {
  it('is listened on', async () => {
    const multi = new Multi()
    const { fd, address } = new Listener(multi, { host: '127.0.0.1', port: 0, enabled: false }, () => {})
    const served = await new Served([site()], folder(), { listening: fd }).begun()
    multi.close()
    expect(served.port).toBe(address.port)
    expect((await ask(served, '/hello.txt')).body).toBe('hello, world')
  })

  it('is not listened on beside something else', async () => {
    const multi = new Multi()
    const { fd } = new Listener(multi, { host: '127.0.0.1', port: 0, enabled: false }, () => {})
    const served = new Served(['--port', '8080'], folder(), { listening: fd })
    expect(await served.ended()).toBe(2)
    multi.close()
    expect(served.stderr).toMatch(/--port does not go with sockets that were passed \(LISTEN_FDS\)/)
  })
})

describe('what is wrong', () => {
  const wrong: readonly (readonly [parameters: readonly string[], message: RegExp])[] = [
    [['missing'], /there is no directory 'missing'/],
    [['/etc/passwd'], /'\/etc\/passwd' is no directory/],
    [['.', '.'], /one directory is served, but 2 are given/],
    [['--bogus'], /'--bogus'/],
    [['--port', '70000'], /--port must be a whole number from 0 to 65535, not '70000'/],
    [['--host', 'example.com'], /--host must be an IP address/],
    [['--grace', 'soon'], /--grace must be a number of seconds, not 'soon'/],
    [['--log', 'xml'], /--log must be one of combined, common, json, not 'xml'/],
    [['--max-connections', '0'], /--max-connections must be/],
    [['--unix', ''], /--unix is empty/],
    [['--tls-key', 'key.pem'], /--tls-key needs --tls-certificate/],
    [['--tls-certificate', 'chain.pem'], /--tls-certificate needs --tls-key/],
    [['--tls-certificate', '/nowhere/chain.pem', '--tls-key', 'key.pem'], /--tls-certificate: .*\/nowhere\/chain\.pem/],
  ]
  it.each(wrong.map(([parameters, message]) => [parameters.join(' '), parameters, message] as const))(
    'is said of %j in one line, with status 2',
    async (_, parameters, message) => {
      const served = new Served(parameters)
      expect(await served.ended()).toBe(2)
      expect(served.stdout).toBe('')
      expect(served.stderr).toMatch(/^sockmux serve: [^\n]+; see sockmux serve --help\n$/)
      expect(served.stderr).toMatch(message)
    },
  )

  it('is said: a key that does not belong to its certificate', async () => {
    const cwd = folder()
    const [one, other] = [makeCertificate({ commonName: 'a' }), makeCertificate({ commonName: 'b' })]
    writeFileSync(join(cwd, 'chain.pem'), one.certificate)
    writeFileSync(join(cwd, 'key.pem'), other.key)
    const served = new Served(['--tls-certificate', 'chain.pem', '--tls-key', 'key.pem'], cwd)
    expect(await served.ended()).toBe(2)
    expect(served.stderr).toMatch(/^sockmux serve: --tls-key: [^\n]*mismatch/)
  })

  it('is said: a port that is in use, and what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const served = new Served(['--port', String(port)])
    expect(await served.ended()).toBe(1)
    expect(served.stderr).toBe(
      `sockmux: cannot listen on 127.0.0.1:${port}: the port is in use; choose another one with --port, or 0 for any ` +
        'that is free (EADDRINUSE)\n',
    )
    taken.close()
  })

  it('is said: an address of another machine, and a directory that is not there', async () => {
    const far = new Served(['--host', '192.0.2.1', '--port', '0'])
    expect(await far.ended()).toBe(1)
    expect(far.stderr).toMatch(/cannot listen on 192\.0\.2\.1\S*: this machine has no such address; see --host/)
    const missing = new Served(['--unix', 'no/such/sock'])
    expect(await missing.ended()).toBe(1)
    expect(missing.stderr).toMatch(/cannot listen on no\/such\/sock: the directory of the socket is missing/)
  })

  it('is said: a file of another kind in the place of the socket', async () => {
    const cwd = folder()
    writeFileSync(join(cwd, 'file'), 'precious')
    const served = new Served(['--unix', 'file'], cwd)
    expect(await served.ended()).toBe(1)
    expect(served.stderr).toMatch(/something is there already; [^\n]*--unix \(EADDRINUSE\)\n$/)
  })
})

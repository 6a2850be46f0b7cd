/** `sockmux serve` as a user has it: the packed command in a process of its own, on a directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { request as requestSecurely } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { makeCertificate } from '../support/certificates.ts'
import { type InstalledPackage, installPackage } from '../support/installed-package.ts'

const INSTALL_MS_MAX = 180_000
const WAIT = { timeout: 15_000, interval: 10 }
const CHANGED_AT = 'Mon, 01 Jan 2024 00:00:00 GMT'
const LARGE_BYTES = 30_000_000

let installed: InstalledPackage
const children = new Set<ChildProcess>()
const sockets = new Set<Socket>()

beforeAll(() => {
  installed = installPackage()
}, INSTALL_MS_MAX)

afterEach(() => {
  for (const socket of sockets) socket.destroy()
  for (const child of children) child.kill('SIGKILL')
  sockets.clear()
})

afterAll(() => installed.remove())

function folder(): string {
  return realpathSync(mkdtempSync(join(installed.project, 's-')))
}

/** A directory to serve, and beside it something that nobody may see. */
function site(): string {
  const base = folder()
  const root = join(base, 'root')
  mkdirSync(join(root, 'sub', 'deep'), { recursive: true })
  mkdirSync(join(root, 'café'))
  mkdirSync(join(base, 'outside'))
  writeFileSync(join(base, 'outside', 'secret.txt'), 'secret')
  writeFileSync(join(root, 'hello.txt'), 'hello, world')
  utimesSync(join(root, 'hello.txt'), new Date(CHANGED_AT), new Date(CHANGED_AT))
  writeFileSync(join(root, '<b>&"\'.txt'), 'markup')
  writeFileSync(join(root, '.hidden'), 'hidden')
  writeFileSync(join(root, 'sub', 'index.html'), '<p>index</p>')
  writeFileSync(join(root, 'sub', 'data'), '{}')
  symlinkSync('../data', join(root, 'sub', 'deep', 'page.json'))
  symlinkSync('../outside', join(root, 'out'))
  symlinkSync('../outside/secret.txt', join(root, 'secret.txt'))
  symlinkSync('nowhere', join(root, 'dangling'))
  symlinkSync('loop', join(root, 'loop'))
  return root
}

class Served {
  stdout = ''
  stderr = ''
  status: number | null | undefined
  signal: string | null = null
  readonly child: ChildProcess

  constructor(parameters: readonly string[], cwd: string = folder()) {
    const { PATH, HOME } = process.env
    const script = installed.commands.get('sockmux') as string
    this.child = spawn(process.execPath, [script, 'serve', ...parameters], {
      cwd,
      env: { PATH, HOME, TZ: 'Asia/Tokyo' },
    })
    children.add(this.child)
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.child.once('close', (status, signal) => {
      children.delete(this.child)
      this.status = status
      this.signal = signal
    })
  }

  async begun(): Promise<this> {
    await expect.poll(() => this.stderr + (this.status === undefined ? '' : '(ended)'), WAIT).toMatch(/ at |\(ended\)/)
    return this
  }

  async ended(): Promise<number | null> {
    await expect.poll(() => this.status, WAIT).not.toBe(undefined)
    return this.status ?? null
  }

  get port(): number {
    return Number(/ at https?:\/\/[^\n]*:(\d+)\/\n/.exec(this.stderr)?.[1])
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1)
  }
}

interface Asked {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface Question {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly agent?: Agent
  readonly socketPath?: string
  readonly ca?: string
}

/** The target goes out as it is. */
async function ask(served: Served | null, path: string, question: Question = {}): Promise<Asked> {
  const send = question.ca === undefined ? request : requestSecurely
  const outgoing = send({ host: '127.0.0.1', ...(served && { port: served.port }), path, ...question }).end()
  const [response] = await once(outgoing, 'response')
  let body = ''
  response.setEncoding('utf8').on('data', (text: string) => (body += text))
  await once(response, 'end')
  return { status: response.statusCode, headers: response.headers, body }
}

function serve(...parameters: string[]): Promise<Served> {
  return new Served(['--port', '0', ...parameters]).begun()
}

describe('files', () => {
  it('are served whole, in part, and not again', async () => {
    const served = await serve(site())
    const whole = await ask(served, '/hello.txt?query')
    expect(whole).toMatchObject({ status: 200, body: 'hello, world' })
    expect(whole.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '12',
      'last-modified': CHANGED_AT,
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
    })
    const part = await ask(served, '/hello.txt', { headers: { range: 'bytes=7-' } })
    expect(part).toMatchObject({ status: 206, body: 'world' })
    expect(part.headers['content-range']).toBe('bytes 7-11/12')
    expect((await ask(served, '/hello.txt', { headers: { range: 'bytes=20-' } })).status).toBe(416)
    const etag = whole.headers.etag as string
    expect(await ask(served, '/hello.txt', { headers: { 'if-none-match': etag } })).toMatchObject({
      status: 304,
      body: '',
    })
    expect((await ask(served, '/hello.txt', { headers: { 'if-modified-since': CHANGED_AT } })).status).toBe(304)
  })

  it('answer HEAD without a body, and nothing but GET and HEAD', async () => {
    const served = await serve(site())
    const head = await ask(served, '/hello.txt', { method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, body: '' })
    expect(head.headers['content-length']).toBe('12')
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const refused = await ask(served, '/hello.txt', { method })
      expect(refused.status).toBe(405)
      expect(refused.headers.allow).toBe('GET, HEAD')
    }
  })

  it('have the type of the name that was asked for, through links inside', async () => {
    const served = await serve(site())
    const { status, headers, body } = await ask(served, '/sub/deep/page.json')
    expect({ status, type: headers['content-type'], body }).toEqual({
      status: 200,
      type: 'application/json',
      body: '{}',
    })
  })

  it('come over kept connections', async () => {
    const served = await serve(site())
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    let connections = 0
    agent.on('free', () => {})
    const create = agent.createConnection.bind(agent)
    agent.createConnection = (...given: Parameters<typeof create>) => {
      connections++
      return create(...given)
    }
    for (let i = 0; i < 5; i++) expect((await ask(served, '/hello.txt', { agent })).body).toBe('hello, world')
    agent.destroy()
    expect(connections).toBe(1)
  })
})

describe('paths', () => {
  const refused: readonly (readonly [target: string, status: number])[] = [
    ['/missing', 404],
    ['/hello.txt/', 404],
    ['/hello.txt/more', 404],
    ['/../outside/secret.txt', 404],
    ['/sub/../../outside/secret.txt', 404],
    ['/%2e%2e/outside/secret.txt', 404],
    ['/%2e%2e%2foutside%2fsecret.txt', 404],
    ['/%252e%252e/outside/secret.txt', 404],
    ['/sub%2fdata', 404],
    ['/out', 404],
    ['/out/', 404],
    ['/out/secret.txt', 404],
    ['/secret.txt', 404],
    ['/dangling', 404],
    ['/loop', 404],
    ['/.hidden', 404],
    ['/%2ehidden', 404],
    ['/hello.txt%00', 400],
    ['/%', 400],
    ['/%ff', 400],
    ['//evil.example/..', 404],
    [`/${'x'.repeat(300)}`, 404],
    [`/${'x/'.repeat(3000)}`, 404],
  ]
  it('lead nowhere but below the directory', async () => {
    const served = await serve(site())
    for (const [target, status] of refused) {
      const answer = await ask(served, target)
      expect([target, answer.status]).toEqual([target, status])
      expect(answer.body).not.toContain('secret')
    }
    expect(served.status).toBe(undefined)
  })

  it('are decoded once, and may be absolute', async () => {
    const served = await serve(site())
    expect((await ask(served, '/%68ello.txt')).status).toBe(200)
    expect((await ask(served, '/./sub//data')).status).toBe(200)
    expect((await ask(served, 'http://any.example/hello.txt')).status).toBe(200)
    expect((await ask(served, '/caf%C3%A9/')).status).toBe(200)
  })

  it('may be hidden, or lead out, when that was asked for', async () => {
    const served = await serve('--all', '--follow', site())
    expect((await ask(served, '/.hidden')).body).toBe('hidden')
    expect((await ask(served, '/out/secret.txt')).body).toBe('secret')
    expect((await ask(served, '/secret.txt')).body).toBe('secret')
    expect((await ask(served, '/../outside/secret.txt')).status).toBe(404)
    const { body } = await ask(served, '/')
    for (const name of ['.hidden', 'out/', 'secret.txt']) expect(body).toContain(`>${name}</a>`)
  })
})

describe('directories', () => {
  it('are listed: directories first, by name, escaped, without what would not be served', async () => {
    const served = await serve(site())
    const { headers, body } = await ask(served, '/')
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    const links = [...body.matchAll(/<a href="([^"]*)">([^<]*)<\/a>/g)].map(([, href, text]) => [href, text])
    expect(links).toEqual([
      ['./caf%C3%A9/', 'café/'],
      ['./sub/', 'sub/'],
      ["./%3Cb%3E%26%22'.txt", '&lt;b&gt;&amp;&quot;&#39;.txt'],
      ['./hello.txt', 'hello.txt'],
    ])
    for (const [href] of links) expect((await ask(served, `/${(href as string).slice(2)}`)).status).toBe(200)
    expect((await ask(served, '/caf%C3%A9/')).body).toContain('<a href="../">../</a>')
  })

  it('are not when that was asked for; index.html is shown all the same', async () => {
    const served = await serve('--no-listing', site())
    expect((await ask(served, '/')).status).toBe(403)
    expect(await ask(served, '/sub/')).toMatchObject({ status: 200, body: '<p>index</p>' })
  })

  it('are redirected to with a slash, on this server', async () => {
    const served = await serve(site())
    for (const [target, location] of [
      ['/sub', '/sub/'],
      ['/sub?a=1&b', '/sub/?a=1&b'],
      ['//sub', '/sub/'],
      ['/caf%c3%a9', '/caf%C3%A9/'],
    ] as const) {
      const { status, headers } = await ask(served, target)
      expect([status, headers.location]).toEqual([301, location])
    }
  })

  it('are the current one when none is named', async () => {
    const served = await new Served(['--port', '0'], site()).begun()
    expect((await ask(served, '/hello.txt')).status).toBe(200)
  })
})

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

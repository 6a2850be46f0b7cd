import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { TransferCode } from '../../lib/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import { type InstalledPackage, installPackage } from '../support/installed-package.ts'
import { PseudoTerminal, type TerminalOptions } from '../support/pseudo-terminal.ts'

const INSTALL_MS_MAX = 180_000
const COMMAND_MS_MAX = 15_000
const BODY = Buffer.alloc(200_000, 'The quick brown fox. ')
const CURSOR_HIDDEN = '\x1b[?25l'
const CURSOR_SHOWN = '\x1b[?25h'

let installed: InstalledPackage
const servers: Server[] = []
const children = new Set<ChildProcess>()
const terminals: PseudoTerminal[] = []

beforeAll(() => {
  installed = installPackage()
}, INSTALL_MS_MAX)

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const terminal of terminals.splice(0)) terminal.kill()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

afterAll(() => installed.remove())

function folder(): string {
  return mkdtempSync(join(installed.project, 'w-'))
}

async function portOf(server: Server): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function serve(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await portOf(createServer(listener))}`
}

function command(parameters: readonly string[]): string[] {
  return [process.execPath, installed.commands.get('sockmux') as string, ...parameters]
}

const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
  const { PATH, HOME } = process.env
  return { PATH, HOME, ...more }
}

interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

async function sockmux(parameters: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const [program, ...rest] = command(parameters)
  const child = spawn(program as string, rest, { cwd: folder(), env: environment(more) })
  children.add(child)
  let [stdout, stderr] = ['', '']
  child.stdin.end()
  child.stdout.setEncoding('latin1').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX)
  const [status] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  children.delete(child)
  return { status, stdout, stderr }
}

function onTerminal(cwd: string, parameters: readonly string[], size: Partial<TerminalOptions> = {}): PseudoTerminal {
  const terminal = new PseudoTerminal(command(parameters), { cwd, env: environment({ TERM: 'xterm' }), ...size })
  terminals.push(terminal)
  return terminal
}

describe('over TLS', () => {
  const authority = makeCertificate({ commonName: 'Authority', isAuthority: true })
  const certificate = makeCertificate({ commonName: 'localhost', names: ['127.0.0.1'], issuer: authority })
  const stranger = makeCertificate({ commonName: 'Stranger', isAuthority: true })

  async function secure(): Promise<string> {
    const server = createTlsServer({ key: certificate.key, cert: certificate.certificate }, (_, response) => {
      response.end('secret')
    })
    return `https://127.0.0.1:${await portOf(server)}/`
  }

  function fileOf(text: string): string {
    const path = join(folder(), 'ca.pem')
    writeFileSync(path, text)
    return path
  }

  it('trusts whom it is told to trust, and nobody else', async () => {
    const url = await secure()
    const usual = await sockmux(['get', '-o', '-', url])
    expect(usual).toMatchObject({ status: TransferCode.PEER_FAILED_VERIFICATION, stdout: '' })
    const trusting = await sockmux(['get', '-o', '-', '--cacert', fileOf(authority.certificate), url])
    expect(trusting).toMatchObject({ status: 0, stdout: 'secret' })
    const other = await sockmux(['get', '-o', '-', '--cacert', fileOf(stranger.certificate), url])
    expect(other).toMatchObject({ status: TransferCode.PEER_FAILED_VERIFICATION, stdout: '' })
  })

  it('says in one line what is wrong with the file of authorities', async () => {
    const url = await secure()
    for (const path of ['missing.pem', fileOf('no certificate')]) {
      const { status, stdout, stderr } = await sockmux(['get', '-o', '-', '--cacert', path, url])
      expect([2, TransferCode.SSL_CACERT_BADFILE], stderr).toContain(status)
      expect(stdout).toBe('')
      expect(stderr).toMatch(/^[^\n]+\n$/)
    }
  })

  it('asks nobody for proof with -k', async () => {
    expect(await sockmux(['get', '-k', '-o', '-', await secure()])).toMatchObject({ status: 0, stdout: 'secret' })
    const both = await sockmux(['get', '-k', '--cacert', 'ca.pem', 'https://127.0.0.1/'])
    expect(both.status).toBe(2)
  })

  it('goes through a tunnel of a proxy', async () => {
    const proxy = createServer()
    const asked: string[] = []
    proxy.on('connect', (request, socket) => {
      asked.push(request.url ?? '')
      const to = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Fine\r\n\r\n')
        socket.pipe(to).pipe(socket)
      })
      for (const one of [socket, to]) one.on('error', () => {})
    })
    const url = await secure()
    const port = await portOf(proxy)
    const outcome = await sockmux(['get', '-k', '-o', '-', '-x', `http://127.0.0.1:${port}`, url])
    expect(outcome).toMatchObject({ status: 0, stdout: 'secret' })
    expect(asked).toEqual([new URL(url).host])
  })
})

describe('over a proxy', () => {
  it('asks the one that is named, that of the environment, or none', async () => {
    const asked: string[] = []
    const proxy = await serve((request, response) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`)
      response.end('by proxy')
    })
    const origin = await serve((_, response) => response.end('directly'))
    const environment = { http_proxy: proxy }
    const named = proxy.replace('//', '//me:secret@')
    expect((await sockmux(['get', '-o', '-', '--proxy', named, 'http://far.test/a'])).stdout).toBe('by proxy')
    expect((await sockmux(['get', '-o', '-', 'http://far.test/b'], environment)).stdout).toBe('by proxy')
    expect((await sockmux(['get', '-o', '-', '-x', '', origin], environment)).stdout).toBe('directly')
    const excepted = { ...environment, no_proxy: '127.0.0.1' }
    expect((await sockmux(['get', '-o', '-', origin], excepted)).stdout).toBe('directly')
    const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`
    expect(asked).toEqual([`http://far.test/a ${basic}`, 'http://far.test/b '])
  })

  it('says that it is not there, without its password', async () => {
    const { status, stderr } = await sockmux(['get', '-x', 'http://me:secret@127.0.0.1:1', 'http://far.test/'])
    expect(status).toBe(TransferCode.COULDNT_CONNECT)
    expect(stderr).not.toContain('secret')
  })
})

it('stores decompressed what it asked for compressed', async () => {
  const url = await serve((request, response) => {
    if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) response.end('as it is')
    else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('decompressed'))
  })
  expect((await sockmux(['get', '-o', '-', '--compressed', url])).stdout).toBe('decompressed')
  expect((await sockmux(['get', '-o', '-', url])).stdout).toBe('as it is')
})

it('receives no faster than it is told to', async () => {
  const url = await serve((_, response) => response.end(BODY))
  expect((await sockmux(['get', '-o', '-', '--limit-rate', '1g', '--max-time', '10', url])).stdout.length).toBe(
    BODY.length,
  )
  const slow = await sockmux(['get', '-o', '-', '--limit-rate', '50k', '--max-time', '0.5', url])
  expect(slow.status).toBe(TransferCode.OPERATION_TIMEDOUT)
  expect(slow.stdout.length).toBeLessThan(BODY.length / 2)
})

describe('on a terminal', () => {
  /** Announces it all, sends half, and the rest when it is told to. */
  async function serveHalves(
    announces = true,
  ): Promise<{ url: string; goOn(): unknown; ranges: (string | undefined)[] }> {
    const rests: (() => void)[] = []
    const ranges: (string | undefined)[] = []
    const url = await serve((request, response) => {
      const { range } = request.headers
      ranges.push(range)
      const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
      const length = announces ? { 'content-length': BODY.length - from } : {}
      const part = { 'content-range': `bytes ${from}-${BODY.length - 1}/${BODY.length}` }
      const fields = { etag: '"one"', 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT', ...length }
      response.writeHead(from > 0 ? 206 : 200, from > 0 ? { ...fields, ...part } : fields)
      if (from > 0) response.end(BODY.subarray(from))
      else {
        response.write(BODY.subarray(0, BODY.length / 2))
        rests.push(() => response.end(BODY.subarray(BODY.length / 2)))
      }
    })
    return { url, ranges, goOn: () => rests.splice(0).map((rest) => rest()) }
  }

  it('shows a bar for each download and one for all, and takes them away again', async () => {
    const cwd = folder()
    const { url, goOn } = await serveHalves()
    const terminal = onTerminal(cwd, ['get', `${url}/one.bin`, `${url}/two.bin`])
    for (const name of ['one.bin', 'two.bin']) await terminal.until(new RegExp(`${name}.*\\[#{12}\\.{12}\\]  50%`))
    await terminal.until(/total +\[\.{24}\] {3}0%/)
    expect(terminal.text).toContain(CURSOR_HIDDEN)
    goOn()
    expect(await terminal.end()).toBe(0)
    expect(terminal.text.lastIndexOf(CURSOR_SHOWN)).toBeGreaterThan(terminal.text.lastIndexOf(CURSOR_HIDDEN))
    for (const name of ['one.bin', 'two.bin']) expect(readFileSync(join(cwd, name)).equals(BODY)).toBe(true)
  })

  it('shows what came where nobody says how much there is', async () => {
    const { url, goOn } = await serveHalves(false)
    const terminal = onTerminal(folder(), ['get', `${url}/endless.bin`])
    await terminal.until(/endless\.bin.*\[-{24}\].* 100/)
    goOn()
    expect(await terminal.end()).toBe(0)
  })

  it('stays within a narrow one', async () => {
    const { url, goOn } = await serveHalves()
    const terminal = onTerminal(folder(), ['get', `${url}/a-name-that-is-quite-long.bin`], { columns: 40 })
    await terminal.until(/long\.bin.*\[/)
    const lines = terminal.text.replace(/\x1b\[[?\d;]*[A-Za-z]/g, '\n').split(/[\r\n]+/)
    for (const line of lines) expect(line.length, line).toBeLessThan(40)
    goOn()
    expect(await terminal.end()).toBe(0)
  })

  it('shows nothing with --quiet', async () => {
    const { url, goOn } = await serveHalves()
    const cwd = folder()
    const terminal = onTerminal(cwd, ['get', '-q', `${url}/quiet.bin`])
    while (!readdirSync(cwd).includes('quiet.bin.part')) await new Promise((resolve) => setTimeout(resolve, 10))
    goOn()
    expect(await terminal.end()).toBe(0)
    expect(terminal.text).toBe('')
  })

  it('leaves on Ctrl-C the cursor as it was and a part that is completed later', async () => {
    const cwd = folder()
    const { url, ranges } = await serveHalves()
    const terminal = onTerminal(cwd, ['get', `${url}/left.bin`])
    await terminal.until(/left\.bin.*50%/)
    terminal.type('\x03')
    expect(await terminal.end()).toBe(130)
    expect(terminal.text.lastIndexOf(CURSOR_SHOWN)).toBeGreaterThan(terminal.text.lastIndexOf(CURSOR_HIDDEN))
    expect(readFileSync(join(cwd, 'left.bin.part')).equals(BODY.subarray(0, BODY.length / 2))).toBe(true)
    const again = onTerminal(cwd, ['get', '-c', `${url}/left.bin`])
    expect(await again.end()).toBe(0)
    expect(ranges).toEqual([undefined, `bytes=${BODY.length / 2}-`])
    expect(readFileSync(join(cwd, 'left.bin')).equals(BODY)).toBe(true)
    expect(readdirSync(cwd)).toEqual(['left.bin'])
  })
})

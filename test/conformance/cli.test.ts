import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { TransferCode } from '../../lib/index.ts'
import { type InstalledPackage, installPackage } from '../support/installed-package.ts'

const INSTALL_MS_MAX = 180_000
const COMMAND_MS_MAX = 15_000
const BODY = Buffer.alloc(300_000, 'The quick brown fox. ')
const CHANGED_AT = 'Mon, 01 Jan 2024 00:00:00 GMT'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

interface ReportedDownload {
  readonly file: string
  readonly ok: boolean
  readonly status: number
  readonly bytes: number
  readonly bytesReceived: number
  readonly resumedFrom: number
  readonly attempts: number
  readonly error: { readonly code: string; readonly number: number; readonly message: string } | null
}

interface Report {
  readonly exitStatus: number
  readonly interrupted: boolean
  readonly downloads: readonly ReportedDownload[]
}

let installed: InstalledPackage
const servers: Server[] = []
const children = new Set<ChildProcess>()

beforeAll(() => {
  installed = installPackage()
}, INSTALL_MS_MAX)

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

afterAll(() => installed.remove())

function folder(): string {
  return mkdtempSync(join(installed.project, 'w-'))
}

async function serve(handler: Handler): Promise<{ url: string; server: Server }> {
  const server = createServer(handler)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

/** Whole, or from where it is asked for, unless it was changed since. */
function serveFile(request: IncomingMessage, response: ServerResponse, changedAt = CHANGED_AT): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const since = Date.parse(request.headers['if-unmodified-since'] ?? '')
  if (Date.parse(changedAt) > since) response.writeHead(412).end('changed')
  else if (from >= BODY.length) response.writeHead(416, { 'Content-Range': `bytes */${BODY.length}` }).end()
  else {
    const range = { 'Content-Range': `bytes ${from}-${BODY.length - 1}/${BODY.length}` }
    response.writeHead(from > 0 ? 206 : 200, {
      'Content-Length': BODY.length - from,
      'Last-Modified': changedAt,
      ...(from > 0 ? range : {}),
    })
    response.end(BODY.subarray(from))
  }
}

/** Announces it all and sends some, then waits, or closes. */
function serveBeginning(response: ServerResponse, closes: boolean): void {
  response.writeHead(200, { 'Content-Length': BODY.length, 'Last-Modified': CHANGED_AT })
  response.write(BODY.subarray(0, 100_000), () => {
    if (closes) setTimeout(() => response.destroy(), 20)
  })
}

function start(cwd: string, parameters: readonly string[], script = installed.commands.get('sockmux')): ChildProcess {
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, [script as string, ...parameters], { cwd, env: { PATH, HOME } })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let [stdout, stderr] = ['', '']
  child.stdout?.setEncoding('latin1').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX)
  const [status] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  return { status, stdout, stderr }
}

function sockmux(cwd: string, ...parameters: readonly string[]): Promise<Outcome> {
  const child = start(cwd, parameters)
  child.stdin?.end()
  return outcomeOf(child)
}

async function report(cwd: string, ...parameters: readonly string[]): Promise<Report> {
  const { status, stdout } = await sockmux(cwd, 'get', '--json', ...parameters)
  const parsed: Report = JSON.parse(Buffer.from(stdout, 'latin1').toString('utf8'))
  expect(parsed.exitStatus).toBe(status)
  return parsed
}

function read(directory: string, name: string): Buffer {
  return readFileSync(join(directory, name))
}

describe('the command', () => {
  it('says its version and what it can do', async () => {
    const manifest: { version: string } = JSON.parse(readFileSync('package.json', 'utf8'))
    const cwd = folder()
    expect(await sockmux(cwd, '--version')).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: '' })
    expect((await sockmux(cwd, '--help')).stdout).toMatch(/^ {2}get +download[\s\S]*^ {2}serve +serve/m)
    const help = await sockmux(cwd, 'get', '--help')
    expect(help).toMatchObject({ status: 0, stderr: '' })
    expect(help.stdout).toMatch(/--max-connections N/)
    expect(readdirSync(cwd)).toEqual([])
  })

  const wrong: readonly (readonly string[])[] = [
    [],
    ['fetch'],
    ['get'],
    ['get', '--bogus', 'http://127.0.0.1/'],
    ['get', '--retry', 'some', 'http://127.0.0.1/'],
    ['get', '--max-connections', '0', 'http://127.0.0.1/'],
    ['get', '--max-time', '-1', 'http://127.0.0.1/'],
    ['get', '--limit-rate', '10x', 'http://127.0.0.1/'],
    ['get', '--header', 'no colon', 'http://127.0.0.1/'],
    ['get', '--header', 'a b: c', 'http://127.0.0.1/'],
    ['get', '--method', 'G T', 'http://127.0.0.1/'],
    ['get', '--proxy', 'gopher://127.0.0.1', 'http://127.0.0.1/'],
    ['get', '--output', 'one', 'http://127.0.0.1/1', 'http://127.0.0.1/2'],
    ['get', '--output', '-', '--json', 'http://127.0.0.1/'],
    ['get', '--continue', '--compressed', 'http://127.0.0.1/'],
    ['get', '--input-file', 'missing'],
    ['get', '--data', '@missing', 'http://127.0.0.1/'],
  ]
  it.each(wrong.map((parameters) => [parameters.join(' '), parameters] as const))(
    'refuses %j in one line, with status 2',
    async (_, parameters) => {
      const cwd = folder()
      const { status, stdout, stderr } = await sockmux(cwd, ...parameters)
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).toMatch(/^sockmux(?: get)?: [^\n]+; see sockmux(?: get)? --help\n$/)
      expect(readdirSync(cwd)).toEqual([])
    },
  )
})

describe('sockmux get', () => {
  it('stores 50 bodies over at most 4 connections', async () => {
    let [open, most] = [0, 0]
    const { url, server } = await serve((request, response) => response.end(`body of ${request.url}`))
    server.on('connection', (socket) => {
      most = Math.max(most, ++open)
      socket.on('close', () => open--)
    })
    const cwd = folder()
    const urls = Array.from({ length: 50 }, (_, index) => `${url}/${index}.txt`)
    writeFileSync(join(cwd, 'urls'), `# all of them\n\n${urls.join('\n')}\n`)
    const { status, stdout, stderr } = await sockmux(
      cwd,
      ...['get', '-q', '--input-file', 'urls', '--max-connections', '4', '--output-dir', 'a/b'],
    )
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(readdirSync(join(cwd, 'a/b'))).toHaveLength(50)
    expect(read(cwd, 'a/b/49.txt').toString()).toBe('body of /49.txt')
    expect(most).toBeLessThanOrEqual(4)
  })

  it('reads URLs from stdin', async () => {
    const { url } = await serve((_, response) => response.end('hello'))
    const cwd = folder()
    const child = start(cwd, ['get', '-i', '-'])
    child.stdin?.end(`${url}/one\r\n${url}/two`)
    expect((await outcomeOf(child)).status).toBe(0)
    expect(readdirSync(cwd).sort()).toEqual(['one', 'two'])
  })

  it('makes harmless names, and a new one for each URL', async () => {
    const { url } = await serve((_, response) => response.end('x'))
    const cwd = folder()
    const paths = [
      '',
      '%2e%2e%2f%2e%2e%2fpasswd',
      '.bashrc',
      '-rf',
      'a%0Ab',
      'caf%C3%A9.txt',
      'dir/a.gz',
      'a.gz',
      '%ff',
    ]
    const { downloads } = await report(
      cwd,
      ...paths.map((path) => `${url}/${path}?query=/x`),
      `${url}/${'l'.repeat(400)}`,
    )
    const expected = ['index.html', '_._.._passwd', '_bashrc', '_rf', 'a_b', 'café.txt', 'a.gz', 'a.1.gz', '%ff']
    expect(downloads.map(({ file }) => file).slice(0, -1)).toEqual(expected)
    expect(readdirSync(cwd).sort()).toEqual([...expected, 'l'.repeat(240)].sort())
  })

  it('replaces nothing unless it is told to', async () => {
    const { url } = await serve((_, response) => response.end('new'))
    const cwd = folder()
    writeFileSync(join(cwd, 'file'), 'old')
    const refused = await sockmux(cwd, 'get', `${url}/file`)
    expect(refused.status).toBe(TransferCode.WRITE_ERROR)
    expect(refused.stderr).toMatch(/^sockmux: [^\n]*file: exists already; [^\n]*\n$/)
    expect(read(cwd, 'file').toString()).toBe('old')
    expect((await sockmux(cwd, 'get', '--force', `${url}/file`)).status).toBe(0)
    expect(read(cwd, 'file').toString()).toBe('new')
  })

  it('does not write through a link that somebody put in the way', async () => {
    const { url } = await serve((_, response) => response.end('new'))
    const cwd = folder()
    writeFileSync(join(cwd, 'precious'), 'old')
    symlinkSync('precious', join(cwd, 'file.part'))
    expect((await sockmux(cwd, 'get', `${url}/file`)).status).toBe(TransferCode.WRITE_ERROR)
    expect(read(cwd, 'precious').toString()).toBe('old')
  })

  it('writes a body to stdout, and nothing else there', async () => {
    const { url } = await serve((request, response) => serveFile(request, response))
    const { status, stdout, stderr } = await sockmux(folder(), 'get', '-v', '-o', '-', `${url}/x`)
    expect(status).toBe(0)
    expect(Buffer.from(stdout, 'latin1').equals(BODY)).toBe(true)
    expect(stderr).toMatch(/^> GET \/x HTTP\/1\.1$/m)
  })

  it('ends when nobody reads its stdout any more', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write(BODY), 5)
      response.on('close', () => clearInterval(timer))
    })
    const child = start(folder(), ['get', '-o', '-', `${url}/endless`])
    child.stdout?.once('data', () => child.stdout?.destroy())
    expect((await outcomeOf(child)).status).toBe(TransferCode.WRITE_ERROR)
  })

  it('follows redirects only when it is told to', async () => {
    const { url } = await serve((request, response) => {
      if (request.url === '/from') response.writeHead(302, { Location: '/to' }).end('moved')
      else response.end('there')
    })
    const cwd = folder()
    const refused = await sockmux(cwd, 'get', `${url}/from`)
    expect(refused).toMatchObject({ status: TransferCode.HTTP_RETURNED_ERROR, stdout: '' })
    expect(readdirSync(cwd)).toEqual([])
    expect((await sockmux(cwd, 'get', '-L', `${url}/from`)).status).toBe(0)
    expect(read(cwd, 'from').toString()).toBe('there')
  })

  it('sends what it is told to send', async () => {
    const { url } = await serve((request, response) => {
      const { method, headers } = request
      const { accept, authorization, 'content-type': type, 'x-own': own } = headers
      request
        .setEncoding('utf8')
        .once('data', (body) => response.end(JSON.stringify({ method, accept, authorization, type, own, body })))
    })
    const cwd = folder()
    writeFileSync(join(cwd, 'body'), 'a=1')
    const options = ['-u', 'me:secret', '-H', 'X-Own: 1', '-H', 'X-Own: 2', '-H', 'Accept:', '-d', '@body', '-X', 'PUT']
    const { stdout } = await sockmux(cwd, 'get', ...options, '-o', '-', url)
    expect(JSON.parse(stdout)).toEqual({
      method: 'PUT',
      authorization: `Basic ${Buffer.from('me:secret').toString('base64')}`,
      type: 'application/x-www-form-urlencoded',
      own: '1, 2',
      body: 'a=1',
    })
  })

  it('stores an error page only when it is told to', async () => {
    const { url } = await serve((_, response) => response.writeHead(404).end('none'))
    const cwd = folder()
    expect((await sockmux(cwd, 'get', `${url}/page`)).status).toBe(TransferCode.HTTP_RETURNED_ERROR)
    expect(readdirSync(cwd)).toEqual([])
    expect((await sockmux(cwd, 'get', '--no-fail', `${url}/page`)).status).toBe(0)
    expect(read(cwd, 'page').toString()).toBe('none')
  })

  it('does the rest when one fails, and ends with the first failure in the order of URLs', async () => {
    const { url } = await serve((request, response) => response.writeHead(request.url === '/no' ? 404 : 200).end())
    const cwd = folder()
    const given = [`${url}/yes`, 'http://a b/', `${url}/no`, 'ftp://127.0.0.1/', `${url}/yes/too`]
    const { exitStatus, downloads } = await report(cwd, ...given)
    expect(exitStatus).toBe(TransferCode.URL_MALFORMAT)
    expect(downloads.map(({ error }) => error?.code ?? 'OK')).toEqual([
      ...['OK', 'URL_MALFORMAT', 'HTTP_RETURNED_ERROR', 'UNSUPPORTED_PROTOCOL', 'OK'],
    ])
    expect(readdirSync(cwd).sort()).toEqual(['too', 'yes'])
  })

  it('says in one line that nobody listens, without the password', async () => {
    const { url, server } = await serve(() => {})
    server.close()
    await once(server, 'close')
    const { status, stderr } = await sockmux(folder(), 'get', url.replace('//', '//me:secret@'))
    expect(status).toBe(TransferCode.COULDNT_CONNECT)
    expect(stderr).toMatch(/^sockmux: http:\/\/127\.0\.0\.1:\d+: [^\n]* \(COULDNT_CONNECT\)\n$/)
    expect(stderr).not.toContain('secret')
  })

  it('ends in time when the server says nothing', async () => {
    const { url } = await serve(() => {})
    expect((await sockmux(folder(), 'get', '--max-time', '0.2', url)).status).toBe(TransferCode.OPERATION_TIMEDOUT)
  })
})

describe('what the disk refuses', () => {
  it('is said: a directory that cannot be made', async () => {
    const { url } = await serve((_, response) => response.end('x'))
    const { status, stderr } = await sockmux(folder(), 'get', '--output-dir', '/proc/none', url)
    expect(status).toBe(TransferCode.WRITE_ERROR)
    expect(stderr).toMatch(/^sockmux: [^\n]*\/proc[^\n]*\n$/)
  })

  it('is said: a directory in the place of the file', async () => {
    const { url } = await serve((_, response) => response.end('x'))
    const cwd = folder()
    mkdirSync(join(cwd, 'taken'))
    const { status, stderr } = await sockmux(cwd, 'get', '--force', `${url}/taken`)
    expect(status).toBe(TransferCode.WRITE_ERROR)
    expect(stderr).toContain('taken: is a directory')
  })

  it('is said: a full one', async () => {
    const { url } = await serve((request, response) => serveFile(request, response))
    const { status, stderr } = await sockmux(folder(), 'get', '--output', '/dev/full', url)
    expect(status).toBe(TransferCode.WRITE_ERROR)
    expect(stderr).toContain('no space left on device')
  })
})

describe('what was left half-way', () => {
  it('stays as a part when the server goes away, and is completed later', async () => {
    const asked: string[] = []
    const { url } = await serve((request, response) => {
      asked.push(request.headers.range ?? 'all')
      if (asked.length === 1) serveBeginning(response, true)
      else serveFile(request, response)
    })
    const cwd = folder()
    expect((await sockmux(cwd, 'get', `${url}/file`)).status).toBe(TransferCode.PARTIAL_FILE)
    expect(readdirSync(cwd)).toEqual(['file.part'])
    expect(statSync(join(cwd, 'file.part')).size).toBe(100_000)
    const { downloads } = await report(cwd, '--continue', `${url}/file`)
    expect(downloads).toMatchObject([{ ok: true, status: 206, resumedFrom: 100_000, bytesReceived: 200_000 }])
    expect(asked).toEqual(['all', 'bytes=100000-'])
    expect(readdirSync(cwd)).toEqual(['file'])
    expect(read(cwd, 'file').equals(BODY)).toBe(true)
  })

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`stays as a part after ${signal}, and is completed later`, async () => {
      let count = 0
      const { url } = await serve((request, response) => {
        if (count++ === 0) serveBeginning(response, false)
        else serveFile(request, response)
      })
      const cwd = folder()
      const child = start(cwd, ['get', '--json', `${url}/file`])
      const outcome = outcomeOf(child)
      const part = join(cwd, 'file.part')
      await expect.poll(() => existsSync(part) && statSync(part).size, { timeout: COMMAND_MS_MAX }).toBe(100_000)
      child.kill(signal)
      const { status, stdout, stderr } = await outcome
      expect(status).toBe(expected)
      expect(JSON.parse(stdout)).toMatchObject({ interrupted: true, downloads: [{ ok: false, bytes: 100_000 }] })
      expect(stderr).toMatch(/^sockmux: interrupted: [^\n]*--continue[^\n]*\n$/)
      expect((await sockmux(cwd, 'get', '--continue', `${url}/file`)).status).toBe(0)
      expect(read(cwd, 'file').equals(BODY)).toBe(true)
    })
  }

  it('is fetched anew when it was changed on the server meanwhile', async () => {
    const { url } = await serve((request, response) => serveFile(request, response, 'Tue, 02 Jan 2024 00:00:00 GMT'))
    const cwd = folder()
    writeFileSync(join(cwd, 'file.part'), 'of another version')
    const old = new Date(CHANGED_AT)
    utimesSync(join(cwd, 'file.part'), old, old)
    const { downloads } = await report(cwd, '--continue', `${url}/file`)
    expect(downloads).toMatchObject([{ ok: true, status: 200, attempts: 2, resumedFrom: 0 }])
    expect(read(cwd, 'file').equals(BODY)).toBe(true)
  })

  it('is fetched anew when the server gives no ranges', async () => {
    const { url } = await serve((_, response) => response.end(BODY))
    const cwd = folder()
    writeFileSync(join(cwd, 'file.part'), 'some')
    expect((await sockmux(cwd, 'get', '--continue', `${url}/file`)).status).toBe(0)
    expect(read(cwd, 'file').equals(BODY)).toBe(true)
  })

  it('is not thrown away when it is a file of the user', async () => {
    const { url } = await serve((_, response) => response.end(BODY))
    const cwd = folder()
    writeFileSync(join(cwd, 'file'), 'some')
    expect((await sockmux(cwd, 'get', '--continue', `${url}/file`)).status).toBe(TransferCode.RANGE_ERROR)
    expect(read(cwd, 'file').toString()).toBe('some')
  })

  it('goes on in a file that has its name already, and is left alone when it is whole', async () => {
    const { url } = await serve((request, response) => serveFile(request, response))
    const cwd = folder()
    writeFileSync(join(cwd, 'file'), BODY)
    const first = await report(cwd, '--continue', `${url}/file`)
    expect(first.downloads).toMatchObject([{ ok: true, status: 416, bytes: BODY.length }])
    truncateSync(join(cwd, 'file'), 7)
    const second = await report(cwd, '--continue', `${url}/file`)
    expect(second.downloads).toMatchObject([{ ok: true, status: 206, resumedFrom: 7 }])
    expect(read(cwd, 'file').equals(BODY)).toBe(true)
  })
})

describe('retries', () => {
  it('go on behind what is there', async () => {
    const asked: string[] = []
    const { url } = await serve((request, response) => {
      asked.push(request.headers.range ?? 'all')
      if (asked.length === 1) serveBeginning(response, true)
      else if (asked.length === 2) response.writeHead(503).end('later')
      else serveFile(request, response)
    })
    const cwd = folder()
    const { downloads } = await report(cwd, '--retry', '5', '--retry-delay', '0.01', `${url}/file`)
    expect(downloads).toMatchObject([{ ok: true, attempts: 3, error: null }])
    expect(asked).toEqual(['all', 'bytes=100000-', 'bytes=100000-'])
    expect(read(cwd, 'file').equals(BODY)).toBe(true)
  })

  it('end when they are used up, and are not made for what will not pass', async () => {
    const { url } = await serve((request, response) => response.writeHead(request.url === '/busy' ? 503 : 403).end())
    const options = ['--retry', '2', '--retry-delay', '0.01']
    const { exitStatus, downloads } = await report(folder(), ...options, `${url}/busy`, `${url}/forbidden`)
    expect(exitStatus).toBe(TransferCode.HTTP_RETURNED_ERROR)
    expect(downloads.map(({ attempts }) => attempts)).toEqual([3, 1])
  })
})

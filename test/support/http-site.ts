/**
 * An HttpServer with a bit of everything for real clients, in Node's loop of the test's own thread, and the clients: a
 * program that is run to its end, with its output and within a bound.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  attachToNodeLoop,
  BasicAuth,
  DigestAuth,
  fileResponse,
  type HttpRequest,
  type HttpResponse,
  HttpServer,
  type HttpServerOptions,
  Multi,
  prepareResponse,
  Router,
  type SocketAddress,
} from '../../lib/index.ts'
import { writeTestFile } from './test-files.ts'

const CLIENT_MS_MAX = 30_000
const UNTIL_MS_MAX = 15_000
export const FILE_BYTES = 3_000_000
export const HELLO = 'Hello, world!\n'

const hello = prepareResponse({ headers: { 'content-type': 'text/plain' }, body: HELLO })

export class HttpSite {
  readonly multi = new Multi()
  readonly server: HttpServer
  readonly directory: string = mkdtempSync(join(tmpdir(), 'sockmux-site-'))
  /** 'METHOD /target end', as requests ended. */
  readonly ends: string[] = []
  /** Reasons, as connections ended, with their errors. */
  readonly closes: string[] = []
  readonly errors: string[] = []
  readonly sha256: string
  readonly router: Router

  constructor(options: Partial<HttpServerOptions> = {}) {
    attachToNodeLoop(this.multi)
    this.sha256 = writeTestFile(this.directory, 'file.bin', FILE_BYTES).sha256
    this.router = routes(this.directory)
    this.server = new HttpServer(this.multi, {
      listen: { host: '127.0.0.1', port: 0 },
      handler: this.router.handler,
      ...options,
      onRequestEnd: ({ method, url }, end) => this.ends.push(`${method} ${url} ${end}`),
      onDisconnect: (_, reason, error) => this.closes.push(error === null ? reason : `${reason} ${error.message}`),
      onError: (error, { operation }) => this.errors.push(`${operation}: ${String(error)}`),
    })
    this.server.start()
  }

  get address(): SocketAddress {
    return this.server.listeners[0]?.address as SocketAddress
  }

  get port(): number {
    return this.address.port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async close(): Promise<void> {
    await this.server.stop()
    this.multi.close()
    rmSync(this.directory, { recursive: true })
  }
}

export async function withSite(
  options: Partial<HttpServerOptions>,
  use: (site: HttpSite) => Promise<void>,
): Promise<void> {
  const site = new HttpSite(options)
  try {
    await use(site)
  } finally {
    await site.close()
  }
}

function routes(directory: string): Router {
  const basic = new BasicAuth({ realm: 'here', verify: (name, password) => name === 'me' && password === 'sécret' })
  const password = (name: string): string | null => (name === 'me' ? 'secret' : null)
  const digest = new DigestAuth({ realm: 'here', password })
  const old = new DigestAuth({ realm: 'here', password, algorithms: ['MD5'] })
  return new Router()
    .add('/hello', () => hello)
    .add('/file.bin', (request) => fileResponse(request, join(directory, 'file.bin')))
    .add('/chunked', () => ({ body: ['one ', 'two ', 'three'].map((text) => Buffer.from(text)).values() }))
    .add('/echo', async (request) => ({ body: await request.bytes(FILE_BYTES * 2) }))
    .add('/info', (request) => ({ headers: { 'content-type': 'application/json' }, body: describe(request) }))
    .add('/form', describeForm)
    .add('/refuse', () => ({ status: 403, body: 'no\n' }))
    .add('/basic', (request) => {
      const verdict = basic.check(request)
      if (verdict.result !== 'ok') return { status: 401, headers: basic.challenge(), body: `${verdict.result}\n` }
      return { body: `${verdict.username}\n` }
    })
    .add('/digest', (request) => answerDigest(request, digest))
    .add('/md5', (request) => answerDigest(request, old))
}

async function answerDigest(request: HttpRequest, digest: DigestAuth): Promise<HttpResponse> {
  const verdict = digest.check(request)
  const headers = digest.challenge(request, verdict)
  if (verdict.result !== 'ok') return { status: 401, headers, body: `${verdict.result}\n` }
  return { body: `${verdict.username} ${(await request.bytes()).length}\n` }
}

function describe({ connection, headers, httpVersion, peer, url }: HttpRequest): string {
  const { rawPeer, tls, id } = connection
  return JSON.stringify({
    id,
    url,
    httpVersion,
    peer,
    rawPeer,
    host: headers.get('host') ?? null,
    forwardedFor: headers.get('x-forwarded-for') ?? null,
    protocol: tls?.protocol ?? null,
    subject: tls?.certificates[0]?.subject ?? null,
  })
}

async function describeForm(request: HttpRequest): Promise<HttpResponse> {
  const form = await request.form()
  const fields = [...form].map(({ name, filename, contentType, bytes }) => {
    const text = filename === null ? Buffer.from(bytes).toString() : bytes.length
    return { name, filename, contentType, content: text }
  })
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(fields) }
}

export interface ClientEnd {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A client program; what it printed, in latin1. `input` is its stdin. */
export function runClient(path: string, parameters: readonly string[], input = ''): Promise<ClientEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, parameters, { stdio: ['pipe', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('latin1').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('latin1').on('data', (text: string) => (stderr += text))
    const timer = setTimeout(() => child.kill('SIGKILL'), CLIENT_MS_MAX)
    child.once('error', reject)
    child.once('close', (status) => {
      clearTimeout(timer)
      resolve({ status, stdout, stderr })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

export async function until(isEnough: () => boolean): Promise<void> {
  const end = performance.now() + UNTIL_MS_MAX
  while (!isEnough()) {
    if (performance.now() > end) throw new Error('waited too long')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

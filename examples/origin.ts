/**
 * An HTTP server to fetch from, in a process of its own: a synchronous loop blocks the thread that it runs on.
 * `/length/<bytes>/<seed>` answers with a Content-Length, `/chunked/<bytes>/<seed>` in chunks.
 */
import { fork } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { BODY_BYTES_MAX, bodyBytes } from './body.ts'

export interface Origin {
  /** As in 'http://127.0.0.1:40123'. */
  readonly url: string
  /** Its process. */
  readonly pid: number
  stop(): void
}

const CHUNK_BYTES = 16 * 1024
const START_MS_MAX = 10_000
const CHILD_ARGUMENT = '--serve'

export function startOrigin(): Promise<Origin> {
  const child = fork(fileURLToPath(import.meta.url), [CHILD_ARGUMENT], { execArgv: [] })
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      child.kill('SIGKILL')
      reject(new Error(`the origin did not start: ${reason}`))
    }
    const timer = setTimeout(() => fail(`not ready after ${START_MS_MAX} ms`), START_MS_MAX)
    const ended = (code: number | null, signal: string | null): void => fail(`it ended with ${signal ?? code}`)
    child.once('error', (error) => fail(error.message))
    child.once('exit', ended)
    child.once('message', (port) => {
      clearTimeout(timer)
      child.off('exit', ended)
      child.unref()
      child.channel?.unref()
      resolve({ url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop: () => void child.kill('SIGKILL') })
    })
  })
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const [, kind, length, seed] = /^\/(length|chunked)\/(\d+)\/(\d+)$/.exec(request.url ?? '') ?? []
  const bytes = Number(length)
  if (kind === undefined || bytes > BODY_BYTES_MAX) {
    response.writeHead(404, { 'content-length': 0 }).end()
    return
  }
  const body = bodyBytes(Number(seed), bytes)
  if (kind === 'length') {
    response.writeHead(200, { 'content-length': bytes }).end(body)
    return
  }
  for (let i = 0; i < bytes; i += CHUNK_BYTES) response.write(body.subarray(i, i + CHUNK_BYTES))
  response.end()
}

function serve(): void {
  const server = createServer({ keepAliveTimeout: 60_000 }, answer)
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => {
    process.send?.((server.address() as AddressInfo).port)
  })
  // Ctrl-C reaches every process of a terminal; this one ends with the one that started it.
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit())
}

if (process.argv[2] === CHILD_ARGUMENT && process.send !== undefined) serve()

/**
 * `sockmux serve`: from checked options to an exit status. The access log goes to stdout, whatever is for people to
 * stderr. The first signal drains, a second one stops at once.
 */
import { constants } from 'node:os'
import {
  attachToNodeLoop,
  type ErrorContext,
  Family,
  type HttpRequest,
  type HttpResponse,
  HttpServer,
  Multi,
  type RequestEnd,
  type RequestTimings,
  type ServerListener,
} from '../index.ts'
import { AccessLog } from './access-log.ts'
import { type Command, ExitStatus } from './command.ts'
import { listenProblem } from './listen-problem.ts'
import { bodyBytesOf, serveAnswer } from './serve-answer.ts'
import { SERVE_HELP } from './serve-help.ts'
import { readServeOptions } from './serve-options.ts'
import type { ServeSettings } from './serve-settings.ts'
import { printable, seconds } from './text.ts'

/** A shell's way to say which signal it was. */
const SIGNALLED = 128
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

export const serveCommand: Command = {
  summary: 'serve the files of a directory over HTTP',
  help: SERVE_HELP,
  async run(parameters) {
    return new Serve(readServeOptions(parameters)).run()
  },
}

/** What the log says of an answer; kept with its request. */
interface Answer {
  readonly status: number
  readonly bytes: number
}

class Serve {
  readonly #settings: ServeSettings
  readonly #multi = new Multi()
  readonly #server: HttpServer
  readonly #log: AccessLog | null
  #stopping: Promise<void> | null = null
  #isFaulted = false
  #resolve: () => void = () => {}

  constructor(settings: ServeSettings) {
    this.#settings = settings
    this.#log = settings.quiet ? null : new AccessLog(settings.log)
    const { listen, tls, maxConnections } = settings
    this.#server = new HttpServer(this.#multi, {
      listen,
      tls,
      limits: { connections: maxConnections },
      handler: (request) => this.#answer(request),
      ...(this.#log !== null && { onRequestEnd: (request, end, timings) => this.#tell(request, end, timings) }),
      onError: (error, context) => this.#tellError(error, context),
    })
  }

  async run(): Promise<number> {
    const loop = attachToNodeLoop(this.#multi)
    const onSignal = (signal: NodeJS.Signals): void => this.#onSignal(signal)
    // Heard before the first client is: a signal in between stops it as any other.
    for (const signal of SIGNALS) process.on(signal, onSignal)
    const stopped = new Promise<void>((resolve) => {
      this.#resolve = resolve
    })
    try {
      this.#start()
      await stopped
      await this.#stopping
    } finally {
      for (const signal of SIGNALS) process.off(signal, onSignal)
      loop.detach()
      this.#multi.close()
      this.#log?.flush()
    }
    return this.#isFaulted ? ExitStatus.FAILED : ExitStatus.OK
  }

  #start(): void {
    try {
      this.#server.start()
    } catch (error) {
      throw listenProblem(error)
    }
    for (const listener of this.#server.listeners) {
      this.#print(`serving ${this.#settings.root} at ${urlOf(listener, this.#settings.tls !== null)}`)
    }
  }

  #answer(request: HttpRequest): HttpResponse {
    const response = serveAnswer(request, this.#settings)
    const answer: Answer = { status: response.status ?? 200, bytes: bodyBytesOf(request, response) }
    request.data = answer
    return response
  }

  #tell(request: HttpRequest, end: RequestEnd, { startedAt, endedAt }: RequestTimings): void {
    // What threw was answered by the server itself.
    const { status, bytes } = (request.data as Answer | undefined) ?? { status: 500, bytes: 0 }
    const durationMs = endedAt - startedAt
    this.#log?.add({ request, end, status, bytes, startedAt: new Date(Date.now() - durationMs), durationMs })
  }

  #tellError(error: unknown, { operation, connection, retryInMs, fatal }: ErrorContext): void {
    const message = error instanceof Error ? error.message : String(error)
    const client = connection?.peer?.address ? ` of ${connection.peer.address}` : ''
    const again = retryInMs > 0 ? `; again in ${seconds(retryInMs)}` : ''
    process.stderr.write(`sockmux: ${operation}${client}: ${printable(message)}${again}\n`)
    if (!fatal) return
    this.#isFaulted = true
    this.#stop()
  }

  /** A second one ends the process at once, as if nobody listened. */
  #onSignal(signal: NodeJS.Signals): void {
    if (this.#stopping === null) return this.#stop()
    this.#log?.flush()
    process.exit(SIGNALLED + constants.signals[signal])
  }

  #stop(): void {
    this.#stopping ??= this.#drain()
    this.#resolve()
  }

  async #drain(): Promise<void> {
    const { graceMs } = this.#settings
    const { connections } = this.#server.stats()
    const leaving = graceMs > 0 ? this.#server.drain({ deadlineMs: graceMs }) : this.#server.stop()
    if (connections > 0 && graceMs > 0) {
      this.#print(`stopping: ${connectionsOf(connections)} may take ${seconds(graceMs)}; a second signal does not wait`)
    }
    const { cut } = await leaving
    if (cut > 0) this.#print(`stopped: ${connectionsOf(cut)} cut`)
  }

  #print(text: string): void {
    if (!this.#settings.quiet) process.stderr.write(`sockmux: ${printable(text)}\n`)
  }
}

function connectionsOf(count: number): string {
  return count === 1 ? '1 connection' : `${count} connections`
}

function urlOf({ address: { family, address, port } }: ServerListener, isSecure: boolean): string {
  if (family === Family.UNIX) return `the socket ${address.replace('\0', '@')}`
  const host = family === Family.IPV6 ? `[${address}]` : address
  return `${isSecure ? 'https' : 'http'}://${host}:${port}/`
}

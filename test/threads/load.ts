/**
 * Clients that ask a server over and over from this process, and count what failed: some keep their connection, some
 * open one per request. A request that gets no whole answer has failed, whatever the reason.
 */
import { connect, type Socket } from 'node:net'

/** So many requests, then a kept connection is closed by the client, so that connections come and go. */
const REQUESTS_PER_CONNECTION = 50
const ANSWER_LIMIT_MS = 10_000

export interface LoadReport {
  requests: number
  failed: number
  /** What went wrong, each once. */
  readonly errors: Set<string>
  /** How often each body came. */
  readonly bodies: Map<string, number>
}

export interface LoadTarget {
  readonly port?: number
  readonly path?: string
}

export class Load {
  readonly report: LoadReport = { requests: 0, failed: 0, errors: new Set(), bodies: new Map() }
  #isStopped = false
  readonly #clients: Promise<void>[]

  constructor(target: LoadTarget, clients: number) {
    this.#clients = Array.from({ length: clients }, (_, index) => this.#ask(target, index % 2 === 0))
  }

  async until(condition: () => boolean, limitMs = 15_000): Promise<void> {
    const end = performance.now() + limitMs
    while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
    if (!condition()) throw new Error(`not within ${limitMs} ms: ${JSON.stringify(this.report)}`)
  }

  /** Until so many more requests were answered. */
  async answers(count: number): Promise<void> {
    const goal = this.report.requests + count
    await this.until(() => this.report.requests >= goal)
  }

  async stop(): Promise<LoadReport> {
    this.#isStopped = true
    await Promise.all(this.#clients)
    return this.report
  }

  async #ask(target: LoadTarget, keepsAlive: boolean): Promise<void> {
    while (!this.#isStopped) {
      const client = new Client(target)
      for (let count = 0; count < REQUESTS_PER_CONNECTION && !this.#isStopped; count++) {
        const isLast = !keepsAlive || count === REQUESTS_PER_CONNECTION - 1
        const answer = await client.get(isLast)
        this.#count(answer)
        if (answer instanceof Error || answer.isLast) break
      }
      client.close()
    }
  }

  #count(answer: Answer | Error): void {
    const { report } = this
    report.requests++
    if (answer instanceof Error) {
      report.failed++
      report.errors.add(answer.message)
    } else report.bodies.set(answer.body, (report.bodies.get(answer.body) ?? 0) + 1)
  }
}

interface Answer {
  readonly body: string
  readonly isLast: boolean
}

const ANSWER = /^HTTP\/1\.1 200 [\s\S]*?\r\n\r\n/

class Client {
  readonly #socket: Socket
  #text = ''
  #settle: ((answer: Answer | Error) => void) | null = null

  constructor({ port, path }: LoadTarget) {
    this.#socket = path === undefined ? connect({ port: port ?? 0, host: '127.0.0.1' }) : connect({ path })
    this.#socket.setTimeout(ANSWER_LIMIT_MS, () => this.#end(new Error('no answer')))
    this.#socket.on('data', (bytes) => this.#receive(bytes.toString('latin1')))
    this.#socket.on('error', (error) => this.#end(error))
    this.#socket.on('close', () => this.#end(new Error(`closed after ${JSON.stringify(this.#text)}`)))
  }

  get(isLast: boolean): Promise<Answer | Error> {
    return new Promise((resolve) => {
      this.#settle = resolve
      this.#text = ''
      if (this.#socket.destroyed) this.#end(new Error('closed between two requests'))
      this.#socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${isLast ? 'Connection: close\r\n' : ''}\r\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(text: string): void {
    this.#text += text
    const head = ANSWER.exec(this.#text)?.[0]
    if (head === undefined) return
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? -1)
    const body = this.#text.slice(head.length)
    if (body.length === length) this.#end({ body, isLast: /connection: close/i.test(head) })
  }

  #end(answer: Answer | Error): void {
    const settle = this.#settle
    this.#settle = null
    settle?.(answer)
  }
}

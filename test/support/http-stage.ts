/**
 * An HttpServer under test on the Multi of a bench, and clients that send what they are told. Waiting gives promises
 * their turn, whatever the loop: a synchronous one is left after each step.
 */
import { HttpServer, type HttpServerOptions, type Multi, type SocketAddress } from '../../lib/index.ts'
import type { Bench } from '../conformance/bench.ts'
import { connectClient, type LocalClient } from './local-client.ts'

const UNTIL_MAX_MS = 8_000
/** How often a loop may ask whether it is enough before promises have their turn: that gives it one step, or a few. */
const LOOKS_PER_STAY = { real: 4, simulated: 1 } as const

export const LOCAL = { host: '127.0.0.1', port: 0 }

export interface HttpStage {
  readonly multi: Multi
  readonly server: HttpServer
  readonly address: SocketAddress
  readonly port: number
  /** '/target code', as requests ended. */
  readonly ends: string[]
  /** Reasons, as connections ended. */
  readonly closes: string[]
  readonly errors: string[]
  /** A client that has sent that. */
  client(text?: string): LocalClient
  until(isEnough: () => boolean): Promise<void>
  pass(ms: number): Promise<void>
  /** What a client that sends that receives until the server closes. */
  exchange(text: string): Promise<string>
  close(): Promise<void>
}

export function httpStage(bench: Bench, options: HttpServerOptions, given: Multi | null = null): HttpStage {
  const multi = given ?? bench.multi()
  const [ends, closes, errors]: [string[], string[], string[]] = [[], [], []]
  const clients: LocalClient[] = []
  const server = new HttpServer(multi, {
    listen: LOCAL,
    date: false,
    ...options,
    onRequestEnd: (request, code, timings) => {
      ends.push(`${request.url} ${code}`)
      options.onRequestEnd?.(request, code, timings)
    },
    onDisconnect: (connection, reason, error) => {
      closes.push(reason)
      options.onDisconnect?.(connection, reason, error)
    },
    onError: (error, context) => {
      errors.push(`${context.operation}: ${error instanceof Error ? error.message : String(error)}`)
    },
  })
  server.start()
  // Without listeners it lives on what it adopts.
  const address = (server.listeners[0]?.address ?? null) as SocketAddress
  const until = async (isEnough: () => boolean): Promise<void> => {
    const most = bench.simulation === null ? LOOKS_PER_STAY.real : LOOKS_PER_STAY.simulated
    const giveUpAt = performance.now() + UNTIL_MAX_MS
    for (;;) {
      await settled()
      if (isEnough()) return
      if (performance.now() > giveUpAt) throw new Error(`not so after ${UNTIL_MAX_MS} ms`)
      let looks = 0
      await bench.drive(multi, () => ++looks > most || isEnough())
    }
  }
  const self: HttpStage = {
    multi,
    server,
    address,
    port: address?.port ?? 0,
    ends,
    closes,
    errors,
    client: (text = '') => {
      const client = connectClient(bench.simulation, address)
      clients.push(client)
      if (text !== '') client.write(text)
      return client
    },
    until,
    pass: (ms) => bench.pass(multi, ms),
    exchange: async (text) => {
      const client = self.client(text)
      await until(() => client.isOver)
      const { received } = client
      client.close()
      return received
    },
    close: async () => {
      for (const client of clients) client.close()
      const stopped = server.stop()
      await until(() => server.state === 'stopped')
      await stopped
    },
  }
  return self
}

/** Promises that are settled already have been told. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Status lines of the answers in what was received. */
export function statuses(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]))
}

/** Behind the head of the last answer. */
export function lastBody(received: string): string {
  return received.slice(received.lastIndexOf('\r\n\r\n') + 4)
}

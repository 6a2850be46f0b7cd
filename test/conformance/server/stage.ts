/** A server on a bench, the clients that come to it, and everything that it told. */

import { type Connection, type Multi, Server, type ServerOptions, type SocketAddress } from '../../../lib/index.ts'
import { connectClient, type LocalClient } from '../../support/local-client.ts'
import type { Bench } from '../bench.ts'

export const LOCAL = { host: '127.0.0.1', port: 0 }

export class Stage {
  readonly bench: Bench
  readonly multi: Multi
  readonly server: Server
  /** In the order in which it was told: 'start', 'drop connections', 'disconnect 1 done'. */
  readonly told: string[] = []
  readonly connections: Connection[] = []
  readonly errors: unknown[] = []
  readonly #clients: LocalClient[] = []

  constructor(bench: Bench, options: ServerOptions = {}, multi: Multi = bench.multi()) {
    this.bench = bench
    this.multi = multi
    const { told } = this
    this.server = new Server(this.multi, {
      listen: LOCAL,
      ...options,
      onStart: () => told.push('start'),
      onStop: () => told.push('stop'),
      onIdle: () => told.push('idle'),
      onState: (state) => {
        told.push(state)
        options.onState?.(state, state)
      },
      onAccept: (connection) => {
        told.push(`accept ${this.numberOf(connection)}`)
        options.onAccept?.(connection)
      },
      onConnect: (connection) => {
        told.push(`connect ${this.numberOf(connection)}`)
        options.onConnect?.(connection)
      },
      onDisconnect: (connection, reason, error) => {
        told.push(`disconnect ${this.numberOf(connection)} ${reason}`)
        options.onDisconnect?.(connection, reason, error)
      },
      onDrop: (drop) => {
        told.push(`drop ${drop.reason}`)
        options.onDrop?.(drop)
      },
      onError: (error, context) => {
        told.push(`error ${context.operation}`)
        this.errors.push(error)
        options.onError?.(error, context)
      },
    })
  }

  static start(bench: Bench, options: ServerOptions = {}, multi?: Multi): Stage {
    const stage = new Stage(bench, options, multi)
    stage.server.start()
    return stage
  }

  get address(): SocketAddress {
    return this.server.listeners[0]?.address as SocketAddress
  }

  numberOf(connection: Connection): number {
    if (!this.connections.includes(connection)) this.connections.push(connection)
    return this.connections.indexOf(connection) + 1
  }

  count(prefix: string): number {
    return this.told.filter((text) => text.startsWith(prefix)).length
  }

  connect(to: SocketAddress = this.address): LocalClient {
    const client = connectClient(this.bench.simulation, to)
    this.#clients.push(client)
    return client
  }

  async connected(count: number, to?: SocketAddress): Promise<LocalClient[]> {
    const before = this.count('connect')
    const clients = Array.from({ length: count }, () => this.connect(to))
    await this.until(() => this.count('connect') === before + count)
    return clients
  }

  until(isEnough: () => boolean): Promise<void> {
    return this.bench.drive(this.multi, isEnough)
  }

  /** Time passes in which nothing more may happen. */
  pass(ms = 100): Promise<void> {
    return this.bench.pass(this.multi, ms)
  }

  /** Through the loop alone: no promise is awaited. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.close()
    const stopped = this.server.stop()
    await this.until(() => !this.server.active)
    await stopped
  }
}

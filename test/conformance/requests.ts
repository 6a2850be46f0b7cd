/** What the tests of `request` share: servers in this thread, a Multi that can be looked into, and bounded waits. */
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { attachToNodeLoop, Multi, type TransferError } from '../../lib/index.ts'

const servers: Pick<Server, 'close' | 'closeAllConnections'>[] = []

/** The URL of a server that lasts until `closeServers`. */
export async function serve(listener: RequestListener, tls?: ServerOptions): Promise<string> {
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http${tls === undefined ? '' : 's'}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export function closeServers(): void {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
}

export function ownMulti(): { multi: Multi; [Symbol.dispose](): void } {
  const multi = new Multi()
  const loop = attachToNodeLoop(multi)
  const dispose = (): void => {
    multi.close()
    loop.detach()
  }
  return { multi, [Symbol.dispose]: dispose }
}

export function failureOf(promise: Promise<unknown>): Promise<TransferError> {
  return promise.then(
    () => {
      throw new Error('expected a rejection')
    },
    (error: TransferError) => error,
  )
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !condition(); i++) await wait(5)
  expect(condition()).toBe(true)
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

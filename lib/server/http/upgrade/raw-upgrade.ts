/**
 * An upgrade to a protocol of the program's own: once the head is with the system the connection's bytes are read and
 * written by its callbacks and calls, beginning with what came behind the request.
 */
import { checkOptions, isFunction, isInteger, isObject, isText } from '../../../base/options.ts'
import type { Connection } from '../../connection/connection.ts'
import type { ConnectionMachine } from '../../connection/connection-machine.ts'
import type { Driver } from '../../connection/driver.ts'
import type { HttpResponse, HttpResponseHeaders } from '../response/response.ts'
import type { Upgrade } from './upgrade.ts'

const SWITCHING_PROTOCOLS = 101

export interface UpgradeOptions {
  /** Told in Upgrade, as the request asked for it. Left out in the answer to CONNECT. */
  readonly protocol?: string
  /** Default 101; 200 answers a CONNECT. */
  readonly status?: number
  readonly headers?: HttpResponseHeaders
  /** The connection is the program's: it sets its callbacks here. */
  readonly onOpen: (connection: Connection) => void
}

const CHECKS = { protocol: isText, status: isInteger(101, 299), headers: isObject, onOpen: isFunction } as const

class RawUpgrade implements Upgrade {
  readonly #onOpen: (connection: Connection) => void

  constructor(onOpen: (connection: Connection) => void) {
    this.#onOpen = onOpen
  }

  takeOver(_machine: ConnectionMachine, connection: Connection, head: Uint8Array): Driver {
    return connection.bytesAfter(head, this.#onOpen)
  }
}

/** The answer to a request whose Upgrade field asks for `protocol`, or to a CONNECT. */
export function upgrade(options: UpgradeOptions): HttpResponse {
  checkOptions('upgrade options', options, CHECKS)
  isFunction('onOpen', options.onOpen)
  const { protocol, status = SWITCHING_PROTOCOLS, headers = {}, onOpen } = options
  const given = Symbol.iterator in headers ? [...headers] : Object.entries(headers)
  const fields = given as [string, string][]
  if (protocol !== undefined) fields.push(['Upgrade', protocol])
  return { status, headers: fields, upgrade: new RawUpgrade(onOpen) }
}

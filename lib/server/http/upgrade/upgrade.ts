/**
 * What makes a response the last word of HTTP on its connection: with 101, or 2xx to CONNECT, the connection belongs to
 * another protocol as soon as the head was given to the system. Bytes that came behind the request go along.
 */
import type { Connection } from '../../connection/connection.ts'
import type { ConnectionMachine } from '../../connection/connection-machine.ts'
import type { Driver } from '../../connection/driver.ts'

/** The value of `HttpResponse.upgrade`. */
export interface Upgrade {
  /** @internal What drives the connection from now on. `head` is in memory of its own. */
  takeOver(machine: ConnectionMachine, connection: Connection, head: Uint8Array): Driver
}

/**
 * The same bytes to everybody: to all connections whose bytes go to the program, but the one whose callback is
 * running. One that has not taken what it was sent before does not hold up the rest.
 */
import { wrongType } from '../base/options.ts'
import { ByteDriver, HIGH_WATER_MARK } from './connection/byte-driver.ts'
import type { CloseReason } from './connection/close-reason.ts'
import { Connection, machineOf, standingOf } from './connection/connection.ts'
import type { BroadcastOptions } from './server-control.ts'

const SLOW: CloseReason = 'policy'

/** Throws a TypeError. */
export function checkBroadcastContent(bytes: unknown, except: unknown): Uint8Array {
  const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  if (!(content instanceof Uint8Array)) throw wrongType('bytes', 'a Uint8Array or a string', bytes)
  for (const connection of listOf(except)) {
    if (!(connection instanceof Connection)) throw wrongType('except', 'a Connection, or several', connection)
  }
  return content
}

/** Within an entry of the engine. `current` is the connection that the program is told of at this moment. */
export function broadcast(
  connections: readonly Connection[],
  current: Connection | null,
  content: Uint8Array,
  options: BroadcastOptions,
): number {
  const except = listOf(options.except)
  const { slow = 'skip' } = options
  let count = 0
  for (const connection of connections) {
    const { driver, open } = standingOf(connection)
    if (!open || !(driver instanceof ByteDriver) || driver.isRunning) continue
    if (connection === current || except.includes(connection)) continue
    const isSlow = driver.writableLength > HIGH_WATER_MARK
    if (isSlow && slow === 'disconnect') machineOf(connection).reset(SLOW)
    if (isSlow && slow !== 'queue') continue
    connection.write(content)
    count++
  }
  return count
}

function listOf(except: unknown): readonly unknown[] {
  if (except === undefined || except === null) return []
  return Array.isArray(except) ? except : [except]
}

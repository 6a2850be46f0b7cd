/**
 * Reading and writing in blocking style, for a thread that has nothing else to do: the call returns when it is done,
 * or throws when its time is over, the connection breaks, or the thread must end now. Meanwhile the thread runs
 * nothing; timeouts of the connection are looked at between the calls only. TLS, counters and bytes that were put back
 * work as ever.
 */
import { checkOptions, isDuration, isInteger, wrongType } from '../base/options.ts'
import { bytesOf, Connection, machineOf } from '../server/connection/connection.ts'
import { ServerError } from '../server/server-error.ts'
import { withinEngine } from '../server/within-engine.ts'
import { systemClock } from '../sys/clock.ts'
import { POLL_STRIDE } from '../sys/kernel.ts'
import { kernel } from '../sys/native.ts'
import { Readiness, WOULD_BLOCK } from '../sys/readiness.ts'
import { Closing, ownSignals } from './thread-signals.ts'

const TIMEOUT_MS = 30_000
const LENGTH_MAX = 65_536
const WAIT_MS_MAX = 2 ** 31 - 1

export interface BlockingOptions {
  /** Default 30,000. */
  readonly timeoutMs?: number
}

export interface BlockingReadOptions extends BlockingOptions {
  /** At most so many bytes. Default 65,536. */
  readonly lengthMax?: number
}

/** The next bytes, at least one, yours to keep; null at the end. */
export function readSync(connection: Connection, options: BlockingReadOptions = {}): Uint8Array | null {
  checkConnection('readSync', connection)
  checkOptions('readSync', options, { timeoutMs: isDuration, lengthMax: isInteger(1, 2 ** 30) })
  const { timeoutMs = TIMEOUT_MS, lengthMax = LENGTH_MAX } = options
  const deadline = systemClock.now() + timeoutMs
  for (;;) {
    const chunk = connection.readView(lengthMax)
    if (chunk === 0) return null
    if (chunk !== WOULD_BLOCK) return chunk.slice()
    wait('readSync', connection, Readiness.READABLE, deadline)
  }
}

/** Returns when the system has taken all of it. */
export function writeSync(connection: Connection, bytes: Uint8Array | string, options: BlockingOptions = {}): void {
  checkConnection('writeSync', connection)
  checkOptions('writeSync', options, { timeoutMs: isDuration })
  const deadline = systemClock.now() + (options.timeoutMs ?? TIMEOUT_MS)
  requireSound('writeSync', connection)
  connection.write(bytes)
  while (connection.writableLength > 0) {
    wait('writeSync', connection, Readiness.WRITABLE, deadline)
    withinEngine(machineOf(connection).host, 'writeSync', () => bytesOf(connection).flush())
  }
  requireSound('writeSync', connection)
}

function wait(verb: string, connection: Connection, readiness: number, deadline: number): void {
  requireSound(verb, connection)
  const signals = ownSignals()
  if (signals?.closing === Closing.NOW) throw new ServerError('GONE', `${verb}: the thread must end`)
  const waitMs = Math.ceil(deadline - systemClock.now())
  if (waitMs <= 0) throw new ServerError('TIMEOUT', `${verb}: its time is over`)
  const wakeFd = signals?.wakeFd ?? -1
  const entries = Int32Array.of(connection.fd, readiness, 0, wakeFd, Readiness.READABLE, 0)
  kernel.poll(entries, wakeFd < 0 ? 1 : 2, Math.min(waitMs, WAIT_MS_MAX))
  if (entries[POLL_STRIDE + 2] !== 0) kernel.clearWakeup(wakeFd)
}

/** What broke is its machine's to end, once the thread is back in its loop. */
function requireSound(verb: string, connection: Connection): void {
  if (!connection.open) throw new ServerError('GONE', `${verb}: the connection is ${connection.state}`)
  const { failure } = bytesOf(connection)
  if (failure !== null) throw failure
}

function checkConnection(verb: string, connection: unknown): void {
  if (!(connection instanceof Connection)) throw wrongType('connection', `a Connection (${verb})`, connection)
  machineOf(connection).host.refuseInside(verb)
}

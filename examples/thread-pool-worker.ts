/** The program of `thread-pool.ts`, one connection per thread: reads a line and answers it, without a callback. */
import { type Connection, isClosing, readSync, writeSync } from 'sockmux' // in your program: from 'sockmux'

const IDLE_MS = 60_000

export function blocking(connection: Connection): void {
  writeSync(connection, 'A number, please.\n')
  // Who takes leave says so at the next line.
  while (!isClosing()) {
    const bytes = readSync(connection, { timeoutMs: IDLE_MS })
    if (bytes === null) return
    const number = Number(Buffer.from(bytes).toString().trim())
    if (number === 0) return
    writeSync(connection, `${largestPrimeFactor(number)}\n`)
  }
  writeSync(connection, 'Goodbye.\n')
}

/** What takes long disturbs nobody: other connections have threads of their own. */
function largestPrimeFactor(number: number): number {
  let rest = number
  let largest = 1
  for (let factor = 2; factor * factor <= rest; factor++) {
    for (; rest % factor === 0; rest /= factor) largest = factor
  }
  return Math.max(rest, largest)
}

// A thread per connection in blocking style: answers lines until 'bye', and waits, fails or computes when it is told.
import { threadId } from 'node:worker_threads'

const { isClosing, readSync, writeSync } = await import(process.env.SOCKMUX_INDEX)

export function blocking(connection) {
  for (;;) {
    const chunk = readSync(connection, { timeoutMs: 20_000 })
    if (chunk === null) return
    const line = Buffer.from(chunk).toString().trim()
    if (line === 'bye') return
    if (line === 'impatient') {
      try {
        readSync(connection, { timeoutMs: 10 })
      } catch (error) {
        writeSync(connection, `${error.code}\n`)
      }
    } else if (line === 'compute') {
      writeSync(connection, 'computing\n')
      while (!isClosing());
      writeSync(connection, 'closing\n')
      return
    } else if (line === 'hang') {
      writeSync(connection, 'hanging\n')
      for (;;);
    } else if (line === 'much') writeSync(connection, new Uint8Array(4 << 20))
    else writeSync(connection, `${threadId} ${line}\n`)
  }
}

// An HTTP server whose answers say in which thread they were made, and which does what it is asked for by the path.
import { threadId } from 'node:worker_threads'

const busy = (ms) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

export async function handler({ target }) {
  const ms = Number(/\d+/.exec(target)?.[0] ?? 0)
  if (target.startsWith('/busy')) busy(ms)
  if (target.startsWith('/slow')) await new Promise((resolve) => setTimeout(resolve, ms))
  if (target.startsWith('/crash'))
    setImmediate(() => {
      throw new Error('the worker is broken')
    })
  return { body: `one ${threadId}` }
}
